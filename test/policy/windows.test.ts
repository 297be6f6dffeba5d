import * as fc from 'fast-check';
import { afterEach, describe, expect, it, test, vi } from 'vitest';
import { DAYS, type Day, type TimeWindow } from '../../src/policy/model.ts';
import { isOpen, isTimeZone } from '../../src/policy/windows.ts';

const SEED = Number(process.env['COUNTERSIGN_TEST_SEED'] ?? 20_260_101);

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** `07:00` as minutes. */
function minutesOf(time: string): number {
  const [hours = '', minutes = ''] = time.split(':');
  return 60 * Number(hours) + Number(minutes);
}

function windowOf(tz: string, days: readonly Day[], from: string, to: string): TimeWindow {
  return { tz, days: new Set(days), from: minutesOf(from), to: minutesOf(to) };
}

const at = (time: string) => Date.parse(time);

describe('isOpen', () => {
  const WORK = windowOf('Europe/Zurich', ['mon', 'tue', 'wed', 'thu', 'fri'], '07:00', '19:00');
  const NIGHT = windowOf('UTC', ['fri'], '22:00', '06:00');
  const WHOLE = windowOf('UTC', ['sun'], '00:00', '24:00');
  const ROUND = windowOf('UTC', ['sun'], '09:00', '09:00');
  // 2026: Zurich is at +1 to March 29 01:00 UTC, at +2 to October 25 01:00 UTC.
  const SKIPPED = windowOf('Europe/Zurich', ['sun'], '02:00', '03:00');
  const ACROSS = windowOf('Europe/Zurich', ['sun'], '01:30', '03:30');
  // 2026: New York is at -5 to March 8 07:00 UTC, at -4 to November 1 06:00 UTC.
  const TWICE = windowOf('America/New_York', ['sun'], '01:00', '02:00');
  const EVENING = windowOf('America/New_York', ['sat'], '23:00', '02:30');

  test.each<[string, TimeWindow, string, boolean]>([
    ['winter, a minute early', WORK, '2026-11-20T05:59:59.999Z', false],
    ['winter, the first moment', WORK, '2026-11-20T06:00:00Z', true],
    ['winter, the last moment', WORK, '2026-11-20T17:59:59.999Z', true],
    ['winter, the end', WORK, '2026-11-20T18:00:00Z', false],
    ['summer, the first moment', WORK, '2026-07-20T05:00:00Z', true],
    ['summer, the end', WORK, '2026-07-20T17:00:00Z', false],
    ['Saturday', WORK, '2026-11-21T10:00:00Z', false],
    ['the Monday after the clocks went forward', WORK, '2026-03-30T05:00:00Z', true],
    ['the Friday before', WORK, '2026-03-27T05:00:00Z', false],
    ['overnight, before', NIGHT, '2026-11-20T21:59:00Z', false],
    ['overnight, Friday', NIGHT, '2026-11-20T22:00:00Z', true],
    ['overnight, Saturday', NIGHT, '2026-11-21T05:59:00Z', true],
    ['overnight, the end', NIGHT, '2026-11-21T06:00:00Z', false],
    ['overnight, Friday morning is Thursday’s', NIGHT, '2026-11-20T05:00:00Z', false],
    ['overnight, Saturday evening', NIGHT, '2026-11-21T22:00:00Z', false],
    ['a whole day, its beginning', WHOLE, '2026-11-22T00:00:00Z', true],
    ['a whole day, its last moment', WHOLE, '2026-11-22T23:59:59.999Z', true],
    ['a whole day, the next', WHOLE, '2026-11-23T00:00:00Z', false],
    ['around the clock, before', ROUND, '2026-11-22T08:59:00Z', false],
    ['around the clock, Sunday', ROUND, '2026-11-22T09:00:00Z', true],
    ['around the clock, Monday', ROUND, '2026-11-23T08:59:00Z', true],
    ['around the clock, the end', ROUND, '2026-11-23T09:00:00Z', false],
    ['before a skipped hour', SKIPPED, '2026-03-29T00:59:59Z', false],
    ['after a skipped hour', SKIPPED, '2026-03-29T01:00:00Z', false],
    ['the same hour a week before', SKIPPED, '2026-03-22T01:00:00Z', true],
    ['across a skipped hour, before it', ACROSS, '2026-03-29T00:30:00Z', true],
    ['across a skipped hour, behind it', ACROSS, '2026-03-29T01:29:00Z', true],
    ['across a skipped hour, the end', ACROSS, '2026-03-29T01:30:00Z', false],
    ['across a repeated hour, the beginning', ACROSS, '2026-10-24T23:30:00Z', true],
    ['across a repeated hour, the first time', ACROSS, '2026-10-25T00:30:00Z', true],
    ['across a repeated hour, the second time', ACROSS, '2026-10-25T01:30:00Z', true],
    ['across a repeated hour, the end', ACROSS, '2026-10-25T02:30:00Z', false],
    ['a repeated hour, before', TWICE, '2026-11-01T04:59:00Z', false],
    ['a repeated hour, the first time', TWICE, '2026-11-01T05:00:00Z', true],
    ['a repeated hour, the second time', TWICE, '2026-11-01T06:59:00Z', true],
    ['a repeated hour, the end', TWICE, '2026-11-01T07:00:00Z', false],
    ['overnight into summer, before the skipped hour', EVENING, '2026-03-08T06:59:00Z', true],
    ['overnight into summer, 03:00 follows 01:59', EVENING, '2026-03-08T07:00:00Z', false],
    ['overnight into winter, the last minute', EVENING, '2026-11-01T07:29:00Z', true],
    ['overnight into winter, the end', EVENING, '2026-11-01T07:30:00Z', false],
    [
      'a date of the next day in the east',
      windowOf('Pacific/Kiritimati', ['sat'], '00:00', '01:00'),
      '2026-11-20T10:30:00Z',
      true,
    ],
    [
      'a zone of 45 minutes',
      windowOf('Asia/Kathmandu', ['fri'], '15:45', '15:46'),
      '2026-11-20T10:00:00Z',
      true,
    ],
    ['no day', windowOf('UTC', [], '00:00', '24:00'), '2026-11-20T10:00:00Z', false],
  ])('%s', (_name, window, time, expected) => {
    expect(isOpen(window, at(time))).toBe(expected);
  });

  it('refuses what is no zone or no time', () => {
    expect(() => isOpen(windowOf('Mars/Olympus', ['mon'], '00:00', '24:00'), 0)).toThrow(RangeError);
    expect(() => isOpen(WORK, Number.NaN)).toThrow(RangeError);
  });
});

