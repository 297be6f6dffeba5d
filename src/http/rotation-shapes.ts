import { z } from 'zod';
import { planSchema, WAIT_PLACES } from '../rotation/plan.ts';
import { ROTATION_STATES, ROTATION_STEPS } from '../rotation/rotation.ts';
import { reasonSchema, time } from './shapes.ts';

/** Shapes of rotations, of what comes in and what goes out. */

const version = z.strictObject({ version: z.int(), address: z.string() });
const mode = z.enum(['normal', 'emergency']);

export const rotationStepSchema = z.enum(ROTATION_STEPS);

export const rotationStartSchema = z
  .strictObject({
    mode: mode.default('normal').meta({ description: '`emergency`: nothing is waited for.' }),
    plan: planSchema.optional().meta({ description: 'Not of an emergency.' }),
    reason: reasonSchema.optional().meta({ description: 'Of an emergency, and of nothing else: why.' }),
    dryRun: z.boolean().default(false).meta({ description: 'Show what would happen, and do nothing.' }),
  })
  .superRefine(({ mode, plan, reason }, context) => {
    const add = (path: string, message: string): void =>
      context.addIssue({ code: 'custom', path: [path], message });
    if (mode === 'emergency' && reason === undefined) add('reason', 'is required for an emergency');
    if (mode === 'emergency' && plan !== undefined)
      add('plan', 'is not for an emergency, which waits for nothing');
    if (mode === 'normal' && reason !== undefined) add('reason', 'is for an emergency');
  });

/** As it goes out: with every default. */
const planShape = z.strictObject({
  overlap: z.string(),
  drain: z.string(),
  destroyAfterDays: z.int().nullable(),
  waits: z.array(
    z.looseObject({
      type: z.enum(['person', 'time', 'webhook', 'condition']),
      before: z.enum(WAIT_PLACES),
    }),
  ),
});

export const rotationShape = z.strictObject({
  id: z.uuid(),
  key: z.string(),
  mode,
  state: z.enum(ROTATION_STATES),
  reason: z.string().optional().meta({ description: 'Of an emergency.' }),
  old: version,
  new: version.nullable().meta({ description: 'Null until it is made.' }),
  startedBy: z.string().nullable().meta({ description: 'Null: the schedule of the key.' }),
  createdAt: time,
  since: time.meta({ description: 'When it came into its state.' }),
  plan: planShape,
  steps: z.array(
    z.strictObject({
      step: z.enum([...ROTATION_STEPS, 'abort']),
      time,
      by: z.string().optional().meta({ description: 'Absent where it came by itself.' }),
    }),
  ),
  next: z
    .strictObject({
      step: rotationStepSchema,
      due: time.meta({ description: 'When it comes, if nothing else is waited for.' }),
      waits: z.array(
        z.strictObject({
          type: z.enum(['person', 'webhook', 'condition']),
          for: z.string(),
          timeoutAt: time,
          onTimeout: z.enum(['stay', 'abort']),
          overdue: z.boolean(),
        }),
      ),
    })
    .nullable(),
  abort: z.string().nullable().meta({ description: 'What an abort undoes now.' }),
  holdup: z
    .string()
    .optional()
    .meta({ description: 'Why the next step is not taken although its time has come.' }),
  note: z.string().optional(),
});

export const rotationPreviewShape = z.strictObject({
  key: z.string(),
  mode,
  old: version,
  new: z.strictObject({
    version: z.int(),
    address: z.null().meta({ description: 'Not known before it is made.' }),
  }),
  plan: planShape,
  steps: z.array(
    z.strictObject({
      step: rotationStepSchema,
      from: time.meta({ description: 'The earliest time.' }),
      waits: z.array(z.string()),
      abort: z.string().meta({ description: 'What an abort before this step undoes.' }),
    }),
  ),
  policy: z
    .strictObject({
      rules: z.array(
        z.strictObject({
          rule: z.string(),
          effect: z.enum(['allow', 'deny', 'require']),
          by: z.enum(['name', 'tag', '*']),
          draining: z.boolean(),
          operations: z.array(z.string()),
        }),
      ),
      groups: z.array(z.string()),
      limits: z.array(z.strictObject({ limit: z.string(), per: z.array(z.string()) })),
      breakGlass: z.boolean(),
      address: z.array(z.string()).meta({ description: 'Where the old address is written.' }),
    })
    .nullable()
    .meta({ description: 'What the policy in force says of the key; null while there is none.' }),
  requests: z
    .array(
      z.strictObject({
        id: z.uuid(),
        status: z.enum(['pending', 'approved']),
        operation: z.string(),
        requester: z.string(),
        expiresAt: time,
      }),
    )
    .meta({ description: 'Requests for approval that are bound to the old version.' }),
  limits: z
    .array(z.strictObject({ limit: z.string(), scope: z.string(), used: z.string(), max: z.string() }))
    .meta({ description: 'What the key has taken from limits by key: the new version goes on from there.' }),
  nonces: z.array(z.strictObject({ chainId: z.string(), nonce: z.string() })).meta({
    description: 'The highest nonce that the old version signed, by chain. The new one begins at 0.',
  }),
  warnings: z.array(z.string()),
});
