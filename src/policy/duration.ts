import type { JsonValue } from '../jcs.ts';

/** Milliseconds, or what is wrong. */
export type ParsedDuration = { readonly value: number } | { readonly problem: string };

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
] as const;

const MAX_DAYS = 366;
const MAX_DURATION = MAX_DAYS * 86_400_000;
/** More digits than any number of seconds in `MAX_DURATION`. */
const MAX_LENGTH = 40;

const DURATION = /^(?:([1-9][0-9]*)d)?(?:([1-9][0-9]*)h)?(?:([1-9][0-9]*)m)?(?:([1-9][0-9]*)s)?$/;

/** A length of time: `"30s"`, `"5m"`, `"24h"`, `"7d"`, or together, the longest unit first: `"1h30m"`. */
export function parseDuration(value: JsonValue): ParsedDuration {
  const match =
    typeof value === 'string' && value !== '' && value.length <= MAX_LENGTH ? DURATION.exec(value) : null;
  if (match === null) {
    return {
      problem: 'is not a duration; write days, hours, minutes and seconds as in "7d", "24h" or "1h30m"',
    };
  }
  const duration = UNITS.reduce((sum, [, unit], index) => sum + Number(match[index + 1] ?? 0) * unit, 0);
  return duration <= MAX_DURATION
    ? { value: duration }
    : { problem: `is more than ${MAX_DAYS} days; write a shorter one` };
}

/** As `parseDuration` reads it; what is left of a second counts as one. Nothing or less is `0s`. */
export function formatDuration(milliseconds: number): string {
  let left = Math.ceil(milliseconds / 1000) * 1000;
  let text = '';
  for (const [sign, unit] of UNITS) {
    const count = Math.floor(left / unit);
    if (count <= 0) continue;
    text += `${count}${sign}`;
    left -= count * unit;
  }
  return text === '' ? '0s' : text;
}
