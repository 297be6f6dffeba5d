import type { Hex } from '../bytes.ts';
import type { JsonValue } from '../jcs.ts';
import type { Approval, PolicyOperation } from '../policy/model.ts';

/**
 * `pending` until it has all its approvals, then `approved` until it is signed, or the key is exported. The others are
 * final: `void` when the policy changed, `failed` when it was denied on execution.
 */
export const REQUEST_STATES = [
  'pending',
  'approved',
  'signed',
  'exported',
  'rejected',
  'expired',
  'cancelled',
  'void',
  'failed',
] as const;
export type RequestStatus = (typeof REQUEST_STATES)[number];

/** One principal's say on a request or a proposal. */
export interface Vote {
  readonly principalId: string;
  readonly name: string;
  /** Held when it voted. */
  readonly roles: readonly string[];
  readonly verdict: 'approve' | 'reject';
  readonly comment?: string;
  /** How it proved itself beyond its credential. */
  readonly otp: boolean;
  readonly mtls: boolean;
  /** RFC 3339. */
  readonly time: string;
}

/** A signature, or an export of a key, that waits for consent. What was consented to is fixed when it is made: `intentHash` binds all of it. */
export interface SigningRequest {
  readonly id: string;
  readonly status: RequestStatus;
  readonly requester: { readonly id: string; readonly name: string };
  /** Where it was made from: the policy reads it again on execution. */
  readonly source: { readonly address: string | undefined; readonly mtls: boolean };
  readonly key: {
    readonly id: string;
    readonly name: string;
    readonly version: number;
    readonly address: Hex;
  };
  readonly operation: PolicyOperation;
  /** `intentToJson`, whole: a valid body of the operation's route; of an export `{}`. */
  readonly intent: JsonValue;
  /** SHA-256 of the canonical JSON of requester id, key id, version, operation and intent, hex. */
  readonly intentHash: string;
  readonly policyRevision: number;
  readonly policyHash: string;
  /** All of them have to be given, as they stood in the policy. */
  readonly approvals: readonly Approval[];
  /** Why approval is needed. */
  readonly reason: string;
  /** The reason given for break-glass, where it is one. */
  readonly breakGlass?: string;
  readonly votes: readonly Vote[];
  readonly createdAt: string;
  readonly expiresAt: string;
  /** The answer to the requester, once signed. */
  readonly result?: JsonValue;
  /** Why it is `void` or `failed`, or why the last execution did not succeed. */
  readonly note?: string;
}

/** The member `approval` of a request in the API: which approvals it takes, and what each still misses. */
export interface ApprovalProgress {
  readonly names: readonly string[];
  readonly missing: readonly {
    readonly approval: string;
    readonly role: string;
    readonly m: number;
    readonly have: number;
  }[];
}

export interface RequestFilter {
  readonly status?: RequestStatus | undefined;
  readonly requesterId?: string | undefined;
  /** Newest first; those made before the request with this id. */
  readonly before?: string | undefined;
  readonly limit: number;
}

export interface RequestReads {
  request(id: string): SigningRequest | undefined;
  /** Newest first. */
  requests(filter: RequestFilter): SigningRequest[];
  /** How many are pending or approved, of one principal or of all. */
  openRequests(requesterId?: string): number;
}

export interface RequestWrites {
  insertRequest(request: SigningRequest): void;
  addVote(id: string, vote: Vote): void;
  /** Throws `conflict` unless the request is in one of the states `from`. */
  setRequestStatus(
    id: string,
    from: readonly RequestStatus[],
    to: RequestStatus,
    more?: { readonly result?: JsonValue; readonly note?: string },
  ): void;
  /** All that are pending or approved become void; returns how many. */
  voidOpenRequests(note: string): number;
}
