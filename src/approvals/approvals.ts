import { Forbidden, type Caller } from '../access/credentials.ts';
import type { AccessReads } from '../access/principals.ts';
import type { Role } from '../access/roles.ts';
import type { Act, ActDraft } from '../audit/act.ts';
import type { EntryActor, EntryKind } from '../audit/entry.ts';
import { CountersignError } from '../errors.ts';
import { Execution, type ExecutionParts, type ExecutionTx } from './execution.ts';
import { quorumOf } from './quorum.ts';
import type { RequestReads, RequestStatus, RequestWrites, SigningRequest, Vote } from './request.ts';
import type { SecondFactor, TotpWrites } from './second-factor.ts';
import { currentPolicy, requestStatus, type PolicySource } from './status.ts';
import { requestToJson, type RequestJson } from './view.ts';
import { voteToLog, Voting, type Cast, type Motion, type Say } from './voting.ts';

export type ApprovalTx = ExecutionTx & TotpWrites;

export interface ApprovalParts extends ExecutionParts {
  readonly reads: RequestReads & AccessReads;
  readonly secondFactor: SecondFactor;
  /** An act in the name of somebody who does not call just now: the requester, when the last approval signs. */
  readonly actOf: (actor: EntryActor, requestId: string) => Act<ExecutionTx>;
}

export interface RequestPage {
  readonly [name: string]: RequestJson[] | string | null;
  readonly items: RequestJson[];
  readonly nextCursor: string | null;
}

export interface RequestQuery {
  readonly status?: RequestStatus | undefined;
  readonly limit: number;
  /** Id of the last request of the page before. */
  readonly before?: string | undefined;
}

/** Who sees every request; others see their own. */
const READERS: ReadonlySet<Role> = new Set(['approver', 'admin', 'policy-admin', 'operator', 'auditor']);
/** Read for one page at most: a page of what is rare may be short, and go on. */
const MAX_SCANNED = 2_000;
const SLICE = 200;

/** Requests that wait for approval: who sees them, who decides, and what comes of it. */
export class ApprovalService {
  readonly #parts: ApprovalParts;
  readonly #policy: PolicySource;
  readonly #now: () => number;
  readonly #voting: Voting;
  readonly #execution: Execution;

  constructor(parts: ApprovalParts) {
    this.#parts = parts;
    this.#policy = parts.policy;
    this.#now = parts.now;
    this.#voting = new Voting(parts.reads, parts.secondFactor, this.#now);
    this.#execution = new Execution(parts);
  }

  /** Newest first. `status` is what a request is now, not what was written down last. */
  list(caller: Caller, { status, limit, before }: RequestQuery): RequestPage {
    const requesterId = seesAll(caller) ? undefined : caller.principal.id;
    const items: RequestJson[] = [];
    let cursor = before;
    for (let scanned = 0; scanned < MAX_SCANNED; scanned += SLICE) {
      const filter = { status: storedStatus(status), requesterId, before: cursor, limit: SLICE };
      const slice = this.#parts.reads.requests(filter);
      for (const request of slice) {
        if (items.length === limit) return { items, nextCursor: cursor ?? null };
        cursor = request.id;
        const now = this.#statusOf(request);
        if (status === undefined || now === status) items.push(this.#view(request, caller));
      }
      if (slice.length < SLICE) return { items, nextCursor: null };
    }
    return { items, nextCursor: cursor ?? null };
  }

  /** Throws `not_found`, also for what the caller may not see. */
  show(caller: Caller, id: string): RequestJson {
    return this.#view(this.#find(caller, id), caller);
  }

  /**
   * One more approval. With the last that it takes, the request is signed at once; what keeps it from being signed is in
   * the answer, as its status and its note. Throws `conflict` when it is decided, `forbidden` for who may not vote.
   */
  async approve(act: Act<ApprovalTx>, caller: Caller, id: string, say: Say): Promise<RequestJson> {
    const motion = motionOf(this.#requirePending(caller, id));
    const cast = await this.#voting.approve(act, caller, motion, say);
    await this.#commitVote(act, caller, id, cast);
    const { status, operation } = this.#find(caller, id);
    // An export waits for its requester, who has the password.
    if (status === 'approved' && operation !== 'key.export') await this.#executeApproved(id);
    return this.show(caller, id);
  }

  /** As `approve`; so many rejections as the approval says end the request, also one that is approved and not signed. */
  async reject(act: Act<ApprovalTx>, caller: Caller, id: string, say: Say): Promise<RequestJson> {
    const cast = this.#voting.reject(caller, motionOf(this.#requireOpen(caller, id)), say);
    return await this.#commitVote(act, caller, id, cast);
  }

  /** By its requester, until it is signed. Throws `conflict` after that. */
  async cancel(act: Act<RequestWrites>, caller: Caller, id: string): Promise<RequestJson> {
    const request = this.#requireOwn(caller, id);
    return await act.commit(draftOf(request, 'request.cancelled', {}), (tx) => {
      tx.setRequestStatus(id, ['pending', 'approved'], 'cancelled');
      return this.show(caller, id);
    });
  }

  /** Signs what was approved and could not be signed then. By its requester; throws what keeps it from being signed. */
  async execute(act: Act<ExecutionTx>, caller: Caller, id: string): Promise<RequestJson> {
    this.#requireOwn(caller, id);
    await this.#execution.run(act, id, () => this.show(caller, id));
    return this.show(caller, id);
  }

  async #commitVote(
    act: Act<ApprovalTx>,
    caller: Caller,
    id: string,
    { vote, proof }: Cast,
  ): Promise<RequestJson> {
    const approves = vote.verdict === 'approve';
    const draft = draftOf(
      this.#find(caller, id),
      approves ? 'request.approved' : 'request.rejected',
      voteToLog(vote),
    );
    return await act.commit(draft, (tx) => {
      // Again, on what holds at this place of the log.
      const before = approves ? this.#requirePending(caller, id) : this.#requireOpen(caller, id);
      this.#voting.requireStanding(caller, vote, motionOf(before));
      proof.commit(tx);
      tx.addVote(id, vote);
      const outcome = this.#outcome(this.#find(caller, id));
      const decided = outcome === 'rejected' || (outcome === 'approved' && before.status === 'pending');
      if (decided) tx.setRequestStatus(id, [before.status], outcome);
      return this.show(caller, id);
    });
  }

  #outcome({ approvals, votes, requester }: SigningRequest): 'pending' | 'approved' | 'rejected' {
    const counted: readonly Vote[] = this.#voting.standing(votes);
    const quorums = approvals.map((approval) => quorumOf(approval, counted, requester.id));
    if (quorums.some(({ rejected }) => rejected)) return 'rejected';
    return quorums.length > 0 && quorums.every(({ met }) => met) ? 'approved' : 'pending';
  }

