import { z } from 'zod';
import { fromHex, type Hex } from '../../bytes.ts';
import { MAX_PASSWORD_BYTES, MIN_EXPORT_PASSWORD_BYTES } from '../../keystore/wrapped.ts';
import { keystoreKdfChoiceSchema } from '../../keystore/web3-keystore.ts';
import type { ExportOrder } from '../../approvals/export.ts';
import { invalidField } from '../../errors.ts';
import { route, type Route } from '../route.ts';
import type { Service } from '../service.ts';
import { exportedShape, wrappedFields } from '../key-shapes.ts';
import { nameSchema, pendingAnswerShape, versionSchema } from '../shapes.ts';

const DONE = 200;
/** Others have to consent first. */
const PENDING = 202;

const bodySchema = z.strictObject({
  version: versionSchema.optional(),
  request: z
    .uuid()
    .optional()
    .meta({ description: 'The approved request; without it, one is made that others have to approve.' }),
  password: z
    .string()
    .min(MIN_EXPORT_PASSWORD_BYTES)
    .max(MAX_PASSWORD_BYTES)
    .optional()
    .meta({ description: 'Of the new file. Give this or `wrappedPassword`, with `request`.' }),
  wrappedPassword: z
    .strictObject(wrappedFields)
    .optional()
    .meta({ description: 'The same, encrypted to a wrapping key: in clear in the signer process only.' }),
  kdf: keystoreKdfChoiceSchema.optional(),
});

export function keyExportRoutes({ exports, origin }: Service): Route[] {
  return [
    route(
      {
        method: 'POST',
        path: '/v1/keys/{name}/export',
        tag: 'Keys',
        summary: 'Export a private key',
        description:
          'In two steps: without `request` it asks for approval, which takes two other people by a rule of the policy for `key.export`; with an approved `request` and a password it answers the V3 file, once. Only of a key that was made `exportable`.',
        access: ['admin'],
        params: z.strictObject({ name: nameSchema }),
        body: bodySchema,
        secretBody: true,
        secretAnswer: true,
        answer: { status: DONE, description: 'The file.', schema: exportedShape },
        alsoAnswers: {
          [PENDING]: { description: 'The request that others have to approve.', schema: pendingAnswerShape },
        },
        statusOf: (answer) => ('request' in answer ? PENDING : DONE),
      },
      async ({ params: { name }, body }, { act, caller }) => {
        const { request, version } = body;
        if (request === undefined) {
          if (body.password !== undefined || body.wrappedPassword !== undefined || body.kdf !== undefined)
            throw invalidField('request', 'is missing: a password and a KDF come with the approved request');
          return await exports.ask(act, caller, name, version);
        }
        if (version !== undefined) throw invalidField('version', 'is said by the request already');
        const order = { requestId: request, kdf: body.kdf ?? { kdf: 'scrypt' }, password: passwordOf(body) };
        return await exports.carryOut(act, caller, name, order);
      },
    ),
  ];

  function passwordOf({ password, wrappedPassword }: z.output<typeof bodySchema>): ExportOrder['password'] {
    if (password !== undefined && wrappedPassword === undefined) return Buffer.from(password, 'utf8');
    if (wrappedPassword === undefined || password !== undefined)
      throw invalidField('password', 'give this or wrappedPassword, and not both');
    const { wrappingKey, enc, ciphertext } = wrappedPassword;
    return { origin, wrappingKey, enc: fromHex(enc as Hex), ciphertext: fromHex(ciphertext as Hex) };
  }
}
