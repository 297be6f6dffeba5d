import { createCipheriv, createDecipheriv, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto';
import { keccak_256 } from '@noble/hashes/sha3.js';
import { z } from 'zod';
import { wipe } from '../bytes.ts';
import { CountersignError, invalidField } from '../errors.ts';
import { parseWith } from '../schema.ts';
import { allocSecret, decryptUpdate } from './envelope.ts';
import {
  belowFloor,
  checkKdfBounds,
  deriveKey,
  newKdfParams,
  pbkdf2ChoiceSchema,
  scryptChoiceSchema,
  type KdfParams,
} from './kdf.ts';

/*
 * Web3 Secret Storage, version 3: the key is AES-128-CTR under bytes 0–15 of the derived key, the MAC is
 * Keccak-256 over bytes 16–31 and the ciphertext. Passwords are bytes: ethers normalises to NFKC before
 * encoding, geth does not, so that a password outside ASCII is for the caller to normalise.
 */

const PRIVATE_KEY_LENGTH = 32;

/** Hex of `min` to `max` bytes, with or without `0x`; normalised to lower case without. */
function hex(min: number, max = min) {
  const size = min === max ? `${min}` : `${min} to ${max}`;
  return z
    .string({ error: 'must be a hex string' })
    .regex(new RegExp(`^(?:0x)?(?:[0-9a-fA-F]{2}){${min},${max}}$`), `must be hex of ${size} bytes`)
    .transform((text) => text.replace(/^0x/, '').toLowerCase());
}

const integer = z.int({ error: 'must be an integer' });
const derivation = { dklen: integer, salt: hex(1, 64) };

const cipher = {
  cipher: z.literal('aes-128-ctr', { error: 'must be aes-128-ctr' }),
  cipherparams: z.object({ iv: hex(16) }),
  // Shorter than a key where an early writer dropped the key's leading zeros.
  ciphertext: hex(1, PRIVATE_KEY_LENGTH),
  mac: hex(32),
};

const cryptoSchema = z.discriminatedUnion(
  'kdf',
  [
    z.object({
      ...cipher,
      kdf: z.literal('scrypt'),
      kdfparams: z.object({ n: integer, r: integer, p: integer, ...derivation }),
    }),
    z.object({
      ...cipher,
      kdf: z.literal('pbkdf2'),
      kdfparams: z.object({
        c: integer,
        prf: z.literal('hmac-sha256', { error: 'must be hmac-sha256' }),
        ...derivation,
      }),
    }),
  ],
  { error: (issue) => (issue.code === 'invalid_union' ? 'must be scrypt or pbkdf2' : undefined) },
);

const keystoreSchema = z.object({
  version: z.literal(3, { error: 'must be 3' }),
  id: z.string().max(64).optional(),
  address: hex(20).optional(),
  crypto: cryptoSchema,
});

/** A V3 file in normal form: hex in lower case without `0x`, fields that nothing here reads left out. */
export type Keystore = z.infer<typeof keystoreSchema>;

/** The derivations that the V3 format knows. */
export const keystoreKdfChoiceSchema = z
  .discriminatedUnion('kdf', [scryptChoiceSchema, pbkdf2ChoiceSchema])
  .meta({ description: 'How the password of the keystore file becomes a key.' });

export type KeystoreKdfChoice = z.input<typeof keystoreKdfChoiceSchema>;

/**
 * Reads a V3 keystore. Other top-level fields (`name`, `x-ethers`) are ignored, `Crypto` is taken for `crypto`;
 * what is malformed, or whose KDF would cost too much, is an `invalid_request` that names the field.
 */
export function parseKeystore(json: unknown): Keystore {
  const keystore = parseWith(keystoreSchema, withLowerCaseCrypto(json), 'the keystore');
  checkKdfBounds(kdfParamsOf(keystore), 'crypto.kdfparams');
  return keystore;
}

/** How well a file protected its key. */
export interface KeystoreFacts {
  /** The KDF and its parameters, without the salt. */
  readonly kdf: { readonly [name: string]: string | number };
  /** What of them is weaker than anything that is written here, as `n 4096, at least 131072`. */
  readonly belowFloor: readonly string[];
}

export function keystoreFacts(keystore: Keystore): KeystoreFacts {
  const { salt: _, ...kdf } = kdfParamsOf(keystore);
  return { kdf, belowFloor: belowFloor(kdfParamsOf(keystore)) };
}

/**
 * The private key, 32 bytes; the caller wipes it, checks that it is in the curve's range and compares its address
 * with the one that the file names. A password that does not fit is `wrong_password`.
 */
export async function openKeystore(keystore: Keystore, password: Uint8Array): Promise<Buffer> {
  const { cipherparams, ciphertext, mac } = keystore.crypto;
  const encrypted = Buffer.from(ciphertext, 'hex');
  const derived = await deriveKey(password, kdfParamsOf(keystore));
  try {
    if (!timingSafeEqual(macOf(derived, encrypted), Buffer.from(mac, 'hex'))) {
      throw new CountersignError('wrong_password', 'the keystore does not open with this password');
    }
    return decrypt(derived.subarray(0, 16), Buffer.from(cipherparams.iv, 'hex'), encrypted);
  } finally {
    wipe(derived);
  }
}

/**
 * A V3 keystore that geth and ethers open, with fresh salt, IV and id.
 * @param address of the private key, any case, with or without `0x`; the caller has checked that they match
 */
export async function exportKeystore(
  privateKey: Uint8Array,
  address: string,
  password: Uint8Array,
  choice: KeystoreKdfChoice = { kdf: 'scrypt' },
): Promise<Keystore> {
  if (privateKey.length !== PRIVATE_KEY_LENGTH) {
    throw new CountersignError('unprocessable', `a private key has ${PRIVATE_KEY_LENGTH} bytes`);
  }
  const normalAddress = parseWith(hex(20), address, 'the address');
  const params = newKdfParams(parseWith(keystoreKdfChoiceSchema, choice, 'kdf'));
  const iv = randomBytes(16);
  const derived = await deriveKey(password, params);
  try {
    const cipher = createCipheriv('aes-128-ctr', derived.subarray(0, 16), iv);
    const ciphertext = cipher.update(privateKey);
    cipher.final();
    const common = {
      cipher: 'aes-128-ctr' as const,
      cipherparams: { iv: iv.toString('hex') },
      ciphertext: ciphertext.toString('hex'),
      mac: macOf(derived, ciphertext).toString('hex'),
    };
    return {
      version: 3,
      id: randomUUID(),
      address: normalAddress,
      crypto: { ...common, ...kdfSection(params) },
    };
  } finally {
    wipe(derived);
  }
}

function withLowerCaseCrypto(json: unknown): unknown {
  if (typeof json !== 'object' || json === null || !Object.hasOwn(json, 'Crypto')) return json;
  if (Object.hasOwn(json, 'crypto')) throw invalidField('crypto', 'is given twice, as crypto and as Crypto');
  const { Crypto: crypto, ...rest } = json as Record<string, unknown>;
  return { ...rest, crypto };
}

function kdfParamsOf({ crypto }: Keystore): KdfParams {
  return crypto.kdf === 'scrypt'
    ? { kdf: 'scrypt', ...crypto.kdfparams }
    : { kdf: 'pbkdf2', ...crypto.kdfparams };
}

function kdfSection(params: KdfParams) {
  if (params.kdf === 'argon2id') throw invalidField('kdf', 'a V3 keystore knows scrypt and pbkdf2 only');
  if (params.kdf === 'scrypt') {
    const { kdf, ...kdfparams } = params;
    return { kdf, kdfparams };
  }
  const { kdf, ...kdfparams } = params;
  return { kdf, kdfparams };
}

function macOf(derived: Buffer, ciphertext: Uint8Array): Buffer {
  return Buffer.from(keccak_256.create().update(derived.subarray(16, 32)).update(ciphertext).digest());
}

function decrypt(key: Uint8Array, iv: Uint8Array, ciphertext: Uint8Array): Buffer {
  const decipher = createDecipheriv('aes-128-ctr', key, iv);
  const plaintext = decryptUpdate(decipher, ciphertext);
  decipher.final();
  try {
    const privateKey = allocSecret(PRIVATE_KEY_LENGTH);
    privateKey.set(plaintext, PRIVATE_KEY_LENGTH - plaintext.length);
    return privateKey;
  } finally {
    wipe(plaintext);
  }
}
