import { z } from 'zod';
import { credentialToJson, principalToJson, type Rotated } from '../../access/access.ts';
import { matchText } from '../../access/certificates.ts';
import { isFederated } from '../../access/principals.ts';
import type { Answer } from '../../audit/act.ts';
import { CountersignError } from '../../errors.ts';
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

const cidrsSchema = z.array(cidrSchema).max(32);

const LABEL = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';

/** One of three ways to name a certificate, compared as a whole: there are no wildcards. */
const matchFields = {
  fingerprint: z
    .string()
    .regex(
      /^[0-9a-fA-F]{2}(?::?[0-9a-fA-F]{2}){31}$/,
      'must be the SHA-256 fingerprint: 32 bytes in hex, with or without colons',
    )
    .optional()
    .meta({ description: 'SHA-256 of the certificate.' }),
  dns: z
    .string()
    .max(253)
    .regex(new RegExp(`^${LABEL}(?:\\.${LABEL})*$`, 'i'), 'must be a host name, without wildcard')
    .optional()
    .meta({ description: 'A DNS name among its subject alternative names.' }),
  uri: z
    .string()
    .max(2_048)
    .regex(/^[a-z][a-z0-9+.-]*:[\x21-\x7e]+$/, 'must be a URI, such as spiffe://example.org/backend')
    .optional()
    .meta({ description: 'A URI among its subject alternative names; a SPIFFE ID has to be the only one.' }),
};

const certificateBody = z
  .strictObject({ ...matchFields, expiresAt: futureTime.optional(), cidrs: cidrsSchema.optional() })
  .refine(
    ({ fingerprint, dns, uri }) => [fingerprint, dns, uri].filter((each) => each !== undefined).length === 1,
    'must have exactly one of fingerprint, dns and uri',
  );

function matchOf({ fingerprint, dns, uri }: z.output<typeof certificateBody>): string {
  if (fingerprint !== undefined) return matchText({ fingerprint });
  return matchText(dns === undefined ? { uri: uri ?? '' } : { dns });
}

const rotationBody = z.strictObject({
  overlap: z
    .int()
    .min(0)
    .max(7 * 24 * 60 * 60)
    .default(3_600)
    .meta({ description: 'Seconds for which the old token is still valid.' }),
});

const rotatedAnswer = {
  status: 201,
  description: 'The new credential and its token, and when the old one ends.',
  schema: z.strictObject({
    id: z.string(),
    token: z.string(),
    expiresAt: z.string().optional(),
    rotatedFrom: z.string(),
    predecessorExpiresAt: z.string(),
  }),
};

function rotatedToJson({ credential, token, predecessorExpiresAt }: Rotated, rotatedFrom: string): Answer {
  const { id, expiresAt } = credential;
  return { id, token, ...(expiresAt !== undefined && { expiresAt }), rotatedFrom, predecessorExpiresAt };
}

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
          schema: principalShape.extend({
            credential: z.string(),
            mtls: z
              .boolean()
              .meta({ description: 'A client certificate of the caller came with the request.' }),
          }),
        },
      },
      (_input, { caller }) => ({
        ...principalToJson(caller.principal),
        credential: caller.credentialId,
        mtls: caller.mtls,
      }),
    ),
    route(
      {
        method: 'POST',
        path: '/v1/me/credentials/rotate',
        tag,
        summary: 'Rotate the token that this is called with',
        description:
          'A new token with the same networks and lifetime; the old one ends after the overlap. It is in this answer and nowhere else. While the token before it is still valid, a further rotation is a conflict.',
        access: 'authenticated',
        body: rotationBody,
        answer: rotatedAnswer,
        secretAnswer: true,
      },
      async ({ body: { overlap } }, { act, caller: { principal, credentialId } }) => {
        if (isFederated(principal)) {
          throw new CountersignError('unprocessable', 'an identity provider gives this caller its tokens');
        }
        return rotatedToJson(
          await access.rotateCredential(act, principal.id, credentialId, overlap),
          credentialId,
        );
      },
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
          cidrs: cidrsSchema.optional(),
          canary: z.boolean().optional().meta({
            description: 'Made to be stolen: it lets nobody in, and raises an alert when it is used.',
          }),
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
        method: 'POST',
        path: '/v1/principals/{id}/certificates',
        tag,
        summary: 'Let a client certificate stand for a principal',
        description: 'It is listed, and revoked, with the credentials.',
        access: ['admin'],
        params: idParams,
        body: certificateBody,
        answer: { status: 201, description: 'The credential.', schema: credentialShape },
      },
      async ({ params: { id }, body }, { act }) =>
        credentialToJson(await access.createCertificate(act, id, matchOf(body), body)),
    ),
    route(
      {
        method: 'POST',
        path: '/v1/principals/{id}/credentials/{credential}/rotate',
        tag,
        summary: 'Rotate the token of a principal',
        description: 'As principals do themselves with /v1/me/credentials/rotate.',
        access: ['admin'],
        params: credentialParams,
        body: rotationBody,
        answer: rotatedAnswer,
        secretAnswer: true,
      },
      async ({ params: { id, credential }, body: { overlap } }, { act }) =>
        rotatedToJson(await access.rotateCredential(act, id, credential, overlap), credential),
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
