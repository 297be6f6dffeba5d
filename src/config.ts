import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import path from 'node:path';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { cidrProblem } from './access/networks.ts';
import { ROLES } from './access/roles.ts';
import { anchorsSchema, type AnchorsSettings } from './audit/anchors/settings.ts';
import { sinksSchema, type SinkSettings } from './audit/sinks/settings.ts';
import { witnessesSchema, type WitnessSettings } from './audit/witness/settings.ts';
import { CountersignError, invalidField } from './errors.ts';
import { rotationSchema, type RotationSettings } from './rotation/settings.ts';
import { parseWith } from './schema.ts';

const file = z
  .string()
  .min(1)
  .transform((name) => path.resolve(name));
const rateLimit = z.strictObject({
  perSecond: z.number().positive().max(1e6),
  burst: z.int().min(1).max(1e6),
});
const claim = z.union([z.string().min(1), z.array(z.string().min(1)).min(1).max(16)]);
const cidr = z.string().superRefine((network, context) => {
  const problem = cidrProblem(network);
  if (problem !== undefined) context.addIssue(problem);
});

/** Signatures by public keys only: with a shared secret, whoever can verify a token can make one. */
const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
] as const;

const tlsSchema = z.strictObject({
  cert: file,
  key: file,
  clientCa: file.optional(),
  minVersion: z.enum(['TLSv1.2', 'TLSv1.3']).default('TLSv1.3'),
});

const oidcSchema = z
  .strictObject({
    name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,30}$/, 'must be 1 to 31 of a-z, 0-9 and "-"'),
    issuer: z.string().min(1),
    audience: z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]),
    jwks: z
      .string()
      .min(1)
      .transform((place) => (isUrl(place) ? place : path.resolve(place)))
      .optional(),
    ca: file.optional(),
    tokenFile: file.optional(),
    algorithms: z.array(z.enum(ALGORITHMS)).min(1).default(['RS256', 'ES256', 'PS256', 'EdDSA']),
    subject: claim.default('sub'),
    roles: z
      .array(z.strictObject({ claim, value: z.string().min(1), roles: z.array(z.enum(ROLES)).min(1) }))
      .min(1),
    maxAge: z.int().min(1).optional(),
    clockTolerance: z.int().min(0).max(60).default(0),
  })
  .refine(({ jwks, tokenFile }) => tokenFile === undefined || isUrl(jwks), {
    path: ['tokenFile'],
    message: 'is for keys that are fetched from the URL in jwks',
  });

/** Plain HTTP is refused where it would be used. */
function isUrl(text: string | undefined): boolean {
  return text !== undefined && /^https?:/i.test(text);
}

const SEALS = ['file', 'passphrase', 'shamir'] as const;

/** Where the passphrase is that opens the seal at each start; nowhere when absent, and a person unseals. */
const passphraseSchema = z
  .strictObject({
    file: file.optional(),
    fd: z.int().min(0).max(1_048_576).optional(),
    /** The name of a systemd credential: a file in $CREDENTIALS_DIRECTORY. */
    credential: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$/, 'must be 1 to 255 of letters, digits, ".", "_" and "-"')
      .optional(),
  })
  .refine((places) => Object.keys(places).length === 1, 'must be one of file, fd and credential');

const sealSchema = z.union([
  z.enum(SEALS),
  z.strictObject({ type: z.enum(SEALS), passphrase: passphraseSchema.optional() }),
]);

const keyringSchema = z.strictObject({
  maxEncryptions: z
    .int()
    .min(2 ** 16)
    .max(2 ** 32)
    .default(2 ** 31),
  maxAgeDays: z.int().min(1).max(36_500).default(365),
});

export interface Config {
  /** Absolute. */
  readonly data: string;
  readonly listen: { readonly host: string; readonly port: number };
  /** What audit entries call this machine. */
  readonly node: string;
  /** What protects a keyring that is to be made; an existing one keeps its own. */
  readonly seal: (typeof SEALS)[number];
  /** Where the passphrase is that opens the seal at each start. */
  readonly passphrase?: { readonly file: string } | { readonly fd: number };
  /** When the root keyring gets a new term by itself. */
  readonly keyring: Readonly<z.output<typeof keyringSchema>>;
  /** Make a demo key and a demo signer at the first start. */
  readonly demo: boolean;
  readonly logLevel: 'info' | 'warn' | 'error' | 'silent';
  /** Plain HTTP, on a loopback address only, when absent. All files are absolute. */
  readonly tls?: Readonly<z.output<typeof tlsSchema>>;
  /** The identity providers whose tokens let principals in. */
  readonly oidc: readonly Readonly<z.output<typeof oidcSchema>>[];
  /** Networks of proxies whose `X-Forwarded-For` is believed. */
  readonly trustedProxies: readonly string[];
  readonly rateLimit: Readonly<z.output<typeof rateLimitSchema>>;
  readonly load: Readonly<z.output<typeof loadSchema>>;
  readonly rotation: RotationSettings;
  readonly audit: {
    /** Where audit entries go besides. */
    readonly sinks: readonly SinkSettings[];
    /** Who cosigns its checkpoints. */
    readonly witnesses?: WitnessSettings | undefined;
    /** Where its checkpoints are kept outside. */
    readonly anchors?: AnchorsSettings | undefined;
  };
}

const rateLimitSchema = z.strictObject({
  credential: rateLimit.optional(),
  address: rateLimit.optional(),
});

const loadSchema = z.strictObject({
  /** What a signature may wait for its turn while more is asked than can be done. */
  targetWaitMs: z.int().min(1).max(60_000).default(8),
  /** How many may wait for theirs at once, however suddenly they come. */
  burst: z.int().min(1).max(10_000).default(128),
});

