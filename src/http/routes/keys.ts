import { z } from 'zod';
import { invalidField } from '../../errors.ts';
import { KEY_VERSION_STATES } from '../../keystore/life-cycle.ts';
import { keyToJson } from '../../signer/directory.ts';
import type { ImportSource } from '../../signer/keys.ts';
import { route, type Route } from '../route.ts';
import type { Service } from '../service.ts';
import { keyShape, limitSchema, nameSchema, pageOf, tagsSchema } from '../shapes.ts';

const tag = 'Keys';

const nameParams = z.strictObject({ name: nameSchema });

const sourceSchema = z.discriminatedUnion('type', [
  z
    .strictObject({ type: z.literal('private-key'), privateKey: z.string() })
    .meta({ description: '32 bytes, hex with 0x.' }),
  z
    .strictObject({
      type: z.literal('web3-v3'),
      keystore: z.record(z.string(), z.unknown()),
      password: z.string().max(1024),
    })
    .meta({ description: 'A Web3 Secret Storage (version 3) file and its password.' }),
]);

export function keyRoutes({ keys }: Service): Route[] {
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
        body: z.strictObject({ name: nameSchema, tags: tagsSchema.default([]) }),
        answer: { status: 201, description: 'The key.', schema: keyShape },
      },
      async ({ body }, { act }) => keyToJson(await keys.create(act, body)),
    ),
    route(
      {
        method: 'POST',
        path: '/v1/keys/import',
        tag,
        summary: 'Import a key',
        description:
          'Keys that the public knows (test mnemonics, published vectors) are refused unless `allowWellKnown`.',
        access: ['admin'],
        body: z.strictObject({
          name: nameSchema,
          tags: tagsSchema.default([]),
          source: sourceSchema,
          allowWellKnown: z.boolean().default(false),
        }),
        secretBody: true,
        answer: { status: 201, description: 'The key.', schema: keyShape },
      },
      async ({ body: { source, allowWellKnown, ...request } }, { act }) =>
        keyToJson(await keys.import(act, request, toSource(source), allowWellKnown)),
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
      ({ query: { limit, cursor, ...filter } }) => {
        const page = keys.directory.list(filter, cursor, limit + 1);
        const items = page.slice(0, limit);
        return {
          items: items.map(keyToJson),
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
      ({ params: { name } }) => keyToJson(keys.get(name)),
    ),
  ];
}

function toSource(source: z.output<typeof sourceSchema>): ImportSource {
  if (source.type === 'web3-v3') {
    return { type: source.type, keystore: source.keystore, password: Buffer.from(source.password, 'utf8') };
  }
  if (!/^0x[0-9a-fA-F]{64}$/.test(source.privateKey)) {
    throw invalidField('source.privateKey', 'must be 32 bytes, hex with 0x');
  }
  return { type: source.type, privateKey: Buffer.from(source.privateKey.slice(2), 'hex') };
}
