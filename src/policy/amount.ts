import type { JsonValue } from '../jcs.ts';
import type { Token } from './model.ts';

/** Everything in a policy is a uint256; arithmetic is on bigint and never wraps. */
export const MAX_UINT256 = 2n ** 256n - 1n;

export type Parsed = { readonly value: bigint } | { readonly problem: string };

const ETHER_UNITS: ReadonlyMap<string, number> = new Map([
  ['wei', 0],
  ['gwei', 9],
  ['ether', 18],
]);

/** The units of wei, which no token may be named after. */
export const UNITS: readonly string[] = [...ETHER_UNITS.keys()];

/** 78 digits, a point and 36 decimals fit; what is longer is not worth a BigInt. */
const MAX_LENGTH = 200;

const AMOUNT = /^(0|[1-9][0-9]*)(?:\.([0-9]+))?(?: ([A-Za-z0-9._-]+))?$/;
const INTEGER = /^(0|[1-9][0-9]*)$/;
const SIGNED = /^(0|-?[1-9][0-9]*)$/;

/** An amount in wei: `"123"` is wei, `"0.5 ether"`, `"3 gwei"` and `"7 wei"` carry their unit. */
export function parseAmount(value: JsonValue): Parsed {
  return parseInUnits(value, ETHER_UNITS, {
    base: 'wei',
    example: '0.5 ether',
    unit: 'ether',
    known: 'units are wei, gwei and ether',
  });
}

/**
 * An amount of a token: `"123"` is in base units, and `"50000 usdc"` in whole tokens of the ERC-20 that the document
 * names `usdc`. No unit but its own, so that a slip cannot move the decimal point.
 */
export function parseTokenAmount(value: JsonValue, { name, standard, decimals }: Token): Parsed {
  if (standard !== 'erc20') {
    const parsed = typeof value === 'string' ? parseInteger(value) : undefined;
    if (parsed !== undefined && 'value' in parsed) return parsed;
    return { problem: `is not an amount of ${name}; an ${standard} has no unit: write whole digits as "1"` };
  }
  return parseInUnits(value, new Map([[name, decimals]]), {
    base: 'base units',
    example: `100 ${name}`,
    unit: name,
    known: `write ${name}, or base units without unit`,
  });
}

interface Wording {
  readonly base: string;
  readonly example: string;
  /** Proposed where the author wrote none. */
  readonly unit: string;
  readonly known: string;
}

function parseInUnits(
  value: JsonValue,
  units: ReadonlyMap<string, number>,
  { base, example, unit: usual, known }: Wording,
): Parsed {
  if (typeof value === 'number') {
    return {
      problem: `an amount is a quoted text with or without a unit; write "${value}" for ${base} or "${value} ${usual}"`,
    };
  }
  const match = typeof value === 'string' && value.length <= MAX_LENGTH ? AMOUNT.exec(value) : null;
  if (match === null) {
    return {
      problem: `is not an amount; write ${base} as "123", or a number, one space and a unit as in "${example}"`,
    };
  }
  const [, whole = '0', fraction = '', unit] = match;
  const decimals = unit === undefined ? 0 : units.get(unit);
  if (decimals === undefined) return { problem: `"${unit}" is not a unit here; ${known}` };
  if (unit === undefined && fraction !== '') {
    return { problem: `has decimals but no unit; write "${whole}.${fraction} ${usual}"` };
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

/** As `parseInteger`, from `min` to `max`, which may be below 0. */
export function parseWithin(value: JsonValue, type: string, min: bigint, max: bigint): Parsed {
  const isText = typeof value === 'string' && value.length <= MAX_LENGTH && SIGNED.test(value);
  if (!isText && !(typeof value === 'number' && Number.isSafeInteger(value))) {
    return { problem: `is not a whole number; write decimal digits without unit or leading zeros` };
  }
  const number = BigInt(value);
  return number >= min && number <= max
    ? { value: number }
    : { problem: `does not fit in ${type}; write a number from ${min} to ${max}` };
}

function bounded(value: bigint): Parsed {
  return value <= MAX_UINT256
    ? { value }
    : { problem: 'is more than a uint256 can hold; write a smaller number' };
}
