import type { AccessReads } from '../access/principals.ts';
import { CountersignError } from '../errors.ts';
import type { JsonValue } from '../jcs.ts';
import type { Approval } from '../policy/model.ts';
import { compilePolicy, type CompiledPolicy, type PolicyReads } from '../policy/policy.ts';
import { changeApproval, requirePassing, requireSuccession, type Base } from './candidate.ts';
import type { Proposal } from './proposal.ts';
import { quorumOf } from './quorum.ts';
import { approvalWarnings, possibleVoters, requireChangeable, type Voter } from './reach.ts';
import type { RequestReads } from './request.ts';
import type { SecondFactor } from './second-factor.ts';
import { currentPolicy, type PolicySource } from './status.ts';

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

  /**
   * What whoever decides should know. Throws `unprocessable` where nobody could change the policy any more.
   *
   * @param approval that the proposal itself takes
   */
  warnings(policy: CompiledPolicy, approval: Approval, proposerId: string): string[] {
    const voters = this.#voters();
    requireChangeable(changeApproval(policy), voters);
    const { met } = quorumOf(approval, voters, proposerId);
    return [
      ...(met ? [] : [`too few others could approve this proposal now (${approval.name})`]),
      ...this.#openRequests(),
      ...approvalWarnings(policy.model.approvals.values(), voters),
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
    requireChangeable(changeApproval(policy), this.#voters());
    const now = this.#parts.reads.principal(proposer.id);
    if (now?.state !== 'enabled' || !now.roles.includes('policy-admin')) {
      throw new CountersignError(
        'conflict',
        `${proposer.name} may not propose a policy any more: propose it yourself`,
      );
    }
    return policy;
  }

  #openRequests(): string[] {
    const { reads } = this.#parts;
    const count = reads.openRequests();
    if (count === 0) return [];
    const ids = (['pending', 'approved'] as const)
      .flatMap((status) => reads.requests({ status, limit: MAX_NAMED }))
      .map(({ id }) => id)
      .slice(0, MAX_NAMED);
    const noun = count === 1 ? 'open request for approval becomes' : 'open requests for approval become';
    return [`${count} ${noun} void: ${ids.join(', ')}${count > ids.length ? ', …' : ''}`];
  }

  #voters(): Voter[] {
    const { reads, secondFactor, now } = this.#parts;
    return possibleVoters(reads, (id) => secondFactor.isEnrolled(id), new Date(now()));
  }
}
