import { z } from 'zod';
import type { Caller } from '../../access/credentials.ts';
import { KEY_VERSION_STATES } from '../../keystore/life-cycle.ts';
import { scheduleSchema, toSchedule } from '../../rotation/schedule.ts';
import { keyToJson } from '../../signer/directory.ts';
import { route, type Route } from '../route.ts';
import type { Service } from '../service.ts';
import { keyShape, newKeySchema } from '../key-shapes.ts';
import { limitSchema, nameSchema, pageOf } from '../shapes.ts';

const tag = 'Keys';

const nameParams = z.strictObject({ name: nameSchema });

export function keyRoutes({ keys, rotations }: Service): Route[] {
  return [
    route(
      {
        method: 'POST',
        path: '/v1/keys',
        tag,
        summary: 'Create a key',
        description:
          'The key pair is made inside the signer process; its private half never leaves it unsealed.',
        access: ['admin'],
        body: newKeySchema.extend({
          rotation: scheduleSchema.optional().meta({ description: 'When it is rotated by itself.' }),
        }),
        answer: { status: 201, description: 'The key.', schema: keyShape },
      },
      async ({ body: { rotation: asked, ...body } }, { act }) => {
        const rotation = asked && toSchedule(asked);
        rotations.schedules.check(rotation);
        return keyToJson(await keys.create(act, { ...body, rotation }), { canary: true });
      },
    ),
    route(
      {
        method: 'GET',
        path: '/v1/keys',
        tag,
        summary: 'List keys',
        access: 'authenticated',
        query: z.strictObject({
          limit: limitSchema,
          cursor: z.string().max(64).default(''),
          tag: nameSchema.optional(),
          state: z.enum(KEY_VERSION_STATES).optional(),
          address: z
            .string()
            .regex(/^0x[0-9a-fA-F]{40}$/, 'must be an address')
            .optional(),
        }),
        answer: { status: 200, description: 'Keys in the order of their names.', schema: pageOf(keyShape) },
      },
      ({ query: { limit, cursor, ...filter } }, { caller }) => {
        const page = keys.directory.list(filter, cursor, limit + 1);
        const items = page.slice(0, limit);
        return {
          items: items.map((key) => keyToJson(key, shownTo(caller))),
          nextCursor: page.length > limit ? (items.at(-1)?.name ?? null) : null,
        };
      },
    ),
    route(
      {
        method: 'GET',
        path: '/v1/keys/{name}',
        tag,
        summary: 'One key',
        access: 'authenticated',
        params: nameParams,
        answer: { status: 200, description: 'The key.', schema: keyShape },
      },
      ({ params: { name } }, { caller }) => keyToJson(keys.get(name), shownTo(caller)),
    ),
  ];
}

function shownTo({ principal: { roles } }: Caller): { readonly canary: boolean } {
  return { canary: roles.includes('admin') || roles.includes('auditor') };
}
