import { randomBytes, webcrypto } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isExportable, openSecret, sealSecret, type SealedIdentity } from '../../src/keystore/envelope.ts';

const kek = randomBytes(32);
const identity: SealedIdentity = {
  keyId: '0198c2b4-7d1e-7a44-9d1c-6f3f7b0c1a2e',
  version: 1,
  curve: 'secp256k1',
  address: '0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266',
};

const hexString = (bytes: number) =>
  fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((b) => `0x${Buffer.from(b).toString('hex')}`);
const identities: fc.Arbitrary<SealedIdentity> = fc.oneof(
  fc.record({
    keyId: fc.stringMatching(/^[\x21-\x7e]{1,128}$/),
    version: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    curve: fc.constant('secp256k1' as const),
    address: hexString(20),
  }),
  fc.record({
    keyId: fc.stringMatching(/^[\x21-\x7e]{1,128}$/),
    version: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    curve: fc.constant('ed25519' as const),
    address: hexString(32),
  }),
);
const terms = fc.integer({ min: 1, max: 2 ** 32 - 1 });
const secrets = fc.uint8Array({ minLength: 1, maxLength: 100 });

const altered = {
  code: 'unprocessable',
  message: expect.stringContaining('altered or belongs to another key'),
};

describe('sealed secrets', () => {
  it('open to what was sealed, asking for the KEK of their term', () => {
    fc.assert(
      fc.property(identities, terms, secrets, (identity, term, secret) => {
        const blob = sealSecret(kek, term, identity, secret);
        const asked: number[] = [];
        const opened = openSecret((t) => (asked.push(t), kek), identity, blob);
        expect(Buffer.compare(opened, secret)).toBe(0);
        expect(asked).toEqual([term]);
        expect(opened.buffer.byteLength).toBe(secret.length);
      }),
    );
  });

  it('are AES-256-GCM with the documented layout and associated data, as WebCrypto reads them', async () => {
    const secret = randomBytes(32);
    const blob = sealSecret(kek, 7, { ...identity, version: 12 }, secret);
    expect(blob.subarray(0, 5).toString('hex')).toBe('0100000007');
    const key = await webcrypto.subtle.importKey('raw', kek, 'AES-GCM', false, ['decrypt']);
    const additionalData = Buffer.from(
      `countersign sealed key\n1\n${identity.keyId}\n12\n7\nsecp256k1\n${identity.address}`,
    );
    const opened = await webcrypto.subtle.decrypt(
      { name: 'AES-GCM', iv: blob.subarray(5, 17), additionalData },
      key,
      blob.subarray(17),
    );
    expect(Buffer.from(opened)).toEqual(secret);
  });

  it('do not open for any other identity', () => {
    fc.assert(
      fc.property(identities, identities, secrets, (mine, other, secret) => {
        fc.pre(JSON.stringify(mine) !== JSON.stringify(other));
        const blob = sealSecret(kek, 1, mine, secret);
        expect(() => openSecret(() => kek, other, blob)).toThrow(expect.objectContaining(altered));
      }),
    );
    const blob = sealSecret(kek, 1, identity, randomBytes(32));
    for (const change of [
      { keyId: `${identity.keyId}0` },
      { version: 2 },
      { curve: 'ed25519', address: `0x${'00'.repeat(32)}` },
      { address: `${identity.address.slice(0, -1)}7` },
    ] as const) {
      expect(() => openSecret(() => kek, { ...identity, ...change }, blob)).toThrow(
        expect.objectContaining(altered),
      );
    }
  });

  it('do not open after any bit was flipped', () => {
    const blob = sealSecret(kek, 1, identity, randomBytes(32));
    for (let bit = 0; bit < blob.length * 8; bit += 1) {
      const flipped = Buffer.from(blob);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      expect(() => openSecret(() => kek, identity, flipped)).toThrow(
        expect.objectContaining({ code: 'unprocessable' }),
      );
    }
  });

  it('do not open truncated, extended, or under another KEK', () => {
    const blob = sealSecret(kek, 1, identity, randomBytes(32));
    for (let length = 0; length < blob.length; length += 1) {
      const message = length <= 33 ? 'truncated' : 'altered';
      expect(() => openSecret(() => kek, identity, blob.subarray(0, length))).toThrow(message);
    }
    expect(() => openSecret(() => kek, identity, Buffer.concat([blob, Buffer.alloc(1)]))).toThrow('altered');
    expect(() => openSecret(() => randomBytes(32), identity, blob)).toThrow('altered');
  });

  it('say when their format is unknown', () => {
    const blob = sealSecret(kek, 1, identity, randomBytes(32));
    blob[0] = 3;
    expect(() => openSecret(() => kek, identity, blob)).toThrow('unknown format 3');
  });

  it('stay what they were made as: one that stays does not become one that may leave, nor the other way', () => {
    for (const exportable of [false, true]) {
      const secret = randomBytes(32);
      const blob = sealSecret(kek, 1, identity, secret, exportable);
      expect(isExportable(blob)).toBe(exportable);
      expect(openSecret(() => kek, identity, blob)).toEqual(secret);
      blob[0] = exportable ? 1 : 2;
      expect(isExportable(blob)).toBe(!exportable);
      expect(() => openSecret(() => kek, identity, blob)).toThrow(expect.objectContaining(altered));
    }
  });

  it.each([
    ['key id', { keyId: 'a\nb' }],
    ['key id', { keyId: '' }],
    ['key id', { keyId: 'é' }],
    ['version', { version: 0 }],
    ['version', { version: 1.5 }],
    ['curve', { curve: 'toString' as 'ed25519' }],
    ['address', { address: identity.address.toUpperCase() }],
    ['address', { address: `${identity.address}\n` }],
    ['address', { curve: 'ed25519' as const }],
  ])('are not made for an ambiguous %s: %j', (field, change) => {
    const seal = () => sealSecret(kek, 1, { ...identity, ...change }, randomBytes(32));
    expect(seal).toThrow(`with this ${field} cannot exist`);
  });

  it.each([0, -1, 1.5, 2 ** 32, Number.NaN])('are not made for the term %s', (term) => {
    expect(() => sealSecret(kek, term, identity, randomBytes(32))).toThrow('with this term cannot exist');
  });

  it('are not made of nothing', () => {
    expect(() => sealSecret(kek, 1, identity, Buffer.alloc(0))).toThrow('empty');
  });
});
