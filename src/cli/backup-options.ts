import { readFileSync, statSync } from 'node:fs';
import { directoryAnchor } from '../audit/anchors/directory.ts';
import { fileAnchor } from '../audit/anchors/file.ts';
import type { Unlock } from '../backup/age.ts';
import type { Trust } from '../backup/examine.ts';
import type { HeldOutside } from '../backup/outside.ts';
import { CountersignError, invalidField } from '../errors.ts';
import { readSecret, secretToString, whyNot } from './secrets.ts';
import type { Terminal } from './terminal.ts';

export interface UnlockFlags {
  readonly identity?: string;
  readonly passphraseFile?: string;
}

export interface TrustFlags {
  readonly vkey?: string;
  readonly checkpoint?: readonly string[];
  readonly anchor?: readonly string[];
}

/** Throws `invalid_request` unless exactly one of the two is given, and can be read. */
export async function readUnlock(
  { identity, passphraseFile }: UnlockFlags,
  terminal: Terminal,
): Promise<Unlock> {
  if ((identity === undefined) === (passphraseFile === undefined)) {
    throw new CountersignError('invalid_request', 'give --identity or --passphrase-file, one of them');
  }
  if (identity !== undefined) {
    const name = 'the identity';
    const secret = await readSecret({ name, option: '--identity', file: identity }, terminal);
    return { identities: linesOf(secretToString(secret, name)) };
  }
  return { passphrase: await readPassphrase(passphraseFile, terminal) };
}

export async function readPassphrase(file: string | undefined, terminal: Terminal): Promise<string> {
  const name = 'the passphrase of the backup';
  return secretToString(await readSecret({ name, option: '--passphrase-file', file }, terminal), name);
}

/** What is neither empty nor a comment. */
export function linesOf(text: string): string[] {
  return text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
}

/** Throws `invalid_request` for what can't be read. */
export async function readTrust({ vkey, checkpoint = [], anchor = [] }: TrustFlags): Promise<Trust> {
  const held: HeldOutside[] = [];
  for (const file of checkpoint) held.push({ source: file, note: readText('--checkpoint', file) });
  for (const place of anchor) held.push({ source: `anchor ${place}`, note: await newestIn(place) });
  return { vkey, held };
}

async function newestIn(place: string): Promise<string> {
  try {
    const anchor = statSync(place).isDirectory() ? directoryAnchor(place, place) : fileAnchor(place, place);
    const note = await anchor.newest?.();
    if (note !== undefined) return note;
  } catch (error) {
    throw invalidField('--anchor', `${place} cannot be read: ${whyNot(error)}`);
  }
  throw invalidField('--anchor', `${place} holds no checkpoint`);
}

export function readText(option: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw invalidField(option, `${file} cannot be read: ${whyNot(error)}`);
  }
}
