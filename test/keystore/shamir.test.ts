import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { combine, split } from 'shamir-secret-sharing';
import { describe, expect, it } from 'vitest';
import { combineShares, MAX_SHARES, multiply, splitSecret, type Share } from '../../src/keystore/shamir.ts';

const secrets = fc.uint8Array({ minLength: 32, maxLength: 32 });
/** How many shares, how many of them open, and an order to take them in. */
const schemes = fc.integer({ min: 2, max: MAX_SHARES }).chain((shares) =>
  fc.record({
    shares: fc.constant(shares),
    threshold: fc.integer({ min: 2, max: shares }),
    order: fc.shuffledSubarray(
      Array.from({ length: shares }, (_, i) => i + 1),
      { minLength: shares },
    ),
  }),
);

function pick(values: readonly Buffer[], numbers: readonly number[]): Share[] {
  return numbers.map((number) => ({ number, value: values[number - 1]! }));
}

/** Schoolbook: multiply as polynomials over GF(2), then divide by x^8 + x^4 + x^3 + x + 1. */
function slowProduct(left: number, right: number): number {
  let product = 0;
  for (let bit = 0; bit < 8; bit += 1) if ((right >> bit) % 2 === 1) product ^= left << bit;
  for (let bit = 14; bit >= 8; bit -= 1) if ((product >> bit) % 2 === 1) product ^= 0x11b << (bit - 8);
  return product;
}

describe('the field', () => {
  it('multiplies every two bytes as the definition says', () => {
    const wrong: string[] = [];
    for (let left = 0; left < 256; left += 1) {
      for (let right = 0; right < 256; right += 1) {
        if (multiply(left, right) !== slowProduct(left, right)) wrong.push(`${left} · ${right}`);
      }
    }
    expect(wrong).toEqual([]);
    // FIPS 197, section 4.2.
    expect(multiply(0x57, 0x83)).toBe(0xc1);
    expect(multiply(0x57, 0x13)).toBe(0xfe);
  });
});

describe('splitting and combining', () => {
  it('gives the secret back from any threshold of the shares, in any order', () => {
    fc.assert(
      fc.property(secrets, schemes, (secret, { shares, threshold, order }) => {
        const values = splitSecret(secret, shares, threshold);
        expect(values.length).toBe(shares);
        for (const count of [threshold, shares]) {
          expect(combineShares(pick(values, order.slice(0, count))).equals(secret)).toBe(true);
        }
      }),
    );
  });

  it('gives something else from one share less', () => {
    fc.assert(
      fc.property(secrets, schemes, (secret, { shares, threshold, order }) => {
        const values = splitSecret(secret, shares, threshold);
        expect(combineShares(pick(values, order.slice(0, threshold - 1))).equals(secret)).toBe(false);
      }),
    );
  });

  it('leaves with one share less every secret possible: any other share completes it to another secret', () => {
    const secret = randomBytes(1);
    const [first] = splitSecret(secret, 2, 2);
    const completed = new Set<number>();
    for (let byte = 0; byte < 256; byte += 1) {
      const shares = [
        { number: 1, value: first! },
        { number: 2, value: Buffer.from([byte]) },
      ];
      completed.add(combineShares(shares)[0]!);
    }
    expect(completed.size).toBe(256);
  });

  it('makes shares of which one byte takes every value: no coefficient is kept from being zero', () => {
    const seen = new Set<number>();
    const values = splitSecret(Buffer.alloc(8_192, 7), 2, 2);
    for (const byte of values[0]!) seen.add(byte);
    expect(seen.size).toBe(256);
    // A share that is the secret itself would tell that no coefficient is zero where it is not.
    expect(seen.has(7)).toBe(true);
  });

  it('refuses what cannot be', () => {
    const secret = randomBytes(32);
    for (const [shares, threshold] of [
      [1, 1],
      [2, 1],
      [2, 3],
      [MAX_SHARES + 1, 2],
      [3.5, 2],
      [3, Number.NaN],
    ] as const) {
      expect(() => splitSecret(secret, shares, threshold)).toThrow(/split into/);
    }
    const [one, two] = splitSecret(secret, 2, 2);
    expect(() => combineShares([])).toThrow(/each once/);
    expect(() =>
      combineShares([
        { number: 1, value: one! },
        { number: 1, value: two! },
      ]),
    ).toThrow(/each once/);
    expect(() => combineShares([{ number: 0, value: one! }])).toThrow(/from 1 to 255/);
    expect(() => combineShares([{ number: 256, value: one! }])).toThrow(/from 1 to 255/);
    const short = { number: 2, value: two!.subarray(1) };
    expect(() => combineShares([{ number: 1, value: one! }, short])).toThrow(/one length/);
  });
});

describe('beside an audited library', () => {
  // Its shares end with the number; the rest is the value.
  const toTheirs = (number: number, value: Buffer): Uint8Array => Uint8Array.from([...value, number]);

  it('combines what it splits', async () => {
    await fc.assert(
      fc.asyncProperty(secrets, schemes, async (secret, { shares, threshold, order }) => {
        const theirs = await split(Uint8Array.from(secret), shares, threshold);
        const ours = order
          .slice(0, threshold)
          .map((number) => theirs[number - 1]!)
          .map((share) => ({ number: share.at(-1)!, value: share.subarray(0, -1) }));
        expect(combineShares(ours).equals(secret)).toBe(true);
      }),
    );
  });

  it('splits what it combines', async () => {
    await fc.assert(
      fc.asyncProperty(secrets, schemes, async (secret, { shares, threshold, order }) => {
        const values = splitSecret(secret, shares, threshold);
        const theirs = order.slice(0, threshold).map((number) => toTheirs(number, values[number - 1]!));
        expect(Buffer.from(await combine(theirs)).equals(secret)).toBe(true);
      }),
    );
  });
});
