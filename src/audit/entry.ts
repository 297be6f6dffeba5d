import type { Hex } from '../bytes.ts';
import { canonicalize, type JsonValue } from '../jcs.ts';
import type { Frontier } from './tree/merkle.ts';

/** What happened. Names are stable: queries, alerts and other people's tools match on them. */
export const ENTRY_KINDS = [
  'service.started',
  'service.stopped',
  'signer.lost',
  'checker.lost',
  'seal.initialized',
  'seal.unsealed',
  'seal.unseal_failed',
  'seal.sealed',
  'seal.share_given',
  'seal.share_refused',
  'seal.shares_dropped',
  'seal.attempts_limited',
  'seal.rekey_started',
  'seal.rekey_authorized',
  'seal.rekey_refused',
  'seal.rekey_cancelled',
  'seal.rekeyed',
  'seal.root_rotated',
  'seal.rewrap_started',
  'seal.rewrap_progressed',
  'seal.rewrapped',
  'key.created',
  'key.imported',
  'key.import_refused',
  'key.exported',
  'key.export_refused',
  'key.state_changed',
  'rotation.planned',
  'rotation.version_generated',
  'rotation.overlap_began',
  'rotation.cut_over',
  'rotation.drain_ended',
  'rotation.destruction_scheduled',
  'rotation.completed',
  'rotation.aborted',
  'rotation.wait_passed',
  'rotation.step_timed_out',
  'rotation.schedule_changed',
  'alert.rotation_stalled',
  'key.compromised',
  'key.destruction_scheduled',
  'key.destruction_cancelled',
  'key.destroyed',
  'principal.created',
  'principal.updated',
  'credential.created',
  'credential.rotated',
  'credential.revoked',
  'credential.locked',
  'totp.enrolled',
  'totp.reset',
  'audit.read',
  'audit.exported',
  'audit.key_rotated',
  'audit.sink_stalled',
  'audit.sink_resumed',
  'audit.split_view',
  'clock.stepped',
  'backup.created',
  'service.taken_over',
  'policy.loaded',
  'policy.proposed',
  'policy.approved',
  'policy.rejected',
  'policy.activated',
  'policy.replayed',
  'request.created',
  'request.approved',
  'request.rejected',
  'request.cancelled',
  'request.executed',
  'break_glass',
  'alert.canary_key_used',
  'alert.canary_credential_used',
  'alert.destruction_pending_used',
  'access.unauthenticated',
  'access.forbidden',
  'sign',
] as const;
export type EntryKind = (typeof ENTRY_KINDS)[number];

/**
 * `done`: it took effect; for `sign`, a signature was made and may have been released.
 * `pending`: the policy asks for approval first; the request that waits for it has entries of its own.
 * `denied`: policy or role said no. `refused`: a guard (nonce, key state, a missing approval) said no. `failed`: an
 * error stopped it.
 */
export const OUTCOMES = ['done', 'pending', 'denied', 'refused', 'failed'] as const;
export type Outcome = (typeof OUTCOMES)[number];

export interface EntryActor {
  /** Its name. */
  readonly principal?: string;
  readonly principalId?: string;
  /** Held when it asked: what the policy was asked with. */
  readonly roles?: readonly string[];
  readonly credential?: string;
  /** SHA-256 fingerprint of the client certificate, hex, where it proved itself with one. */
  readonly certificate?: string;
  /** The peer's IP address. */
  readonly address?: string;
}

export interface EntryKey {
  readonly name: string;
  readonly version?: number;
  readonly address?: Hex;
  /** Held when it was used: what the policy was asked with. */
  readonly tags?: readonly string[] | undefined;
}

/** What a limit's window held before, and holds with what this takes from it. Decimal: wei, base units of the token, or a count. */
export interface EntryLimit {
  readonly limit: string;
  readonly scope: string;
  readonly amount: string;
  readonly before: string;
  readonly after: string;
  readonly max: string;
}

