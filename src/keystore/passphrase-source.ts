import { closeSync, readFileSync, statSync } from 'node:fs';
import { wipe } from '../bytes.ts';
import { CountersignError } from '../errors.ts';

/** Where the passphrase of an unattended start is. A file descriptor is read once, and is at its end after that. */
export type PassphrasePlace = { readonly file: string } | { readonly fd: number };

const MAX_BYTES = 1_024;
const NEWLINE = 0x0a;

/** Reads it anew each time, without the newline at its end; the caller wipes it. What it returns throws `unavailable`. */
export function passphraseSource(place: PassphrasePlace): () => Buffer {
  const name = 'file' in place ? place.file : `file descriptor ${place.fd}`;
  let spent = false;
  return () => {
    // Its number is another file's by now.
    if (spent) throw refused(`${name} has been read, and can't be read again`);
    spent = 'fd' in place;
    const bytes = readPlace(place, name);
    const end = bytes.at(-1) === NEWLINE ? bytes.length - 1 : bytes.length;
    const passphrase = Buffer.from(new ArrayBuffer(end));
    passphrase.set(bytes.subarray(0, end));
    wipe(bytes);
    if (end > 0 && end <= MAX_BYTES) return passphrase;
    wipe(passphrase);
    throw refused(`${name} holds ${end} bytes: a passphrase has 1 to ${MAX_BYTES}`);
  };
}

function readPlace(place: PassphrasePlace, name: string): Buffer {
  try {
    if ('fd' in place) {
      const bytes = readFileSync(place.fd);
      closeSync(place.fd);
      return bytes;
    }
    if ((statSync(place.file).mode & 0o077) !== 0) throw refused(`${name} is open to others: chmod 600 it`);
    return readFileSync(place.file);
  } catch (error) {
    if (error instanceof CountersignError) throw error;
    throw refused(`${name} cannot be read`, error);
  }
}

function refused(what: string, cause?: unknown): CountersignError {
  return new CountersignError('unavailable', `the passphrase: ${what}`, [], cause);
}
