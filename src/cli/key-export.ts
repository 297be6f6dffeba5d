import { InvalidArgumentError, type Command } from 'commander';
import { closeSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { wipe } from '../bytes.ts';
import { CountersignError } from '../errors.ts';
import { MIN_EXPORT_PASSWORD_BYTES } from '../keystore/wrapped.ts';
import type { ExportedKey, PendingAnswer } from './answers.ts';
import { pathStep, type Client } from './client.ts';
import { versionNumber } from './options.ts';
import { readSecret, whyNot } from './secrets.ts';
import { addCommand, openSession, type Host, type Session } from './session.ts';
import { details } from './table.ts';
import { wrapSecret } from './wrapping.ts';

interface ExportOptions {
  readonly out: string;
  readonly version?: number;
  readonly request?: string;
  readonly passwordFile?: string;
  readonly kdf?: 'scrypt' | 'pbkdf2';
}

export function addKeyExportCommand(group: Command, host: Host): void {
  addCommand(
    group,
    'export <name>',
    'get the private key of an exportable key as a V3 file: ask, have two others approve, fetch',
  )
    .requiredOption('--out <file>', 'the new file; it must not be there yet')
    .option('--version <number>', 'the version to ask for; the primary when absent', versionNumber)
    .option('--request <id>', 'the approved request; without it, one is made')
    .option('--password-file <file>', 'of the new file; - for standard input; asked for when absent')
    .option('--kdf <name>', 'scrypt or pbkdf2; scrypt when absent', kdfName)
    .action(async (name: string, options: ExportOptions, command: Command) => {
      const session = openSession(host, command);
      const path = `/v1/keys/${pathStep('name', name)}/export`;
      if (options.request === undefined) await ask(session, name, path, options);
      else await fetchFile(session, name, path, { ...options, request: options.request });
    });
}

async function ask(
  session: Session,
  name: string,
  path: string,
  { out, version, passwordFile, kdf }: ExportOptions,
): Promise<void> {
  if (passwordFile !== undefined || kdf !== undefined)
    throw new CountersignError('invalid_request', '--password-file and --kdf go with --request');
  const answer = await session.client().post<PendingAnswer>(path, { version });
  const { id, status, expiresAt } = answer.request;
  session.print(answer, () =>
    details([
      ['request', id],
      ['status', status],
      ['expires', expiresAt],
      ['next', `two others: countersign request approve ${id}`],
      ['then', `countersign key export ${name} --request ${id} --out ${out}`],
    ]),
  );
}

async function fetchFile(
  session: Session,
  name: string,
  path: string,
  { out, version, request, passwordFile, kdf = 'scrypt' }: ExportOptions & { readonly request: string },
): Promise<void> {
  if (version !== undefined)
    throw new CountersignError('invalid_request', 'the request says which version: leave --version out');
  const client = session.client();
  // The key is given once: that it can be kept is made sure of before.
  const descriptor = openNew(out);
  let done = false;
  try {
    const answer = await fetchKey(session, client, { name, path, request, passwordFile, kdf });
    writeSync(descriptor, `${JSON.stringify(answer.keystore)}\n`);
    fsyncSync(descriptor);
    done = true;
    session.print({ ...answer, keystore: undefined, file: out }, () =>
      details([
        ['key', `${answer.key.name}, version ${answer.key.version}`],
        ['address', answer.key.address],
        ['file', out],
        ['entry', `${answer.receipt.index}`],
      ]),
    );
  } finally {
    closeSync(descriptor);
    if (!done) rmSync(out, { force: true });
  }
}

interface Fetch {
  readonly passwordFile: string | undefined;
  readonly kdf: 'scrypt' | 'pbkdf2';
  readonly name: string;
  readonly path: string;
  readonly request: string;
}

async function fetchKey(
  session: Session,
  client: Client,
  { name, path, request, passwordFile, kdf }: Fetch,
): Promise<ExportedKey> {
  const asked = { name: 'the password of the new file', option: '--password-file', confirm: true };
  const password = await readSecret({ ...asked, file: passwordFile }, session.terminal);
  try {
    if (password.length < MIN_EXPORT_PASSWORD_BYTES) {
      throw new CountersignError(
        'invalid_request',
        `the password needs ${MIN_EXPORT_PASSWORD_BYTES} bytes at least`,
      );
    }
    const wrappedPassword = await wrapSecret(client, 'export', name, { form: 'password', password });
    return await client.post<ExportedKey>(path, { request, wrappedPassword, kdf: { kdf } });
  } finally {
    wipe(password);
  }
}

function openNew(file: string): number {
  try {
    return openSync(file, 'wx', 0o600);
  } catch (error) {
    const exists = (error as NodeJS.ErrnoException).code === 'EEXIST';
    const why = exists ? 'there is a file of that name' : whyNot(error);
    throw new CountersignError('invalid_request', `${file} cannot be made: ${why}`, [], error);
  }
}

function kdfName(text: string): 'scrypt' | 'pbkdf2' {
  if (text === 'scrypt' || text === 'pbkdf2') return text;
  throw new InvalidArgumentError('must be scrypt or pbkdf2');
}
