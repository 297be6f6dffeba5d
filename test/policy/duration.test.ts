import * as fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { formatDuration, parseDuration } from '../../src/policy/duration.ts';

const SEED = Number(process.env['COUNTERSIGN_TEST_SEED'] ?? 20_260_101);

const HOUR = 3_600_000;

describe('parseDuration', () => {
  test.each([
    ['1s', 1000],
    ['30s', 30_000],
    ['5m', 300_000],
    ['90m', 90 * 60_000],
    ['24h', 24 * HOUR],
    ['7d', 7 * 24 * HOUR],
    ['1h30m', 1.5 * HOUR],
    ['1d1h1m1s', 25 * HOUR + 61_000],
    ['1d1s', 24 * HOUR + 1000],
    ['366d', 366 * 24 * HOUR],
    ['31622400s', 366 * 24 * HOUR],
  ])('reads %s', (text, value) => {
    expect(parseDuration(text)).toEqual({ value });
  });

  test.each([
    [30],
    [null],
    [true],
    [['5m']],
    [''],
    ['30'],
    ['0s'],
    ['0d5s'],
    ['0h30m'],
    ['1h0m'],
    ['1h0s'],
    ['05m'],
    ['-5m'],
    ['+5m'],
    ['1.5h'],
    ['5 m'],
    [' 5m'],
    ['5m\n'],
    ['5M'],
    ['5min'],
    ['500ms'],
    ['1w'],
    ['30m1h'],
    ['1h1h'],
    ['1h 30m'],
    ['PT5M'],
    ['1e3s'],
    ['٣s'],
    [`${'9'.repeat(1_000_000)}s`],
  ])('refuses %#', (value) => {
    expect(parseDuration(value)).toEqual({ problem: expect.stringContaining('is not a duration; write') });
  });

  test.each(['367d', '366d1s', '31622401s', `${'9'.repeat(39)}d`])('refuses %s for its length', (text) => {
    expect(parseDuration(text)).toEqual({ problem: 'is more than 366 days; write a shorter one' });
  });
});

describe('formatDuration', () => {
  test.each([
    [0, '0s'],
    [-5000, '0s'],
    [1, '1s'],
    [999, '1s'],
    [1001, '2s'],
    [90_000, '1m30s'],
    [24 * HOUR, '1d'],
    [25.5 * HOUR, '1d1h30m'],
  ])('%d', (milliseconds, text) => {
    expect(formatDuration(milliseconds)).toBe(text);
  });

  it('is what parseDuration reads', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 366 * 86_400 }), (seconds) => {
        expect(parseDuration(formatDuration(seconds * 1000))).toEqual({ value: seconds * 1000 });
      }),
      { numRuns: 1_000, seed: SEED },
    );
  });
});
