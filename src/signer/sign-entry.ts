import type { ActDraft } from '../audit/act.ts';
import type { EntryDecision, EntryLimit } from '../audit/entry.ts';
import { CountersignError } from '../errors.ts';
import type { Intent, Operation } from '../intent/intent.ts';
import type { JsonValue } from '../jcs.ts';
import type { Key, KeyVersion } from '../keystore/keys.ts';
import type { Decision, LimitUse, PolicyRequest } from '../policy/decision.ts';
import { intentForLog } from './intent-for-log.ts';

/** What every audit entry of one request to sign has in common, before it is decided. */
export type Described = Pick<ActDraft, 'kind' | 'key' | 'intent' | 'beside' | 'detail'> & {
  readonly operation: Operation;
};

/** What was asked, beside key and intent, that the policy may read or that whoever audits wants to see. */
export interface AskedWith {
  readonly requester: PolicyRequest['principal'];
  readonly source: PolicyRequest['source'];
  readonly breakGlass?: string | undefined;
  readonly approved?: Approved | undefined;
}

/** The approvals of a request that is carried out now. */
export interface Approved {
  readonly requestId: string;
  /** Names of those that are complete. */
  readonly approvals: ReadonlySet<string>;
  /** Names of the principals who gave them. */
  readonly approvers: readonly string[];
}

/** Lists in an entry show no more than this; with the longest intent, they have room in it. */
const MAX_LISTED = 16;
const MAX_LIMITS = 8;
const MAX_REASON = 1_000;

/** Throws `payload_too_large` for what an entry can't hold. */
export function describe(key: Key, version: KeyVersion, intent: Intent, asked: AskedWith): Described {
  const { name, tags } = key;
  const { address } = version;
  const logged = intentForLog(intent);
  return {
    kind: 'sign',
    key: { address, name, tags: tags.length > 0 ? tags : undefined, version: version.version },
    operation: intent.operation,
    intent: logged.intent,
    beside: logged.beside,
    detail: detailOf(asked),
  };
}

/** Who carries out an approved request is not who asked: the entry's actor is the former, and this the latter. */
function detailOf({ requester, source, breakGlass, approved }: AskedWith): Described['detail'] {
  if (!source.mtls && breakGlass === undefined && approved === undefined) return undefined;
  return {
    ...(source.mtls && { mtls: true }),
    ...(breakGlass !== undefined && { breakGlass }),
    ...(approved !== undefined && {
      request: approved.requestId,
      requester: requester.name,
      requesterId: requester.id,
      requesterRoles: requester.roles,
      ...(source.address !== undefined && { address: source.address }),
    }),
  };
}

export function decisionForLog(decision: Decision, approved: Approved | undefined): EntryDecision {
  const { effect, rule, rules, approvals, limit, limits, overrides, shadow } = decision;
  const { policyRevision, policyHash, reason } = decision;
  // All members, in the order of canonical JSON: one shape, which is made and written faster (jcs.ts). Those that are
  // undefined are not in the entry's JSON, as if they were not there.
  return {
    approvals: approvals?.slice(0, MAX_LISTED),
    approvers: approved?.approvers.slice(0, MAX_LISTED),
    effect,
    limit,
    limits: limits?.slice(0, MAX_LIMITS).map(limitForLog),
    overrides: overrides && { ...overrides, reason: cut(overrides.reason) },
    policyHash,
    policyRevision,
    reason: cut(reason),
    rule,
    rules: rules?.slice(0, MAX_LISTED),
    shadow: shadow?.slice(0, MAX_LISTED),
  } as EntryDecision;
}

function limitForLog({ limit, scope, amount, before, max }: LimitUse): EntryLimit {
  return {
    after: `${before + amount}`,
    amount: `${amount}`,
    before: `${before}`,
    limit,
    max: `${max}`,
    scope,
  };
}

function cut(text: string): string {
  return text.length > MAX_REASON ? `${text.slice(0, MAX_REASON)}…` : text;
}

const REFUSALS: ReadonlySet<string> = new Set(['nonce_conflict', 'key_state', 'approval_required']);

/** Why a request that was not denied came to nothing. */
export function failureOf(
  error: unknown,
  detail: { readonly [name: string]: JsonValue } = {},
): Pick<ActDraft, 'outcome' | 'detail'> {
  const known = error instanceof CountersignError;
  return {
    outcome: known && REFUSALS.has(error.code) ? 'refused' : 'failed',
    detail: {
      ...detail,
      code: known ? error.code : 'internal',
      reason: known ? error.message : 'an unexpected error',
    },
  };
}
