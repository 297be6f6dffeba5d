import { z } from 'zod';
import type { Answer } from '../../audit/act.ts';
import { route, type Route } from '../route.ts';
import { choiceOf, textsOf, tried } from '../seal-secrets.ts';
import { newSealSchema, passphraseSchema, shareSchema, sharesShape } from '../seal-shapes.ts';
import type { Service } from '../service.ts';
import { statusShape } from '../status-shapes.ts';
import { rekeyRoutes } from './rekey.ts';
import { rootKeyRoutes } from './root-key.ts';
import { statusOf } from './system.ts';

const tag = 'System';

/** Making the seal, opening and closing it, changing it, and the terms of the root key. */
export function sealRoutes(service: Service): Route[] {
  return [...openingRoutes(service), ...rekeyRoutes(service), ...rootKeyRoutes(service)];
}

function openingRoutes(service: Service): Route[] {
  const status = (): Answer => statusOf(service);
  return [
    route(
      {
        method: 'POST',
        path: '/v1/sys/init',
        tag,
        summary: 'Make the root keyring',
        description:
          'Once in the life of a data directory. Whoever loses the passphrase, or more shares than the seal can spare, loses every key.',
        access: ['operator'],
        body: z.strictObject({ seal: newSealSchema }),
        secretBody: true,
        secretAnswer: true,
        answer: {
          status: 201,
          description: 'Initialized and unsealed.',
          schema: statusShape.extend({ shares: sharesShape.optional() }),
        },
      },
      async ({ body: { seal } }, { act }) => {
        const shares = await service.seal.initialize(act, choiceOf(seal), status);
        return { ...status(), ...textsOf(shares) };
      },
    ),
    route(
      {
        method: 'POST',
        path: '/v1/sys/unseal',
        tag,
        summary: 'Open the root keyring',
        description:
          'The passphrase; or one share, as often as it takes; or `reset`, which forgets the shares that were given. An empty object for the `file` seal. ' +
          'Shares are forgotten after 15 minutes without a new one.',
        access: ['operator'],
        body: z
          .strictObject({
            passphrase: passphraseSchema.optional(),
            share: shareSchema.optional(),
            reset: z.literal(true).optional(),
          })
          .refine((body) => Object.keys(body).length <= 1, 'must have one of passphrase, share and reset'),
        secretBody: true,
        answer: { status: 200, description: 'Unsealed, or so many shares have come.', schema: statusShape },
      },
      async ({ body: { passphrase, share, reset } }, context) => {
        const { act } = context;
        if (reset === true) await service.seal.dropShares(act, status);
        else if (share !== undefined) {
          await tried(service, context, () => service.seal.giveShare(act, Buffer.from(share), status));
        } else if (passphrase === undefined) await service.seal.unseal(act, undefined, status);
        else {
          const secret = Buffer.from(passphrase, 'utf8');
          await tried(service, context, () => service.seal.unseal(act, secret, status));
        }
        return status();
      },
    ),
    route(
      {
        method: 'POST',
        path: '/v1/sys/seal',
        tag,
        summary: 'Wipe every key from memory',
        description: 'Stays sealed, also through a restart of the signer process, until somebody unseals it.',
        access: ['operator', 'admin'],
        body: z.strictObject({}),
        answer: { status: 200, description: 'Sealed.', schema: statusShape },
      },
      async (_input, { act }) => {
        await service.seal.seal(act, status);
        return status();
      },
    ),
  ];
}
