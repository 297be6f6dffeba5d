import * as fc from 'fast-check';
import { parseUnits } from 'ethers';
import { describe, expect, test } from 'vitest';
import type { JsonValue } from '../../src/jcs.ts';
import {
  MAX_UINT256,
  parseAmount,
  parseInteger,
  parseTokenAmount,
  parseWithin,
} from '../../src/policy/amount.ts';

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
    ['50000 usdc', '"usdc" is not a unit here; units are wei, gwei and ether'],
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

describe('parseTokenAmount', () => {
  const USDC = { name: 'usdc', chain: 1n, address: '0x', standard: 'erc20', decimals: 6 } as const;
  const PUNKS = { ...USDC, name: 'punks', standard: 'erc721', decimals: 0 } as const;

  test.each<[string, bigint]>([
    ['0', 0n],
    ['1', 1n],
    ['50000 usdc', 50_000_000_000n],
    ['0.000001 usdc', 1n],
    [MAX_UINT256.toString(), MAX_UINT256],
  ])('reads %s', (text, value) => {
    expect(parseTokenAmount(text, USDC)).toEqual({ value });
  });

  test.each<[JsonValue, string]>([
    [1, 'write "1" for base units or "1 usdc"'],
    ['1 ether', '"ether" is not a unit here; write usdc, or base units without unit'],
    ['1 wei', '"wei" is not a unit here'],
    ['1 dai', '"dai" is not a unit here'],
    ['1 USDC', '"USDC" is not a unit here'],
    ['1.5', 'has decimals but no unit; write "1.5 usdc"'],
    ['0.0000001 usdc', 'has 7 decimals and usdc has 6'],
    [`${MAX_UINT256} usdc`, 'more than a uint256'],
    ['-1', 'is not an amount'],
    [null, 'is not an amount'],
  ])('refuses %j', (value, problem) => {
    expect(parseTokenAmount(value, USDC)).toEqual({ problem: expect.stringContaining(problem) });
  });

  test('has no unit for what is not divided', () => {
    expect(parseTokenAmount('3', PUNKS)).toEqual({ value: 3n });
    for (const value of ['3 punks', '0.5', 3, null]) {
      expect(parseTokenAmount(value, PUNKS)).toEqual({ problem: expect.stringContaining('whole digits') });
    }
  });

  test('agrees with an independent parser', () => {
    const digits = fc.stringMatching(/^(0|[1-9][0-9]{0,30})(\.[0-9]{1,20})?$/);
    fc.assert(
      fc.property(digits, fc.nat(36), (text, decimals) => {
        const parsed = parseTokenAmount(`${text} usdc`, { ...USDC, decimals });
        const fits = (text.split('.')[1] ?? '').length <= decimals;
        expect('value' in parsed ? parsed.value : undefined).toBe(
          fits ? parseUnits(text, decimals) : undefined,
        );
      }),
      { numRuns: 2000, seed: 7 },
    );
  });
});

describe('parseWithin', () => {
  const parse = (value: JsonValue) => parseWithin(value, 'int8', -128n, 127n);

  test.each<[JsonValue, bigint]>([
    [0, 0n],
    [-128, -128n],
    ['-128', -128n],
    ['127', 127n],
  ])('reads %j', (value, expected) => {
    expect(parse(value)).toEqual({ value: expected });
  });

  test.each<[JsonValue, string]>([
    [128, 'does not fit in int8; write a number from -128 to 127'],
    ['-129', 'does not fit in int8'],
    ['-0', 'is not a whole number'],
    ['01', 'is not a whole number'],
    ['1 usdc', 'is not a whole number'],
    [1.5, 'is not a whole number'],
    [true, 'is not a whole number'],
    [null, 'is not a whole number'],
    ['9'.repeat(1_000_000), 'is not a whole number'],
  ])('refuses %j', (value, problem) => {
    expect(parse(value)).toEqual({ problem: expect.stringContaining(problem) });
  });
});
