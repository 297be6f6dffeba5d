import { DAYS, type Day, type TimeWindow } from './model.ts';

const MINUTE = 60_000;

/** `Area/Location`, whose offset follows the law of the place. Abbreviations and fixed offsets mislead: EST, Etc/GMT+5. */
const AREA_AND_LOCATION = /^(?!Etc\/)[A-Z][A-Za-z_]*(?:\/[A-Z][A-Za-z0-9_-]*){1,2}$/;

/** The time that the clocks of a zone show. */
interface WallClock {
  readonly day: number;
  /** From midnight. */
  readonly minutes: number;
}

/** The last minute that was asked for, since most requests of a minute ask for the same. */
interface Zone {
  readonly format: Intl.DateTimeFormat;
  minute: number;
  clock: WallClock;
}

/** By name. Few: the names are in policies, and there are some hundreds in all. */
const zones = new Map<string, Zone>();

/** Whether it is a zone of the IANA time zone database by area and location, or `UTC`. */
export function isTimeZone(name: string): boolean {
  if (name === 'UTC') return true;
  if (!AREA_AND_LOCATION.test(name)) return false;
  try {
    return formatOf(name).resolvedOptions().timeZone !== '';
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

/**
 * Whether the clocks of the window's zone show a time inside it. Where clocks are set back, an hour that comes twice is
 * inside both times; where they are set forward, what they skip never comes.
 * @param now Milliseconds since 1970.
 * @throws RangeError if there is no such zone, or `now` is no time.
 */
export function isOpen(window: TimeWindow, now: number): boolean {
  const { days, from, to } = window;
  const { day, minutes } = clockOf(window.tz, now);
  if (to > from) return minutes >= from && minutes < to && has(days, day);
  return (minutes >= from && has(days, day)) || (minutes < to && has(days, day + 6));
}

function has(days: ReadonlySet<Day>, day: number): boolean {
  const name = DAYS[day % 7];
  return name !== undefined && days.has(name);
}

/** Since 1972, every zone's offset is of whole minutes, so that a minute has one answer. */
function clockOf(tz: string, now: number): WallClock {
  const minute = Math.floor(now / MINUTE);
  const known = zones.get(tz);
  if (known?.minute === minute) return known.clock;
  const format = known?.format ?? formatOf(tz);
  const clock = readClock(format, now);
  if (known === undefined) zones.set(tz, { format, minute, clock });
  else Object.assign(known, { minute, clock });
  return clock;
}

function formatOf(tz: string): Intl.DateTimeFormat {
  return new Intl.DateTimeFormat('en-US', {
    timeZone: tz,
    calendar: 'gregory',
    numberingSystem: 'latn',
    hourCycle: 'h23',
    weekday: 'short',
    hour: '2-digit',
    minute: '2-digit',
  });
}

function readClock(format: Intl.DateTimeFormat, now: number): WallClock {
  const parts = new Map(format.formatToParts(now).map(({ type, value }) => [type, value]));
  const weekday = parts.get('weekday')?.toLowerCase();
  return {
    day: DAYS.findIndex((day) => day === weekday),
    minutes: 60 * Number(parts.get('hour')) + Number(parts.get('minute')),
  };
}
