import { randomUUID } from 'node:crypto';
import type { Caller } from '../access/credentials.ts';
import type { AccessReads } from '../access/principals.ts';
import type { Act, ActDraft } from '../audit/act.ts';
import type { EntryKind } from '../audit/entry.ts';
import { CountersignError } from '../errors.ts';
import { canonicalize } from '../jcs.ts';
import type { CompiledPolicy, PolicyInForce, PolicyReads, PolicyWrites } from '../policy/policy.ts';
import { Assessment } from './assessment.ts';
import { changeApproval, examine, readDocument, type SuiteText } from './candidate.ts';
import { proposalToJson } from './proposal-view.ts';
import type { Proposal, ProposalJson, ProposalReads, ProposalStatus, ProposalWrites } from './proposal.ts';
import { quorumOf } from './quorum.ts';
import type { RequestReads, RequestWrites, Vote } from './request.ts';
import type { SecondFactor, TotpWrites } from './second-factor.ts';
import { proposalStatus } from './status.ts';
import { voteToLog, Voting, type Cast, type Motion, type Say } from './voting.ts';

export type ProposalTx = ProposalWrites & PolicyWrites & RequestWrites & TotpWrites;

export interface ProposalParts {
  readonly reads: ProposalReads & PolicyReads & RequestReads & AccessReads;
  readonly policy: PolicyInForce;
  readonly secondFactor: SecondFactor;
  /** Milliseconds since 1970, of a clock that never goes back: what has expired stays so. */
  readonly now: () => number;
}

/** What a proposer sends. */
export interface Proposed {
  /** YAML text, or the document as JSON. */
  readonly document: unknown;
  readonly suites?: readonly SuiteText[] | undefined;
  readonly comment?: string | undefined;
}

export interface ProposalPage {
  readonly [name: string]: ProposalJson[] | string | null;
  readonly items: ProposalJson[];
  readonly nextCursor: string | null;
}

export interface ProposalQuery {
  readonly status?: ProposalStatus | undefined;
  readonly limit: number;
  readonly before?: string | undefined;
}

const SLICE = 50;
const MAX_SCANNED = 500;
/** Votes of others may overtake one that is being written; each does once. */
const MAX_TRIES = 100;

/** Changes of the policy: proposed by one, in force when enough others have said yes. */
export class ProposalService {
  readonly #parts: ProposalParts;
  readonly #now: () => number;
  readonly #voting: Voting;
  readonly #assessment: Assessment;

  constructor(parts: ProposalParts) {
    this.#parts = parts;
    this.#now = parts.now;
    this.#assessment = new Assessment(parts);
    this.#voting = new Voting(parts.reads, parts.secondFactor, this.#now);
  }

