import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { keccak_256 } from '@noble/hashes/sha3.js';
import * as noble from '@noble/secp256k1';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addressOf,
  isPrivateKey,
  isSignatureOf,
  publicKeyOf,
  recoverAddress,
  signDigest,
  splitSignature,
} from '../src/secp256k1.ts';

noble.hashes.sha256 = sha256;
noble.hashes.hmacSha256 = (key, message) => hmac(sha256, key, message);

const VECTORS = path.resolve(import.meta.dirname, '../../shared/vectors/rfc6979-secp256k1/rfc6979.json');
const ORDER = noble.Point.CURVE().n;

const bytes = (n: bigint): Buffer => Buffer.from(n.toString(16).padStart(64, '0'), 'hex');
const privateKeys = fc.bigInt({ min: 1n, max: ORDER - 1n }).map(bytes);
const digests = fc.uint8Array({ minLength: 32, maxLength: 32 });

interface Vector {
  readonly message: string;
  readonly d: string;
  readonly k0: string;
}

describe.skipIf(!existsSync(VECTORS))('RFC 6979 vectors (skipped where ../shared/vectors is missing)', () => {
  const vectors = existsSync(VECTORS) ? (JSON.parse(readFileSync(VECTORS, 'utf8')) as Vector[]) : [];

  it('are there', () => expect(vectors.length).toBeGreaterThan(2));

  it.each(vectors)('$message with $d uses the nonce $k0', ({ message, d, k0 }) => {
    const privateKey = Buffer.from(d, 'hex');
    const { r } = splitSignature(signDigest(sha256(Buffer.from(message)), privateKey));
    const point = noble.Point.BASE.multiply(BigInt(`0x${k0}`)).toAffine();
    expect(r.equals(bytes(point.x % ORDER))).toBe(true);
  });
});

describe('libsecp256k1', () => {
  it('takes private keys from 1 to the order less 1', () => {
    expect(isPrivateKey(bytes(0n))).toBe(false);
    expect(isPrivateKey(bytes(1n))).toBe(true);
    expect(isPrivateKey(bytes(ORDER - 1n))).toBe(true);
    expect(isPrivateKey(bytes(ORDER))).toBe(false);
    expect(isPrivateKey(Buffer.alloc(31, 1))).toBe(false);
  });

  it('signs as the second implementation does, low s, and recovers to the address', () => {
    fc.assert(
      fc.property(privateKeys, digests, (privateKey, digest) => {
        const publicKey = publicKeyOf(privateKey);
        const signed = signDigest(digest, privateKey);
        const signature = splitSignature(signed);
        const theirs = noble.sign(digest, privateKey, { prehash: false, lowS: true, format: 'recovered' });
        expect(
          Buffer.concat([Buffer.from([signature.yParity]), signature.r, signature.s]).equals(theirs),
        ).toBe(true);
        expect(BigInt(`0x${signature.s.toString('hex')}`) <= ORDER / 2n).toBe(true);
        expect(recoverAddress(digest, signature)).toBe(addressOf(publicKey));
        expect(isSignatureOf(publicKey, digest, signed)).toBe(true);
        expect(publicKey.equals(noble.getPublicKey(privateKey, false))).toBe(true);
      }),
      { numRuns: 100 },
    );
  });

  it('does not recover from a high s, a zero, or another parity', () => {
    const privateKey = bytes(9n);
    const digest = keccak_256(privateKey);
    const { r, s, yParity } = splitSignature(signDigest(digest, privateKey));
    const high = bytes(ORDER - BigInt(`0x${s.toString('hex')}`));
    expect(() => recoverAddress(digest, { r, s: high, yParity })).toThrow(/high half/);
    expect(() => recoverAddress(digest, { r: Buffer.alloc(32), s, yParity })).toThrow(/zero/);
    const other = recoverAddress(digest, { r, s, yParity: yParity === 0 ? 1 : 0 });
    expect(other).not.toBe(addressOf(publicKeyOf(privateKey)));
  });
});

