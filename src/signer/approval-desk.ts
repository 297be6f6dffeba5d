import type { Act } from '../audit/act.ts';
import type { Hex } from '../bytes.ts';
import type { PolicyIntent } from '../effects/effect.ts';
import type { JsonValue } from '../jcs.ts';
import type { Decision, PolicyRequest } from '../policy/decision.ts';

/** What the caller gets where the policy asks for approval first. */
export interface PendingAnswer {
  readonly [name: string]: JsonValue;
  readonly request: {
    readonly id: string;
    readonly status: string;
    readonly expiresAt: string;
    readonly approval: JsonValue;
  };
}

/** What somebody has to approve. Nothing of it may change until it is signed. */
export interface RequestDraft {
  readonly requester: { readonly id: string; readonly name: string };
  readonly source: PolicyRequest['source'];
  readonly key: {
    readonly id: string;
    readonly name: string;
    readonly version: number;
    readonly address: Hex;
  };
  readonly intent: PolicyIntent;
  /** The 32 bytes that would be signed, where something would. */
  readonly digest?: Hex;
  /** With the names of the approvals, why they are needed, and under which policy. */
  readonly decision: Decision;
  readonly breakGlass?: string;
}

/** Where requests wait for approval. */
export interface ApprovalDesk<Tx> {
  /**
   * Keeps a request, in one commit with the entry that says so. Throws `unavailable` when the policy in force is not
   * the decision's any more.
   */
  open(act: Act<Tx>, draft: RequestDraft): Promise<PendingAnswer>;
}
