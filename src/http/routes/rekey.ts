import { z } from 'zod';
import type { Answer } from '../../audit/act.ts';
import { CountersignError, invalidField } from '../../errors.ts';
import type { RekeyStatus } from '../../signer/rekey-status.ts';
import { route, type Route } from '../route.ts';
import { choiceOf, currentOf, textsOf, tried } from '../seal-secrets.ts';
import {
  currentSealSchema,
  newSealSchema,
  passphraseSchema,
  rekeyAnswerShape,
  rekeyShape,
  shareSchema,
} from '../seal-shapes.ts';
import type { Service } from '../service.ts';

const tag = 'System';

/** Changing the seal. */
export function rekeyRoutes(service: Service): Route[] {
  return [
    route(
      {
        method: 'POST',
        path: '/v1/sys/rekey',
        tag,
        summary: 'Start to change the seal',
        description:
          'With the secret of the seal in force as `current`, the passphrase or the bytes of the key file; of one in shares, these are given next, to `authorize`. The new seal counts once the new passphrase, or enough of the ' +
          'new shares, were given to `verify`; until then the one in force stays, and a restart or a sealing ends the change.',
        access: ['operator'],
        body: z.strictObject({
          seal: newSealSchema,
          current: currentSealSchema.optional(),
        }),
        secretBody: true,
        secretAnswer: true,
        answer: { status: 200, description: 'The change on its way.', schema: rekeyAnswerShape },
      },
      async ({ body: { seal, current } }, context) => {
        const secret = current && currentOf(current);
        const start = () =>
          service.sealing.rekey.start(context.act, choiceOf(seal), secret, (status) => ({
            rekey: { ...status },
          }));
        const { status, shares } = await (secret === undefined ? start() : tried(service, context, start));
        return { rekey: { ...status }, ...textsOf(shares) };
      },
    ),
    route(
      {
        method: 'POST',
        path: '/v1/sys/rekey/authorize',
        tag,
        summary: 'Give a share of the seal in force',
        description: 'With the last one that it takes, the new shares are answered: this once.',
        access: ['operator'],
        body: z.strictObject({ share: shareSchema }),
        secretBody: true,
        secretAnswer: true,
        answer: { status: 200, description: 'The change on its way.', schema: rekeyAnswerShape },
      },
      async ({ body: { share } }, context) => {
        const { status, shares } = await tried(service, context, () =>
          service.sealing.rekey.authorize(context.act, Buffer.from(share), (status) => ({
            rekey: { ...status },
          })),
        );
        return { rekey: { ...status }, ...textsOf(shares) };
      },
    ),
    route(
      {
        method: 'POST',
        path: '/v1/sys/rekey/verify',
        tag,
        summary: 'Give the new passphrase, or one of the new shares',
        description: 'With the last one that it takes, the seal is changed.',
        access: ['operator'],
        body: z.strictObject({ passphrase: passphraseSchema.optional(), share: shareSchema.optional() }),
        secretBody: true,
        answer: {
          status: 200,
          description: 'Whether it is changed, and the change on its way where it is not.',
          schema: z.strictObject({ done: z.boolean(), rekey: rekeyShape.optional() }),
        },
      },
      async ({ body: { passphrase, share } }, context) => {
        const type = service.sealing.rekey.status()?.to.type;
        const given = type === 'shamir' ? share : passphrase;
        if (given === undefined || (passphrase !== undefined && share !== undefined)) {
          if (type === undefined)
            throw new CountersignError('conflict', 'no change of the seal is on its way');
          throw invalidField(
            type === 'shamir' ? 'share' : 'passphrase',
            'is what this change takes, and nothing else',
          );
        }
        const verifying = (status: RekeyStatus | undefined): Answer =>
          status === undefined ? { done: true } : { done: false, rekey: { ...status } };
        return await tried(service, context, async () =>
          verifying(await service.sealing.rekey.verify(context.act, Buffer.from(given, 'utf8'), verifying)),
        );
      },
    ),
    route(
      {
        method: 'POST',
        path: '/v1/sys/rekey/cancel',
        tag,
        summary: 'Leave the seal as it is',
        access: ['operator'],
        body: z.strictObject({}),
        answer: { status: 200, description: 'Cancelled.', schema: z.strictObject({ rekey: z.null() }) },
      },
      async (_input, { act }) => {
        await service.sealing.rekey.cancel(act, () => ({ rekey: null }));
        return { rekey: null };
      },
    ),
    route(
      {
        method: 'GET',
        path: '/v1/sys/rekey',
        tag,
        summary: 'The change of the seal that is on its way',
        access: ['admin', 'operator', 'auditor'],
        answer: {
          status: 200,
          description: 'The change, or null.',
          schema: z.strictObject({ rekey: rekeyShape.nullable() }),
        },
      },
      () => {
        const status = service.sealing.rekey.status();
        return { rekey: status === undefined ? null : { ...status } };
      },
    ),
  ];
}