describe('isSignatureOf', () => {
  /** What a second implementation makes of it: the equation of verification with low s, and the parity. */
  function judge(publicKey: Buffer, digest: Uint8Array, signature: Buffer): boolean {
    const recovery = signature[64]!;
    if (recovery > 1) return false;
    try {
      const compact = signature.subarray(0, 64);
      if (!noble.verify(compact, digest, publicKey, { prehash: false, lowS: true })) return false;
      const recovered = Buffer.concat([Buffer.of(recovery), compact]);
      return publicKey.equals(
        noble.Point.fromBytes(noble.recoverPublicKey(recovered, digest, { prehash: false })).toBytes(false),
      );
    } catch {
      return false;
    }
  }

  const flip = (bytes: Uint8Array, bit: number): Buffer => {
    const changed = Buffer.from(bytes);
    changed[bit >> 3]! ^= 1 << (bit & 7);
    return changed;
  };
  const special = fc.constantFrom(0n, 1n, ORDER / 2n, ORDER / 2n + 1n, ORDER - 1n, ORDER, 2n ** 256n - 1n);

  const corruption = fc.oneof(
    fc.record({ what: fc.constant('signature' as const), bit: fc.nat(64 * 8 + 1) }),
    fc.record({ what: fc.constant('digest' as const), bit: fc.nat(32 * 8 - 1) }),
    fc.record({ what: fc.constantFrom('r' as const, 's' as const), value: special }),
    fc.record({ what: fc.constant('yParity' as const), value: fc.nat(255) }),
    fc.record({ what: fc.constantFrom('negated' as const, 'negated with parity' as const) }),
    fc.record({ what: fc.constant('key' as const), other: privateKeys }),
    fc.record({ what: fc.constant('nothing' as const) }),
  );

  it('refuses exactly what a second implementation refuses', () => {
    const seen = new Set<boolean>();
    fc.assert(
      fc.property(privateKeys, digests, corruption, (privateKey, digest, change) => {
        let publicKey = publicKeyOf(privateKey);
        let signature: Buffer = signDigest(digest, privateKey);
        let message: Buffer = Buffer.from(digest);
        switch (change.what) {
          case 'signature':
            signature = flip(signature, change.bit);
            break;
          case 'digest':
            message = flip(digest, change.bit);
            break;
          case 'r':
            signature.set(bytes(change.value), 0);
            break;
          case 's':
            signature.set(bytes(change.value), 32);
            break;
          case 'yParity':
            signature[64] = change.value;
            break;
          case 'negated':
          case 'negated with parity': {
            const s = BigInt(`0x${signature.toString('hex', 32, 64)}`);
            signature.set(bytes(ORDER - s), 32);
            if (change.what === 'negated with parity') signature[64]! ^= 1;
            break;
          }
          case 'key':
            publicKey = publicKeyOf(change.other);
            break;
          case 'nothing':
        }
        const holds = isSignatureOf(publicKey, message, signature);
        seen.add(holds);
        expect(holds).toBe(judge(publicKey, message, signature));
      }),
      { numRuns: 2_000 },
    );
    expect(seen).toEqual(new Set([true, false]));
  });

  it('refuses what has another length', () => {
    const privateKey = bytes(7n);
    const digest = keccak_256(privateKey);
    const signature = signDigest(digest, privateKey);
    const publicKey = publicKeyOf(privateKey);
    expect(isSignatureOf(publicKey, digest, signature)).toBe(true);
    expect(isSignatureOf(publicKey, digest, signature.subarray(0, 64))).toBe(false);
    expect(isSignatureOf(publicKey, digest, Buffer.concat([signature, Buffer.of(0)]))).toBe(false);
    expect(isSignatureOf(publicKey.subarray(0, 64), digest, signature)).toBe(false);
    expect(isSignatureOf(publicKey, digest.subarray(1), signature)).toBe(false);
  });
});
