import { z } from 'zod';
import type { Key, RotationSchedule } from '../keystore/keys.ts';
import { DAYS, type TimeWindow } from '../policy/model.ts';
import { isOpen, isTimeZone } from '../policy/windows.ts';
import { versionOf } from '../signer/directory.ts';
import { planSchema, type RotationPlan } from './plan.ts';
import { isOver, type Rotation } from './rotation.ts';
import { planToJson } from './view.ts';

const DAY_MS = 86_400_000;
const TIME_OF_DAY = /^(?:[01][0-9]|2[0-3]):[0-5][0-9]$/;

const windowSchema = z
  .strictObject({
    tz: z
      .string()
      .refine(isTimeZone, 'must be an IANA name such as Europe/Zurich, or UTC')
      .default('UTC')
      .meta({ description: 'An IANA time zone.' }),
    days: z
      .array(z.enum(DAYS))
      .min(1)
      .default([...DAYS])
      .meta({ description: 'On which it opens.' }),
    from: z.string().regex(TIME_OF_DAY, 'must be a time of day, HH:MM'),
    to: z
      .string()
      .refine((text) => text === '24:00' || TIME_OF_DAY.test(text), 'must be a time of day, HH:MM')
      .meta({ description: 'Of the next day, where it is not later than `from`.' }),
  })
  .refine(({ from, to }) => from !== to, { path: ['to'], message: 'must not be `from`' });

/** When a key is rotated unasked, and how. */
export const scheduleSchema = z.strictObject({
  everyDays: z.int().min(1).max(3_650),
  window: windowSchema
    .optional()
    .meta({ description: 'When it may begin; at any time when absent. What has begun goes on by its plan.' }),
  plan: planSchema
    .extend({ destroyAfterDays: planSchema.shape.destroyAfterDays.unwrap().default(null) })
    .optional()
    .meta({
      description:
        'As of a rotation that is asked for, but that the old version is kept unless this says otherwise.',
    }),
});

/** A schedule as it is kept. */
export function toSchedule({ everyDays, window, plan }: z.output<typeof scheduleSchema>): RotationSchedule {
  return {
    everyDays,
    ...(window !== undefined && { window }),
    ...(plan !== undefined && { plan: planToJson(plan) }),
  };
}

/** Nobody looks at what is still there on the old address: so it is not destroyed. */
const UNATTENDED_PLAN: RotationPlan = { ...planSchema.parse({}), destroyAfterDays: null };

export function planOf({ plan }: RotationSchedule): RotationPlan {
  return plan === undefined ? UNATTENDED_PLAN : (scheduleSchema.shape.plan.parse(plan) ?? UNATTENDED_PLAN);
}

/**
 * Whether a key with a schedule is to be rotated now. Days are counted from when its primary was made, or from the end
 * of its newest rotation, where that is later: one that was aborted is not begun again at once.
 *
 * @param newest the newest rotation of the key.
 * @param now milliseconds since 1970.
 */
export function isDue(key: Key, newest: Rotation | undefined, now: number): boolean {
  const { rotation: schedule } = key;
  if (schedule === undefined || (newest !== undefined && !isOver(newest))) return false;
  return now >= nextAt(key, schedule, newest) && isInside(schedule, now);
}

export function nextAt(key: Key, { everyDays }: RotationSchedule, newest: Rotation | undefined): number {
  const made = Date.parse(versionOf(key, key.primary).createdAt);
  const ended = newest === undefined ? 0 : Date.parse(newest.since);
  return Math.max(made, ended) + everyDays * DAY_MS;
}

function isInside({ window }: RotationSchedule, now: number): boolean {
  if (window === undefined) return true;
  const { tz, days, from, to } = window;
  const open: TimeWindow = {
    tz,
    days: new Set(DAYS.filter((day) => days.includes(day))),
    from: minutes(from),
    to: minutes(to),
  };
  return isOpen(open, now);
}

function minutes(time: string): number {
  const [hours = '0', rest = '0'] = time.split(':');
  return 60 * Number(hours) + Number(rest);
}
