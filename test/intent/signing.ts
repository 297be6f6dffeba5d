import { createRequire } from 'node:module';
import * as noble from '@noble/secp256k1';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import type { TransactionSignature } from '../../src/intent/preimage.ts';

interface NativeBinding {
  ecdsaSign(digest: Uint8Array, privateKey: Uint8Array): { signature: Uint8Array; recid: number };
}

const native = createRequire(import.meta.url)('secp256k1/bindings') as NativeBinding;
noble.hashes.sha256 = sha256;
noble.hashes.hmacSha256 = (key, message) => hmac(sha256, key, message);

/** RFC 6979 by libsecp256k1. */
export function signNative(digest: Uint8Array, privateKey: Uint8Array): TransactionSignature {
  const { signature, recid } = native.ecdsaSign(digest, privateKey);
  return { r: signature.subarray(0, 32), s: signature.subarray(32), yParity: recid === 0 ? 0 : 1 };
}

/** RFC 6979 by an implementation that shares nothing with libsecp256k1. */
export function signNoble(digest: Uint8Array, privateKey: Uint8Array): TransactionSignature {
  const signature = noble.sign(digest, privateKey, { prehash: false, lowS: true, format: 'recovered' });
  return { r: signature.subarray(1, 33), s: signature.subarray(33), yParity: signature[0] === 0 ? 0 : 1 };
}

/** r ‖ s ‖ v, as vectors write it. */
export function signatureHex({ r, s, yParity }: TransactionSignature): string {
  return `0x${Buffer.concat([r, s, Buffer.from([27 + yParity])]).toString('hex')}`;
}