export interface EntryDecision {
  readonly effect: 'allow' | 'deny' | 'require';
  readonly rule?: string;
  readonly rules?: readonly string[];
  /** Names of the approvals that must all be given. */
  readonly approvals?: readonly string[];
  /** Who gave them; on an entry of what was done with them. */
  readonly approvers?: readonly string[];
  /** The limit that decided. */
  readonly limit?: string;
  readonly limits?: readonly EntryLimit[];
  /** What break-glass overrides. */
  readonly overrides?: { readonly rule?: string; readonly reason: string };
  /** Rules in shadow mode that match, with what they would have done. */
  readonly shadow?: readonly { readonly rule: string; readonly effect: 'allow' | 'deny' | 'require' }[];
  readonly policyRevision: number;
  readonly policyHash: string;
  readonly reason: string;
}

/** What a caller of the log gives; the log adds schema version, index and time. */
export interface EntryDraft {
  readonly kind: EntryKind;
  readonly outcome: Outcome;
  readonly actor?: EntryActor;
  readonly requestId?: string;
  readonly key?: EntryKey;
  readonly operation?: string;
  /** The intent's canonical JSON (intent/codec.ts), a valid request body of its route. */
  readonly intent?: JsonValue;
  /** The 32 bytes that were signed, or would have been. */
  readonly digest?: Hex;
  /** r ‖ s ‖ v, 65 bytes, v = 27 + yParity. Present exactly when a signature was made. */
  readonly signature?: Hex;
  readonly transactionHash?: Hex | undefined;
  readonly decision?: EntryDecision;
  /** Anything else worth knowing of this kind of entry; flat, no secrets. */
  readonly detail?: { readonly [name: string]: JsonValue } | undefined;
  /** Microseconds from the arrival of the request to the hand-over to the log. */
  readonly elapsedUs?: number;
}

export interface Recordable extends EntryDraft {
  /** Bytes too long for an entry: kept beside it under their SHA-256, which the entry names. */
  readonly beside?: Uint8Array | undefined;
  /**
   * For an entry that tells how far the log is when it comes: gives the detail, once everything before it is on disk and
   * while nothing is added. When it rejects, nothing is written.
   */
  readonly over?: ((tree: Frontier) => Promise<NonNullable<EntryDraft['detail']>>) | undefined;
}

/** Which process wrote an entry. */
export interface EntryService {
  /** The machine, as its operator calls it. */
  readonly node: string;
  /** Of the program. */
  readonly version: string;
  /** Index of the first entry that the process wrote: it tells the runs of the service apart. */
  readonly epoch: number;
}

export interface Entry extends EntryDraft {
  /** Version of this schema. */
  readonly v: 1;
  /** Position in the log, from 0, without gaps. */
  readonly index: number;
  /** RFC 3339, UTC, milliseconds; never decreases along the log. */
  readonly time: string;
  readonly service: EntryService;
}

/** The most an entry may take, so that its length fits the 16-bit prefix of a C2SP entry bundle. */
export const MAX_ENTRY_BYTES = 65_535;

/** What the log adds to what it was given. */
export type EntryPlace = Pick<Entry, 'index' | 'time' | 'service'>;

/** Members in the order of canonical JSON: then it is written faster (jcs.ts). */
export function entryAt({ index, time, service }: EntryPlace, draft: EntryDraft): Entry {
  const { actor, decision, detail, digest, elapsedUs, intent, key, kind, operation } = draft;
  const { outcome, requestId, signature, transactionHash } = draft;
  // Members that are undefined are not in the entry's JSON, as if they were not there.
  return {
    actor,
    decision,
    detail,
    digest,
    elapsedUs,
    index,
    intent,
    key,
    kind,
    operation,
    outcome,
    requestId,
    service,
    signature,
    time,
    transactionHash,
    v: 1,
  } as Entry;
}

/** The bytes that are stored and hashed: RFC 8785 JSON in UTF-8. */
export function encodeEntry(entry: Entry): Buffer {
  return Buffer.from(canonicalize(entry as unknown as JsonValue), 'utf8');
}
