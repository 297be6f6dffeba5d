import { z } from 'zod';
import { credentialToJson, principalToJson } from '../../access/access.ts';
import { route, type Route } from '../route.ts';
import type { Service } from '../service.ts';
import { cidrSchema, credentialShape, nameSchema, pageOf, principalShape, rolesSchema } from '../shapes.ts';

const tag = 'Access';

const idParams = z.strictObject({ id: z.uuid() });
const credentialParams = z.strictObject({
  id: z.uuid(),
  credential: z.string().regex(/^[0-9a-f]{16}$/, 'must be 16 hex digits'),
});

const futureTime = z.iso
  .datetime()
  .refine((time) => new Date(time) > new Date(), 'must be in the future')
  .transform((time) => new Date(time).toISOString());

export function accessRoutes({ access }: Service): Route[] {
  return [
    route(
      {
        method: 'GET',
        path: '/v1/me',
        tag,
        summary: 'Who I am here',
        access: 'authenticated',
        answer: {
          status: 200,
          description: 'The caller.',
          schema: principalShape.extend({ credential: z.string() }),
        },
      },
      (_input, { caller }) => ({ ...principalToJson(caller.principal), credential: caller.credentialId }),
    ),
    route(
      {
        method: 'POST',
        path: '/v1/principals',
        tag,
        summary: 'Create a principal',
        access: ['admin'],
        body: z.strictObject({ name: nameSchema, roles: rolesSchema }),
        answer: { status: 201, description: 'The principal.', schema: principalShape },
      },
      async ({ body: { name, roles } }, { act }) =>
        principalToJson(await access.createPrincipal(act, name, roles)),
    ),
    route(
      {
        method: 'GET',
        path: '/v1/principals',
        tag,
        summary: 'List principals',
        access: ['admin', 'auditor'],
        answer: { status: 200, description: 'All of them, by name.', schema: pageOf(principalShape) },
      },
      () => ({ items: access.list().map(principalToJson), nextCursor: null }),
    ),
    route(
      {
        method: 'GET',
        path: '/v1/principals/{id}',
        tag,
        summary: 'One principal',
        access: ['admin', 'auditor'],
        params: idParams,
        answer: { status: 200, description: 'The principal.', schema: principalShape },
      },
      ({ params: { id } }) => principalToJson(access.principal(id)),
    ),
    route(
      {
        method: 'PATCH',
        path: '/v1/principals/{id}',
        tag,
        summary: 'Change roles, disable, enable',
        description: 'Holds from the next request on.',
        access: ['admin'],
        params: idParams,
        body: z
          .strictObject({ roles: rolesSchema.optional(), state: z.enum(['enabled', 'disabled']).optional() })
          .refine(
            ({ roles, state }) => roles !== undefined || state !== undefined,
            'nothing to change is given',
          ),
        answer: { status: 200, description: 'The principal.', schema: principalShape },
      },
      async ({ params: { id }, body }, { act, caller }) =>
        principalToJson(await access.updatePrincipal(act, id, body, caller.credentialId)),
    ),
    route(
      {
        method: 'POST',
        path: '/v1/principals/{id}/credentials',
        tag,
        summary: 'Make a credential',
        description: 'The token is in this answer and nowhere else.',
        access: ['admin'],
        params: idParams,
        body: z.strictObject({
          expiresAt: futureTime.optional(),
          cidrs: z.array(cidrSchema).max(32).optional(),
        }),
        answer: {
          status: 201,
          description: 'The credential and its token.',
          schema: z.strictObject({ id: z.string(), token: z.string(), expiresAt: z.string().optional() }),
        },
        secretAnswer: true,
      },
      async ({ params: { id }, body }, { act }) => {
        const { credential, token } = await access.createCredential(act, id, body);
        const { expiresAt } = credential;
        return { id: credential.id, token, ...(expiresAt !== undefined && { expiresAt }) };
      },
    ),
    route(
      {
        method: 'GET',
        path: '/v1/principals/{id}/credentials',
        tag,
        summary: 'List credentials',
        access: ['admin', 'auditor'],
        params: idParams,
        answer: { status: 200, description: 'Without secrets.', schema: pageOf(credentialShape) },
      },
      ({ params: { id } }) => ({ items: access.credentials(id).map(credentialToJson), nextCursor: null }),
    ),
    route(
      {
        method: 'POST',
        path: '/v1/principals/{id}/credentials/{credential}/revoke',
        tag,
        summary: 'Revoke a credential',
        description: 'Holds from the next request on.',
        access: ['admin'],
        params: credentialParams,
        body: z.strictObject({}),
        answer: { status: 200, description: 'The credential.', schema: credentialShape },
      },
      async ({ params: { id, credential } }, { act, caller }) =>
        credentialToJson(await access.revokeCredential(act, id, credential, caller.credentialId)),
    ),
  ];
}
