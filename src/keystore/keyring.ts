import { randomFillSync } from 'node:crypto';
import { wipe } from '../bytes.ts';
import { CountersignError } from '../errors.ts';
import { allocSecret, gcmOpen, gcmSeal } from './envelope.ts';

const KEK_LENGTH = 32;
const TERM_LENGTH = 4;
const ENTRY_LENGTH = TERM_LENGTH + KEK_LENGTH;

/** A sealed keyring is this byte, then AES-256-GCM over the entries: term (big-endian u32), KEK (32 bytes). */
const FORMAT = 1;

/** The key-encrypting keys by term, from 1 on without gaps. The newest seals; the older ones only open. */
export class Keyring {
  readonly #keks: Buffer[];

  /** @param keks of the terms 1, 2, …; they belong to the keyring from now on */
  constructor(keks: readonly Buffer[]) {
    this.#keks = [...keks];
  }

  /** The term that seals; `sealed` after {@link wipe}, as everything else. */
  get newestTerm(): number {
    return this.#live().length;
  }

  /** The 32 bytes themselves, not a copy: they turn to zeros when the keyring is wiped. */
  kek(term: number): Buffer {
    const kek = this.#live()[term - 1];
    if (kek === undefined) {
      throw new CountersignError('unprocessable', `the keyring has no term ${term}`);
    }
    return kek;
  }

  /**
   * A second keyring with one more, fresh term. Nothing may be sealed under the new term until the new
   * keyring is stored; then the caller wipes this one.
   */
  addTerm(): Keyring {
    return new Keyring([...this.#live().map(copySecret), randomKek()]);
  }

  wipe(): void {
    wipe(...this.#keks);
    this.#keks.length = 0;
  }

  #live(): Buffer[] {
    if (this.#keks.length === 0) throw new CountersignError('sealed', 'the keyring is sealed');
    return this.#keks;
  }
}

/** A keyring of one fresh term. */
export function generateKeyring(): Keyring {
  return new Keyring([randomKek()]);
}

/**
 * Seals the keyring under `wrappingKey` (32 bytes).
 * @param context canonical text of the seal's type and parameters; it must be the same again to open
 */
export function sealKeyring(keyring: Keyring, wrappingKey: Uint8Array, context: string): Buffer {
  const entries = encode(keyring);
  try {
    return Buffer.concat([Buffer.from([FORMAT]), gcmSeal(wrappingKey, authenticatedData(context), entries)]);
  } finally {
    wipe(entries);
  }
}

/** Opens {@link sealKeyring}'s output; `wrong_password` where key, context and blob do not belong together. */
export function openKeyring(blob: Uint8Array, wrappingKey: Uint8Array, context: string): Keyring {
  const format = blob[0];
  if (format === undefined) throw new CountersignError('unprocessable', 'the sealed keyring is empty');
  if (format !== FORMAT) {
    throw new CountersignError('unprocessable', `the sealed keyring has the unknown format ${format}`);
  }
  const entries = gcmOpen(wrappingKey, authenticatedData(context), blob.subarray(1));
  if (entries === undefined) {
    throw new CountersignError(
      'wrong_password',
      'the keyring does not open with this passphrase or key file',
    );
  }
  try {
    const keyring = decode(entries);
    if (keyring === undefined) {
      throw new CountersignError('unprocessable', 'the sealed keyring opens but holds no keyring');
    }
    return keyring;
  } finally {
    wipe(entries);
  }
}

function encode(keyring: Keyring): Buffer {
  const entries = allocSecret(keyring.newestTerm * ENTRY_LENGTH);
  for (let term = 1; term <= keyring.newestTerm; term += 1) {
    const start = (term - 1) * ENTRY_LENGTH;
    entries.writeUInt32BE(term, start);
    entries.set(keyring.kek(term), start + TERM_LENGTH);
  }
  return entries;
}

function decode(entries: Buffer): Keyring | undefined {
  const count = entries.length / ENTRY_LENGTH;
  const starts = Array.from({ length: Math.floor(count) }, (_, i) => i * ENTRY_LENGTH);
  const inOrder = starts.every((start, i) => entries.readUInt32BE(start) === i + 1);
  if (count < 1 || !Number.isInteger(count) || !inOrder) return undefined;
  return new Keyring(
    starts.map((start) => copySecret(entries.subarray(start + TERM_LENGTH, start + ENTRY_LENGTH))),
  );
}

/** The context comes last and whole, so the encoding is unambiguous whatever it holds. */
function authenticatedData(context: string): Buffer {
  return Buffer.from(`countersign keyring\n${FORMAT}\n${context}`);
}

function randomKek(): Buffer {
  return randomFillSync(allocSecret(KEK_LENGTH));
}

function copySecret(secret: Uint8Array): Buffer {
  const copy = allocSecret(secret.length);
  copy.set(secret);
  return copy;
}
