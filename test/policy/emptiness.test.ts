import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isEmptyAddress, isEmptyMembers, isEmptyNumber, isEmptyText } from '../../src/policy/emptiness.ts';
import type { MemberTest, NumberTest, TextTest, ValueTest } from '../../src/policy/model.ts';

const LOW = -4;
const HIGH = 6;
const NUMBERS = Array.from({ length: HIGH - LOW + 1 }, (_, i) => BigInt(LOW + i));

const small = fc.integer({ min: LOW + 1, max: HIGH - 1 }).map(BigInt);
const numbers = fc.uniqueArray(small, { minLength: 1, maxLength: 4 }).map((items) => new Set(items));
const numberTest: fc.Arbitrary<NumberTest> = fc.oneof(
  fc.constantFrom('eq', 'lt', 'lte', 'gt', 'gte').chain((name) => small.map((value) => ({ [name]: value }))),
  numbers.map((options) => ({ in: options })),
  numbers.map((options) => ({ notIn: options })),
  fc.tuple(small, small).map(([gte, lt]) => ({ gte, lt })),
);

function passesNumber(value: bigint, test: NumberTest): boolean {
  const { eq = value, lt = value + 1n, lte = value, gt = value - 1n, gte = value } = test;
  return (
    value === eq &&
    value < lt &&
    value <= lte &&
    value > gt &&
    value >= gte &&
    (test.in?.has(value) ?? true) &&
    !(test.notIn?.has(value) ?? false)
  );
}

const TEXTS = ['', 'a', 'b'].flatMap((one) =>
  ['', 'a', 'b'].flatMap((two) => [one + two, `${one + two}a`, `${one}b${two}`]),
);

const text = fc.constantFrom(...new Set(TEXTS));
const texts = fc.uniqueArray(text, { minLength: 1, maxLength: 4 }).map((items) => new Set(items));
const textTest: fc.Arbitrary<TextTest> = fc.oneof(
  texts.map((options) => ({ in: options })),
  texts.map((options) => ({ notIn: options })),
  fc.constantFrom('a', 'b', 'ab').map((prefix) => ({ prefix })),
  fc.constantFrom({ lt: 2n }, { gte: 2n }, { eq: 1n }, { eq: 9n }).map((len) => ({ len })),
  fc.tuple(texts, fc.constantFrom('a', 'b')).map(([options, prefix]) => ({ in: options, prefix })),
);

function passesText(
  value: string,
  { in: included, notIn: excluded, prefix = '', len = {} }: TextTest,
): boolean {
  return (
    (included?.has(value) ?? true) &&
    !(excluded?.has(value) ?? false) &&
    value.startsWith(prefix) &&
    passesNumber(BigInt(value.length), len)
  );
}

describe('a conjunction is empty', () => {
  test('only if no number passes, and always if none does and none is left out', () => {
    const found = { empty: 0, full: 0 };
    fc.assert(
      fc.property(fc.array(numberTest, { minLength: 1, maxLength: 3 }), (tests) => {
        const passing = NUMBERS.filter((value) => tests.every((one) => passesNumber(value, one)));
        const isEmpty = isEmptyNumber(tests, BigInt(LOW));
        const isKnown = passing.length > 0 || !tests.some((one) => one.notIn !== undefined);
        expect(isKnown && isEmpty !== (passing.length === 0)).toBe(false);
        found[isEmpty ? 'empty' : 'full']++;
      }),
      { numRuns: 5000, seed: 3 },
    );
    expect(Math.min(found.empty, found.full)).toBeGreaterThan(500);
  });

  test('only if no text passes', () => {
    const found = { empty: 0, full: 0 };
    fc.assert(
      fc.property(fc.array(textTest, { minLength: 1, maxLength: 3 }), (tests) => {
        const passing = TEXTS.filter((value) => tests.every((one) => passesText(value, one)));
        const isEmpty = isEmptyText(tests);
        expect(passing.length > 0 && isEmpty).toBe(false);
        const lengths = tests.filter(({ len }) => len !== undefined);
        // With a list and one length at most, nothing is left to chance.
        const isKnown = tests.some((one) => one.in !== undefined) && lengths.length < 2;
        expect(isKnown && isEmpty !== (passing.length === 0)).toBe(false);
        found[isEmpty ? 'empty' : 'full']++;
      }),
      { numRuns: 5000, seed: 3 },
    );
    expect(Math.min(found.empty, found.full)).toBeGreaterThan(500);
  });

  test('not where time decides', () => {
    expect(isEmptyNumber([{ within: 1 }, { lt: 1n }])).toBe(false);
  });

  test('of nothing never', () => {
    expect(isEmptyNumber([])).toBe(false);
    expect(isEmptyAddress([])).toBe(false);
    expect(isEmptyText([])).toBe(false);
    expect(isEmptyMembers([])).toBe(false);
  });

  test('of members only where they are the same member', () => {
    const member = (steps: readonly number[], value: ValueTest): MemberTest => ({
      name: '',
      steps,
      test: value,
    });
    const yes = { kind: 'bool', eq: true } as const;
    const no = { kind: 'bool', eq: false } as const;
    expect(isEmptyMembers([member([0], yes), member([1], no)])).toBe(false);
    expect(isEmptyMembers([member([0, 1], yes), member([0, 1], no)])).toBe(true);
    const some = (value: ValueTest): ValueTest => ({ kind: 'list', some: [member([], value)] });
    // Two items can do what one cannot.
    expect(isEmptyMembers([member([0], some(yes)), member([0], some(no))])).toBe(false);
  });

  test('in time that does not grow with items times tests', () => {
    const items = new Set(Array.from({ length: 100_000 }, (_, i) => BigInt(i)));
    const tests = [
      { in: items },
      ...Array.from({ length: 100_000 }, (_, i) => ({ notIn: new Set([BigInt(-i)]) })),
    ];
    const start = performance.now();
    expect(isEmptyNumber(tests)).toBe(false);
    // 10^10 comparisons would take minutes.
    expect(performance.now() - start).toBeLessThan(5000);
  });
});
