import { createHash, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CountersignError } from '../../src/errors.ts';
import { digestOfShare, formatShare, parseShare, SHARE_TEXT_LENGTH } from '../../src/keystore/share.ts';

const shares = fc.record({
  set: fc.uint8Array({ minLength: 6, maxLength: 6 }).map((bytes) => Buffer.from(bytes).toString('hex')),
  threshold: fc.integer({ min: 2, max: 32 }),
  number: fc.integer({ min: 1, max: 32 }),
  value: fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes)),
});

const EXAMPLE = {
  set: '00112233aabb',
  threshold: 3,
  number: 2,
  value: Buffer.from(Array.from({ length: 32 }, (_, i) => i)),
};

/** The same text by other means: JavaScript's own numbers, RFC 4648 read from its page. */
function textOf({ set, threshold, number, value }: typeof EXAMPLE): string {
  const body = Buffer.concat([Buffer.from(set, 'hex'), Buffer.from([threshold, number]), value]);
  const sum = createHash('sha256').update('css1-').update(body).digest().subarray(0, 5);
  const bits = [...body, ...sum].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  const letters = bits
    .match(/.{5}/g)!
    .map((five) => 'abcdefghijklmnopqrstuvwxyz234567'[Number.parseInt(five, 2)]);
  return `css1-${letters.join('').match(/.{6}/g)!.join('-')}`;
}

function outcomeOf(text: string): unknown {
  try {
    parseShare(Buffer.from(text));
    return 'read';
  } catch (error) {
    return error instanceof CountersignError ? error.code : error;
  }
}

describe('the text of a share', () => {
  it('is what its page says', () => {
    const text = formatShare(EXAMPLE).toString();
    expect(text).toBe(textOf(EXAMPLE));
    expect(text).toMatch(/^css1(?:-[a-z2-7]{6}){12}$/);
    expect(text.length).toBe(SHARE_TEXT_LENGTH);
  });

  it('reads back as what was written', () => {
    fc.assert(
      fc.property(shares, (share) => {
        const text = formatShare(share);
        expect(text.toString()).toBe(textOf(share));
        expect(parseShare(text)).toEqual(share);
      }),
    );
  });

  it('is refused with any one character changed, left out, added or swapped with the next', () => {
    const text = formatShare({ ...EXAMPLE, value: randomBytes(32) }).toString();
    for (let at = 0; at < text.length; at += 1) {
      const [before, character, after] = [text.slice(0, at), text[at]!, text.slice(at + 1)];
      const next = text[at + 1] ?? '';
      const changed = Array.from('abcdefghijklmnopqrstuvwxyz234567-AZ 0189\u00e4')
        .filter((other) => other !== character)
        .map((other) => before + other + after);
      const swapped = next === character ? [] : [before + next + character + text.slice(at + 2)];
      for (const other of [...changed, before + after, `${before}a${character}${after}`, ...swapped]) {
        if (other === text) continue;
        expect(() => parseShare(Buffer.from(other)), other).toThrow(/^the share /);
      }
    }
  });

  it('is refused in another spelling, with a reason that says what is wrong and quotes nothing', () => {
    const text = formatShare(EXAMPLE).toString();
    const refusals: readonly (readonly [string, RegExp])[] = [
      [text.toUpperCase(), /begins with css1-, in lower case/],
      [`css2${text.slice(4)}`, /begins with css1-/],
      ['', /begins with css1-/],
      [text.replaceAll('-', ''), /begins with css1-/],
      [`${text}\n`, /has 89 characters: a share has 88/],
      [text.slice(0, -1), /has 87 characters/],
      [text.replace(/.$/, '1'), /a character that no share has/],
      [text.replace(/.$/, 'A'), /a character that no share has/],
      [textOf({ ...EXAMPLE, number: 0 }), /not written as shares are/],
      [textOf({ ...EXAMPLE, threshold: 1 }), /not written as shares are/],
    ];
    for (const [given, reason] of refusals) {
      expect(() => parseShare(Buffer.from(given)), given).toThrow(reason);
    }
    const mistyped = text.replace(/.$/, (last) => (last === 'a' ? 'b' : 'a'));
    expect(() => parseShare(Buffer.from(mistyped))).toThrow(/does not match its checksum/);
  });

  it('throws nothing else, whatever it is given', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^css1(-[a-z2-7]{6}){12}$/)), (text) => {
        expect(['read', 'invalid_request']).toContain(outcomeOf(text));
      }),
    );
  });
});

describe('the digest of a share', () => {
  it('is another for every set, number, threshold and value', () => {
    const others = [
      EXAMPLE,
      { ...EXAMPLE, set: '00112233aabc' },
      { ...EXAMPLE, number: 3 },
      { ...EXAMPLE, threshold: 2 },
      { ...EXAMPLE, value: randomBytes(32) },
    ];
    const digests = others.map((share) => digestOfShare(share).toString('hex'));
    expect(new Set(digests).size).toBe(others.length);
    expect(digestOfShare({ ...EXAMPLE }).toString('hex')).toBe(digests[0]);
  });
});
