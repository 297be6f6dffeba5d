import { createRequire } from 'node:module';
import { keccak_256 } from '@noble/hashes/sha3.js';
import { toHex, type Hex } from './bytes.ts';

/**
 * libsecp256k1, through the package's `bindings` entry only: its main entry falls back without a word to a
 * JavaScript implementation when the native addon does not load. Here that is an error at start.
 */
interface Binding {
  privateKeyVerify(privateKey: Uint8Array): boolean;
  privateKeyTweakAdd(privateKey: Uint8Array, tweak: Uint8Array): Uint8Array;
  publicKeyCreate(privateKey: Uint8Array, compressed: boolean): Uint8Array;
  ecdsaSign(digest: Uint8Array, privateKey: Uint8Array): { signature: Uint8Array; recid: number };
  ecdsaVerify(signature: Uint8Array, digest: Uint8Array, publicKey: Uint8Array): boolean;
  ecdsaRecover(signature: Uint8Array, recid: number, digest: Uint8Array, compressed: boolean): Uint8Array;
}

const binding = createRequire(import.meta.url)('secp256k1/bindings') as Binding;

/** Half the group order, the largest `s` that EIP-2 admits. */
const HALF_ORDER = Buffer.from('7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0', 'hex');
const ZERO = Buffer.alloc(32);

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

/**
 * Signs a 32-byte digest: RFC 6979 nonce, low `s`. Nothing is returned before the ranges of r, s and the
 * recovery id are checked, the signature verifies, and it recovers to `publicKey`. Throws otherwise.
 */
export function signDigest(
  digest: Uint8Array,
  privateKey: Uint8Array,
  publicKey: Uint8Array,
): RecoverableSignature {
  const { signature, recid } = binding.ecdsaSign(digest, privateKey);
  const result = checkRanges(Buffer.from(signature), recid);
  if (!binding.ecdsaVerify(signature, digest, publicKey)) throw new Error('the signature does not verify');
  if (!publicKeyMatches(binding.ecdsaRecover(signature, recid, digest, false), publicKey)) {
    throw new Error('the signature does not recover to the key');
  }
  return result;
}

/** The address that made a signature over a digest; throws when there is none or `s` is not in the low half. */
export function recoverAddress(digest: Uint8Array, { r, s, yParity }: RecoverableSignature): Hex {
  const signature = Buffer.concat([r, s]);
  checkRanges(signature, yParity);
  return addressOf(binding.ecdsaRecover(signature, yParity, digest, false));
}

function checkRanges(signature: Buffer, recid: number): RecoverableSignature {
  const r = signature.subarray(0, 32);
  const s = signature.subarray(32, 64);
  // Recovery ids 2 and 3 (r over the group order) have no yParity; none was ever seen.
  if (recid !== 0 && recid !== 1) throw new Error('the recovery id is out of range');
  if (r.equals(ZERO) || s.equals(ZERO)) throw new Error('a zero in the signature');
  if (s.compare(HALF_ORDER) > 0) throw new Error('s is in the high half');
  return { r, s, yParity: recid };
}

function publicKeyMatches(recovered: Uint8Array, expected: Uint8Array): boolean {
  return Buffer.compare(recovered, expected) === 0;
}
