import type { Hex } from '../bytes.ts';
import { decodeEffects } from '../effects/decode.ts';
import { CountersignError } from '../errors.ts';
import { OPERATIONS, type Intent } from '../intent/intent.ts';
import { parseIntent } from '../intent/schema.ts';
import type { JsonValue } from '../jcs.ts';
import type { Decision, PolicyRequest } from './decision.ts';

/** An entry of the audit log, parsed. Whatever it holds is checked. */
export type LoggedEntry = { readonly [name: string]: JsonValue | undefined };

/** A decision of the log, with all that it was made from. */
export interface LoggedDecision {
  readonly index: number;
  /** RFC 3339. */
  readonly time: string;
  readonly intent: Intent;
  readonly request: PolicyRequest;
  readonly before: Pick<Decision, 'effect' | 'rule' | 'approvals'>;
  /** `done` when a signature was made. */
  readonly outcome: string;
  /** What was, or would have been, signed: hex. */
  readonly digest: string | undefined;
  /** Whether a request that had waited for approval was carried out. */
  readonly isExecution: boolean;
}

/** Why an entry can't be replayed. */
export interface Unreadable {
  readonly unreadable: string;
}

const EFFECTS = ['allow', 'deny', 'require'] as const;
const ADDRESS = /^0x[0-9a-f]{40}$/;

/** What was decided in an entry of kind `sign`. Entries of older versions say less, and are not guessed at. */
export function readLogged(entry: LoggedEntry): LoggedDecision | Unreadable {
  if (entry['kind'] !== 'sign') return { unreadable: 'it is no request to sign' };
  if (mappingOf(entry['detail'])['canary'] === true) return { unreadable: 'no policy decides of a canary' };
  const decision = mappingOf(entry['decision']);
  const effect = EFFECTS.find((name) => name === decision['effect']);
  const { index } = entry;
  const time = textOf(entry['time']) ?? '';
  const now = Date.parse(time);
  if (effect === undefined || typeof index !== 'number' || Number.isNaN(now)) {
    return { unreadable: 'it was not decided' };
  }
  const intent = readIntent(entry);
  if ('unreadable' in intent) return intent;
  const request = readRequest(entry, intent, now);
  if ('unreadable' in request) return request;
  const rule = textOf(decision['rule']);
  const approvals = textsOf(decision['approvals']);
  return {
    index,
    time,
    intent,
    request,
    before: { effect, ...(rule !== undefined && { rule }), ...(approvals !== undefined && { approvals }) },
    outcome: textOf(entry['outcome']) ?? '',
    digest: textOf(entry['digest']),
    isExecution: mappingOf(entry['detail'])['request'] !== undefined,
  };
}

function readIntent(entry: LoggedEntry): Intent | Unreadable {
  const operation = OPERATIONS.find((name) => name === entry['operation']);
  if (operation === undefined) return { unreadable: 'its operation is not known' };
  const body = mappingOf(entry['intent']);
  if ('dataHash' in body || 'dataHash' in mappingOf(body['transaction'])) {
    return { unreadable: 'its data is kept by its hash only' };
  }
  try {
    return parseIntent(operation, body);
  } catch (error) {
    if (!(error instanceof CountersignError)) throw error;
    return { unreadable: 'its intent is not valid in this version' };
  }
}

function readRequest(entry: LoggedEntry, intent: Intent, now: number): PolicyRequest | Unreadable {
  const key = mappingOf(entry['key']);
  const name = textOf(key['name']);
  const address = textOf(key['address']);
  if (name === undefined || address === undefined || !ADDRESS.test(address)) {
    return { unreadable: 'it does not name its key' };
  }
  const requester = readRequester(entry);
  if (requester === undefined) return { unreadable: 'it does not say who asked with which roles' };
  const signer = address as Hex;
  return {
    ...requester,
    key: { name, tags: textsOf(key['tags']) ?? [], address: signer, draining: key['draining'] === true },
    intent,
    effects: decodeEffects(intent, signer),
    now,
    breakGlass: textOf(mappingOf(entry['detail'])['breakGlass']),
  };
}

/** Of an approved request, who asked is in `detail`; the entry's actor has only carried it out. */
function readRequester(entry: LoggedEntry): Pick<PolicyRequest, 'principal' | 'source'> | undefined {
  const detail = mappingOf(entry['detail']);
  const actor = mappingOf(entry['actor']);
  const isExecution = detail['request'] !== undefined;
  const id = isExecution ? detail['requesterId'] : actor['principalId'];
  const name = isExecution ? detail['requester'] : actor['principal'];
  const roles = textsOf(isExecution ? detail['requesterRoles'] : actor['roles']);
  if (typeof id !== 'string' || typeof name !== 'string' || roles === undefined) return undefined;
  const address = textOf(isExecution ? detail['address'] : actor['address']);
  return { principal: { id, name, roles }, source: { address, mtls: detail['mtls'] === true } };
}

const NOTHING: LoggedEntry = {};

function mappingOf(value: JsonValue | undefined): LoggedEntry {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as LoggedEntry)
    : NOTHING;
}

function textOf(value: JsonValue | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function textsOf(value: JsonValue | undefined): readonly string[] | undefined {
  return Array.isArray(value) && value.every((item) => typeof item === 'string') ? value : undefined;
}
