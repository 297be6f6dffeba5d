import { describe, expect, test } from 'vitest';
import type { Key, RotationSchedule } from '../../src/keystore/keys.ts';
import type { Rotation } from '../../src/rotation/rotation.ts';
import { isDue, scheduleSchema, toSchedule } from '../../src/rotation/schedule.ts';

const MADE = '2026-01-05T10:00:00.000Z';
const DAY = 86_400_000;
const at = (text: string): number => Date.parse(text);

function keyWith(rotation: RotationSchedule | undefined): Key {
  return {
    id: 'k',
    name: 'treasury',
    tags: [],
    createdAt: MADE,
    primary: 1,
    exportable: false,
    canary: false,
    versions: [
      {
        version: 1,
        address: '0x01',
        publicKey: '0x02',
        state: 'enabled',
        origin: 'generated',
        createdAt: MADE,
      },
    ],
    ...(rotation !== undefined && { rotation }),
  };
}

const every = (everyDays: number, window?: object): RotationSchedule =>
  toSchedule(scheduleSchema.parse({ everyDays, ...(window !== undefined && { window }) }));
const newest = (state: Rotation['state'], since: string): Rotation => ({ state, since }) as Rotation;

describe('a schedule', () => {
  test('is due that many days after the primary was made, and not a millisecond before', () => {
    const key = keyWith(every(30));
    expect(isDue(key, undefined, at(MADE) + 30 * DAY - 1)).toBe(false);
    expect(isDue(key, undefined, at(MADE) + 30 * DAY)).toBe(true);
    expect(isDue(keyWith(undefined), undefined, at(MADE) + 300 * DAY)).toBe(false);
  });

  test('counts from the end of the newest rotation, and waits for one that is under way', () => {
    const key = keyWith(every(30));
    const later = at(MADE) + 40 * DAY;
    expect(isDue(key, newest('overlap', MADE), later)).toBe(false);
    expect(isDue(key, newest('aborted', '2026-02-01T10:00:00.000Z'), later)).toBe(false);
    expect(isDue(key, newest('aborted', '2026-02-01T10:00:00.000Z'), at('2026-03-03T10:00:00.000Z'))).toBe(
      true,
    );
  });

  test.each([
    // 2026-02-09 is a Monday. Zurich is an hour ahead of UTC in February, and two in July.
    ['2026-02-09T07:59:59.999Z', false],
    ['2026-02-09T08:00:00.000Z', true],
    ['2026-02-09T15:59:59.999Z', true],
    ['2026-02-09T16:00:00.000Z', false],
    ['2026-02-11T09:00:00.000Z', false],
    ['2026-07-06T07:00:00.000Z', true],
    ['2026-07-06T15:30:00.000Z', false],
  ])('with a window begins inside it only: %s %s', (time, due) => {
    const window = { tz: 'Europe/Zurich', days: ['mon', 'tue'], from: '09:00', to: '17:00' };
    expect(isDue(keyWith(every(30, window)), undefined, at(time))).toBe(due);
  });

  test('with a window over midnight is open on the morning after', () => {
    const key = keyWith(every(30, { days: ['fri'], from: '22:00', to: '02:00' }));
    expect(isDue(key, undefined, at('2026-02-13T21:59:00.000Z'))).toBe(false);
    expect(isDue(key, undefined, at('2026-02-13T22:00:00.000Z'))).toBe(true);
    expect(isDue(key, undefined, at('2026-02-14T01:59:00.000Z'))).toBe(true);
    expect(isDue(key, undefined, at('2026-02-14T22:30:00.000Z'))).toBe(false);
  });
});