/** Day of the month, from 1, of the `nth` Sunday; the last one is -1. */
function sunday(year: number, month: number, nth: number): number {
  const last = new Date(Date.UTC(year, month, 0)).getUTCDate();
  const sundays = Array.from({ length: last }, (_, index) => index + 1).filter(
    (day) => new Date(Date.UTC(year, month - 1, day)).getUTCDay() === 0,
  );
  return sundays.at(nth) ?? 0;
}

/** Hours from UTC by the law of the place, not by a table: EU since 1996, United States since 2007. */
const OFFSETS: Readonly<Record<string, (now: number) => number>> = {
  UTC: () => 0,
  'Europe/Zurich': (now) => {
    const year = new Date(now).getUTCFullYear();
    const begin = Date.UTC(year, 2, sunday(year, 3, -1), 1);
    const end = Date.UTC(year, 9, sunday(year, 10, -1), 1);
    return now >= begin && now < end ? 2 : 1;
  },
  'America/New_York': (now) => {
    const year = new Date(now).getUTCFullYear();
    const begin = Date.UTC(year, 2, sunday(year, 3, 1), 2 + 5);
    const end = Date.UTC(year, 10, sunday(year, 11, 0), 2 + 4);
    return now >= begin && now < end ? -4 : -5;
  },
};

/** Looks for a day, today's or yesterday's, on which a window began that lasts still. */
function isOpenByLaw(window: TimeWindow, now: number): boolean {
  const local = new Date(now + (OFFSETS[window.tz]?.(now) ?? NaN) * HOUR);
  const sinceMidnight = local.getTime() - Math.floor(local.getTime() / DAY) * DAY;
  const end = window.to > window.from ? window.to : window.to + 24 * 60;
  return [0, 1].some((daysAgo) => {
    const name = DAYS[(local.getUTCDay() + 6 - daysAgo) % 7];
    const time = sinceMidnight + daysAgo * DAY;
    return name !== undefined && window.days.has(name) && time >= window.from * MINUTE && time < end * MINUTE;
  });
}

