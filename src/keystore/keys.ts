import type { Hex } from '../bytes.ts';
import type { JsonValue } from '../jcs.ts';
import type { KeyVersionState, Standing } from './life-cycle.ts';

/** `[a-z0-9][a-z0-9._-]{0,62}`: no case, no Unicode, so that a name has one spelling. */
export const NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/;

export interface KeyVersion extends Standing {
  /** Counts from 1. */
  readonly version: number;
  readonly address: Hex;
  /** Uncompressed SEC 1 point, 65 bytes. */
  readonly publicKey: Hex;
  readonly origin: 'generated' | 'imported';
  readonly createdAt: string;
  readonly lastUsedAt?: string;
}

/** Wall-clock time of a time zone, `HH:MM`; where `to` is not later than `from`, it is of the next day. */
export type RotationWindow = {
  /** IANA name. */
  readonly tz: string;
  /** `mon` to `sun`: the days on which it opens. */
  readonly days: readonly string[];
  readonly from: string;
  readonly to: string;
};

/** When a key is rotated unasked. */
export type RotationSchedule = {
  readonly everyDays: number;
  /** When it may begin; at any time when absent. */
  readonly window?: RotationWindow;
  /** As it was checked (rotation/plan.ts); that of whoever wrote the schedule. */
  readonly plan?: JsonValue;
};

/** A named role, such as `treasury`, with one key pair a version. */
export interface Key {
  readonly id: string;
  readonly name: string;
  readonly tags: readonly string[];
  readonly createdAt: string;
  /** The version that signs when the caller names none. */
  readonly primary: number;
  /** Whether it may be exported at all; said when it is made. */
  readonly exportable: boolean;
  /** It exists to be stolen: whoever uses it gives himself away. So no answer shows this to those who may use keys. */
  readonly canary: boolean;
  readonly rotation?: RotationSchedule;
  readonly versions: readonly KeyVersion[];
}

/** A sealed private key where it is kept. */
export interface SealedVersion {
  readonly keyId: string;
  readonly version: number;
  readonly address: Hex;
  readonly sealed: Uint8Array;
}

/** What keys are listed by; all of it must hold. */
export interface KeyFilter {
  readonly tag?: string | undefined;
  /** Of one of its versions. */
  readonly state?: KeyVersionState | undefined;
  /** Of one of its versions, in upper or lower case. */
  readonly address?: string | undefined;
}

export interface KeyReads {
  /** All, in the order of their names. */
  keys(): Key[];
  key(name: string): Key | undefined;
  /** Those behind `after` in the order of names; a name that no key has is a place in that order like any other. */
  findKeys(filter: KeyFilter, after: string, limit: number): Key[];
  /** Names of those that have a schedule. */
  scheduledKeys(): string[];
  /** Versions whose destruction was to be at `time` or before. */
  dueForDestruction(time: string): { readonly keyName: string; readonly version: number }[];
  destroyedVersions(): number;
  /** Calls `listener` for each key that a commit changed otherwise than by its use, at the moment when that can be read. */
  onKeyChange(listener: (name: string) => void): void;
  /** The sealed private key (envelope.ts). Throws `not_found`; `key_state` once it is erased. */
  sealedKey(keyId: string, version: number): Uint8Array;
  /**
   * Those sealed under a term before this one, in the order of key id and version, from the place after `after` on.
   * Erased ones are not among them.
   */
  sealedBefore(
    term: number,
    after: Pick<SealedVersion, 'keyId' | 'version'> | undefined,
    limit: number,
  ): SealedVersion[];
}

export interface KeyWrites {
  /** With its versions, of which it has one. Throws `conflict` when the name is taken or the address is already kept here. */
  insertKey(key: Key, sealed: Uint8Array): void;
  /** Throws `conflict` when the version is there, or its address is already kept here. */
  addVersion(keyId: string, version: KeyVersion, sealed: Uint8Array): void;
  /**
   * Notes that a version signed. Throws `key_state` unless it is in `state` at this point of the log, so that no signature
   * comes after the entry that disabled its key, or made it one that drains.
   *
   * @param state that it was decided in
   */
  markUsed(keyId: string, version: number, state: KeyVersionState, time: string): void;
  /** The whole standing of a version (life-cycle.ts `move`). Throws `key_state` unless it is in one of the states `from`. */
  setKeyState(keyId: string, version: number, from: readonly KeyVersionState[], standing: Standing): void;
  /** Compare and swap. Throws `conflict` unless `from` is the primary, and `not_found` where there is no version `to`. */
  setPrimary(keyId: string, from: number, to: number): void;
  /** Overwrites the sealed private key with nothing; for the commit that makes the version a destroyed one. */
  eraseSealed(keyId: string, version: number): void;
  /** Compare and swap. Throws `conflict` unless `before` is what is kept. */
  replaceSealed(keyId: string, version: number, before: Uint8Array, after: Uint8Array): void;
  setRotationSchedule(keyId: string, schedule: RotationSchedule | undefined): void;
}
