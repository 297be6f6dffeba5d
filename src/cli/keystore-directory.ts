import { closeSync, openSync, readdirSync, statSync, writeSync } from 'node:fs';
import path from 'node:path';
import { wipe } from '../bytes.ts';
import { CountersignError, invalidField, type ErrorCode } from '../errors.ts';
import { NAME } from '../keystore/keys.ts';
import type { Key, Page } from './answers.ts';
import type { Client } from './client.ts';
import { EXIT } from './failure.ts';
import { readJsonFile } from './json-file.ts';
import type { NewKeyFields } from './key-options.ts';
import { passwordsFor, wipePasswords, type Passwords } from './keystore-passwords.ts';
import { createProgress } from './progress.ts';
import { whyNot } from './secrets.ts';
import type { Session } from './session.ts';
import { table } from './table.ts';
import { importKey } from './wrapping.ts';

export const DEFAULT_NAME_PATTERN = 'geth-{address}';

export interface DirectoryImport {
  readonly folder: string;
  readonly passwordFile?: string | undefined;
  readonly namePattern?: string | undefined;
  readonly report?: string | undefined;
  readonly fields: NewKeyFields & { readonly allowWellKnown: boolean };
}

/** What became of one file; a line of the report. */
interface Outcome {
  readonly file: string;
  readonly address?: string;
  readonly key?: string;
  /** `present`: the service has the key already. */
  readonly result: 'imported' | 'present' | 'no-keystore' | 'failed';
  readonly reason?: string;
  /** What of the file's key derivation is weaker than anything that the service writes. */
  readonly belowFloor?: readonly string[];
}

const PLACE = '{address}';
/** What would come of every other file, too. */
const FATAL: ReadonlySet<ErrorCode> = new Set(['sealed', 'unavailable', 'unauthenticated', 'forbidden']);

/**
 * Imports every keystore file of a folder, one after the other, and goes on after one that fails. What the service has
 * already is not imported again, so that a run that was broken off is taken up by running it again. Sets exit code 1 when
 * a file failed. Throws what keeps every file from being imported.
 */
export async function importDirectory(session: Session, options: DirectoryImport): Promise<void> {
  const { folder, namePattern = DEFAULT_NAME_PATTERN } = options;
  checkPattern(namePattern);
  const files = filesOf(folder);
  const client = session.client();
  const passwords = await passwordsFor(options.passwordFile, session.terminal);
  const report = openReport(options.report);
  const progress = createProgress(session.terminal, 'importing');
  const outcomes: Outcome[] = [];
  try {
    for (const [index, file] of files.entries()) {
      progress.update(index, files.length);
      const outcome = await importFile(client, file, { ...options, namePattern, passwords });
      outcomes.push(outcome);
      report?.add(outcome);
    }
  } finally {
    progress.end();
    report?.close();
    wipePasswords(passwords);
  }
  if (outcomes.some(({ result }) => result === 'failed')) session.host.setExitCode(EXIT.error);
  session.print({ items: outcomes }, () => outcomesText(outcomes, session.terminal.width));
}

interface FileImport extends DirectoryImport {
  readonly namePattern: string;
  readonly passwords: Passwords;
}

async function importFile(client: Client, file: string, options: FileImport): Promise<Outcome> {
  const place = path.join(options.folder, file);
  let keystore: { readonly [name: string]: unknown };
  try {
    keystore = await readJsonFile(place);
  } catch (error) {
    return { file, result: 'no-keystore', reason: messageOf(error) };
  }
  if (!('crypto' in keystore || 'Crypto' in keystore))
    return { file, result: 'no-keystore', reason: 'it has no member crypto' };
  const address = addressOf(keystore['address']);
  if (address === undefined) {
    const reason = 'it does not say its address: import it with --keystore, under a name';
    return { file, result: 'failed', reason };
  }
  try {
    const { items } = await client.get<Page<Key>>('/v1/keys', { address, limit: 1 });
    const [there] = items;
    if (there !== undefined) return { file, address, key: there.name, result: 'present' };
    return { file, address, ...(await importOne(client, { file, address, keystore }, options)) };
  } catch (error) {
    if (!(error instanceof CountersignError) || FATAL.has(error.code)) throw error;
    return { file, address, result: 'failed', reason: error.message };
  }
}

