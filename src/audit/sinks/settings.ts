import path from 'node:path';
import { z } from 'zod';
import { PROJECTION_NAMES } from '../projections/projection.ts';
import { kindsSchema } from './kinds.ts';

const file = z
  .string()
  .min(1)
  .transform((name) => path.resolve(name));

/** What every sink has. */
const common = {
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,30}$/, 'must be 1 to 31 of a-z, 0-9 and "-"'),
  projection: z.enum(PROJECTION_NAMES).default('plain'),
  /** The kinds of entries that it gets; all when absent. */
  kinds: kindsSchema.optional(),
  /** Where a sink begins that is new. */
  from: z.enum(['now', 'beginning']).default('now'),
  required: z
    .strictObject({ maxLagEntries: z.int().min(10).optional(), maxLagSeconds: z.int().min(2).optional() })
    .refine(
      ({ maxLagEntries, maxLagSeconds }) => maxLagEntries !== undefined || maxLagSeconds !== undefined,
      'must have maxLagEntries, maxLagSeconds, or both',
    )
    .optional(),
};

const clientCertificate = { cert: file.optional(), key: file.optional() };

const timeoutSeconds = z.int().min(1).max(120);

const fileSink = z.strictObject({ ...common, type: z.literal('file'), path: file });

const syslogSink = z
  .strictObject({
    ...common,
    type: z.literal('syslog'),
    host: z.string().min(1),
    /** RFC 5425, 4.1. */
    port: z.int().min(1).max(65_535).default(6514),
    serverName: z.string().min(1).optional(),
    ca: file,
    ...clientCertificate,
    /** 13 is "log audit" (RFC 5424, 6.2.1). */
    facility: z.int().min(0).max(23).default(13),
    enterpriseNumber: z.int().min(1).max(4_294_967_295).optional(),
    timeoutSeconds: timeoutSeconds.default(30),
  })
  .superRefine(needsBoth);

const webhookSink = z
  .strictObject({
    ...common,
    type: z.literal('webhook'),
    url: z.string().refine(isSafeUrl, 'must be an https URL without a user, or http on this machine'),
    ca: file.optional(),
    ...clientCertificate,
    secretFiles: z.array(file).min(1).max(2),
    authorizationFile: file.optional(),
    format: z.enum(['json', 'ndjson']).default('json'),
    timeoutSeconds: timeoutSeconds.default(15),
  })
  .superRefine(needsBoth)
  .refine(({ projection, format }) => projection !== 'cef' || format === 'ndjson', {
    path: ['projection'],
    message: 'cef is not JSON: it needs format: ndjson, a line each',
  });

/** `audit.sinks` in the configuration file, which is the only place where they can be set. */
export const sinksSchema = z
  .array(z.discriminatedUnion('type', [fileSink, syslogSink, webhookSink]))
  .max(16)
  .superRefine((sinks, context) => {
    const names = new Set<string>();
    const paths = new Set<string>();
    for (const [i, sink] of sinks.entries()) {
      if (names.has(sink.name))
        context.addIssue({ code: 'custom', path: [i, 'name'], message: 'is the name of another sink' });
      names.add(sink.name);
      if (sink.type !== 'file') continue;
      if (paths.has(sink.path))
        context.addIssue({ code: 'custom', path: [i, 'path'], message: 'is the file of another sink' });
      paths.add(sink.path);
    }
  });
export type SinkSettings = z.output<typeof sinksSchema>[number];

function needsBoth(
  { cert, key }: { cert?: string | undefined; key?: string | undefined },
  context: z.RefinementCtx,
): void {
  if ((cert === undefined) === (key === undefined)) return;
  const missing = cert === undefined ? 'cert' : 'key';
  context.addIssue({ code: 'custom', path: [missing], message: 'is required: cert and key go together' });
}

/** Plain HTTP only where nobody else can listen in; a password in a URL would be a secret in the configuration. */
function isSafeUrl(text: string): boolean {
  const url = URL.parse(text);
  if (url === null || url.username !== '' || url.password !== '') return false;
  const isLocal = /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(url.hostname);
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLocal);
}
