import type { Role } from './roles.ts';

/** Who calls: a service or a person. */
export interface Principal {
  readonly id: string;
  readonly name: string;
  /** Of a federated principal, those that its newest token gave it. */
  readonly roles: readonly Role[];
  readonly state: 'enabled' | 'disabled';
  readonly createdAt: string;
}

/** How a principal proves that it is the one. The secret itself is not kept. */
export interface Credential {
  readonly id: string;
  readonly principalId: string;
  readonly kind: 'token' | 'certificate';
  /** Of a token, SHA-256 of its 32 random bytes: too much entropy to guess, so no slow hash is needed. */
  readonly secretHash?: Uint8Array;
  /** Of a certificate, what it is known by: `sha256:<hex>`, `dns:<name>` or `uri:<uri>` (certificates.ts). */
  readonly match?: string;
  /** The token that this one takes the place of. */
  readonly rotatedFrom?: string;
  readonly createdAt: string;
  readonly expiresAt?: string;
  /** Networks it may be used from; empty means any. */
  readonly cidrs: readonly string[];
  readonly revokedAt?: string;
  /** It exists to be stolen: nobody has a reason to use it, and it lets nobody in. */
  readonly canary?: boolean;
}

/** A credential, and whose it is. */
export interface OwnedCredential {
  readonly credential: Credential;
  readonly principal: Principal;
}

export interface AccessReads {
  principals(): Principal[];
  principal(id: string): Principal | undefined;
  credential(id: string): OwnedCredential | undefined;
  /** Of kind `certificate`, also those that are revoked or expired. */
  certificates(match: string): readonly OwnedCredential[];
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
  /** Lets it end at a time. */
  expireCredential(id: string, time: string): void;
  /** Throws `conflict` when it is revoked already. */
  revokeCredential(id: string, time: string): void;
}

/**
 * Whether an identity provider vouches for the principal, and says its roles: such names have a colon
 * (`<provider>:<subject>`), which no name that is given here may have.
 */
export function isFederated({ name }: Pick<Principal, 'name'>): boolean {
  return name.includes(':');
}

/** Neither revoked nor expired. */
export function isLive({ revokedAt, expiresAt }: Credential, now: Date): boolean {
  return revokedAt === undefined && (expiresAt === undefined || new Date(expiresAt) > now);
}
