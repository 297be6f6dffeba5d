import { existsSync, statSync } from 'node:fs';
import path from 'node:path';
import { wipe } from '../bytes.ts';
import { CountersignError } from '../errors.ts';
import { readSecret, STDIN } from './secrets.ts';
import type { Terminal } from './terminal.ts';

const OPTION = '--password-file';
const NEWLINE = 0x0a;
const RETURN = 0x0d;

/** The passwords of a folder of keystores. */
export interface Passwords {
  /** Those to try for this file, in turn. Throws `invalid_request` where there is none. */
  of(file: string): Promise<readonly Buffer[]>;
  /** Whether they are read anew for each file, and the caller's to wipe. */
  readonly fresh: boolean;
  readonly all: readonly Buffer[];
}

/**
 * From a file with one password a line, tried in turn; from a folder with a file for each keystore, of the same name, with
 * `.txt` after it or without its `.json`; or one from the keyboard.
 */
export async function passwordsFor(file: string | undefined, terminal: Terminal): Promise<Passwords> {
  if (file !== undefined && file !== STDIN && isFolder(file)) {
    const of = async (keystore: string): Promise<readonly Buffer[]> => [
      await readOne(besides(file, keystore), terminal),
    ];
    return { of, fresh: true, all: [] };
  }
  const text = await readOne(file, terminal);
  // What was typed has one line; what is in a file may have a space at its end that is part of a password.
  const all = linesOf(text);
  if (all.length === 0) throw new CountersignError('invalid_request', `${OPTION} holds no password`);
  return { of: () => Promise.resolve(all), fresh: false, all };
}

export function wipePasswords({ all }: Passwords): void {
  wipe(...all);
}

async function readOne(file: string | undefined, terminal: Terminal): Promise<Buffer> {
  return await readSecret({ name: 'the password of the keystores', option: OPTION, file }, terminal);
}

function isFolder(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function besides(folder: string, keystore: string): string {
  const names = [keystore, `${keystore}.txt`, keystore.replace(/\.json$/, '')];
  const found = names.map((name) => path.join(folder, name)).find((file) => existsSync(file));
  if (found !== undefined) return found;
  throw new CountersignError('invalid_request', `there is no password for it in ${folder}`);
}

/** Views of the same memory, without empty lines. */
function linesOf(text: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  for (let start = 0; start <= text.length;) {
    const found = text.indexOf(NEWLINE, start);
    const end = found === -1 ? text.length : found;
    const last = text[end - 1] === RETURN && end > start ? end - 1 : end;
    if (last > start) lines.push(text.subarray(start, last));
    start = end + 1;
  }
  return lines;
}
