import { z } from 'zod';
import { parseDuration } from '../policy/duration.ts';
import { DESTRUCTION_DAYS } from '../signer/key-states.ts';

/** The steps that something may have to come before. */
export const WAIT_PLACES = ['generate', 'overlap', 'cutover', 'disable', 'destroy'] as const;
export type WaitPlace = (typeof WAIT_PLACES)[number];

const NONE = '0s';

const duration = z
  .string()
  .refine((text) => text === NONE || 'value' in parseDuration(text), {
    message: 'must be a duration such as "30m", "24h" or "7d", of at most 366 days; "0s" for none',
  })
  .meta({ description: 'A duration such as `30m`, `24h` or `7d`.', examples: ['24h'] });
const time = z.iso.datetime().transform((text) => new Date(text).toISOString());
const name = z.string().regex(/^[a-z0-9][a-z0-9-]{0,30}$/, 'must be 1 to 31 of a-z, 0-9 and "-"');

/** Of what may never come. */
const patience = {
  timeout: duration.default('7d').meta({ description: 'From when the step could come otherwise.' }),
  onTimeout: z
    .enum(['stay', 'abort'])
    .default('stay')
    .meta({ description: 'What happens then: stay as it is and raise an alert, or abort the rotation.' }),
};
const before = z.enum(WAIT_PLACES).meta({ description: 'The step that comes after it.' });

const waitSchema = z
  .discriminatedUnion('type', [
    z.strictObject({
      type: z.literal('person'),
      before,
      notStarter: z
        .boolean()
        .default(false)
        .meta({ description: 'Whoever started the rotation may not be the one.' }),
      ...patience,
    }),
    z.strictObject({
      type: z.literal('time'),
      before,
      until: time.optional(),
      for: duration.optional().meta({ description: 'From the step before it.' }),
    }),
    z.strictObject({
      type: z.literal('webhook'),
      before,
      webhook: name.meta({ description: 'One of the configuration, under `rotation.webhooks`.' }),
      ...patience,
    }),
    z.strictObject({ type: z.literal('condition'), before, condition: name, ...patience }),
  ])
  .superRefine((wait, context) => {
    if (wait.type === 'time' && (wait.until === undefined) === (wait.for === undefined))
      context.addIssue({ code: 'custom', path: ['until'], message: 'or `for`: give one of the two' });
    if (wait.type !== 'time' && wait.onTimeout === 'abort' && wait.before === 'destroy')
      context.addIssue({
        code: 'custom',
        path: ['onTimeout'],
        message: 'must be stay: once the old version is disabled, a rotation is not aborted any more',
      });
  });

const MAX_WAITS = 16;
/** What a rotation is to do, as it is asked for. */
export const planSchema = z.strictObject({
  overlap: duration.default('24h').meta({ description: 'How long both versions sign before the cutover.' }),
  drain: duration
    .default('7d')
    .meta({ description: 'How long the old version still signs what rules with `draining: true` allow.' }),
  destroyAfterDays: z
    .int()
    .min(DESTRUCTION_DAYS.least)
    .max(DESTRUCTION_DAYS.most)
    .nullable()
    .default(DESTRUCTION_DAYS.usual)
    .meta({ description: 'From when the old version is disabled; null keeps it, disabled.' }),
  waits: z.array(waitSchema).max(MAX_WAITS).default([]),
});

export type RotationPlan = Readonly<z.output<typeof planSchema>>;
export type Wait = RotationPlan['waits'][number];
/** A wait for something that may never come. */
export type OutsideWait = Exclude<Wait, { readonly type: 'time' }>;

/** Nothing is waited for. The old version is compromised and stays so: whether it is destroyed is decided later. */
export const EMERGENCY_PLAN: RotationPlan = { overlap: NONE, drain: NONE, destroyAfterDays: null, waits: [] };

/** Milliseconds of a duration that was checked. */
export function milliseconds(text: string): number {
  const parsed = text === NONE ? { value: 0 } : parseDuration(text);
  if ('value' in parsed) return parsed.value;
  throw new RangeError(`"${text}" ${parsed.problem}`);
}

/** How a wait is called in words: `the webhook "deploy"`. */
export function waitText(wait: Wait): string {
  switch (wait.type) {
    case 'person':
      return wait.notStarter ? 'a person who did not start it' : 'a person';
    case 'webhook':
      return `the webhook "${wait.webhook}"`;
    case 'condition':
      return `the condition "${wait.condition}"`;
    case 'time':
    default:
      return wait.until === undefined ? `${wait.for ?? NONE} to pass` : `the time ${wait.until}`;
  }
}
