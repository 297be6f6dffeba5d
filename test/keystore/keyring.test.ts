import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { generateKeyring, openKeyring, sealKeyring, type Keyring } from '../../src/keystore/keyring.ts';
import { gcmSeal } from '../../src/keystore/envelope.ts';

const wrappingKey = randomBytes(32);
const CONTEXT = '{"type":"file"}';

function keyringOf(terms: number): Keyring {
  let keyring = generateKeyring();
  while (keyring.newestTerm < terms) keyring = keyring.addTerm();
  return keyring;
}

function keksOf(keyring: Keyring): string[] {
  return Array.from({ length: keyring.newestTerm }, (_, i) => keyring.kek(i + 1).toString('hex'));
}

describe('a keyring', () => {
  it('starts with one random term', () => {
    const keyring = generateKeyring();
    expect(keyring.newestTerm).toBe(1);
    expect(keyring.kek(1)).toHaveLength(32);
    expect(keyring.kek(1)).not.toEqual(generateKeyring().kek(1));
  });

  it('grows by copying: the old one stays as it was, and wiping it leaves the new one alone', () => {
    const old = keyringOf(2);
    const before = keksOf(old);
    const grown = old.addTerm();
    expect(keksOf(old)).toEqual(before);
    expect(keksOf(grown).slice(0, 2)).toEqual(before);
    expect(new Set(keksOf(grown)).size).toBe(3);
    old.wipe();
    expect(keksOf(grown).slice(0, 2)).toEqual(before);
  });

  it.each([0, 2, -1, 0.5, Number.NaN])('has no term %s', (term) => {
    expect(() => generateKeyring().kek(term)).toThrow(expect.objectContaining({ code: 'unprocessable' }));
  });

  it('is zeros and sealed once wiped', () => {
    const keyring = keyringOf(2);
    const keks = [keyring.kek(1), keyring.kek(2)];
    keyring.wipe();
    expect(keks).toEqual([Buffer.alloc(32), Buffer.alloc(32)]);
    for (const use of [
      () => keyring.kek(1),
      () => keyring.newestTerm,
      () => keyring.addTerm(),
      () => sealKeyring(keyring, wrappingKey, CONTEXT),
    ]) {
      expect(use).toThrow(expect.objectContaining({ code: 'sealed' }));
    }
  });
});

describe('a sealed keyring', () => {
  it('opens to the same terms', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), fc.string({ unit: 'binary' }), (terms, context) => {
        const keyring = keyringOf(terms);
        const opened = openKeyring(sealKeyring(keyring, wrappingKey, context), wrappingKey, context);
        expect(keksOf(opened)).toEqual(keksOf(keyring));
      }),
      { numRuns: 50 },
    );
  });

  it('holds no KEK in clear', () => {
    const keyring = generateKeyring();
    const blob = sealKeyring(keyring, wrappingKey, CONTEXT);
    expect(blob.includes(keyring.kek(1).subarray(0, 8))).toBe(false);
  });

  it('is a wrong password under another key or context, or after any bit was flipped', () => {
    const blob = sealKeyring(keyringOf(2), wrappingKey, CONTEXT);
    const wrong = expect.objectContaining({
      code: 'wrong_password',
      message: 'the keyring does not open with this passphrase or key file',
    });
    expect(() => openKeyring(blob, randomBytes(32), CONTEXT)).toThrow(wrong);
    expect(() => openKeyring(blob, wrappingKey, `${CONTEXT} `)).toThrow(wrong);
    for (let bit = 8; bit < blob.length * 8; bit += 1) {
      const flipped = Buffer.from(blob);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      expect(() => openKeyring(flipped, wrappingKey, CONTEXT)).toThrow(wrong);
    }
    for (let length = 1; length < blob.length; length += 1) {
      expect(() => openKeyring(blob.subarray(0, length), wrappingKey, CONTEXT)).toThrow(wrong);
    }
  });

  it('says when it is empty or of an unknown format', () => {
    expect(() => openKeyring(Buffer.alloc(0), wrappingKey, CONTEXT)).toThrow('empty');
    expect(() => openKeyring(Buffer.from([9, 0]), wrappingKey, CONTEXT)).toThrow('unknown format 9');
  });

  it.each([
    ['nothing', ''],
    ['half an entry', `00000001${'11'.repeat(16)}`],
    ['term 2 alone', `00000002${'11'.repeat(32)}`],
    ['term 1 twice', `00000001${'11'.repeat(32)}00000001${'22'.repeat(32)}`],
    ['an entry and a byte', `00000001${'11'.repeat(32)}00`],
  ])('is refused if authentic but holding %s', (_, entries) => {
    const aad = Buffer.from(`countersign keyring\n1\n${CONTEXT}`);
    const blob = Buffer.concat([Buffer.from([1]), gcmSeal(wrappingKey, aad, Buffer.from(entries, 'hex'))]);
    expect(() => openKeyring(blob, wrappingKey, CONTEXT)).toThrow('holds no keyring');
  });
});
