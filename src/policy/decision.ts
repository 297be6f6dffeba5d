import type { Hex } from '../bytes.ts';
import type { Effects, PolicyIntent } from '../effects/effect.ts';

/** Everything a policy may read. Time is an input: evaluation does no I/O and gives the same answer every time. */
export interface PolicyRequest {
  readonly principal: { readonly id: string; readonly name: string; readonly roles: readonly string[] };
  readonly key: {
    readonly name: string;
    readonly tags: readonly string[];
    /** Of the version that is to sign; lower-case. */
    readonly address: Hex;
    /** Superseded: only allow rules with `draining: true` apply. */
    readonly draining: boolean;
  };
  readonly intent: PolicyIntent;
  /** `decodeEffects(intent, key.address)`. */
  readonly effects: Effects;
  readonly source: {
    /**
     * The caller's IP address. Undefined, or no address, when it is not known: then `source.cidr` holds for deny and
     * require rules, and not for allow rules.
     */
    readonly address: string | undefined;
    /** Whether it proved itself with a client certificate. */
    readonly mtls: boolean;
  };
  /** Milliseconds since 1970. */
  readonly now: number;
  /** The reason given for asking to override a denial, where that is asked for. */
  readonly breakGlass?: string | undefined;
}

/** What a request takes from one limit. */
export interface Charge {
  /** Name of the limit. */
  readonly limit: string;
  /** What `per` comes to, joined by `/` in its order: `hot`, `payroll/1`; `all` where `per` is absent. */
  readonly scope: string;
  /** Wei, base units of the token, or a count. */
  readonly amount: bigint;
  readonly max: bigint;
  /** Milliseconds. */
  readonly window: { readonly rolling: number; readonly bucket: number };
  /** `deny`, or the name of the approval that lifts it. */
  readonly onExceed: 'deny' | { readonly approval: string };
}

/** A charge with what the limit's window held before it. */
export interface LimitUse {
  readonly limit: string;
  readonly scope: string;
  readonly amount: bigint;
  readonly before: bigint;
  readonly max: bigint;
}

export interface Decision {
  readonly effect: 'allow' | 'deny' | 'require';
  /** The rule that decided: that denied, or the first that allowed. Absent when no rule matched, or a limit decided. */
  readonly rule?: string;
  /** Every rule that an effect is allowed by, when there are several. */
  readonly rules?: readonly string[];
  /** For `require`: names of the approvals that must all be given. */
  readonly approvals?: readonly string[];
  /** The limit that denied or that asks for approval. */
  readonly limit?: string;
  /** What break-glass overrides: the decision without it. Present exactly when it does. */
  readonly overrides?: { readonly rule?: string; readonly reason: string };
  readonly policyRevision: number;
  /** SHA-256 of the policy's canonical JSON, hex. */
  readonly policyHash: string;
  /** One sentence for the caller and the log. */
  readonly reason: string;
  /** For a default deny: the rules that came close, each with the first predicate that failed. */
  readonly failed?: readonly { readonly rule: string; readonly predicate: string }[];
  /** What each limit holds, when the request is charged to any. */
  readonly limits?: readonly LimitUse[];
  /** Rules in shadow mode that match, with what they would have done. */
  readonly shadow?: readonly { readonly rule: string; readonly effect: 'allow' | 'deny' | 'require' }[];
}

/** What the rules say, before the limits are asked. */
export interface Verdict {
  readonly decision: Decision;
  /** Empty for a denial. */
  readonly charges: readonly Charge[];
  /** Whether break-glass was granted: limits that deny are then overridden, and charged. */
  readonly breakGlass?: { readonly approval: string };
}

/** What a limit's window holds for a charge's scope, in the charge's unit, without the charge. */
export type UsageOf = (charge: Charge) => bigint;