const auditSchema = z.strictObject({
  sinks: sinksSchema.optional(),
  witnesses: witnessesSchema.optional(),
  anchors: anchorsSchema.optional(),
});

/** What a configuration file, flags and the environment may say. */
export const settingsSchema = z.strictObject({
  data: z.string().min(1).optional(),
  listen: z.string().optional(),
  node: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, 'must be 1 to 63 of letters, digits, ".", "_" and "-"')
    .optional(),
  seal: sealSchema.optional(),
  keyring: keyringSchema.optional(),
  demo: z.boolean().optional(),
  logLevel: z.enum(['info', 'warn', 'error', 'silent']).optional(),
  tls: tlsSchema.optional(),
  oidc: z.array(oidcSchema).max(16).optional(),
  trustedProxies: z.array(cidr).max(64).optional(),
  rateLimit: rateLimitSchema.optional(),
  load: loadSchema.optional(),
  rotation: rotationSchema.optional(),
  audit: auditSchema.optional(),
});
type Settings = z.infer<typeof settingsSchema>;

/** As they came: checked here. */
export type Flags = { readonly [name in keyof Settings]?: unknown } & {
  readonly config?: string | undefined;
  readonly passphraseFile?: string | undefined;
  readonly passphraseFd?: string | undefined;
};

/** Flags over environment over file over defaults. Throws `invalid_request` that names the setting. */
export function loadConfig(flags: Flags, environment: NodeJS.ProcessEnv): Config {
  const { config: file, passphraseFile, passphraseFd, ...given } = flags;
  const fromFile = file === undefined ? {} : readSettings(file);
  const fromFlags = parseWith(settingsSchema, defined(given), 'the command line');
  const settings: Settings = { ...fromFile, ...fromEnvironment(environment), ...fromFlags };
  const { tls } = settings;
  const seal =
    typeof settings.seal === 'string' ? { type: settings.seal } : (settings.seal ?? { type: 'file' });
  const place =
    passphraseFlag(passphraseFile, passphraseFd) ?? ('passphrase' in seal ? seal.passphrase : undefined);
  return {
    data: path.resolve(settings.data ?? 'data'),
    listen: parseListen(settings.listen ?? '127.0.0.1:8700', tls !== undefined),
    node: settings.node ?? hostname(),
    seal: seal.type,
    ...(place !== undefined && { passphrase: placeOf(place, environment) }),
    keyring: settings.keyring ?? keyringSchema.parse({}),
    demo: settings.demo ?? true,
    logLevel: settings.logLevel ?? 'info',
    ...(tls !== undefined && { tls }),
    oidc: settings.oidc ?? [],
    trustedProxies: settings.trustedProxies ?? [],
    rateLimit: settings.rateLimit ?? {},
    load: settings.load ?? loadSchema.parse({}),
    rotation: settings.rotation ?? { webhooks: [] },
    audit: {
      sinks: settings.audit?.sinks ?? [],
      witnesses: settings.audit?.witnesses,
      anchors: settings.audit?.anchors,
    },
  };
}

type Place = z.output<typeof passphraseSchema>;

function passphraseFlag(file: string | undefined, fd: string | undefined): Place | undefined {
  if (file === undefined && fd === undefined) return undefined;
  const given = defined({ file, fd: fd === undefined ? undefined : /^\d{1,7}$/.test(fd) ? Number(fd) : fd });
  return parseWith(passphraseSchema, given, '--passphrase-file and --passphrase-fd');
}

function placeOf(
  { file, fd, credential }: Place,
  environment: NodeJS.ProcessEnv,
): NonNullable<Config['passphrase']> {
  if (fd !== undefined) return { fd };
  if (file !== undefined) return { file };
  const directory = environment['CREDENTIALS_DIRECTORY'];
  if (directory === undefined)
    throw invalidField(
      'seal.passphrase.credential',
      'systemd has set no $CREDENTIALS_DIRECTORY: see LoadCredential=',
    );
  return { file: path.join(directory, credential ?? '') };
}

function readSettings(file: string): Settings {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new CountersignError('invalid_request', `the configuration file ${file} cannot be read`, [], error);
  }
  return parseWith(settingsSchema, readYaml(text, file) ?? {}, `the configuration file ${file}`);
}

function readYaml(text: string, file: string): unknown {
  try {
    return parseYaml(text) as unknown;
  } catch (error) {
    // After the place comes the line itself, which belongs into no message.
    const [problem = ''] = error instanceof Error ? error.message.split(':\n\n') : [];
    const message = `the configuration file ${file} is not valid YAML: ${problem}`;
    throw new CountersignError('invalid_request', message, [], error);
  }
}

/** No secret is read from here: an environment is too easy to see from outside. */
function fromEnvironment(environment: NodeJS.ProcessEnv): Settings {
  const values = defined({
    data: environment['COUNTERSIGN_DATA'],
    listen: environment['COUNTERSIGN_LISTEN'],
    node: environment['COUNTERSIGN_NODE'],
    seal: environment['COUNTERSIGN_SEAL'],
    logLevel: environment['COUNTERSIGN_LOG_LEVEL'],
  });
  return parseWith(settingsSchema, values, 'the environment');
}

function defined<T extends object>(values: T): T {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as T;
}

function parseListen(text: string, secure: boolean): Config['listen'] {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port > 65_535)
    throw invalidField('listen', 'must be HOST:PORT, such as 127.0.0.1:8700');
  if (!secure && !isLoopback(host)) {
    throw invalidField(
      'listen',
      `${host} is not a loopback address, and plain HTTP stays on the machine: configure tls`,
    );
  }
  return { host, port };
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}
