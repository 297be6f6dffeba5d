import { timingSafeEqual } from 'node:crypto';
import type { EntryDraft } from '../audit/entry.ts';
import type { Recorder } from '../audit/log.ts';
import { CountersignError } from '../errors.ts';
import type { ClientCertificate } from './certificates.ts';
import {
  CanaryUsed,
  credentialOf,
  NO_CREDENTIAL,
  readToken,
  Unauthenticated,
  WRONG_SECRET,
  type Caller,
} from './credentials.ts';
import { isWithin } from './networks.ts';
import type { Identity, IdentityProviders } from './oidc.ts';
import {
  isFederated,
  isLive,
  type AccessReads,
  type AccessWrites,
  type Credential,
  type OwnedCredential,
  type Principal,
} from './principals.ts';

/** What a request shows of its caller. */
export interface Presented {
  /** The header `Authorization`. */
  readonly authorization: string | undefined;
  readonly certificate: ClientCertificate | undefined;
  /** The client's IP address. */
  readonly address: string;
  readonly requestId: string;
}

/** What a request has shown, as far as it can be known once and for all. Whether it still holds, `admit` says. */
export type Proof = { readonly address: string; readonly certificate: ClientCertificate | undefined } & (
  | { readonly kind: 'token'; readonly credentialId: string; readonly secretHash: Buffer }
  | { readonly kind: 'identity'; readonly identity: Identity }
  | { readonly kind: 'certificate'; readonly certificate: ClientCertificate }
);

/** The name of the scheme has no case (RFC 9110, 11.1); the token has. */
const BEARER = /^bearer +/i;
/** Compared against when there is no such credential, so that the time taken tells nothing. */
const NO_SECRET_HASH = Buffer.alloc(32);

/** Knows callers by their tokens, client certificates, or what an identity provider says of them. */
export class Authenticator {
  readonly #reads: AccessReads;
  readonly #recorder: Recorder<AccessWrites>;
  readonly #providers: IdentityProviders | undefined;
  readonly #meeting = new Map<string, Promise<void>>();

  constructor(
    reads: AccessReads,
    recorder: Recorder<AccessWrites>,
    providers: IdentityProviders | undefined,
  ) {
    this.#reads = reads;
    this.#recorder = recorder;
    this.#providers = providers;
  }

  /**
   * Looks once at what a request shows. Throws `Unauthenticated`, always with the same message: which part was wrong
   * is for the audit log (`reason`), not for whoever tries.
   */
  async prove(presented: Presented): Promise<Proof> {
    const { authorization, certificate, address } = presented;
    if (authorization === undefined) {
      if (certificate === undefined) throw new Unauthenticated(NO_CREDENTIAL, undefined);
      return { kind: 'certificate', certificate, address };
    }
    const scheme = BEARER.exec(authorization)?.[0];
    const bearer = scheme === undefined ? '' : authorization.slice(scheme.length);
    const token = readToken(bearer);
    if (token !== undefined) {
      return {
        kind: 'token',
        credentialId: token.id,
        secretHash: token.secretHash,
        certificate,
        address,
      };
    }
    if (this.#providers?.accepts(bearer) !== true)
      throw new Unauthenticated('malformed credential', undefined);
    const identity = await this.#providers.verify(bearer, new Date());
    await this.#meet(identity, presented);
    return { kind: 'identity', identity, certificate, address };
  }

  /** The caller, as things stand now. Waits for nothing, so that it can stand right before what the caller wants done. */
  admit(proof: Proof, now: Date = new Date()): Caller {
    if (proof.kind === 'token') return this.#admitToken(proof, now);
    return proof.kind === 'identity' ? this.#admitIdentity(proof, now) : this.#admitCertificate(proof, now);
  }

  #admitToken(proof: Proof & { readonly kind: 'token' }, now: Date): Caller {
    const { credentialId: id, secretHash, address, certificate } = proof;
    const found = this.#reads.credential(id);
    const matches = timingSafeEqual(secretHash, found?.credential.secretHash ?? NO_SECRET_HASH);
    if (found?.credential.secretHash === undefined) throw new Unauthenticated('unknown credential', id);
    if (found.credential.canary === true) refuseCanary(found, matches, now);
    if (!matches) throw new Unauthenticated(WRONG_SECRET, id);
    refuseUnusable(found.credential, address, now);
    refuseDisabled(found.principal, id);
    return {
      principal: found.principal,
      credentialId: id,
      address,
      ...this.#second(certificate, found.principal, address, now),
    };
  }

