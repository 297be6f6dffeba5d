import type { Hex } from '../bytes.ts';

/** `[a-z0-9][a-z0-9._-]{0,62}`: no case, no Unicode, so that a name has one spelling. */
export const NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/;

/** An enabled version signs; a disabled one does not, until it is enabled again. */
export const KEY_VERSION_STATES = ['enabled', 'disabled'] as const;
export type KeyVersionState = (typeof KEY_VERSION_STATES)[number];

export interface KeyVersion {
  /** Counts from 1. */
  readonly version: number;
  readonly address: Hex;
  /** Uncompressed SEC 1 point, 65 bytes. */
  readonly publicKey: Hex;
  readonly state: KeyVersionState;
  readonly origin: 'generated' | 'imported';
  readonly createdAt: string;
  readonly lastUsedAt?: string;
}

/** A named role, such as `treasury`, with one key pair a version. */
export interface Key {
  readonly id: string;
  readonly name: string;
  readonly tags: readonly string[];
  readonly createdAt: string;
  /** The version that signs when the caller names none. */
  readonly primary: number;
  readonly versions: readonly KeyVersion[];
}

export interface KeyReads {
  keys(): Key[];
  /** The sealed private key (envelope.ts). Throws `not_found`. */
  sealedKey(keyId: string, version: number): Uint8Array;
}

export interface KeyWrites {
  /** Throws `conflict` when the name is taken or a version's address is already kept here. */
  insertKey(key: Key, sealed: Uint8Array): void;
  /**
   * Notes that a version signed. Throws `key_state` unless it is enabled at this point of the log, so that no
   * signature comes after the entry that disabled its key.
   */
  markUsed(keyId: string, version: number, time: string): void;
  /** Throws `key_state` unless the version is in state `from`. */
  setKeyState(keyId: string, version: number, from: KeyVersionState, to: KeyVersionState): void;
}