describe('against the law of summer time', () => {
  const CHANGES = [2008, 2026, 2027, 2036].flatMap((year) => [
    Date.UTC(year, 2, sunday(year, 3, -1), 1),
    Date.UTC(year, 9, sunday(year, 10, -1), 1),
    Date.UTC(year, 2, sunday(year, 3, 1), 7),
    Date.UTC(year, 10, sunday(year, 11, 0), 6),
  ]);
  const arbitraryWindow = fc.record({
    tz: fc.constantFrom(...Object.keys(OFFSETS)),
    days: fc.subarray([...DAYS]).map((days) => new Set(days)),
    from: fc.nat(1439),
    to: fc.nat(1440),
  });
  const nearChange = fc
    .tuple(fc.constantFrom(...CHANGES), fc.integer({ min: -2 * DAY, max: 2 * DAY }))
    .map(([change, distance]) => change + distance);
  const arbitraryTime = fc.oneof(nearChange, fc.integer({ min: at('2008-01-01'), max: at('2037-12-31') }));

  it('gives the same for random windows and times', () => {
    const outcomes = { open: 0, shut: 0 };
    fc.assert(
      fc.property(arbitraryWindow, arbitraryTime, (window, now) => {
        const expected = isOpenByLaw(window, now);
        outcomes[expected ? 'open' : 'shut'] += 1;
        expect(isOpen(window, now)).toBe(expected);
      }),
      { numRuns: 10_000, seed: SEED },
    );
    expect(outcomes.open).toBeGreaterThan(1_000);
    expect(outcomes.shut).toBeGreaterThan(1_000);
  });

  it('gives the same when time goes back and forth and zones take turns', () => {
    fc.assert(
      fc.property(
        arbitraryWindow,
        arbitraryTime,
        fc.array(fc.integer({ min: -120, max: 120 })),
        (window, start, steps) => {
          for (const [index, step] of steps.entries()) {
            const tz = Object.keys(OFFSETS)[index % 3] ?? '';
            const now = start + step * 1_000;
            expect(isOpen({ ...window, tz }, now)).toBe(isOpenByLaw({ ...window, tz }, now));
          }
        },
      ),
      { numRuns: 500, seed: SEED },
    );
  });
});

describe('the cost', () => {
  afterEach(() => vi.restoreAllMocks());

  it('asks for the wall clock once a minute and zone', () => {
    const read = vi.spyOn(Intl.DateTimeFormat.prototype, 'formatToParts');
    const start = at('2031-05-05T10:00:00Z');
    const window = windowOf('Europe/Zurich', ['mon'], '07:00', '19:00');
    for (let second = 0; second < 60; second += 1) isOpen(window, start + second * 1_000);
    expect(read).toHaveBeenCalledTimes(1);
    isOpen({ ...window, tz: 'UTC' }, start);
    isOpen(window, start);
    expect(read).toHaveBeenCalledTimes(2);
    isOpen(window, start + MINUTE);
    expect(read).toHaveBeenCalledTimes(3);
  });
});

describe('isTimeZone', () => {
  test.each([
    'UTC',
    'Europe/Zurich',
    'America/New_York',
    'America/Argentina/Buenos_Aires',
    'America/Port-au-Prince',
    'US/Eastern',
  ])('takes %s', (name) => {
    expect(isTimeZone(name)).toBe(true);
    expect(() => isOpen(windowOf(name, ['mon'], '00:00', '24:00'), 0)).not.toThrow();
  });

  it('takes every zone that there is, but for fixed offsets', () => {
    const refused = Intl.supportedValuesOf('timeZone').filter((name) => !isTimeZone(name));
    expect(refused.filter((name) => !name.startsWith('Etc/'))).toEqual([]);
  });

  test.each([
    '',
    '+01:00',
    '-0500',
    'UTC+1',
    'GMT',
    'EST',
    'CET',
    'Etc/GMT+5',
    'Etc/UTC',
    'utc',
    'europe/zurich',
    'Europe/Zurich ',
    'Europe/Olympus',
    'Europe/',
    '/Zurich',
    'Europe',
    'Zurich',
    'Europe/Zurich/../UTC',
    `Europe/${'a'.repeat(100_000)}`,
  ])('refuses %j', (name) => {
    expect(isTimeZone(name)).toBe(false);
  });
});
