import { hash, randomBytes } from 'node:crypto';
import { CountersignError } from '../errors.ts';
import type { Credential, OwnedCredential, Principal } from './principals.ts';

/** Who a request comes from, once it has proven it. */
export interface Caller {
  /** With the roles that hold for this request. */
  readonly principal: Principal;
  /** Of a stored credential its id; `oidc:<provider>` for a token of an identity provider. */
  readonly credentialId: string;
  /** The client's IP address: the peer's, or what a trusted proxy says of it. */
  readonly address: string;
  /** A client certificate that is registered for the principal came with the request. */
  readonly mtls: boolean;
  /** That certificate's SHA-256 fingerprint, hex. */
  readonly certificate?: string;
}

export interface CredentialOptions {
  readonly expiresAt?: string | undefined;
  readonly cidrs?: readonly string[] | undefined;
  readonly canary?: boolean | undefined;
}

export interface NewCredential {
  readonly credential: Credential;
  /** `cs_<id>_<secret>`: shown once, and kept nowhere. */
  readonly token: string;
}

const SECRET_BYTES = 32;
/** One spelling of an id, so that it is one id to everything that counts by it. */
const TOKEN = /^cs_([0-9a-f]{16})_([A-Za-z0-9_-]{43})$/;

export function newCredential(
  principalId: string,
  options: CredentialOptions & { readonly rotatedFrom?: string } = {},
): NewCredential {
  const secret = randomBytes(SECRET_BYTES);
  const { expiresAt, cidrs = [], rotatedFrom, canary = false } = options;
  const credential: Credential = {
    id: newCredentialId(),
    principalId,
    kind: 'token',
    secretHash: hashSecret(secret),
    createdAt: new Date().toISOString(),
    ...(expiresAt !== undefined && { expiresAt }),
    cidrs,
    ...(rotatedFrom !== undefined && { rotatedFrom }),
    ...(canary && { canary }),
  };
  return { credential, token: `cs_${credential.id}_${secret.toString('base64url')}` };
}

/** What the log calls a provider's tokens by: they have no id that says anything to anybody. */
export function credentialOf(provider: string): string {
  return `oidc:${provider}`;
}

/** @param match as certificates.ts writes it. */
export function newCertificateCredential(
  principalId: string,
  match: string,
  { expiresAt, cidrs = [] }: CredentialOptions,
): Credential {
  return {
    id: newCredentialId(),
    principalId,
    kind: 'certificate',
    match,
    createdAt: new Date().toISOString(),
    ...(expiresAt !== undefined && { expiresAt }),
    cidrs,
  };
}

/** The parts of a token of ours, of its secret the hash; undefined for anything else. */
export function readToken(token: string): { readonly id: string; readonly secretHash: Buffer } | undefined {
  const [, id, secret] = TOKEN.exec(token) ?? [];
  if (id === undefined || secret === undefined) return undefined;
  return { id, secretHash: hashSecret(Buffer.from(secret, 'base64url')) };
}

/** Reasons that are counted in their own way (throttle.ts). */
export const NO_CREDENTIAL = 'no credential';
export const WRONG_SECRET = 'wrong secret';

/** Carries the true reason, for the audit log. */
export class Unauthenticated extends CountersignError {
  readonly reason: string;
  readonly credentialId: string | undefined;

  constructor(reason: string, credentialId: string | undefined) {
    super('unauthenticated', 'a valid credential is required: Authorization: Bearer cs_…');
    this.reason = reason;
    this.credentialId = credentialId;
  }
}

/** Somebody has a token that nobody has a reason to use. Its answer is that of a token that is not known. */
export class CanaryUsed extends Unauthenticated {
  /** Whose the token would be. */
  readonly principal: Principal;

  constructor({ credential, principal }: OwnedCredential) {
    super('canary credential', credential.id);
    this.principal = principal;
  }
}

/** A caller who may not do this; is written to the audit log wherever in a request it is thrown. */
export class Forbidden extends CountersignError {
  readonly caller: Caller;

  constructor(caller: Caller, message: string) {
    super('forbidden', message);
    this.caller = caller;
  }
}

function newCredentialId(): string {
  return randomBytes(8).toString('hex');
}

function hashSecret(secret: Uint8Array): Buffer {
  return hash('sha256', secret, 'buffer');
}
