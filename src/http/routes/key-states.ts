import { z } from 'zod';
import type { Role } from '../../access/roles.ts';
import { destructionConsequences, openRequests, type Consequences } from '../../approvals/consequences.ts';
import type { Act, ActDraft, Answer } from '../../audit/act.ts';
import type { Receipt } from '../../audit/log.ts';
import { CountersignError } from '../../errors.ts';
import type { JsonValue } from '../../jcs.ts';
import type { Key } from '../../keystore/keys.ts';
import { keyToJson, versionOf } from '../../signer/directory.ts';
import { DESTRUCTION_DAYS } from '../../signer/key-states.ts';
import { route, type Route } from '../route.ts';
import type { Service, ServiceTx } from '../service.ts';
import { keyShape } from '../key-shapes.ts';
import { nameSchema, numberText, reasonSchema } from '../shapes.ts';

/** Puts another version in the place of a primary that is compromised (src/rotation). */
export interface EmergencyRotations {
  /**
   * Makes the primary a compromised one and starts the rotation, in one commit of the act. Throws `conflict` where one is
   * under way or the primary is not the version that was meant, and `key_state` where the primary is compromised already.
   *
   * @returns the rotation, with its `id`
   */
  startEmergency(
    act: Act<ServiceTx>,
    keyName: string,
    reason: string,
    starter: { readonly id: string; readonly name: string },
    meant: number,
  ): Promise<Answer>;
}

const tag = 'Keys';

const params = z.strictObject({ name: nameSchema, version: numberText(1) });
const reasonBody = z.strictObject({ reason: reasonSchema });
const oneKey = { status: 200, description: 'The key.', schema: keyShape } as const;

const consequencesShape = z.strictObject({
  warnings: z.array(z.string()).meta({ description: 'In plain words, one thing each.' }),
  rules: z.array(z.string()).meta({
    description: 'Rules that name the key, itself or by a tag, or have its address written in them.',
  }),
  limits: z.array(z.string()).meta({ description: 'Limits that count by key.' }),
  groups: z.array(z.string()).meta({ description: 'Key groups that it is in.' }),
  requests: z.array(z.uuid()).meta({ description: 'Requests for approval that wait for its signature.' }),
});

/** What becomes of a version of a key. Which state leads where is one table: keystore/life-cycle.ts. */
export function keyStateRoutes(service: Service): Route[] {
  const { keys } = service;

  const simple = (verb: 'disable' | 'enable', summary: string, description: string): Route =>
    route(
      {
        method: 'POST',
        path: `/v1/keys/{name}/versions/{version}/${verb}`,
        tag,
        summary,
        description,
        access: ['admin'],
        params,
        body: reasonBody,
        answer: oneKey,
      },
      async ({ params: { name, version }, body: { reason } }, { act }) =>
        keyToJson(await keys.states.change(act, name, version, { transition: verb, reason })),
    );

  return [
    simple(
      'disable',
      'Disable a version',
      'When this is answered, no further signature of the version is released.',
    ),
    simple(
      'enable',
      'Enable a version',
      'The version signs again: as one that drains, when another version has become the primary in its place.',
    ),
    route(
      {
        method: 'POST',
        path: '/v1/keys/{name}/versions/{version}/compromise',
        tag,
        summary: 'Mark a version as compromised',
        description:
          'For good: it never signs again. When this is answered, no further signature of it is released. `rotate` gives the key another primary, at once and without an overlap.',
        access: ['admin', 'operator'],
        params,
        body: reasonBody.extend({
          rotate: z
            .boolean()
            .default(false)
            .meta({ description: 'Start an emergency rotation of the key, too.' }),
        }),
        answer: {
          status: 200,
          description: 'The key.',
          schema: keyShape.extend({
            emergency: z
              .strictObject({
                rotation: z.string().optional().meta({ description: 'Id of the rotation.' }),
                problem: z.string().optional().meta({ description: 'Why none was started.' }),
              })
              .optional(),
          }),
        },
      },
      async ({ params: { name, version }, body: { reason, rotate } }, { act, caller }) => {
        const asked = { name, version, reason, by: caller.principal };
        if (rotate) return await compromiseAndRotate(service, act, asked);
        return keyToJson(await keys.states.change(act, name, version, { transition: 'compromise', reason }));
      },
    ),
    route(
      {
        method: 'POST',
        path: '/v1/keys/{name}/versions/{version}/schedule-destruction',
        tag,
        summary: 'Schedule the destruction of a version',
        description:
          'From now on it does not sign, and an attempt to is an alert. When its time has come, what is sealed of it is erased for good; address, public key and dates remain. Until then it can be cancelled. An enabled version is disabled first.',
        access: ['admin'],
        params,
        body: reasonBody.extend({
          days: z
            .int()
            .min(DESTRUCTION_DAYS.least)
            .max(DESTRUCTION_DAYS.most)
            .default(DESTRUCTION_DAYS.usual)
            .meta({ description: 'How long it waits.' }),
        }),
        answer: {
          status: 200,
          description: 'The key, and what hangs on the version.',
          schema: keyShape.extend({ consequences: consequencesShape }),
        },
      },
      async ({ params: { name, version }, body: { reason, days } }, { act }) => {
        const consequences = consequencesOf(service, name, version);
        const change = { transition: 'schedule_destruction', reason, days } as const;
        const answerOf = (key: Key): Answer => ({ ...keyToJson(key), consequences: { ...consequences } });
        return answerOf(await keys.states.change(act, name, version, change, answerOf));
      },
    ),
    route(
      {
        method: 'POST',
        path: '/v1/keys/{name}/versions/{version}/cancel-destruction',
        tag,
        summary: 'Cancel the destruction of a version',
        description: 'The version is disabled then; one that was compromised is compromised still.',
        access: ['admin'],
        params,
        body: reasonBody,
        answer: oneKey,
      },
      async ({ params: { name, version }, body: { reason } }, { act }) =>
        keyToJson(await keys.states.change(act, name, version, { transition: 'cancel_destruction', reason })),
    ),
    route(
      {
        method: 'GET',
        path: '/v1/keys/{name}/versions/{version}/consequences',
        tag,
        summary: 'What hangs on a version',
        description: 'To be looked at before it is destroyed.',
        access: READERS,
        params,
        answer: { status: 200, description: 'What hangs on it.', schema: consequencesShape },
      },
      ({ params: { name, version } }) => ({ ...consequencesOf(service, name, version) }),
    ),
  ];
}

