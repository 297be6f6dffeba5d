import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { Option, type Command } from 'commander';
import { CountersignError, invalidField } from '../errors.ts';
import { writePrivateFile } from '../files.ts';
import { collect, count } from './options.ts';
import { readSecret, secretToString, whyNot } from './secrets.ts';
import type { Session } from './session.ts';

/** Options that several commands about the seal share, and what they read. */

const PASSPHRASE_OPTION = '--passphrase-file';
const SHARE_OPTION = '--share-file';

export interface PassphraseOptions {
  readonly passphraseFile?: string;
  readonly passphraseFd?: string;
}

export interface NewSealOptions extends PassphraseOptions {
  readonly kdf?: string;
  readonly shares?: number;
  readonly threshold?: number;
  readonly output?: string;
}

export function addPassphraseOptions(command: Command, what: string): Command {
  return command
    .option(`${PASSPHRASE_OPTION} <file>`, `${what}; - for standard input; asked for when absent`)
    .option('--passphrase-fd <number>', 'the same from an open file descriptor');
}

/** The new seal of `init` and of `rekey start`. */
export function addNewSealOptions(command: Command): Command {
  return addPassphraseOptions(command, 'the new passphrase, at least 12 characters')
    .addOption(
      new Option('--kdf <name>', 'how the passphrase becomes a key').choices([
        'scrypt',
        'pbkdf2',
        'argon2id',
      ]),
    )
    .option('--shares <number>', 'no passphrase, but so many shares, 2 to 32', count)
    .option('--threshold <number>', 'so many of the shares open the seal', count)
    .option('--output <directory>', 'write each share to a new file there that only you can read');
}

export function addShareOption(command: Command): Command {
  return command.option(
    `${SHARE_OPTION} <file>`,
    'a share; may be repeated; - for standard input; asked for when absent',
    collect,
  );
}

/** The seal as the API takes it. Asks for a new passphrase where it takes one. */
export async function readNewSeal(
  session: Session,
  { shares, threshold, kdf, ...options }: NewSealOptions,
  name = 'the new passphrase',
): Promise<object> {
  if (shares === undefined && threshold === undefined) {
    const passphrase = await readPassphrase(session, options, name, true);
    return { type: 'passphrase', passphrase, ...(kdf !== undefined && { kdf: { kdf } }) };
  }
  if (shares === undefined || threshold === undefined)
    throw invalidField('--shares', 'needs --threshold, and the other way round');
  if (options.passphraseFile !== undefined || options.passphraseFd !== undefined || kdf !== undefined)
    throw invalidField('--shares', 'is for a seal without a passphrase');
  return { type: 'shamir', shares, threshold };
}

export async function readPassphrase(
  session: Session,
  { passphraseFile: file, passphraseFd: fd }: PassphraseOptions,
  name = 'the passphrase',
  confirm = false,
): Promise<string> {
  const request = {
    name,
    option: PASSPHRASE_OPTION,
    file: fd === undefined ? file : `/dev/fd/${fdOf(fd)}`,
    confirm,
  };
  return secretToString(await readSecret(request, session.terminal), name);
}

/** Shares, one a file; one from the keyboard where there is no file. */
export async function readShares(session: Session, files: readonly string[] | undefined): Promise<string[]> {
  const shares: string[] = [];
  for (const file of files ?? [undefined]) {
    const secret = await readSecret({ name: 'the share', option: SHARE_OPTION, file }, session.terminal);
    shares.push(secretToString(secret, 'the share').trim());
  }
  return shares;
}

/**
 * Refuses a directory for shares that can't be used, before shares are made that would be lost.
 */
export function prepareOutput(directory: string | undefined): void {
  if (directory === undefined) return;
  try {
    mkdirSync(directory, { mode: 0o700 });
  } catch (error) {
    const exists = (error as NodeJS.ErrnoException).code === 'EEXIST';
    const why = exists ? 'it is there already: name a new one' : whyNot(error);
    throw new CountersignError('invalid_request', `--output: ${directory} cannot be made: ${why}`, [], error);
  }
}

/** Shows new shares, or writes them. Without them in the answer there is nothing to say. */
export function sharesText(shares: readonly string[] | undefined, directory: string | undefined): string[] {
  if (shares === undefined || shares.length === 0) return [];
  if (directory === undefined) {
    return ['', 'Shares, shown this once. Give each to somebody else:', '', ...shares];
  }
  const files = shares.map((share, index) => {
    const file = path.join(directory, `share-${index + 1}`);
    writePrivateFile(file, Buffer.from(`${share}\n`));
    return file;
  });
  return ['', 'Shares, each to be given to somebody else:', ...files.map((file) => `  ${file}`)];
}

function fdOf(text: string): string {
  if (/^\d{1,7}$/.test(text)) return text;
  throw invalidField('--passphrase-fd', 'must be the number of an open file descriptor');
}
