import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Hex } from '../../src/bytes.ts';
import type { Key, KeyVersion } from '../../src/keystore/keys.ts';
import { KEY_VERSION_STATES } from '../../src/keystore/life-cycle.ts';
import { mayHave, packKey, unpackKey } from '../../src/signer/packed-key.ts';

const hexOf = (bytes: number): fc.Arbitrary<Hex> =>
  fc
    .uint8Array({ minLength: bytes, maxLength: bytes })
    .map((value): Hex => `0x${Buffer.from(value).toString('hex')}`);
// What a damaged database may hold is not mended by the way.
const damaged = fc.constantFrom<Hex>('0x', '0xA0', '0x0', `0x${'zz'.repeat(20)}`, `0x${'AB'.repeat(65)}`);

const version: fc.Arbitrary<KeyVersion> = fc
  .record(
    {
      version: fc.integer({ min: 1, max: 9 }),
      address: fc.oneof({ weight: 9, arbitrary: hexOf(20) }, { weight: 1, arbitrary: damaged }),
      publicKey: fc.oneof({ weight: 9, arbitrary: hexOf(65) }, { weight: 1, arbitrary: damaged }),
      state: fc.constantFrom(...KEY_VERSION_STATES),
      origin: fc.constantFrom('generated' as const, 'imported' as const),
      createdAt: fc.string(),
      lastUsedAt: fc.string(),
      stateReason: fc.string({ unit: 'grapheme' }),
    },
    { requiredKeys: ['version', 'address', 'publicKey', 'state', 'origin', 'createdAt'] },
  )
  .map((each) => each as KeyVersion);

const key: fc.Arbitrary<Key> = fc
  .record(
    {
      id: fc.uuid(),
      name: fc.string({ unit: 'grapheme' }),
      tags: fc.array(fc.constantFrom('hot', 'cold', 'desk-1')),
      createdAt: fc.string(),
      primary: fc.integer({ min: 1, max: 9 }),
      exportable: fc.boolean(),
      canary: fc.boolean(),
      rotation: fc.record({ everyDays: fc.integer({ min: 1, max: 400 }) }),
      versions: fc.array(version, { maxLength: 4 }),
    },
    { requiredKeys: ['id', 'name', 'tags', 'createdAt', 'primary', 'exportable', 'canary', 'versions'] },
  )
  .map((each) => each as Key);

it('gives every key back as it was', () => {
  fc.assert(
    fc.property(key, (each) => {
      expect(unpackKey(packKey(each))).toEqual(each);
    }),
  );
});

it('never says that a tag or state is not there that is', () => {
  fc.assert(
    fc.property(key, (each) => {
      const packed = packKey(each);
      for (const value of [...each.tags, ...each.versions.map(({ state }) => state)])
        expect(mayHave(packed, value)).toBe(true);
      expect(mayHave(packed, 'no-such-tag')).toBe(false);
    }),
  );
});

it('takes a byte a character, and of a plain key less than 400', () => {
  const hex = (byte: string, length: number): Hex => `0x${byte.repeat(length)}`;
  const packed = packKey({
    id: '6f1c8e52-3d0b-4c55-9a67-2b8f0d1e7a34',
    name: 'treasury',
    tags: ['hot'],
    createdAt: '2030-01-01T00:00:00.000Z',
    primary: 1,
    exportable: false,
    canary: false,
    versions: [
      {
        version: 1,
        address: hex('ab', 20),
        publicKey: hex('04', 65),
        state: 'enabled',
        origin: 'generated',
        createdAt: '2030-01-01T00:00:00.000Z',
      },
    ],
  });
  expect(packed).toMatch(/^[\0-\xff]{1,400}$/s);
});
