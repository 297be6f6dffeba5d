import { randomFillSync } from 'node:crypto';
import { wipe } from '../bytes.ts';
import { CountersignError } from '../errors.ts';
import { allocSecret } from './envelope.ts';

/**
 * Secret sharing (A. Shamir, How to Share a Secret, CACM 22, 1979) byte by byte over GF(2^8) with the polynomial of AES,
 * x^8 + x^4 + x^3 + x + 1 (FIPS 197, section 4.2). Share number n is the value at x = n of a random polynomial of degree
 * threshold − 1 whose value at 0 is the secret: fewer shares than the threshold say nothing of it.
 *
 * What depends on a secret neither branches nor indexes a table, so that caches and branch predictors learn nothing.
 */
export interface Share {
  /** Where the polynomial was evaluated, from 1 to 255. */
  readonly number: number;
  /** As long as the secret. */
  readonly value: Uint8Array;
}

/** The most shares that a secret is split into here. */
export const MAX_SHARES = 32;

const REDUCTION = 0x11b;

/** The values of the shares 1 to `shares`, in memory of their own; the caller wipes them. */
export function splitSecret(secret: Uint8Array, shares: number, threshold: number): Buffer[] {
  if (!Number.isInteger(threshold) || !Number.isInteger(shares) || threshold < 2 || shares < threshold) {
    throw new CountersignError(
      'unprocessable',
      'a secret is split into 2 shares or more, of which 2 or more open',
    );
  }
  if (shares > MAX_SHARES) {
    throw new CountersignError('unprocessable', `a secret is split into at most ${MAX_SHARES} shares`);
  }
  // Any coefficient may be zero, the highest too: without that, a share would rule a value of the secret out.
  const coefficients = Array.from({ length: threshold - 1 }, () =>
    randomFillSync(allocSecret(secret.length)),
  );
  try {
    return Array.from({ length: shares }, (_, index) => evaluate(secret, coefficients, index + 1));
  } finally {
    wipe(...coefficients);
  }
}

/**
 * The secret of these shares, in memory of its own; the caller wipes it. Too few, or one that is wrong, give another
 * secret and no error: who calls this has checked each.
 */
export function combineShares(shares: readonly Share[]): Buffer {
  const [first] = shares;
  const numbers = shares.map(({ number }) => number);
  if (first === undefined || new Set(numbers).size !== numbers.length) {
    throw new CountersignError('unprocessable', 'shares are combined when there are some, each once');
  }
  const wrong = ({ number, value }: Share): boolean =>
    !Number.isInteger(number) || number < 1 || number > 255 || value.length !== first.value.length;
  if (shares.some(wrong)) {
    throw new CountersignError('unprocessable', 'shares have a number from 1 to 255, and are of one length');
  }
  const secret = allocSecret(first.value.length);
  for (const { number, value } of shares) {
    const weight = lagrangeAtZero(number, numbers);
    for (let at = 0; at < secret.length; at += 1) {
      secret[at] = (secret[at] ?? 0) ^ multiply(value[at] ?? 0, weight);
    }
  }
  return secret;
}

/** Horner's rule, from the highest coefficient down. */
function evaluate(secret: Uint8Array, coefficients: readonly Buffer[], x: number): Buffer {
  const value = allocSecret(secret.length);
  for (const coefficient of [...coefficients.toReversed(), secret]) {
    for (let at = 0; at < value.length; at += 1) {
      value[at] = multiply(value[at] ?? 0, x) ^ (coefficient[at] ?? 0);
    }
  }
  return value;
}

/** ∏ m / (m − n) over the other numbers m. In this field, subtraction is exclusive or. */
function lagrangeAtZero(number: number, numbers: readonly number[]): number {
  let weight = 1;
  for (const other of numbers) {
    if (other !== number) weight = multiply(weight, multiply(other, invert(other ^ number)));
  }
  return weight;
}

/** The product of two bytes: shift and add, with masks in place of branches. */
export function multiply(left: number, right: number): number {
  let product = 0;
  let shifted = left;
  for (let bit = 0; bit < 8; bit += 1) {
    product ^= shifted & -((right >> bit) & 1);
    shifted = (shifted << 1) ^ (REDUCTION & -(shifted >> 7));
  }
  return product;
}

/** x^254, which is 1/x: the nonzero bytes are a group of 255. */
function invert(x: number): number {
  let inverse = 1;
  for (let bit = 7; bit >= 0; bit -= 1) {
    inverse = multiply(inverse, inverse);
    if (bit > 0) inverse = multiply(inverse, x);
  }
  return inverse;
}
