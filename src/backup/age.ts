import { hash } from 'node:crypto';
import { Decrypter, Encrypter } from 'age-encryption';
import { CountersignError } from '../errors.ts';

/** Files in the age format, https://age-encryption.org/v1, not armored. The command `age` reads and writes the same. */

/** Whom a file is encrypted to. The passphrase is a string because the library takes nothing else. */
export type Lock = { readonly recipients: readonly string[] } | { readonly passphrase: string };

/** What opens a file. */
export type Unlock = { readonly identities: readonly string[] } | { readonly passphrase: string };

export interface Encrypted {
  /** Bytes of the whole file. */
  readonly size: number;
  readonly pieces: AsyncIterable<Uint8Array>;
}

export interface Decrypted {
  /** Bytes that a file of this size holds; undefined where none has that size. */
  plainSize(fileSize: number): number | undefined;
  readonly pieces: AsyncIterable<Uint8Array>;
}

const MAX_RECIPIENTS = 32;
const MAX_RECIPIENT_LENGTH = 4_096;
const AGE_HEADER = 'age-encryption.org/v1';

/** Throws `invalid_request` when there are none, too many, or one that is not a recipient. */
export function requireRecipients(recipients: readonly string[]): void {
  if (recipients.length === 0) throw invalid('a backup is encrypted to at least one recipient');
  if (recipients.length > MAX_RECIPIENTS) throw invalid(`at most ${MAX_RECIPIENTS} recipients`);
  encrypterFor({ recipients });
}

/** The first 32 hex digits of the SHA-256 of a recipient as it is written. */
export function fingerprintOf(recipient: string): string {
  return hash('sha256', recipient, 'hex').slice(0, 32);
}

export async function encrypt(
  lock: Lock,
  plain: AsyncIterable<Uint8Array>,
  plainSize: number,
): Promise<Encrypted> {
  const stream = await encrypterFor(lock).encrypt(ReadableStream.from(plain));
  return { size: stream.size(plainSize), pieces: stream };
}

function encrypterFor(lock: Lock): Encrypter {
  const encrypter = new Encrypter();
  if ('passphrase' in lock) {
    encrypter.setPassphrase(lock.passphrase);
    return encrypter;
  }
  for (const [index, recipient] of lock.recipients.entries()) {
    try {
      if (recipient.length > MAX_RECIPIENT_LENGTH) throw invalid('too long');
      encrypter.addRecipient(recipient);
    } catch (error) {
      const message = `recipient ${index + 1} is not one of age: it begins with "age1", as age-keygen writes it`;
      throw new CountersignError(
        'invalid_request',
        message,
        [{ path: `recipients.${index}`, message }],
        error,
      );
    }
  }
  return encrypter;
}

/**
 * Throws `unprocessable` for what is no age file or was changed or cut (also while it is read), `wrong_password` when
 * the passphrase or none of the identities opens it, `invalid_request` for a malformed identity.
 */
export async function decrypt(unlock: Unlock, file: AsyncIterable<Uint8Array>): Promise<Decrypted> {
  const decrypter = decrypterFor(unlock);
  const first: { bytes?: Buffer } = {};
  try {
    const stream = await decrypter.decrypt(ReadableStream.from(noting(file, first)));
    return { plainSize: (size) => sizeOrNone(() => stream.size(size)), pieces: whole(stream) };
  } catch (error) {
    if (error instanceof CountersignError) throw error;
    throw refused(unlock, first.bytes, error);
  }
}

function decrypterFor(unlock: Unlock): Decrypter {
  const decrypter = new Decrypter();
  if ('passphrase' in unlock) {
    decrypter.addPassphrase(unlock.passphrase);
    return decrypter;
  }
  if (unlock.identities.length === 0) {
    throw invalid('there is no identity: one is a line that begins with "AGE-SECRET-KEY-"');
  }
  for (const identity of unlock.identities) {
    try {
      decrypter.addIdentity(identity);
    } catch {
      // Neither the identity nor what the library says of it belongs into a message.
      throw invalid('an identity is not one of age: its checksum or its kind is wrong');
    }
  }
  return decrypter;
}

/** Remembers how the file begins. */
async function* noting(
  file: AsyncIterable<Uint8Array>,
  first: { bytes?: Buffer },
): AsyncGenerator<Uint8Array> {
  for await (const piece of file) {
    first.bytes ??= Buffer.from(piece.subarray(0, 512));
    yield piece;
  }
}

function sizeOrNone(size: () => number): number | undefined {
  try {
    return size();
  } catch {
    return undefined;
  }
}

/** What fails in the middle was changed or ends too soon: each piece is authenticated, and the last one is marked. */
async function* whole(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* stream;
  } catch (error) {
    throw new CountersignError(
      'unprocessable',
      'the backup was changed or cut off: it does not decrypt to its end',
      [],
      error,
    );
  }
}

function refused(unlock: Unlock, first: Buffer | undefined, error: unknown): CountersignError {
  if (first === undefined) return new CountersignError('unprocessable', 'the backup is empty');
  const begin = first.toString('latin1');
  if (begin.startsWith('-----BEGIN AGE ENCRYPTED FILE-----')) {
    return new CountersignError('unprocessable', 'the file is armored, and a backup is not: decode it first');
  }
  if (!begin.startsWith(`${AGE_HEADER}\n`)) {
    return new CountersignError(
      'unprocessable',
      `the file is not in the age format: it does not begin with ${AGE_HEADER}`,
    );
  }
  if (!(error instanceof Error && error.message.startsWith('no identity matched'))) {
    return new CountersignError(
      'unprocessable',
      'the backup was changed or cut off: its age header is broken',
      [],
      error,
    );
  }
  const byPassphrase = begin.includes('\n-> scrypt ');
  if ('passphrase' in unlock) {
    const why = byPassphrase ? 'the passphrase is wrong' : 'it is encrypted to recipients: give --identity';
    return new CountersignError('wrong_password', `the backup does not open: ${why}`);
  }
  const why = byPassphrase
    ? 'it is encrypted with a passphrase: give --passphrase-file'
    : 'it is encrypted to other recipients than those of the identities given';
  return new CountersignError('wrong_password', `the backup does not open: ${why}`);
}

function invalid(message: string): CountersignError {
  return new CountersignError('invalid_request', message);
}
