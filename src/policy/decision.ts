import type { Intent } from '../intent/intent.ts';

/** Everything a policy may read. Time is an input: evaluation does no I/O and gives the same answer every time. */
export interface PolicyRequest {
  readonly principal: { readonly id: string; readonly name: string; readonly roles: readonly string[] };
  readonly key: { readonly name: string; readonly tags: readonly string[] };
  readonly intent: Intent;
}

export interface Decision {
  readonly effect: 'allow' | 'deny';
  /** The rule that decided; absent when no rule matched (default deny). */
  readonly rule?: string;
  readonly policyRevision: number;
  /** SHA-256 of the policy's canonical JSON, hex. */
  readonly policyHash: string;
  /** One sentence for the caller and the log. */
  readonly reason: string;
  /** For a default deny: the rules that came close, each with the first predicate that failed. */
  readonly failed?: readonly { readonly rule: string; readonly predicate: string }[];
}