  /** The approval stands whatever comes of this: what went wrong is in the request's note. */
  async #executeApproved(id: string): Promise<void> {
    const request = this.#parts.reads.request(id);
    if (request === undefined) return;
    const { requester, source } = request;
    const roles = this.#parts.reads.principal(requester.id)?.roles;
    const actor: EntryActor = {
      principal: requester.name,
      principalId: requester.id,
      ...(roles !== undefined && { roles }),
      ...(source.address !== undefined && { address: source.address }),
    };
    try {
      await this.#execution.run(this.#parts.actOf(actor, id), id, () => ({}));
    } catch (error) {
      if (!(error instanceof CountersignError)) throw error;
    }
  }

  #find(caller: Caller, id: string): SigningRequest {
    const request = this.#parts.reads.request(id);
    if (request === undefined || !(seesAll(caller) || request.requester.id === caller.principal.id)) {
      throw new CountersignError('not_found', `there is no request ${id}`);
    }
    return request;
  }

  #requirePending(caller: Caller, id: string): SigningRequest {
    return this.#requireStatus(caller, id, ['pending']);
  }

  /** Not signed yet, whatever was said of it so far. */
  #requireOpen(caller: Caller, id: string): SigningRequest {
    return this.#requireStatus(caller, id, ['pending', 'approved']);
  }

  /** Throws `unavailable` where no policy is in force: then nobody knows whether it is void. */
  #requireStatus(caller: Caller, id: string, wanted: readonly RequestStatus[]): SigningRequest {
    const request = this.#find(caller, id);
    const status = requestStatus(request, this.#policy.current().hash, this.#now());
    if (!wanted.includes(status)) throw new CountersignError('conflict', `the request is ${status} already`);
    return request;
  }

  #requireOwn(caller: Caller, id: string): SigningRequest {
    const request = this.#find(caller, id);
    if (request.requester.id === caller.principal.id) return request;
    throw new Forbidden(caller, 'this is for whoever made the request');
  }

  #statusOf(request: SigningRequest): RequestStatus {
    return requestStatus(request, currentPolicy(this.#policy)?.hash, this.#now());
  }

  #view(request: SigningRequest, { principal }: Caller): RequestJson {
    const tokens = currentPolicy(this.#policy)?.model.tokens ?? new Map<string, never>();
    const standing = this.#voting.standing(request.votes);
    return requestToJson(request, this.#statusOf(request), standing, { principalId: principal.id, tokens });
  }
}

function seesAll({ principal }: Caller): boolean {
  return principal.roles.some((role) => READERS.has(role));
}

/** What may be asked of storage: a request that is expired or void may be stored as open still. */
function storedStatus(status: RequestStatus | undefined): RequestStatus | undefined {
  return status === 'expired' || status === 'void' ? undefined : status;
}

function motionOf({ approvals, requester, votes }: SigningRequest): Motion {
  return { noun: 'the request', approvals, requesterId: requester.id, votes };
}

function draftOf(
  { id, key, operation, intentHash }: SigningRequest,
  kind: EntryKind,
  detail: ActDraft['detail'],
): ActDraft {
  return {
    kind,
    outcome: 'done',
    operation,
    key: {
      name: key.name,
      version: key.version,
      address: key.address,
    },
    detail: {
      request: id,
      intentHash,
      ...detail,
    },
  };
}
