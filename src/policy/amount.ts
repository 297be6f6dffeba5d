import type { JsonValue } from '../jcs.ts';

/** Everything in a policy is a uint256; arithmetic is on bigint and never wraps. */
export const MAX_UINT256 = 2n ** 256n - 1n;

export type Parsed = { readonly value: bigint } | { readonly problem: string };

const DECIMALS: ReadonlyMap<string, number> = new Map([
  ['wei', 0],
  ['gwei', 9],
  ['ether', 18],
]);

/** 78 digits, a point and 18 decimals fit; what is longer is not worth a BigInt. */
const MAX_LENGTH = 120;

const AMOUNT = /^(0|[1-9][0-9]*)(?:\.([0-9]+))?(?: ([A-Za-z0-9._-]+))?$/;
const INTEGER = /^(0|[1-9][0-9]*)$/;

/** An amount in wei: `"123"` is wei, `"0.5 ether"`, `"3 gwei"` and `"7 wei"` carry their unit. */
export function parseAmount(value: JsonValue): Parsed {
  if (typeof value === 'number') {
    return {
      problem: `an amount is a quoted text with or without a unit; write "${value}" for wei or "${value} ether"`,
    };
  }
  const match = typeof value === 'string' && value.length <= MAX_LENGTH ? AMOUNT.exec(value) : null;
  if (match === null) {
    return {
      problem: 'is not an amount; write wei as "123", or a number, one space and a unit as in "0.5 ether"',
    };
  }
  const [, whole = '0', fraction = '', unit] = match;
  const decimals = DECIMALS.get(unit ?? 'wei');
  if (decimals === undefined) {
    return {
      problem: `"${unit}" is not a unit of this version, which knows wei, gwei and ether; tokens are not supported by this version`,
    };
  }
  if (unit === undefined && fraction !== '') {
    return { problem: `has decimals but no unit; write "${whole}.${fraction} ether"` };
  }
  if (fraction.length > decimals) {
    return { problem: `has ${fraction.length} decimals and ${unit} has ${decimals}; remove the excess` };
  }
  return bounded(BigInt(whole + fraction.padEnd(decimals, '0')));
}

/** A count or an identifier, without unit: a safe JSON integer or its decimal digits as text. */
export function parseInteger(value: JsonValue): Parsed {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return { value: BigInt(value) };
  if (typeof value === 'string' && value.length <= MAX_LENGTH && INTEGER.test(value))
    return bounded(BigInt(value));
  return {
    problem: 'is not a whole number from 0; write decimal digits without unit, sign or leading zeros',
  };
}

function bounded(value: bigint): Parsed {
  return value <= MAX_UINT256
    ? { value }
    : { problem: 'is more than a uint256 can hold; write a smaller number' };
}
