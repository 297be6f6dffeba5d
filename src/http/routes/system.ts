import { z } from 'zod';
import type { Answer } from '../../audit/act.ts';
import type { OutsideStatus } from '../../audit/outside.ts';
import type { JsonValue } from '../../jcs.ts';
import { kdfChoiceSchema } from '../../keystore/kdf.ts';
import type { Metrics } from '../../metrics.ts';
import { publicRoute, route, type Route } from '../route.ts';
import type { Service } from '../service.ts';
import { statusShape } from '../shapes.ts';

const tag = 'System';

const passphraseSchema = z.string().min(1).max(1024);

const readyShape = z.strictObject({ ready: z.boolean(), reasons: z.array(z.string()) });

export function systemRoutes(service: Service, metrics: Metrics): Route[] {
  const status = (): Answer => statusOf(service);

  return [
    publicRoute(
      {
        method: 'GET',
        path: '/healthz',
        tag,
        summary: 'Whether the process runs',
        access: 'public',
        answer: { status: 200, description: 'It runs.', schema: z.strictObject({ status: z.literal('ok') }) },
      },
      () => ({ status: 'ok' }),
    ),
    publicRoute(
      {
        method: 'GET',
        path: '/readyz',
        tag,
        summary: 'Whether the service can sign',
        description: '503 with the reasons while it cannot.',
        access: 'public',
        answer: { status: 200, description: 'It can.', schema: readyShape },
        alsoAnswers: { 503: { description: 'It cannot.' } },
      },
      () => {
        const reasons = service.notReady();
        return { status: reasons.length === 0 ? 200 : 503, body: { ready: reasons.length === 0, reasons } };
      },
    ),
    publicRoute(
      {
        method: 'GET',
        path: '/metrics',
        tag,
        summary: 'Metrics',
        access: 'public',
        answer: {
          status: 200,
          description: 'Prometheus text format.',
          mediaType: 'text/plain; version=0.0.4',
        },
      },
      () => metrics.text(),
    ),
    route(
      {
        method: 'GET',
        path: '/v1/sys/status',
        tag,
        summary: 'State of the service',
        access: 'authenticated',
        answer: { status: 200, description: 'The state.', schema: statusShape },
      },
      status,
    ),
    route(
      {
        method: 'POST',
        path: '/v1/sys/init',
        tag,
        summary: 'Make the root keyring',
        description: 'Once in the life of a data directory. Whoever loses the passphrase loses every key.',
        access: ['operator'],
        body: z.strictObject({
          seal: z.strictObject({
            type: z.literal('passphrase'),
            passphrase: passphraseSchema.min(12),
            kdf: kdfChoiceSchema.optional(),
          }),
        }),
        secretBody: true,
        answer: { status: 201, description: 'Initialized and unsealed.', schema: statusShape },
      },
      async ({ body: { seal } }, { act }) => {
        const passphrase = Buffer.from(seal.passphrase, 'utf8');
        await service.seal.initialize(act, { ...seal, passphrase }, status);
        return status();
      },
    ),
    route(
      {
        method: 'POST',
        path: '/v1/sys/unseal',
        tag,
        summary: 'Open the root keyring',
        description: 'An empty object for the `file` seal.',
        access: ['operator'],
        body: z.strictObject({ passphrase: passphraseSchema.optional() }),
        secretBody: true,
        answer: { status: 200, description: 'Unsealed.', schema: statusShape },
      },
      async ({ body: { passphrase } }, { act }) => {
        await service.seal.unseal(
          act,
          passphrase === undefined ? undefined : Buffer.from(passphrase, 'utf8'),
          status,
        );
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

function statusOf(service: Service): Answer {
  const { initialized, sealed, type } = service.seal.status();
  const reasons = service.notReady();
  const policy = service.policy.problem === undefined ? service.policy.current() : undefined;
  return {
    version: service.version,
    initialized,
    sealed,
    seal: {
      type,
      ...(type === 'file' && {
        warning:
          'the key that opens the seal lies beside the data: whoever copies the directory has every key',
      }),
    },
    ready: reasons.length === 0,
    reasons,
    storage: { engine: service.storageEngine },
    policy: policy === undefined ? null : { revision: policy.revision, hash: policy.hash },
    audit: {
      origin: service.origin,
      size: service.log.size,
      sinks: service.sinks.status().map(toJson),
      ...outsideOf(service.outside.status()),
    },
    time: new Date().toISOString(),
  };
}

function outsideOf({ exposed, witnessed, anchored }: OutsideStatus): { readonly [name: string]: JsonValue } {
  return {
    exposed: { ...exposed },
    ...(witnessed !== undefined && {
      witnessed: { ...witnessed, witnesses: witnessed.witnesses.map((witness) => ({ ...witness })) },
    }),
    ...(anchored !== undefined && {
      anchored: { ...anchored, anchors: anchored.anchors.map((anchor) => ({ ...anchor })) },
    }),
  };
}

/** A copy with nothing but its own members, which is what JSON is. */
function toJson<T extends object>(value: T): { [name in keyof T]: T[name] } {
  return { ...value };
}
