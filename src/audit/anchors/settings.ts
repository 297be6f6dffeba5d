import path from 'node:path';
import { z } from 'zod';
import { prefixUrl } from '../witness/settings.ts';

const file = z
  .string()
  .min(1)
  .transform((name) => path.resolve(name));

/** What every place has. */
const common = {
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,30}$/, 'must be 1 to 31 of a-z, 0-9 and "-"'),
};

const timeoutSeconds = z.int().min(1).max(120).default(15);

/** One JSON line a checkpoint, at the end of a file. */
const fileAnchor = z.strictObject({ ...common, type: z.literal('file'), path: file });

/** A file a checkpoint, named by its size, in a directory that is there. */
const directoryAnchor = z.strictObject({ ...common, type: z.literal('directory'), path: file });

const webhookAnchor = z.strictObject({
  ...common,
  type: z.literal('webhook'),
  url: prefixUrl,
  ca: file.optional(),
  secretFiles: z.array(file).min(1).max(2),
  timeoutSeconds,
});

/** An object a checkpoint, named by its size, put to a bucket that speaks the S3 API. */
const s3Anchor = z.strictObject({
  ...common,
  type: z.literal('s3'),
  /** Of the bucket, and what the names of the objects begin with. Other characters are encoded by signers in more than one way. */
  url: prefixUrl.refine(
    (url) => /^[A-Za-z0-9/._~-]*$/.test(new URL(url).pathname),
    'must have a path of letters, digits, "/", ".", "_", "~" and "-"',
  ),
  region: z.string().regex(/^[a-z0-9-]{1,40}$/, 'must be 1 to 40 of a-z, 0-9 and "-"'),
  /** JSON: accessKeyId, secretAccessKey, and sessionToken where there is one. */
  credentialsFile: file,
  ca: file.optional(),
  timeoutSeconds,
});

/** Where checkpoints are kept outside, and how often. */
export const anchorsSchema = z
  .strictObject({
    everySeconds: z.int().min(1).max(86_400).default(60),
    to: z
      .array(z.discriminatedUnion('type', [fileAnchor, directoryAnchor, webhookAnchor, s3Anchor]))
      .min(1)
      .max(16),
  })
  .refine(({ to }) => new Set(to.map(({ name }) => name)).size === to.length, {
    path: ['to'],
    message: 'must have a name of its own each',
  });

export type AnchorsSettings = Readonly<z.output<typeof anchorsSchema>>;
export type AnchorSettings = AnchorsSettings['to'][number];
