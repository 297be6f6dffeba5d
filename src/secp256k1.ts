import { createRequire } from 'node:module';
import { keccak_256 } from '@noble/hashes/sha3.js';
import { asBuffer, toHex, type Hex } from './bytes.ts';

/**
 * libsecp256k1, through the package's `bindings` entry only: its main entry falls back without a word to a
 * JavaScript implementation when the native addon does not load. Here that is an error at start.
 */
interface Binding {
  privateKeyVerify(privateKey: Uint8Array): boolean;
  privateKeyTweakAdd(privateKey: Uint8Array, tweak: Uint8Array): Uint8Array;
  publicKeyCreate(privateKey: Uint8Array, compressed: boolean): Uint8Array;
  ecdsaSign(
    digest: Uint8Array,
    privateKey: Uint8Array,
    options: undefined,
    output: Uint8Array,
  ): { signature: Uint8Array; recid: number };
  ecdsaVerify(signature: Uint8Array, digest: Uint8Array, publicKey: Uint8Array): boolean;
  ecdsaRecover(
    signature: Uint8Array,
    recid: number,
    digest: Uint8Array,
    compressed: boolean,
    output?: Uint8Array,
  ): Uint8Array;
}

const binding = createRequire(import.meta.url)('secp256k1/bindings') as Binding;

/** Half the group order, the largest `s` that EIP-2 admits. */
const HALF_ORDER = Buffer.from('7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0', 'hex');
const ZERO = Buffer.alloc(32);
const NO_RECOVERY_ID = -1;
/** What a signature recovers to, until the next one is looked at. */
const recovered = Buffer.from(new ArrayBuffer(65));

export interface RecoverableSignature {
  /** 32 bytes each, big-endian. */
  readonly r: Buffer;
  readonly s: Buffer;
  readonly yParity: 0 | 1;
}

export function isPrivateKey(privateKey: Uint8Array): boolean {
  return privateKey.length === 32 && binding.privateKeyVerify(privateKey);
}

/** Uncompressed SEC 1 point, 65 bytes. */
export function publicKeyOf(privateKey: Uint8Array): Buffer {
  return Buffer.from(binding.publicKeyCreate(privateKey, false));
}

/** Compressed SEC 1 point, 33 bytes. */
export function compressedPublicKeyOf(privateKey: Uint8Array): Buffer {
  return Buffer.from(binding.publicKeyCreate(privateKey, true));
}

/**
 * Adds `tweak` to the private key in its own memory, modulo the group order, and never as a BigInt. False, and the key is
 * of no use, where the tweak is not below the order or the sum is zero.
 */
export function addToPrivateKey(privateKey: Uint8Array, tweak: Uint8Array): boolean {
  try {
    binding.privateKeyTweakAdd(privateKey, tweak);
    return true;
  } catch {
    return false;
  }
}

/** The last 20 bytes of keccak256 over the uncompressed point without its first byte. */
export function addressOf(publicKey: Uint8Array): Hex {
  return toHex(keccak_256(publicKey.subarray(1)).subarray(12));
}

/** r ‖ s ‖ yParity. */
export const SIGNATURE_BYTES = 65;

/**
 * Signs a 32-byte digest: RFC 6979 nonce, low `s`. Only the ranges of r, s and the recovery id are checked here: a signature
 * must not be released before {@link isSignatureOf} holds, in another process than made it.
 *
 * @returns r ‖ s ‖ yParity, 65 bytes.
 */
export function signDigest(digest: Uint8Array, privateKey: Uint8Array): Buffer {
  const signature = Buffer.alloc(SIGNATURE_BYTES);
  const compact = signature.subarray(0, 64);
  const { recid } = binding.ecdsaSign(digest, privateKey, undefined, compact);
  checkRanges(compact, recid);
  signature[64] = recid;
  return signature;
}

/**
 * Whether r ‖ s ‖ yParity (65 bytes) is a signature of this key over the digest, as Ethereum takes it: r and s from 1 to the order
 * less 1, s in the low half, and the key that it recovers to is this one. That implies the equation of verification: recovery
 * (SEC 1 v2, 4.1.6) computes Q = r⁻¹(sR − eG) for the point R whose x is r and whose y has the parity; then
 * es⁻¹G + rs⁻¹Q = R, which is what verification (4.1.4) computes of Q and compares with r.
 *
 * @param publicKey uncompressed SEC 1 point, 65 bytes
 */
export function isSignatureOf(publicKey: Uint8Array, digest: Uint8Array, signature: Uint8Array): boolean {
  if (signature.length !== SIGNATURE_BYTES) return false;
  const compact = asBuffer(signature.subarray(0, 64));
  const recid = signature[64] ?? NO_RECOVERY_ID;
  try {
    checkRanges(compact, recid);
    return publicKeyMatches(binding.ecdsaRecover(compact, recid, digest, false, recovered), publicKey);
  } catch {
    // r or s is the order or more, or there is no such point.
    return false;
  }
}

/** The equation of SEC 1 v2, 4.1.4, with low `s`; yParity is not looked at. */
export function verifies(publicKey: Uint8Array, digest: Uint8Array, signature: Uint8Array): boolean {
  return binding.ecdsaVerify(signature.subarray(0, 64), digest, publicKey);
}

/** The parts of r ‖ s ‖ yParity, as views. Throws where it is not of that shape. */
export function splitSignature(signature: Uint8Array): RecoverableSignature {
  const bytes = asBuffer(signature);
  const yParity = bytes[64];
  if (bytes.length !== SIGNATURE_BYTES || (yParity !== 0 && yParity !== 1))
    throw new Error('not r, s and yParity');
  return { r: bytes.subarray(0, 32), s: bytes.subarray(32, 64), yParity };
}

/** The address that made a signature over a digest; throws when there is none or `s` is not in the low half. */
export function recoverAddress(digest: Uint8Array, { r, s, yParity }: RecoverableSignature): Hex {
  const signature = Buffer.concat([r, s]);
  checkRanges(signature, yParity);
  return addressOf(binding.ecdsaRecover(signature, yParity, digest, false));
}

function checkRanges(compact: Buffer, recid: number): void {
  // Recovery ids 2 and 3 (r over the group order) have no yParity; none was ever seen.
  if (recid !== 0 && recid !== 1) throw new Error('the recovery id is out of range');
  if (isZero(compact, 0) || isZero(compact, 32)) throw new Error('a zero in the signature');
  if (compact.compare(HALF_ORDER, 0, 32, 32, 64) > 0) throw new Error('s is in the high half');
}

function isZero(compact: Buffer, at: number): boolean {
  return compact.compare(ZERO, 0, 32, at, at + 32) === 0;
}

function publicKeyMatches(recovered: Uint8Array, expected: Uint8Array): boolean {
  return Buffer.compare(recovered, expected) === 0;
}
