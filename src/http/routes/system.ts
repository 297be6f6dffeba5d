import { z } from 'zod';
import type { Answer } from '../../audit/act.ts';
import type { OutsideStatus } from '../../audit/outside.ts';
import type { JsonValue } from '../../jcs.ts';
import type { Metrics } from '../../metrics.ts';
import { publicRoute, route, type Route } from '../route.ts';
import { jobToJson } from '../seal-shapes.ts';
import type { Service } from '../service.ts';
import { statusShape } from '../status-shapes.ts';

const tag = 'System';

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
  ];
}

/** The state of the service, as its status route shows it. */
export function statusOf(service: Service): Answer {
  const { initialized, sealed, type, shares } = service.seal.status();
  const { rekey, rootKey, rewrap } = service.sealing;
  const [keyring, change, job] = [rootKey.status(), rekey.status(), rewrap.status()];
  const reasons = service.notReady();
  const policy = service.policy.problem === undefined ? service.policy.current() : undefined;
  return {
    version: service.version,
    initialized,
    sealed,
    seal: {
      type,
      ...shares,
      ...(type === 'file' && {
        warning:
          'the key that opens the seal lies beside the data: whoever copies the directory has every key',
      }),
    },
    keyring: keyring === undefined ? null : { ...keyring },
    ...(change !== undefined && { rekey: { ...change } }),
    ...(job !== undefined && { rewrap: jobToJson(job) }),
    ready: reasons.length === 0,
    reasons,
    storage: { engine: service.storageEngine },
    fencing: fencingOf(service),
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

function fencingOf({ fence }: Service): { readonly [name: string]: JsonValue } {
  const { epoch, restored } = fence.status();
  return { epoch, ...(restored !== undefined && { restored: { ...restored } }) };
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
