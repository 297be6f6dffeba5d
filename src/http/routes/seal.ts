import { z } from 'zod';
import type { Answer } from '../../audit/act.ts';
import { wipe } from '../../bytes.ts';
import { CountersignError, invalidField } from '../../errors.ts';
import type { RekeyChoice } from '../../signer/rekey.ts';
import type { RootTerm } from '../../signer/term-use.ts';
import { route, type Route, type RouteContext } from '../route.ts';
import {
  jobToJson,
  newSealSchema,
  passphraseSchema,
  rekeyAnswerShape,
  rekeyShape,
  rewrapShape,
  shareSchema,
  sharesShape,
} from '../seal-shapes.ts';
import type { Service } from '../service.ts';
import { statusShape } from '../shapes.ts';
import { statusOf } from './system.ts';

const tag = 'System';
const READERS = ['admin', 'operator', 'auditor'] as const;

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

function rekeyRoutes(service: Service): Route[] {
  return [
    route(
      {
        method: 'POST',
        path: '/v1/sys/rekey',
        tag,
        summary: 'Start to change the seal',
        description:
          'Of a passphrase seal with `current`; of one in shares, these are given next, to `authorize`. The new seal counts once the new passphrase, or enough of the ' +
          'new shares, were given to `verify`; until then the one in force stays, and a restart or a sealing ends the change.',
        access: ['operator'],
        body: z.strictObject({
          seal: newSealSchema,
          current: z.strictObject({ passphrase: passphraseSchema }).optional(),
        }),
        secretBody: true,
        secretAnswer: true,
        answer: { status: 200, description: 'The change on its way.', schema: rekeyAnswerShape },
      },
      async ({ body: { seal, current } }, context) => {
        const secret = current && Buffer.from(current.passphrase, 'utf8');
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
        const verifying = (status: ReturnType<typeof service.sealing.rekey.status>): Answer =>
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
        await service.sealing.rekey.cancel(act, 'asked', () => ({ rekey: null }));
        return { rekey: null };
      },
    ),
    route(
      {
        method: 'GET',
        path: '/v1/sys/rekey',
        tag,
        summary: 'The change of the seal that is on its way',
        access: READERS,
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

function rootKeyRoutes(service: Service): Route[] {
  return [
    route(
      {
        method: 'POST',
        path: '/v1/sys/rotate-root',
        tag,
        summary: 'Add a term to the root keyring',
        description:
          'What is sealed from now on is sealed under it; `rewrap` moves the rest. Terms before it are kept: backups open with them.',
        access: ['operator'],
        body: z.strictObject({}),
        answer: {
          status: 200,
          description: 'The new term.',
          schema: z.strictObject({ term: z.int(), createdAt: z.string() }),
        },
      },
      async (_input, { act }) => {
        const answer = ({ term, createdAt }: RootTerm): Answer => ({ term, createdAt });
        return answer(await service.sealing.rootKey.rotate(act, 'asked', answer));
      },
    ),
    route(
      {
        method: 'POST',
        path: '/v1/sys/rewrap',
        tag,
        summary: 'Move everything that is sealed to the newest term',
        description:
          'A job. Signing goes on meanwhile; a restart or a sealing interrupts it, and it goes on by itself once unsealed.',
        access: ['operator'],
        body: z.strictObject({}),
        answer: { status: 202, description: 'The job.', schema: z.strictObject({ job: rewrapShape }) },
      },
      async (_input, { act }) => {
        const job = await service.sealing.rewrap.start(act, (job) => ({ job: jobToJson(job) }));
        return { job: jobToJson(job) };
      },
    ),
    route(
      {
        method: 'GET',
        path: '/v1/sys/rewrap',
        tag,
        summary: 'The newest job that moves what is sealed',
        access: READERS,
        answer: {
          status: 200,
          description: 'The job, or null where there never was one.',
          schema: z.strictObject({ job: rewrapShape.nullable() }),
        },
      },
      () => {
        const job = service.sealing.rewrap.status();
        return { job: job === undefined ? null : jobToJson(job) };
      },
    ),
  ];
}

/** Does what tries a secret of the seal, within the bounds on such tries. */
async function tried<T>(
  { sealAttempts }: Service,
  { act, caller }: RouteContext,
  work: () => Promise<T>,
): Promise<T> {
  const attempt = sealAttempts.begin(`${caller.principal.id} ${caller.credentialId}`);
  try {
    const result = await work();
    attempt.forgive();
    return result;
  } catch (error) {
    if (!isWrongSecret(error)) attempt.forgive();
    else if (attempt.limits()) await act.record({ kind: 'seal.attempts_limited', outcome: 'denied' });
    throw error;
  }
}

function isWrongSecret(error: unknown): boolean {
  const wrong: readonly string[] = ['wrong_password', 'unprocessable', 'invalid_request'];
  return error instanceof CountersignError && wrong.includes(error.code);
}

function choiceOf(seal: z.output<typeof newSealSchema>): RekeyChoice {
  return seal.type === 'shamir' ? seal : { ...seal, passphrase: Buffer.from(seal.passphrase, 'utf8') };
}

/** JSON has no other way: as text they stay in this process until they are overwritten by chance. */
function textsOf(shares: readonly Buffer[]): { readonly shares?: readonly string[] } {
  if (shares.length === 0) return {};
  const texts = shares.map((share) => share.toString('latin1'));
  wipe(...shares);
  return { shares: texts };
}