  /** Newest first. */
  list({ status, limit, before }: ProposalQuery): ProposalPage {
    const items: ProposalJson[] = [];
    let cursor = before;
    for (let scanned = 0; scanned < MAX_SCANNED; scanned += SLICE) {
      const stored = status === 'expired' || status === 'void' ? undefined : status;
      const slice = this.#parts.reads.proposals({ status: stored, before: cursor, limit: SLICE });
      for (const proposal of slice) {
        if (items.length === limit) return { items, nextCursor: cursor ?? null };
        cursor = proposal.id;
        if (status === undefined || this.#statusOf(proposal) === status) items.push(this.#view(proposal));
      }
      if (slice.length < SLICE) return { items, nextCursor: null };
    }
    return { items, nextCursor: cursor ?? null };
  }

  /**
   * One, with what is to be known of it as things stand now: what was found out when it was proposed may have changed
   * since. Throws `not_found`.
   */
  inspect(id: string): ProposalJson {
    const proposal = this.#find(id);
    if (this.#statusOf(proposal) !== 'pending') return this.#view(proposal);
    return this.#view({ ...proposal, warnings: this.#assessment.warningsOf(proposal) });
  }

  #show(id: string): ProposalJson {
    return this.#view(this.#find(id));
  }

  /**
   * Throws `invalid_request` with every problem of the document, `unprocessable` for one that may not follow what is in
   * force, whose tests fail, or under which nobody could change the policy any more.
   */
  async propose(
    act: Act<ProposalWrites>,
    { principal }: Caller,
    { document, suites = [], comment }: Proposed,
  ): Promise<ProposalJson> {
    const base = this.#assessment.base();
    const candidate = examine(readDocument(document), suites, base);
    const approval = { ...changeApproval(base.policy), excludeRequester: true };
    const { policy } = candidate;
    this.#assessment.requireChangeable(policy);
    const warnings = this.#assessment.warnings(policy, approval, principal.id);
    const now = this.#now();
    const proposal: Proposal = {
      id: randomUUID(),
      status: 'pending',
      proposer: {
        id: principal.id,
        name: principal.name,
      },
      revision: policy.revision,
      document: policy.json,
      hash: policy.hash,
      parentHash: base.hash,
      suites: candidate.suites,
      tests: candidate.tests,
      changes: candidate.changes,
      warnings,
      approval,
      ...(comment !== undefined && { comment }),
      votes: [],
      createdAt: new Date(now).toISOString(),
      expiresAt: new Date(now + approval.ttl).toISOString(),
    };
    const detail = { ...(comment !== undefined && { comment }) };
    return await act.commit(draftOf(proposal, 'policy.proposed', detail), (tx) => {
      if (this.#assessment.baseHash() !== base.hash) throw changed();
      tx.insertProposal(proposal);
      return this.#show(proposal.id);
    });
  }

  /**
   * One more approval. With the last that it takes, its tests run again, and it is in force from that entry of the log
   * on. Throws `conflict` when it is decided, or is not for the policy in force any more.
   */
  async approve(act: Act<ProposalTx>, caller: Caller, id: string, say: Say): Promise<ProposalJson> {
    const cast = await this.#voting.approve(act, caller, motionOf(this.#requirePending(id)), say);
    for (let tries = 1; ; tries++) {
      try {
        return await this.#commitVote(act, caller, id, cast);
      } catch (error) {
        if (!(error instanceof Overtaken) || tries === MAX_TRIES) throw error;
      }
    }
  }

  /** As `approve`. By its proposer, it is taken back. */
  async reject(act: Act<ProposalTx>, caller: Caller, id: string, say: Say): Promise<ProposalJson> {
    const proposal = this.#requirePending(id);
    const own = proposal.proposer.id === caller.principal.id;
    const cast = own ? undefined : this.#voting.reject(caller, motionOf(proposal), say);
    const detail = { ...(say.comment !== undefined && { comment: say.comment }), ...(own && { own }) };
    return await act.commit(draftOf(proposal, 'policy.rejected', detail), (tx) => {
      this.#requirePending(id);
      if (cast !== undefined) this.#addVote(tx, caller, id, cast);
      if (cast === undefined || this.#outcome(this.#find(id)) === 'rejected') {
        tx.setProposalStatus(id, 'pending', 'rejected');
      }
      return this.#show(id);
    });
  }

  /** The entry depends on whether this is the last vote: where that changes on the way, nothing is written. */
  async #commitVote(act: Act<ProposalTx>, caller: Caller, id: string, cast: Cast): Promise<ProposalJson> {
    const proposal = this.#requirePending(id);
    const votes = [...proposal.votes, cast.vote];
    const completes = this.#outcome({ ...proposal, votes }) === 'accepted';
    const policy = completes ? this.#assessment.prepare(proposal) : undefined;
    const approvers = votes.filter(({ verdict }) => verdict === 'approve').map(({ name }) => name);
    const detail = { ...voteToLog(cast.vote), ...(completes && { approvers }) };
    const draft = draftOf(proposal, completes ? 'policy.activated' : 'policy.approved', detail);
    return await act.commit(draft, (tx) => {
      this.#addVote(tx, caller, id, cast);
      if ((this.#outcome(this.#find(id)) === 'accepted') !== completes) throw new Overtaken();
      if (policy !== undefined) this.#activate(tx, proposal, policy);
      const answer = this.#show(id);
      // What is in force must not change in memory when this can't be committed: from here on nothing of ours throws.
      canonicalize(answer);
      if (policy !== undefined) this.#parts.policy.use(policy);
      return answer;
    });
  }

  #addVote(tx: ProposalTx, caller: Caller, id: string, { vote, proof }: Cast): void {
    this.#voting.requireStanding(caller, vote, motionOf(this.#requirePending(id)));
    proof.commit(tx);
    tx.addProposalVote(id, vote);
  }

  #activate(
    tx: ProposalTx,
    { id, parentHash, proposer }: Proposal,
    { revision, json, hash }: CompiledPolicy,
  ): void {
    this.#assessment.requireProposer(proposer);
    const { suites } = this.#find(id);
    const stored = {
      revision,
      document: json,
      hash,
      parentHash: parentHash === '' ? null : parentHash,
      suites,
    };
    tx.insertPolicy(stored, new Date(this.#now()).toISOString());
    tx.setProposalStatus(id, 'pending', 'accepted');
    tx.voidOpenRequests(`policy revision ${revision} came in force: ask for it again`);
  }

  #outcome({ approval, votes, proposer }: Proposal): 'pending' | 'accepted' | 'rejected' {
    const counted: readonly Vote[] = this.#voting.standing(votes);
    const { met, rejected } = quorumOf(approval, counted, proposer.id);
    if (rejected) return 'rejected';
    return met ? 'accepted' : 'pending';
  }

  #find(id: string): Proposal {
    const proposal = this.#parts.reads.proposal(id);
    if (proposal === undefined) throw new CountersignError('not_found', `there is no proposal ${id}`);
    return proposal;
  }

  #requirePending(id: string): Proposal {
    const proposal = this.#find(id);
    const status = this.#statusOf(proposal);
    if (status === 'void') throw changed();
    if (status !== 'pending') throw new CountersignError('conflict', `the proposal is ${status} already`);
    return proposal;
  }

  #statusOf(proposal: Proposal): ProposalStatus {
    return proposalStatus(proposal, this.#assessment.baseHash(), this.#now());
  }

  #view(proposal: Proposal): ProposalJson {
    return proposalToJson(proposal, this.#statusOf(proposal), this.#voting.standing(proposal.votes));
  }
}

/** Another vote came first, and the entry that was to be written is not the right one any more. */
class Overtaken extends CountersignError {
  constructor() {
    super('conflict', 'others voted at the same time: try again');
  }
}

function changed(): CountersignError {
  return new CountersignError(
    'conflict',
    'another policy came in force since this was proposed: propose it again, with a higher revision',
  );
}

function motionOf({ approval, proposer, votes }: Proposal): Motion {
  return { noun: 'the proposal', approvals: [approval], requesterId: proposer.id, votes };
}

function draftOf(
  { id, revision, hash, parentHash }: Proposal,
  kind: EntryKind,
  detail: ActDraft['detail'],
): ActDraft {
  return { kind, outcome: 'done', detail: { proposal: id, revision, hash, parentHash, ...detail } };
}