  #admitIdentity(proof: Proof & { readonly kind: 'identity' }, now: Date): Caller {
    const { identity, address, certificate } = proof;
    const id = credentialOf(identity.provider);
    if (identity.expiresAt <= now.getTime()) throw new Unauthenticated('expired token', id);
    const row = this.#reads.principal(identity.principalId);
    if (row === undefined) throw new Unauthenticated('unknown principal', id);
    refuseDisabled(row, id);
    const principal = { ...row, roles: identity.roles };
    return {
      principal,
      credentialId: id,
      address,
      ...this.#second(certificate, principal, address, now),
    };
  }

  #admitCertificate(proof: Proof & { readonly kind: 'certificate' }, now: Date): Caller {
    const { certificate, address } = proof;
    const { credential, principal } = this.#registered(certificate, address, now);
    // Its roles are what its identity provider says now, and not what it said once.
    if (isFederated(principal)) throw new Unauthenticated('certificate without token', credential.id);
    refuseDisabled(principal, credential.id);
    return {
      principal,
      credentialId: credential.id,
      address,
      mtls: true,
      certificate: certificate.fingerprint,
    };
  }

  /** Whether the certificate beside another proof is the same principal's. If it is not, it counts for nothing. */
  #second(
    certificate: ClientCertificate | undefined,
    { id }: Principal,
    address: string,
    now: Date,
  ): { readonly mtls: boolean; readonly certificate?: string } {
    if (certificate === undefined) return { mtls: false };
    try {
      const { principal } = this.#registered(certificate, address, now);
      return principal.id === id ? { mtls: true, certificate: certificate.fingerprint } : { mtls: false };
    } catch (error) {
      if (error instanceof Unauthenticated) return { mtls: false };
      throw error;
    }
  }

  /** The one credential that a certificate stands for. When it could be two principals, it is neither. */
  #registered(certificate: ClientCertificate, address: string, now: Date): OwnedCredential {
    if (now < certificate.notBefore || now > certificate.notAfter) {
      throw new Unauthenticated('expired certificate', undefined);
    }
    const [exact = [], ...named] = certificate.matches.map((match) => this.#reads.certificates(match));
    // Whoever revokes a certificate by its fingerprint means that one, whatever names it has.
    const [one] = exact;
    if (one !== undefined && exact.every(({ credential }) => credential.revokedAt !== undefined)) {
      throw new Unauthenticated('revoked credential', one.credential.id);
    }
    const found = [...exact, ...named.flat()];
    const live = found.filter(({ credential }) => isLive(credential, now));
    const [first] = live.length > 0 ? live : found;
    if (first === undefined) throw new Unauthenticated('unknown certificate', undefined);
    if (live.some(({ principal }) => principal.id !== first.principal.id)) {
      throw new Unauthenticated('certificate of more than one principal', undefined);
    }
    const usable = live.find(({ credential }) => isWithin(credential.cidrs, address)) ?? first;
    refuseUnusable(usable.credential, address, now);
    return usable;
  }

  /** Writes down who comes for the first time, or with other roles, so that it can be seen and disabled. */
  async #meet(identity: Identity, { address, requestId }: Presented): Promise<void> {
    const { principalId, principalName: name, provider, issuer, subject, roles } = identity;
    for (;;) {
      const row = this.#reads.principal(principalId);
      if (row !== undefined && (row.state === 'disabled' || sameRoles(row.roles, roles))) return;
      const other = this.#meeting.get(principalId);
      if (other !== undefined) {
        // How that went, the next look at the principal shows.
        await other.catch(() => undefined);
        continue;
      }
      const actor = { principalId, credential: credentialOf(provider), address };
      const about = { actor, requestId, outcome: 'done' } as const;
      const detail = { id: principalId, name: row?.name ?? name, kind: 'oidc', issuer, subject, roles };
      const meeting =
        row === undefined
          ? this.#write({ ...about, kind: 'principal.created', detail }, (tx) => {
              const createdAt = new Date().toISOString();
              tx.insertPrincipal({ id: principalId, name, roles, state: 'enabled', createdAt });
            })
          : this.#write(
              { ...about, kind: 'principal.updated', detail: { ...detail, rolesBefore: row.roles } },
              (tx) => tx.updatePrincipal(principalId, { roles }),
            );
      this.#meeting.set(principalId, meeting);
      try {
        await meeting;
        return;
      } catch (error) {
        if (!(error instanceof CountersignError) || error.code !== 'conflict') throw error;
        throw new Unauthenticated('its name is another principal’s', credentialOf(provider));
      } finally {
        this.#meeting.delete(principalId);
      }
    }
  }

  async #write(draft: EntryDraft, effects: (tx: AccessWrites) => void): Promise<void> {
    await this.#recorder.record(draft, effects);
  }
}

function refuseUnusable(credential: Credential, address: string, now: Date): void {
  const { id, revokedAt, cidrs } = credential;
  if (revokedAt !== undefined) throw new Unauthenticated('revoked credential', id);
  if (!isLive(credential, now)) throw new Unauthenticated('expired credential', id);
  if (!isWithin(cidrs, address)) throw new Unauthenticated('address not allowed', id);
}

/** A canary is not to be told from a token that is not known: wrong secrets lock neither. */
function refuseCanary(found: OwnedCredential, matches: boolean, now: Date): never {
  const { credential } = found;
  if (!matches) throw new Unauthenticated('wrong secret of a canary', credential.id);
  if (!isLive(credential, now)) throw new Unauthenticated('revoked or expired canary', credential.id);
  throw new CanaryUsed(found);
}

function refuseDisabled({ state }: Principal, credentialId: string): void {
  if (state !== 'enabled') throw new Unauthenticated('disabled principal', credentialId);
}

/** In any order; neither names a role twice. */
function sameRoles(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every((role) => others.includes(role));
}
