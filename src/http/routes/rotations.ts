import { z } from 'zod';
import { planSchema } from '../../rotation/plan.ts';
import { ROTATION_STATES } from '../../rotation/rotation.ts';
import { scheduleSchema, toSchedule } from '../../rotation/schedule.ts';
import { keyToJson } from '../../signer/directory.ts';
import { route, type Route } from '../route.ts';
import {
  rotationPreviewShape,
  rotationShape,
  rotationStartSchema,
  rotationStepSchema,
} from '../rotation-shapes.ts';
import type { Service } from '../service.ts';
import { keyShape } from '../key-shapes.ts';
import { limitSchema, nameSchema, pageOf, reasonSchema } from '../shapes.ts';

const tag = 'Rotations';

const idParams = z.strictObject({ id: z.uuid() });
const nameParams = z.strictObject({ name: nameSchema });
const oneRotation = { status: 200, description: 'The rotation.', schema: rotationShape } as const;

const PLANNED = 200;
const STARTED = 201;

export function rotationRoutes({ rotations: { rotations, schedules } }: Pick<Service, 'rotations'>): Route[] {
  return [
    route(
      {
        method: 'POST',
        path: '/v1/keys/{name}/rotations',
        tag,
        summary: 'Rotate a key',
        description:
          'Gives the key a new version, in steps: generate, overlap (both sign), cutover (the new one is the primary), drain, disable, destroy. `dryRun` shows what would happen, and does nothing. With mode `emergency` the primary is compromised at once, and replaced without waiting for anything.',
        access: ['admin'],
        params: nameParams,
        body: rotationStartSchema,
        answer: { status: STARTED, description: 'The rotation as it was planned.', schema: rotationShape },
        alsoAnswers: {
          [PLANNED]: { description: 'Of a `dryRun`: what would happen.', schema: rotationPreviewShape },
        },
        statusOf: (answer) => ('id' in answer ? STARTED : PLANNED),
      },
      async ({ params: { name }, body }, { act, caller: { principal } }) => {
        const starter = { id: principal.id, name: principal.name };
        if (body.mode === 'emergency') {
          return body.dryRun
            ? rotations.preview(name, 'emergency')
            : await rotations.startEmergency(act, name, body.reason ?? '', starter);
        }
        const plan = body.plan ?? planSchema.parse({});
        return body.dryRun ? rotations.preview(name, plan) : await rotations.start(act, name, plan, starter);
      },
    ),
    route(
      {
        method: 'GET',
        path: '/v1/rotations',
        tag,
        summary: 'List rotations',
        description: 'Newest first.',
        access: ['admin', 'operator', 'auditor'],
        query: z.strictObject({
          key: nameSchema.optional(),
          state: z.enum(ROTATION_STATES).optional(),
          limit: limitSchema,
          cursor: z.uuid().optional(),
        }),
        answer: { status: 200, description: 'A page.', schema: pageOf(rotationShape) },
      },
      ({ query: { key: keyName, state, limit, cursor: before } }) =>
        rotations.list({ keyName, state, limit, before }),
    ),
    route(
      {
        method: 'GET',
        path: '/v1/rotations/{id}',
        tag,
        summary: 'One rotation',
        access: ['admin', 'operator', 'auditor'],
        params: idParams,
        answer: oneRotation,
      },
      ({ params: { id } }) => rotations.get(id),
    ),
    route(
      {
        method: 'POST',
        path: '/v1/rotations/{id}/advance',
        tag,
        summary: 'Let the next step come',
        description:
          'For a step that waits for a person. Where nothing else is waited for, it is taken at once; times of the plan are never skipped.',
        access: ['operator'],
        params: idParams,
        body: z.strictObject({
          step: rotationStepSchema
            .optional()
            .meta({ description: 'The step that is meant: a conflict when another one comes next.' }),
        }),
        answer: oneRotation,
      },
      async ({ params: { id }, body: { step } }, { act, caller: { principal } }) =>
        await rotations.advance(act, id, { step, by: principal }),
    ),
    route(
      {
        method: 'POST',
        path: '/v1/rotations/{id}/abort',
        tag,
        summary: 'Abort a rotation',
        description:
          'Undoes what was done, as its member `abort` says. A conflict once the old version has been disabled: that cannot be undone.',
        access: ['operator'],
        params: idParams,
        body: z.strictObject({ reason: reasonSchema }),
        answer: oneRotation,
      },
      async ({ params: { id }, body: { reason } }, { act, caller: { principal } }) =>
        await rotations.abort(act, id, reason, principal),
    ),
    route(
      {
        method: 'POST',
        path: '/v1/keys/{name}/rotation-schedule',
        tag,
        summary: 'Rotate a key regularly',
        description: 'Takes the place of the schedule that the key has; null ends it.',
        access: ['admin'],
        params: nameParams,
        body: z.strictObject({ rotation: scheduleSchema.nullable() }),
        answer: { status: 200, description: 'The key.', schema: keyShape },
      },
      async ({ params: { name }, body: { rotation } }, { act }) =>
        keyToJson(await schedules.set(act, name, rotation === null ? undefined : toSchedule(rotation))),
    ),
  ];
}
