import { CountersignError } from '../errors.ts';
import type { Decision, PolicyRequest } from './decision.ts';
import type { CompiledPolicy } from './policy.ts';

/** A policy as it is kept: its canonical JSON (RFC 8785) and the SHA-256 of that, hex. */
export interface StoredPolicy {
  readonly revision: number;
  readonly document: string;
  readonly hash: string;
}

export interface PolicyReads {
  newestPolicy(): StoredPolicy | undefined;
}

export interface PolicyWrites {
  insertPolicy(policy: StoredPolicy, time: string): void;
}

/** The policy in force, or the reason why there is none and nothing can be signed. */
export class PolicyInForce {
  #policy: CompiledPolicy | undefined;
  #problem: string | undefined = 'no policy has been loaded yet';

  /** Undefined while there is a policy. */
  get problem(): string | undefined {
    return this.#problem;
  }

  use(policy: CompiledPolicy): void {
    this.#policy = policy;
    this.#problem = undefined;
  }

  fail(problem: string): void {
    this.#policy = undefined;
    this.#problem = problem;
  }

  /** Throws `unavailable` where there is none. */
  current(): CompiledPolicy {
    if (this.#policy === undefined) {
      throw new CountersignError(
        'unavailable',
        `there is no policy in force, so nothing is signed: ${this.#problem}`,
      );
    }
    return this.#policy;
  }

  evaluate(request: PolicyRequest): Decision {
    return this.current().evaluate(request);
  }
}
