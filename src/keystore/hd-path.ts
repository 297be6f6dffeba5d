import { createHmac } from 'node:crypto';
import { asBuffer, wipe } from '../bytes.ts';
import { CountersignError, invalidField } from '../errors.ts';
import { addToPrivateKey, compressedPublicKeyOf, isPrivateKey } from '../secp256k1.ts';
import { allocSecret } from './envelope.ts';

/*
 * Private keys of BIP-32. Sums are made by libsecp256k1 in the memory of the key, so that no BigInt is left of it.
 */

/** BIP-44, coin type 60: the first account as nearly all wallets count. */
export const DEFAULT_PATH = "m/44'/60'/0'/0/0";

const HARDENED = 0x8000_0000;
const KEY_BYTES = 32;
/** BIP-32 keeps the depth in a byte. */
const MAX_STEPS = 255;

/** The steps of a path such as `m/44'/60'/0'/0/0`; a hardened one is marked `'` or `h`. Throws `invalid_request`. */
export function parsePath(text: string): readonly number[] {
  const [root, ...steps] = text.split('/');
  if (root !== 'm' || steps.length > MAX_STEPS) throw malformed(text);
  return steps.map((step) => {
    const [, digits, mark] = /^(0|[1-9][0-9]{0,9})(['hH]?)$/.exec(step) ?? [];
    const number = Number(digits);
    if (digits === undefined || number >= HARDENED) throw malformed(text);
    return mark === '' ? number : number + HARDENED;
  });
}

/** The private key at the path, in memory of its own; the caller wipes it. */
export function derivePrivateKey(seed: Uint8Array, path: readonly number[]): Buffer {
  const key = allocSecret(KEY_BYTES);
  const chain = allocSecret(KEY_BYTES);
  try {
    const master = hmac(Buffer.from('Bitcoin seed'), [seed]);
    take(master, key, chain);
    if (!isPrivateKey(key)) throw noKey();
    for (const step of path) descend(key, chain, step);
    return key;
  } catch (error) {
    wipe(key);
    throw error;
  } finally {
    wipe(chain);
  }
}

/** CKDpriv, in place. */
function descend(key: Buffer, chain: Buffer, step: number): void {
  const number = Buffer.alloc(4);
  number.writeUInt32BE(step);
  const parent = step >= HARDENED ? [Buffer.from([0]), key] : [compressedPublicKeyOf(key)];
  const digest = hmac(chain, [...parent, number]);
  const tweak = allocSecret(KEY_BYTES);
  try {
    take(digest, tweak, chain);
    if (!addToPrivateKey(key, tweak)) throw noKey();
  } finally {
    wipe(tweak);
  }
}

/** The two halves, which leave nothing behind. */
function take(digest: Buffer, left: Buffer, right: Buffer): void {
  left.set(digest.subarray(0, KEY_BYTES));
  right.set(digest.subarray(KEY_BYTES));
  wipe(digest);
}

function hmac(key: Uint8Array, parts: readonly Uint8Array[]): Buffer {
  const mac = createHmac('sha512', asBuffer(key));
  for (const part of parts) mac.update(part);
  return mac.digest();
}

function malformed(text: string): CountersignError {
  return invalidField('path', `${JSON.stringify(text)} is not a path such as ${DEFAULT_PATH}`);
}

/** One in 2^127. */
function noKey(): CountersignError {
  return new CountersignError('unprocessable', 'there is no key at this path (BIP-32): take the next one');
}
