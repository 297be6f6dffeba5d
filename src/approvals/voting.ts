import { Forbidden, type Caller } from '../access/credentials.ts';
import type { AccessReads } from '../access/principals.ts';
import type { Act } from '../audit/act.ts';
import { CountersignError } from '../errors.ts';
import type { JsonValue } from '../jcs.ts';
import type { Approval } from '../policy/model.ts';
import { mayVote, standing } from './quorum.ts';
import type { Vote } from './request.ts';
import type { Proof, SecondFactor, TotpWrites } from './second-factor.ts';

/** What is voted on: a request, or a proposal. */
export interface Motion {
  /** As messages name it: `the request`. */
  readonly noun: string;
  readonly approvals: readonly Approval[];
  /** Who asked for it. */
  readonly requesterId: string;
  readonly votes: readonly Vote[];
}

/** What a voter sends. */
export interface Say {
  readonly comment?: string | undefined;
  readonly otp?: string | undefined;
}

/** Who may vote, and how that is proven. */
export class Voting {
  readonly #reads: Pick<AccessReads, 'principal'>;
  readonly #secondFactor: SecondFactor;
  readonly #now: () => number;

  constructor(reads: Pick<AccessReads, 'principal'>, secondFactor: SecondFactor, now: () => number) {
    this.#reads = reads;
    this.#secondFactor = secondFactor;
    this.#now = now;
  }

  /** Those of the votes that count now. */
  standing(votes: readonly Vote[]): Vote[] {
    return standing(votes, (id) => this.#reads.principal(id));
  }

  /**
   * Checks all that a vote for the motion takes. Throws `forbidden`, `conflict` for a second vote, `unprocessable` or
   * `rate_limited` as the one-time code has it.
   */
  async approve(act: Act<TotpWrites>, caller: Caller, motion: Motion, say: Say): Promise<Cast> {
    const concerned = this.#requireVoter(caller, motion);
    const takes = new Set(concerned.map(({ credential }) => credential));
    if (takes.has('mtls') && !caller.mtls) {
      throw new Forbidden(caller, 'this approval takes a client certificate, and none came with the request');
    }
    if (takes.has('otp') && !this.#secondFactor.isEnrolled(caller.principal.id)) {
      throw new Forbidden(
        caller,
        'this approval takes a one-time code: set up a second factor first (countersign totp)',
      );
    }
    const proof = await this.#secondFactor.prove(act, caller.principal, say.otp);
    return this.#cast(caller, 'approve', say, proof);
  }

  /** As `approve`; saying no takes no code. */
  reject(caller: Caller, motion: Motion, say: Say): Cast {
    this.#requireVoter(caller, motion);
    return this.#cast(caller, 'reject', say, { otp: false, commit: () => undefined });
  }

  /** Inside the commit: the voter may still vote, on the motion as it is now. */
  requireStanding(caller: Caller, vote: Vote, motion: Motion): void {
    this.#requireNew(caller, motion);
    const [now] = this.standing([vote]);
    if (now === undefined || concerning(motion, { id: caller.principal.id, roles: now.roles }).length === 0) {
      throw new Forbidden(caller, 'you do not have the role for this approval any more');
    }
  }

  #requireVoter(caller: Caller, motion: Motion): readonly Approval[] {
    const { principal } = caller;
    const concerned = concerning(motion, principal);
    if (concerned.length === 0) {
      const roles = new Set(motion.approvals.flatMap(({ all }) => all.map(({ role }) => role)));
      const own = principal.id === motion.requesterId ? 'whoever asked for it does not count, and ' : '';
      throw new Forbidden(caller, `${own}${motion.noun} takes the role ${[...roles].join(' or ')}`);
    }
    this.#requireNew(caller, motion);
    return concerned;
  }

  #requireNew({ principal }: Caller, { noun, votes }: Motion): void {
    if (votes.some(({ principalId }) => principalId === principal.id)) {
      throw new CountersignError('conflict', `you have voted on ${noun} already`);
    }
  }

  #cast(caller: Caller, verdict: Vote['verdict'], { comment }: Say, proof: Proof): Cast {
    const { principal, mtls } = caller;
    const vote: Vote = {
      principalId: principal.id,
      name: principal.name,
      roles: principal.roles,
      verdict,
      ...(comment !== undefined && { comment }),
      otp: proof.otp,
      mtls,
      time: new Date(this.#now()).toISOString(),
    };
    return { vote, proof };
  }
}

/** A vote that was checked; with the commit its code is used up. */
export interface Cast {
  readonly vote: Vote;
  readonly proof: Proof;
}

export function voteToLog({ comment, otp, mtls }: Vote): { readonly [name: string]: JsonValue } {
  return { ...(comment !== undefined && { comment }), otp, mtls };
}

export function voteToJson({ name, verdict, comment, otp, mtls, time }: Vote): {
  readonly [name: string]: JsonValue;
} {
  return {
    name,
    verdict,
    ...(comment !== undefined && { comment }),
    otp,
    mtls,
    time,
  };
}

function concerning(
  { approvals, requesterId }: Motion,
  voter: { readonly id: string; readonly roles: readonly string[] },
): readonly Approval[] {
  return approvals.filter((approval) => mayVote(approval, voter, requesterId));
}
