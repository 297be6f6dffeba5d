import type { JsonValue } from '../jcs.ts';
import { parseDuration } from './duration.ts';
import type { Path, Problems } from './read.ts';

const TIME =
  /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:\.\d{1,3})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;
const TIME_OF_DAY = /^([01]\d|2[0-4]):([0-5]\d)$/;

/** A duration such as `"15m"`, longer than none, in milliseconds. */
export function readDuration(
  value: JsonValue | undefined,
  path: Path,
  problems: Problems,
): number | undefined {
  const parsed = parseDuration(value ?? null);
  if ('value' in parsed) return parsed.value;
  problems.add(path, parsed.problem);
  return undefined;
}

/** A date and time with its zone (RFC 3339), in milliseconds since 1970. */
export function readTime(value: JsonValue | undefined, path: Path, problems: Problems): number | undefined {
  const match = typeof value === 'string' ? TIME.exec(value) : null;
  if (match !== null) {
    const [text, year = '', month = '', day = '', hour = '', minute = '', second = ''] = match;
    // Date.parse takes the 30th of February for the 2nd of March.
    const local = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
    const exists = !Number.isNaN(local.getTime()) && local.toISOString().startsWith(text.slice(0, 19));
    if (exists) return Date.parse(text);
  }
  const example =
    'a date and time with its zone, as in "2027-01-31T00:00:00Z" or "2027-01-31T09:00:00+01:00"';
  problems.add(path, `is not a time; write ${example}`);
  return undefined;
}

/** `"HH:MM"`, in minutes from midnight, at most `most`. */
export function readTimeOfDay(
  value: JsonValue | undefined,
  path: Path,
  problems: Problems,
  most: number,
): number | undefined {
  const match = typeof value === 'string' ? TIME_OF_DAY.exec(value) : null;
  const minutes = match === null ? Infinity : Number(match[1]) * 60 + Number(match[2]);
  if (minutes <= most) return minutes;
  const last = most % 60 === 0 ? '24:00' : '23:59';
  problems.add(
    path,
    `is not a time of day; write hours and minutes from "00:00" to "${last}", with the zeros`,
  );
  return undefined;
}
