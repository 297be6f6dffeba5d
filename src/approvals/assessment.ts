import type { AccessReads } from '../access/principals.ts';
import { CountersignError } from '../errors.ts';
import type { JsonValue } from '../jcs.ts';
import type { Approval } from '../policy/model.ts';
import { compilePolicy, type CompiledPolicy, type PolicyReads } from '../policy/policy.ts';
import { MAX_OPEN } from './book.ts';
import { changeApproval, requirePassing, requireSuccession, type Base } from './candidate.ts';
import type { Proposal } from './proposal.ts';
import { quorumOf } from './quorum.ts';
import {
  approvalWarnings,
  possibleVoters,
  principalWarnings,
  requireChangeable,
  type Voter,
} from './reach.ts';
import type { RequestReads } from './request.ts';
import type { SecondFactor } from './second-factor.ts';
import { currentPolicy, requestStatus, type PolicySource } from './status.ts';

export interface AssessmentParts {
  readonly reads: PolicyReads & RequestReads & AccessReads;
  readonly policy: PolicySource;
  readonly secondFactor: Pick<SecondFactor, 'isEnrolled'>;
  readonly now: () => number;
}

const MAX_NAMED = 20;

/** What a new policy would mean here: for those who change it, and for what is under way. */
export class Assessment {
  readonly #parts: AssessmentParts;

  constructor(parts: AssessmentParts) {
    this.#parts = parts;
  }

  /** What a proposal that is made now would replace: what is in force, else what was stored last. */
  base(): Base {
    const policy = currentPolicy(this.#parts.policy);
    const stored = this.#parts.reads.newestPolicy();
    return {
      policy,
      hash: this.baseHash(),
      revision: Math.max(policy?.revision ?? 0, stored?.revision ?? 0),
      suites: stored?.suites ?? [],
    };
  }

  baseHash(): string {
    return currentPolicy(this.#parts.policy)?.hash ?? this.#parts.reads.newestPolicy()?.hash ?? '';
  }

  /** Throws `unprocessable` where nobody could change the policy any more. */
  requireChangeable(policy: CompiledPolicy): void {
    requireChangeable(changeApproval(policy), this.#voters());
  }

  /**
   * What whoever decides should know, as things stand now.
   *
   * @param approval that the proposal itself takes
   */
  warnings(policy: CompiledPolicy, approval: Approval, proposerId: string): string[] {
    const voters = this.#voters();
    const { met } = quorumOf(approval, voters, proposerId);
    return [
      ...(met ? [] : [`too few others could approve this proposal now (${approval.name})`]),
      ...this.#openRequests(),
      ...approvalWarnings(policy.model.approvals.values(), voters),
      ...principalWarnings(policy.model, this.#parts.reads.principals()),
    ];
  }

  /** The same of a proposal that was made before, and what would keep it from being accepted now. */
  warningsOf({ document, approval, proposer }: Proposal): string[] {
    const policy = compilePolicy(JSON.parse(document) as JsonValue);
    return [
      ...obstacle(() => this.requireProposer(proposer)),
      ...obstacle(() => this.requireChangeable(policy)),
      ...this.warnings(policy, approval, proposer.id),
    ];
  }

  /** Checks all that was checked when it was proposed, as things stand now. Throws `unprocessable` or `conflict`. */
  prepare({ document, hash, suites, proposer }: Proposal): CompiledPolicy {
    const policy = compilePolicy(JSON.parse(document) as JsonValue);
    if (policy.hash !== hash) {
      throw new CountersignError(
        'unprocessable',
        'the stored proposal is not what was proposed: propose it again',
      );
    }
    requireSuccession(policy, this.base());
    requirePassing(policy, suites);
    this.requireChangeable(policy);
    this.requireProposer(proposer);
    return policy;
  }

  /** Throws `conflict` when whoever proposed may not any more. */
  requireProposer({ id, name }: Proposal['proposer']): void {
    const now = this.#parts.reads.principal(id);
    if (now?.state !== 'enabled' || !now.roles.includes('policy-admin')) {
      throw new CountersignError(
        'conflict',
        `${name} may not propose a policy any more: propose it yourself`,
      );
    }
  }

  /** Those that are approved already, too: consent under other rules is none. */
  #openRequests(): string[] {
    const { reads, policy, now } = this.#parts;
    const hash = currentPolicy(policy)?.hash;
    const open = (['approved', 'pending'] as const)
      .flatMap((status) => reads.requests({ status, limit: MAX_OPEN }))
      .filter((request) => requestStatus(request, hash, now()) === request.status);
    if (open.length === 0) return [];
    const noun =
      open.length === 1 ? 'open request for approval becomes' : 'open requests for approval become';
    const named = open
      .slice(0, MAX_NAMED)
      .map(({ id, status }) => (status === 'approved' ? `${id} (approved)` : id));
    return [`${open.length} ${noun} void: ${named.join(', ')}${open.length > named.length ? ', …' : ''}`];
  }

  #voters(): Voter[] {
    const { reads, secondFactor, now } = this.#parts;
    return possibleVoters(reads, (id) => secondFactor.isEnrolled(id), new Date(now()));
  }
}

function obstacle(check: () => void): string[] {
  try {
    check();
    return [];
  } catch (error) {
    if (!(error instanceof CountersignError)) throw error;
    return [`it could not be accepted now: ${error.message}`];
  }
}