interface Found {
  readonly file: string;
  readonly address: string;
  readonly keystore: object;
}

/** With each password until one fits. */
async function importOne(
  client: Client,
  { file, address, keystore }: Found,
  { namePattern, passwords, fields }: FileImport,
): Promise<Omit<Outcome, 'file'>> {
  const name = namePattern.replaceAll(PLACE, address);
  const bytes = Buffer.from(JSON.stringify(keystore));
  const tried = await passwords.of(file);
  try {
    for (const password of tried) {
      try {
        const secret = { form: 'keystore', keystore: bytes, password } as const;
        const { keystore: facts } = await importKey(client, { name, ...fields }, secret);
        const weak = facts !== undefined && facts.belowFloor.length > 0;
        return { key: name, result: 'imported', ...(weak && { belowFloor: facts.belowFloor }) };
      } catch (error) {
        if (!(error instanceof CountersignError) || error.code !== 'wrong_password') throw error;
      }
    }
  } finally {
    if (passwords.fresh) wipe(...tried);
  }
  const reason =
    tried.length === 1 ? 'the password does not open it' : `none of ${tried.length} passwords opens it`;
  return { result: 'failed', reason };
}

function filesOf(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => !statSync(path.join(folder, name)).isDirectory())
      .toSorted();
  } catch (error) {
    throw new CountersignError('invalid_request', `${folder} cannot be read: ${whyNot(error)}`, [], error);
  }
}

function checkPattern(pattern: string): void {
  const example = pattern.replaceAll(PLACE, `0x${'0'.repeat(40)}`);
  if (pattern.includes(PLACE) && NAME.test(example)) return;
  throw invalidField(
    '--name-pattern',
    `${JSON.stringify(pattern)} gives no names of keys: it has to hold ${PLACE}, and a-z, 0-9, ".", "_" and "-" beside, 63 in all`,
  );
}

function addressOf(claimed: unknown): string | undefined {
  if (typeof claimed !== 'string' || !/^(?:0x)?[0-9a-fA-F]{40}$/.test(claimed)) return undefined;
  return `0x${claimed.replace(/^0x/, '').toLowerCase()}`;
}

interface Report {
  add(outcome: Outcome): void;
  close(): void;
}

/** Added to the end, a line as soon as it is known: a run that is taken up goes on in the same file. */
function openReport(file: string | undefined): Report | undefined {
  if (file === undefined) return undefined;
  let descriptor: number;
  try {
    descriptor = openSync(file, 'a', 0o600);
  } catch (error) {
    throw new CountersignError('invalid_request', `${file} cannot be written: ${whyNot(error)}`, [], error);
  }
  return {
    add: (outcome) => void writeSync(descriptor, `${JSON.stringify(outcome)}\n`),
    close: () => closeSync(descriptor),
  };
}

function outcomesText(outcomes: readonly Outcome[], width: number | undefined): string {
  const rows = outcomes.map(({ file, address, key, result, reason, belowFloor }) => [
    file,
    result,
    address ?? '',
    key ?? '',
    reason ?? (belowFloor === undefined ? '' : `weak KDF: ${belowFloor.join('; ')}`),
  ]);
  const count = (wanted: Outcome['result']): number =>
    outcomes.filter(({ result }) => result === wanted).length;
  const summary = `${count('imported')} imported, ${count('present')} present already, ${count('no-keystore')} no keystores, ${count('failed')} failed`;
  const advice = count('imported') > 0 ? '\nDestroy the files that were imported, and their copies.' : '';
  return `${table(['FILE', 'RESULT', 'ADDRESS', 'KEY', 'WHY'], rows, width)}\n\n${summary}${advice}`;
}

function messageOf(error: unknown): string {
  if (error instanceof CountersignError) return error.message;
  throw error;
}
