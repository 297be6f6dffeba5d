import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import path from 'node:path';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { CountersignError, invalidField } from './errors.ts';
import { parseWith } from './schema.ts';

export interface Config {
  /** Absolute. */
  readonly data: string;
  readonly listen: { readonly host: string; readonly port: number };
  /** What protects a keyring that is to be made; an existing one keeps its own. */
  readonly seal: 'file' | 'passphrase';
  /** Make a demo key and a demo signer at the first start. */
  readonly demo: boolean;
  readonly logLevel: 'info' | 'warn' | 'error' | 'silent';
}

const settingsSchema = z.strictObject({
  data: z.string().min(1).optional(),
  listen: z.string().optional(),
  seal: z.enum(['file', 'passphrase']).optional(),
  demo: z.boolean().optional(),
  logLevel: z.enum(['info', 'warn', 'error', 'silent']).optional(),
});
type Settings = z.infer<typeof settingsSchema>;

/** As they came: checked here. */
export type Flags = { readonly [name in keyof Settings]?: unknown } & {
  readonly config?: string | undefined;
};

/** Flags over environment over file over defaults. Throws `invalid_request` that names the setting. */
export function loadConfig(flags: Flags, environment: NodeJS.ProcessEnv): Config {
  const { config: file, ...given } = flags;
  const fromFile = file === undefined ? {} : readSettings(file);
  const fromFlags = parseWith(settingsSchema, defined(given), 'the command line');
  const settings: Settings = { ...fromFile, ...fromEnvironment(environment), ...fromFlags };
  return {
    data: path.resolve(settings.data ?? 'data'),
    listen: parseListen(settings.listen ?? '127.0.0.1:8700'),
    seal: settings.seal ?? 'file',
    demo: settings.demo ?? true,
    logLevel: settings.logLevel ?? 'info',
  };
}

function readSettings(file: string): Settings {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new CountersignError('invalid_request', `the configuration file ${file} cannot be read`, [], error);
  }
  return parseWith(settingsSchema, parseYaml(text) ?? {}, `the configuration file ${file}`);
}

/** No secret is read from here: an environment is too easy to see from outside. */
function fromEnvironment(environment: NodeJS.ProcessEnv): Settings {
  const values = defined({
    data: environment['COUNTERSIGN_DATA'],
    listen: environment['COUNTERSIGN_LISTEN'],
    seal: environment['COUNTERSIGN_SEAL'],
    logLevel: environment['COUNTERSIGN_LOG_LEVEL'],
  });
  return parseWith(settingsSchema, values, 'the environment');
}

function defined<T extends object>(values: T): T {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as T;
}

function parseListen(text: string): Config['listen'] {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port > 65_535)
    throw invalidField('listen', 'must be HOST:PORT, such as 127.0.0.1:8700');
  if (!isLoopback(host)) {
    throw invalidField(
      'listen',
      `${host} is not a loopback address: this version speaks plain HTTP and stays on the machine`,
    );
  }
  return { host, port };
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}
