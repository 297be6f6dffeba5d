import type { Hex } from '../bytes.ts';

/** `[a-z0-9][a-z0-9._-]{0,62}`: no case, no Unicode, so that a name has one spelling. */
export const KEY_NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/;

export type KeyVersionState = 'enabled' | 'disabled';

export interface KeyVersion {
  readonly version: number;
  readonly address: Hex;
  /** Uncompressed SEC 1 point, 65 bytes. */
  readonly publicKey: Hex;
  readonly state: KeyVersionState;
  readonly createdAt: string;
  readonly lastUsedAt?: string;
  readonly origin: 'generated' | 'imported';
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
