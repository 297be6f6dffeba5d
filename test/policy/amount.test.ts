import * as fc from 'fast-check';
import { parseUnits } from 'ethers';
import { describe, expect, test } from 'vitest';
import { MAX_UINT256, parseAmount, parseInteger } from '../../src/policy/amount.ts';

describe('parseAmount', () => {
  test.each<[string, bigint]>([
    ['0', 0n],
    ['123', 123n],
    ['7 wei', 7n],
    ['3 gwei', 3_000_000_000n],
    ['0.000000001 gwei', 1n],
    ['0.5 ether', 500_000_000_000_000_000n],
    ['1.000000000000000001 ether', 1_000_000_000_000_000_001n],
    [MAX_UINT256.toString(), MAX_UINT256],
  ])('reads %s', (text, value) => {
    expect(parseAmount(text)).toEqual({ value });
  });

  test.each([
    [1, 'quoted text'],
    [0.5, 'quoted text'],
    [true, 'is not an amount'],
    [null, 'is not an amount'],
    ['', 'is not an amount'],
    [' 1', 'is not an amount'],
    ['1  ether', 'is not an amount'],
    ['1ether', 'is not an amount'],
    ['-1', 'is not an amount'],
    ['+1', 'is not an amount'],
    ['01', 'is not an amount'],
    ['1_000', 'is not an amount'],
    ['1,5 ether', 'is not an amount'],
    ['.5 ether', 'is not an amount'],
    ['1. ether', 'is not an amount'],
    ['1e18', 'is not an amount'],
    ['0x10', 'is not an amount'],
    ['١ ether', 'is not an amount'],
    ['1 ether\n', 'is not an amount'],
    ['1 Ether', 'is not a unit'],
    ['50000 usdc', 'tokens are not supported by this version'],
    ['0.5', 'has decimals but no unit; write "0.5 ether"'],
    ['0.5 wei', 'has 1 decimals and wei has 0'],
    ['0.0000000001 gwei', 'has 10 decimals and gwei has 9'],
    ['0.0000000000000000001 ether', 'has 19 decimals and ether has 18'],
    [(MAX_UINT256 + 1n).toString(), 'more than a uint256'],
    [`${MAX_UINT256} ether`, 'more than a uint256'],
    ['9'.repeat(1_000_000), 'is not an amount'],
  ])('refuses %j', (value, problem) => {
    expect(parseAmount(value)).toEqual({ problem: expect.stringContaining(problem) });
  });

  test('agrees with an independent parser', () => {
    const digits = fc.stringMatching(/^(0|[1-9][0-9]{0,40})(\.[0-9]{1,20})?$/);
    fc.assert(
      fc.property(digits, fc.constantFrom('gwei', 'ether'), (text, unit) => {
        const decimals = (text.split('.')[1] ?? '').length;
        const fits = decimals <= (unit === 'gwei' ? 9 : 18);
        const parsed = parseAmount(`${text} ${unit}`);
        expect('value' in parsed ? parsed.value : undefined).toBe(fits ? parseUnits(text, unit) : undefined);
      }),
      { numRuns: 2000, seed: 7 },
    );
  });
});

describe('parseInteger', () => {
  test.each<[number | string, bigint]>([
    [0, 0n],
    [31337, 31337n],
    ['31337', 31337n],
    [Number.MAX_SAFE_INTEGER, 9_007_199_254_740_991n],
    [MAX_UINT256.toString(), MAX_UINT256],
  ])('reads %s', (text, value) => {
    expect(parseInteger(text)).toEqual({ value });
  });

  test.each([
    -1,
    1.5,
    2 ** 53,
    Number.NaN,
    '',
    '0x1',
    '01',
    '-1',
    '1 ether',
    '1 wei',
    true,
    null,
    (MAX_UINT256 + 1n).toString(),
  ])('refuses %j', (value) => {
    expect(parseInteger(value)).toEqual({ problem: expect.any(String) });
  });
});
