import { createHash, randomUUID } from 'node:crypto';
import type { Act, ActDraft } from '../audit/act.ts';
import type { PolicyIntent } from '../effects/effect.ts';
import { CountersignError } from '../errors.ts';
import { intentToJson } from '../intent/codec.ts';
import { canonicalize, type JsonValue } from '../jcs.ts';
import type { Approval } from '../policy/model.ts';
import type { CompiledPolicy } from '../policy/policy.ts';
import type { ApprovalDesk, PendingAnswer, RequestDraft } from '../signer/approval-desk.ts';
import { intentForLog } from '../signer/intent-for-log.ts';
import { decisionForLog } from '../signer/sign-entry.ts';
import { progressOf } from './quorum.ts';
import type { RequestReads, RequestWrites, SigningRequest } from './request.ts';
import { requestStatus, type PolicySource } from './status.ts';

/** Requests that may wait at a time. Beyond it somebody has to decide, or time has to pass. */
const MAX_OPEN_OF_ONE = 100;
export const MAX_OPEN = 1_000;

/** Makes requests for approval and keeps them. */
export class RequestBook implements ApprovalDesk<RequestWrites> {
  readonly #reads: RequestReads;
  readonly #policy: PolicySource;
  readonly #now: () => number;

  /** @param now milliseconds since 1970, of a clock that never goes back: what has expired stays so. */
  constructor(reads: RequestReads, policy: PolicySource, now: () => number) {
    this.#reads = reads;
    this.#policy = policy;
    this.#now = now;
  }

  /**
   * Throws `limit_exceeded` when too many wait already, `unavailable` when the policy in force is not the decision's any
   * more.
   */
  async open(act: Act<RequestWrites>, draft: RequestDraft): Promise<PendingAnswer> {
    const request = this.#write(draft, this.#requirePolicy(draft));
    if (draft.breakGlass !== undefined) {
      const detail = { request: request.id, breakGlass: draft.breakGlass };
      await act.record({ ...entryOf(draft), kind: 'break_glass', outcome: 'pending', detail });
    }
    const { id, expiresAt, intentHash, approvals, requester } = request;
    const detail = {
      request: id,
      intentHash,
      expiresAt,
      ...(draft.breakGlass !== undefined && { breakGlass: draft.breakGlass }),
    };
    const entry: ActDraft = {
      ...entryOf(draft),
      kind: 'request.created',
      outcome: 'done',
      ...(draft.intent.operation !== 'key.export' && intentForLog(draft.intent)),
      detail,
    };
    return await act.commit(entry, (tx) => {
      this.#requirePolicy(draft);
      this.#makeRoom(tx, requester.id);
      tx.insertRequest(request);
      const approval = { ...progressOf(approvals, [], requester.id) };
      return { request: { id, status: request.status, expiresAt, approval } };
    });
  }

  #requirePolicy({ decision }: RequestDraft): CompiledPolicy {
    const policy = this.#policy.current();
    if (policy.hash === decision.policyHash) return policy;
    throw new CountersignError('unavailable', 'the policy changed while this was being decided: try again');
  }

  #write(draft: RequestDraft, policy: CompiledPolicy): SigningRequest {
    const { requester, source, key, intent, decision, breakGlass } = draft;
    const approvals = approvalsOf(policy, decision.approvals);
    const now = this.#now();
    const ttl = Math.min(...approvals.map((approval) => approval.ttl));
    const bound = { requester, key, operation: intent.operation, intent: jsonOf(intent) };
    return {
      id: randomUUID(),
      status: 'pending',
      source,
      ...bound,
      intentHash: intentHashOf(bound),
      approvals,
      reason: decision.reason,
      policyRevision: policy.revision,
      policyHash: policy.hash,
      ...(breakGlass !== undefined && { breakGlass }),
      votes: [],
      createdAt: new Date(now).toISOString(),
      expiresAt: new Date(now + ttl).toISOString(),
    };
  }

  /** Inside the commit, so that many at once can't each take the last place. */
  #makeRoom(tx: RequestWrites, requesterId: string): void {
    if (this.#isFull(requesterId)) this.#closeOverdue(tx, requesterId);
    if (this.#isFull()) this.#closeOverdue(tx);
    if (this.#isFull(requesterId) || this.#isFull()) {
      throw new CountersignError(
        'limit_exceeded',
        `too many requests wait for approval (${MAX_OPEN_OF_ONE} of one requester, ${MAX_OPEN} in all): cancel some, or have them decided`,
      );
    }
  }

  #isFull(requesterId?: string): boolean {
    return this.#reads.openRequests(requesterId) >= (requesterId === undefined ? MAX_OPEN : MAX_OPEN_OF_ONE);
  }

  /** Those whose time is over read as expired already; here it is written down. */
  #closeOverdue(tx: RequestWrites, requesterId?: string): void {
    const { hash } = this.#policy.current();
    for (const status of ['pending', 'approved'] as const) {
      for (const request of this.#reads.requests({ status, requesterId, limit: MAX_OPEN })) {
        const now = requestStatus(request, hash, this.#now());
        if (now !== status) tx.setRequestStatus(request.id, [status], now);
      }
    }
  }
}

/** Of an export, key and version say it all. */
function jsonOf(intent: PolicyIntent): JsonValue {
  return intent.operation === 'key.export' ? {} : intentToJson(intent);
}

/** What an approval binds, beside policy and expiry: SHA-256, hex. */
export function intentHashOf(
  request: Pick<SigningRequest, 'requester' | 'key' | 'operation' | 'intent'>,
): string {
  const { requester, key, operation, intent } = request;
  const bound = { requester: requester.id, key: key.id, version: key.version, operation, intent };
  return createHash('sha256').update(canonicalize(bound), 'utf8').digest('hex');
}

function approvalsOf(policy: CompiledPolicy, names: readonly string[] = []): readonly Approval[] {
  const approvals = names.map((name) => policy.model.approvals.get(name));
  const found = approvals.filter((approval) => approval !== undefined);
  // A request that nobody has to approve would be an approved one.
  if (found.length === 0 || found.length < names.length) {
    throw new CountersignError('internal', 'the decision names no approval that the policy has');
  }
  return found;
}

function entryOf({
  key,
  intent,
  digest,
  decision,
}: RequestDraft): Pick<ActDraft, 'key' | 'operation' | 'digest' | 'decision'> {
  const { name, version, address } = key;
  const { operation } = intent;
  return {
    key: { name, version, address },
    operation,
    ...(digest !== undefined && { digest }),
    decision: decisionForLog(decision, undefined),
  };
}
