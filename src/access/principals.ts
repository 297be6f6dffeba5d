import type { Role } from './roles.ts';

/** Who calls: a service or a person. */
export interface Principal {
  readonly id: string;
  readonly name: string;
  readonly roles: readonly Role[];
  readonly state: 'enabled' | 'disabled';
  readonly createdAt: string;
}

/** How a principal proves that it is the one. The secret itself is not kept. */
export interface Credential {
  readonly id: string;
  readonly principalId: string;
  /** SHA-256 of the secret's 32 random bytes: too much entropy to guess, so no slow hash is needed. */
  readonly secretHash: Uint8Array;
  readonly createdAt: string;
  readonly expiresAt?: string;
  /** Networks it may be used from; empty means any. */
  readonly cidrs: readonly string[];
  readonly revokedAt?: string;
}

export interface AccessReads {
  principals(): Principal[];
  principal(id: string): Principal | undefined;
  credential(id: string): { readonly credential: Credential; readonly principal: Principal } | undefined;
  credentialsOf(principalId: string): Credential[];
}

export interface AccessWrites {
  /** Throws `conflict` when the name is taken. */
  insertPrincipal(principal: Principal): void;
  updatePrincipal(
    id: string,
    change: { readonly roles?: readonly Role[]; readonly state?: Principal['state'] },
  ): void;
  insertCredential(credential: Credential): void;
  /** Throws `conflict` when it is revoked already. */
  revokeCredential(id: string, time: string): void;
}
