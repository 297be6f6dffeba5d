import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  randomFillSync,
  type KeyObject,
} from 'node:crypto';
import { asBuffer, wipe } from '../bytes.ts';
import { CountersignError } from '../errors.ts';
import { allocSecret, decryptUpdate } from './envelope.ts';

/*
 * HPKE (RFC 9180), base mode, one message a key: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. Section numbers
 * below are of that RFC.
 */

/** As section 7 names its parts. */
export const HPKE_SUITE = 'DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM';

/** Of a public key, of a private one, and of `enc`. */
export const HPKE_KEY_BYTES = 32;

const HASH_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const NOTHING = Buffer.alloc(0);

/** Section 4.1: "KEM" and the KEM's number; section 5.1: "HPKE" and the numbers of KEM, KDF and AEAD. */
const KEM_SUITE = Buffer.from('KEM\0\x20', 'latin1');
const HPKE_SUITE_ID = Buffer.from('HPKE\0\x20\0\x01\0\x02', 'latin1');

export interface HpkeKeyPair {
  readonly publicKey: Buffer;
  /** In memory of its own; the holder wipes it. */
  readonly privateKey: Buffer;
}

export interface HpkeMessage {
  /** The ephemeral public key, 32 bytes. */
  readonly enc: Buffer;
  /** As long as the plaintext, and a tag of 16 bytes. */
  readonly ciphertext: Buffer;
}

export function newHpkeKeyPair(): HpkeKeyPair {
  const privateKey = randomFillSync(allocSecret(HPKE_KEY_BYTES));
  return { privateKey, publicKey: publicKeyOf(importPrivateKey(privateKey)) };
}

/**
 * Encrypts one message to a public key (section 6.1, SealBase). Throws `invalid_request` for a key that is none.
 * @param info what the message is bound to
 * @param ephemeral a fresh one; a test gives the one of a vector
 */
export function hpkeSeal(
  publicKey: Uint8Array,
  info: Uint8Array,
  plaintext: Uint8Array,
  aad: Uint8Array = NOTHING,
  ephemeral: HpkeKeyPair = newHpkeKeyPair(),
): HpkeMessage {
  const { privateKey, publicKey: enc } = ephemeral;
  const { key, nonce } = keySchedule(agree(privateKey, publicKey, enc, publicKey), info);
  try {
    const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
    cipher.setAAD(aad);
    const sealed = cipher.update(plaintext);
    cipher.final();
    return { enc, ciphertext: Buffer.concat([sealed, cipher.getAuthTag()]) };
  } finally {
    wipe(key, nonce, privateKey);
  }
}

/**
 * The plaintext of `hpkeSeal`, in memory of its own; the caller wipes it. `unprocessable` where it was encrypted to
 * another key, for something else, or altered.
 */
export function hpkeOpen(
  { privateKey, publicKey }: HpkeKeyPair,
  { enc, ciphertext }: { readonly enc: Uint8Array; readonly ciphertext: Uint8Array },
  info: Uint8Array,
  aad: Uint8Array = NOTHING,
): Buffer {
  if (ciphertext.length < TAG_BYTES) throw unreadable();
  const { key, nonce } = keySchedule(agree(privateKey, enc, enc, publicKey), info);
  const tagStart = ciphertext.length - TAG_BYTES;
  let plaintext: Buffer | undefined;
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(aad);
    decipher.setAuthTag(ciphertext.subarray(tagStart));
    plaintext = decryptUpdate(decipher, ciphertext.subarray(0, tagStart));
    decipher.final();
    return plaintext;
  } catch {
    wipe(plaintext);
    throw unreadable();
  } finally {
    wipe(key, nonce);
  }
}

/** Encap and Decap (section 4.1): both ends come to the same secret, of which the two public keys are a part. */
function agree(own: Uint8Array, other: Uint8Array, enc: Uint8Array, recipient: Uint8Array): Buffer {
  const dh = exchange(own, other);
  const prk = labeledExtract(KEM_SUITE, NOTHING, 'eae_prk', dh);
  try {
    return labeledExpand(KEM_SUITE, prk, 'shared_secret', Buffer.concat([enc, recipient]), HASH_BYTES);
  } finally {
    wipe(dh, prk);
  }
}

/** X25519. OpenSSL refuses points of small order, whose secret is zero (section 7.1.4). */
function exchange(own: Uint8Array, other: Uint8Array): Buffer {
  if (other.length !== HPKE_KEY_BYTES) throw notAKey();
  try {
    const publicKey = createPublicKey({
      key: asBuffer(other),
      format: 'raw-public',
      asymmetricKeyType: 'x25519',
    });
    return diffieHellman({ privateKey: importPrivateKey(own), publicKey });
  } catch {
    throw notAKey();
  }
}

/** Section 5.1, with the empty psk of the base mode. The shared secret is wiped. */
function keySchedule(shared: Buffer, info: Uint8Array): { readonly key: Buffer; readonly nonce: Buffer } {
  const context = Buffer.concat([
    Buffer.from([0]),
    labeledExtract(HPKE_SUITE_ID, NOTHING, 'psk_id_hash', NOTHING),
    labeledExtract(HPKE_SUITE_ID, NOTHING, 'info_hash', info),
  ]);
  const secret = labeledExtract(HPKE_SUITE_ID, shared, 'secret', NOTHING);
  try {
    return {
      key: labeledExpand(HPKE_SUITE_ID, secret, 'key', context, HASH_BYTES),
      nonce: labeledExpand(HPKE_SUITE_ID, secret, 'base_nonce', context, NONCE_BYTES),
    };
  } finally {
    wipe(secret, shared);
  }
}

/** Section 4. HMAC takes an empty salt for the zeros that RFC 5869 puts in its place. */
function labeledExtract(suite: Uint8Array, salt: Uint8Array, label: string, ikm: Uint8Array): Buffer {
  return hmac(salt, [Buffer.from('HPKE-v1'), suite, Buffer.from(label), ikm]);
}

/** Section 4, for at most one block of HKDF-Expand, which is all that this suite needs. */
function labeledExpand(
  suite: Uint8Array,
  prk: Uint8Array,
  label: string,
  info: Uint8Array,
  length: number,
): Buffer {
  const labeled = [Buffer.from([0, length]), Buffer.from('HPKE-v1'), suite, Buffer.from(label), info];
  return hmac(prk, [...labeled, Buffer.from([1])]).subarray(0, length);
}

function hmac(key: Uint8Array, parts: readonly Uint8Array[]): Buffer {
  const mac = createHmac('sha256', key);
  for (const part of parts) mac.update(part);
  return mac.digest();
}

/** Raw, which Node takes from 24.15 on: what OpenSSL makes of a PKCS #8 wrapping it frees without wiping. */
function importPrivateKey(privateKey: Uint8Array): KeyObject {
  return createPrivateKey({ key: asBuffer(privateKey), format: 'raw-private', asymmetricKeyType: 'x25519' });
}

function publicKeyOf(privateKey: KeyObject): Buffer {
  return createPublicKey(privateKey).export({ format: 'raw-public' });
}

function notAKey(): CountersignError {
  return new CountersignError('invalid_request', 'this is not an X25519 public key');
}

function unreadable(): CountersignError {
  return new CountersignError(
    'unprocessable',
    'the encrypted secret does not open: it was made for another key or another use, or altered',
  );
}
