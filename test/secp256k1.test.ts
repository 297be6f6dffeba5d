import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { keccak_256 } from '@noble/hashes/sha3.js';
import * as noble from '@noble/secp256k1';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addressOf, isPrivateKey, publicKeyOf, recoverAddress, signDigest } from '../src/secp256k1.ts';

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
    const { r } = signDigest(sha256(Buffer.from(message)), privateKey, publicKeyOf(privateKey));
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
        const signature = signDigest(digest, privateKey, publicKey);
        const theirs = noble.sign(digest, privateKey, { prehash: false, lowS: true, format: 'recovered' });
        expect(
          Buffer.concat([Buffer.from([signature.yParity]), signature.r, signature.s]).equals(theirs),
        ).toBe(true);
        expect(BigInt(`0x${signature.s.toString('hex')}`) <= ORDER / 2n).toBe(true);
        expect(recoverAddress(digest, signature)).toBe(addressOf(publicKey));
        expect(publicKey.equals(noble.getPublicKey(privateKey, false))).toBe(true);
      }),
      { numRuns: 100 },
    );
  });

  it('releases nothing that does not belong to the key', () => {
    const privateKey = bytes(5n);
    expect(() => signDigest(keccak_256(privateKey), privateKey, publicKeyOf(bytes(6n)))).toThrow(
      /does not verify/,
    );
  });

  it('does not recover from a high s, a zero, or another parity', () => {
    const privateKey = bytes(9n);
    const digest = keccak_256(privateKey);
    const { r, s, yParity } = signDigest(digest, privateKey, publicKeyOf(privateKey));
    const high = bytes(ORDER - BigInt(`0x${s.toString('hex')}`));
    expect(() => recoverAddress(digest, { r, s: high, yParity })).toThrow(/high half/);
    expect(() => recoverAddress(digest, { r: Buffer.alloc(32), s, yParity })).toThrow(/zero/);
    const other = recoverAddress(digest, { r, s, yParity: yParity === 0 ? 1 : 0 });
    expect(other).not.toBe(addressOf(publicKeyOf(privateKey)));
  });
});
