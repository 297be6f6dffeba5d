import * as fc from 'fast-check';
import { describe, expect, it, test, vi } from 'vitest';
import { compilePattern, type Pattern } from '../../src/policy/pattern.ts';

const SEED = Number(process.env['COUNTERSIGN_TEST_SEED'] ?? 20_260_101);

const LONGEST = 131_072;

function patternOf(text: string): Pattern {
  const compiled = compilePattern(text);
  if ('problem' in compiled) throw new Error(compiled.problem);
  return compiled.value;
}

describe('compilePattern', () => {
  test.each<[string, string, boolean]>([
    ['order [0-9]+', 'order 17', true],
    ['order [0-9]+', 'order 17 ', false],
    ['order [0-9]+', 'an order 17', false],
    ['order [0-9]+', 'order 17\n', false],
    ['order [0-9]+', 'order x\norder 17', false],
    ['^order [0-9]+$', 'order 17', true],
    ['^order [0-9]+$', 'order 17\n', false],
    ['(?m)^order [0-9]+$', 'order 17\nmore', false],
    ['a|b', 'ab', false],
    ['a|b', 'xb', false],
    ['a|ab', 'ab', true],
    ['a.b', 'a\nb', false],
    ['(?s)a.b', 'a\nb', true],
    ['.', '\u{1F600}', true],
    ['..', '\u{1F600}', false],
    ['(?i)order', 'ORDER', true],
    ['order', 'ORDER', false],
    [String.raw`\d`, '٣', false],
    [String.raw`\pL+`, 'Grüezi', true],
    ['', '', true],
    ['', 'a', false],
  ])('%j and %j', (pattern, text, expected) => {
    expect(patternOf(pattern).matches(text)).toBe(expected);
  });

  it('gives what ECMAScript gives, where both have the same syntax', () => {
    const atom = fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', String.raw`\d`, '(?:ab|b)', '(a|)', '^', '$');
    const count = fc.constantFrom('', '', '*', '+', '?', '{2}', '{1,3}', '*?');
    const piece = fc
      .tuple(atom, count)
      .map(([atom, count]) => (atom === '^' || atom === '$' ? atom : atom + count));
    const sequence = fc.array(piece, { maxLength: 5 }).map((pieces) => pieces.join(''));
    const expression = fc.array(sequence, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('|'));
    const outcomes = { matched: 0, other: 0 };
    fc.assert(
      fc.property(
        expression,
        fc.string({ unit: fc.constantFrom('a', 'b', '1', '\n'), maxLength: 8 }),
        (text, input) => {
          const expected = new RegExp(`^(?:${text})$`, 'u').test(input);
          outcomes[expected ? 'matched' : 'other'] += 1;
          expect(patternOf(text).matches(input)).toBe(expected);
        },
      ),
      { numRuns: 5_000, seed: SEED },
    );
    expect(outcomes.matched).toBeGreaterThan(300);
    expect(outcomes.other).toBeGreaterThan(300);
  });

  test.each([
    ['[a-', 'is not a pattern of RE2: missing closing ]'],
    ['(a', 'is not a pattern of RE2: missing closing )'],
    ['a**', 'is not a pattern of RE2: invalid nested repetition operator'],
    [String.raw`(a)\1`, 'is not a pattern of RE2: invalid escape sequence'],
    ['a(?=b)', 'is not a pattern of RE2: invalid or unsupported Perl syntax'],
    ['(?<=a)b', 'is not a pattern of RE2: '],
    ['a{1001}', 'is not a pattern of RE2: invalid repeat count'],
    ['((a{100}){100}){100}', 'is not a pattern of RE2: invalid repeat count'],
    ['a{1000}', 'needs more than 500 steps'],
    ['(a{20}){30}', 'needs more than 500 steps'],
    [String.raw`\pL{1000}`.repeat(50), 'needs more than 500 steps'],
    ['a'.repeat(513), 'is longer than 512 characters'],
    ['('.repeat(1_000_000), 'is longer than 512 characters'],
  ])('refuses %#', (text, problem) => {
    expect(compilePattern(text)).toEqual({ problem: expect.stringContaining(problem) });
  });

  it('takes patterns as they are in use', () => {
    const hash = '0x[0-9a-f]{64}';
    expect(
      patternOf(`${hash} ${hash} ${hash}`).matches(
        Array(3)
          .fill(`0x${'a0'.repeat(32)}`)
          .join(' '),
      ),
    ).toBe(true);
    expect(patternOf('a'.repeat(490)).matches('a'.repeat(490))).toBe(true);
  });

  it('is for texts of 128 Ki', () => {
    const pattern = patternOf('a*');
    expect(pattern.matches('a'.repeat(LONGEST))).toBe(true);
    expect(() => pattern.matches('a'.repeat(LONGEST + 1))).toThrow(
      expect.objectContaining({ code: 'unprocessable', message: expect.stringContaining('131072') }),
    );
  });
});

describe('time', () => {
  /** Reproducible and without a pattern of its own. */
  function noise(length: number): string {
    let state = 7;
    return Array.from({ length }, () => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
      return (state >> 16) % 2 === 0 ? 'a' : 'b';
    }).join('');
  }

  // An engine that backtracks takes 2^n steps for these, and n is 131,072: it would not end.
  test.each(['(a*)*c', '(a|a)*c', '(a|aa)+c', '(?:a?){100}a{100}c', '(?:(?:a|b|ab)*)*c', '(.*)*(.*)*c?x'])(
    'does not grow exponentially: %s',
    (text) => {
      const pattern = patternOf(text);
      const { longest } = pattern;
      expect(longest).toBeGreaterThan(4_096);
      expect(pattern.matches(`${'a'.repeat(longest - 1)}x`)).toBe(text.endsWith('x'));
      expect(pattern.matches(`${'a'.repeat(longest - 2)}cy`)).toBe(false);
    },
  );

  it('reads each character a bounded number of times, where no automaton of few states helps', () => {
    const reads = (length: number): number => {
      const pattern = patternOf('(a|b)*a(a|b){60}');
      const text = noise(length);
      const read = vi.spyOn(String.prototype, 'charCodeAt');
      pattern.matches(text);
      const count = read.mock.calls.length;
      read.mockRestore();
      return count;
    };
    const [small, large] = [reads(1_024), reads(8_192)];
    expect(small).toBeGreaterThanOrEqual(1_024);
    expect(large).toBeLessThan(8 * 8_192);
  });

  it('looks at the fewer characters, the more steps each may take', () => {
    const texts = ['a*', '(?s).*transfer.{0,40}usdc.*', '(?:.*a.{0,40}){3}b', 'a'.repeat(490)];
    const longest = texts.map((text) => patternOf(text).longest);
    expect(longest[0]).toBe(LONGEST);
    expect(longest).toEqual(longest.toSorted((one, other) => other - one));
    expect(longest.at(-1)).toBeGreaterThan(4_000);
    for (const text of texts.slice(1)) {
      const pattern = patternOf(text);
      expect(pattern.longest).toBeLessThan(50_000);
      expect(pattern.matches('x'.repeat(pattern.longest))).toBe(false);
      expect(() => pattern.matches('x'.repeat(pattern.longest + 1))).toThrow(
        expect.objectContaining({ code: 'unprocessable' }),
      );
    }
  });
});