/** It names rules, limits and requests, which those who only sign do not see. */
const READERS: readonly Role[] = ['admin', 'operator', 'auditor'];

function consequencesOf({ keys, policy, reads }: Service, name: string, number: number): Consequences {
  const key = keys.get(name);
  const version = versionOf(key, number);
  const inForce = policy.problem === undefined ? policy.current() : undefined;
  return destructionConsequences(key, version, { policy: inForce, open: openRequests(reads) });
}

interface Compromise {
  readonly name: string;
  readonly version: number;
  readonly reason: string;
  readonly by: { readonly id: string; readonly name: string };
}

/** Whatever keeps the rotation from being started, the version is compromised when this returns. */
async function compromiseAndRotate(
  { keys, emergencies }: Service,
  act: Act<ServiceTx>,
  { name, version, reason, by }: Compromise,
): Promise<Answer> {
  const answerOf = (key: Key, emergency: JsonValue): Answer => ({ ...keyToJson(key), emergency });
  const change = { transition: 'compromise', reason } as const;
  const instead = async (problem: string): Promise<Answer> => {
    const answer = (key: Key): Answer => answerOf(key, { problem });
    return answer(await keys.states.change(act, name, version, change, answer));
  };
  if (emergencies === undefined) return await instead('this service has no rotations');
  if (keys.get(name).primary !== version) return await instead('the version is not the primary of its key');
  try {
    const starter = { id: by.id, name: by.name };
    const kept = answering(act, ({ id = '' }) =>
      answerOf(keys.states.foresee(name, version, change), { rotation: id }),
    );
    const { id = '' } = await emergencies.startEmergency(kept, name, reason, starter, version);
    await keys.forgotten();
    return answerOf(keys.get(name), { rotation: id });
  } catch (error) {
    if (!(error instanceof CountersignError)) throw error;
    return await instead(error.message);
  }
}

/** The same act, with another answer kept for a repeat than what its commit returns. */
function answering<Tx>(act: Act<Tx>, answerOf: (made: Answer) => Answer): Act<Tx> {
  return {
    record: async (draft, effects) => await act.record(draft, effects),
    commit: async <T extends Answer>(
      draft: ActDraft,
      effects: (tx: Tx, receipt: Receipt) => T,
    ): Promise<T> => {
      const all: T[] = [];
      await act.commit(draft, (tx, receipt) => {
        const made = effects(tx, receipt);
        all.push(made);
        return answerOf(made);
      });
      const [made] = all;
      if (made === undefined) throw new CountersignError('internal', 'a commit had no effects');
      return made;
    },
  };
}
