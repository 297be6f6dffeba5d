import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Act } from '../audit/act.ts';
import { CountersignError } from '../errors.ts';
import type { JsonValue } from '../jcs.ts';
import {
  newCertificateCredential,
  newCredential,
  type CredentialOptions,
  type NewCredential,
} from './credentials.ts';
import { refuseWithoutAdmin } from './last-admin.ts';
import {
  isFederated,
  isLive,
  type AccessReads,
  type AccessWrites,
  type Credential,
  type Principal,
} from './principals.ts';
import { forbiddenPair, type Role } from './roles.ts';

/** A token that takes another's place, and when that one ends. */
export interface Rotated extends NewCredential {
  readonly predecessorExpiresAt: string;
}

/** Makes and changes principals and their credentials. What it writes holds from the next request on. */
export class AccessService {
  readonly #reads: AccessReads;

  constructor(reads: AccessReads) {
    this.#reads = reads;
  }

  /** Throws `not_found`. */
  principal(id: string): Principal {
    const principal = this.#reads.principal(id);
    if (principal === undefined) throw new CountersignError('not_found', `there is no principal ${id}`);
    return principal;
  }

  list(): Principal[] {
    return this.#reads.principals();
  }

  credentials(principalId: string): Credential[] {
    return this.#reads.credentialsOf(this.principal(principalId).id);
  }

  /** Throws `conflict` when the name is taken, `unprocessable` for roles that may not go together. */
  async createPrincipal(act: Act<AccessWrites>, name: string, roles: readonly Role[]): Promise<Principal> {
    refuseForbidden(roles);
    const createdAt = new Date().toISOString();
    const principal: Principal = { id: randomUUID(), name, roles, state: 'enabled', createdAt };
    const detail = { id: principal.id, name, roles };
    await act.commit({ kind: 'principal.created', outcome: 'done', detail }, (tx) => {
      tx.insertPrincipal(principal);
      return principalToJson(principal);
    });
    return principal;
  }

  /**
   * Changes roles, or disables or enables. Throws `conflict` rather than leave nobody who can administer, or undo what
   * another request changed meanwhile; `unprocessable` for roles that may not go together, or are not given here.
   *
   * @param ownCredential id of the caller's.
   */
  async updatePrincipal(
    act: Act<AccessWrites>,
    id: string,
    change: { readonly roles?: readonly Role[] | undefined; readonly state?: Principal['state'] | undefined },
    ownCredential: string,
  ): Promise<Principal> {
    const before = this.principal(id);
    const roles = change.roles ?? before.roles;
    const state = change.state ?? before.state;
    if (change.roles !== undefined && isFederated(before)) {
      throw new CountersignError(
        'unprocessable',
        'its roles are what the tokens of its identity provider say',
      );
    }
    refuseForbidden(roles);
    const after: Principal = { ...before, roles, state };
    const detail = {
      id,
      name: before.name,
      roles,
      state,
      rolesBefore: before.roles,
      stateBefore: before.state,
    };
    await act.commit({ kind: 'principal.updated', outcome: 'done', detail }, (tx) => {
      if (!isDeepStrictEqual(this.principal(id), before)) {
        throw new CountersignError(
          'conflict',
          'another request changed the principal at the same time; try again',
        );
      }
      tx.updatePrincipal(id, { roles, state });
      refuseWithoutAdmin(this.#reads, ownCredential);
      return principalToJson(after);
    });
    return after;
  }

  /** The token is in what this returns and nowhere else. Throws `unprocessable` for a federated principal. */
  async createCredential(
    act: Act<AccessWrites>,
    principalId: string,
    options: CredentialOptions,
  ): Promise<NewCredential> {
    const principal = this.principal(principalId);
    if (isFederated(principal)) {
      throw new CountersignError('unprocessable', 'it has tokens of its identity provider, and no others');
    }
    const created = newCredential(principal.id, options);
    const { id } = created.credential;
    const detail = { ...detailOf(created.credential), principal: principal.name };
    await act.commit({ kind: 'credential.created', outcome: 'done', detail }, (tx) => {
      tx.insertCredential(created.credential);
      return { id };
    });
    return created;
  }

  /**
   * Lets a client certificate stand for a principal. Throws `conflict` when it does so already, or for another: then
   * it would stand for neither.
   *
   * @param match as certificates.ts writes it.
   */
  async createCertificate(
    act: Act<AccessWrites>,
    principalId: string,
    match: string,
    options: CredentialOptions,
  ): Promise<Credential> {
    const principal = this.principal(principalId);
    const credential = newCertificateCredential(principal.id, match, options);
    const detail = { ...detailOf(credential), principal: principal.name };
    await act.commit({ kind: 'credential.created', outcome: 'done', detail }, (tx) => {
      const now = new Date();
      const other = this.#reads.certificates(match).find((each) => isLive(each.credential, now));
      if (other !== undefined) {
        const { name } = other.principal;
        throw new CountersignError('conflict', `${match} stands for ${name} already: revoke that first`);
      }
      tx.insertCredential(credential);
      return credentialToJson(credential);
    });
    return credential;
  }

  /**
   * A new token in the place of another, with the same networks and lifetime; the old one ends after the overlap. Throws
   * `not_found`, `unprocessable` for a certificate, `conflict` when it is not valid any more, or there are two already.
   *
   * @param overlap seconds.
   */
  async rotateCredential(
    act: Act<AccessWrites>,
    principalId: string,
    id: string,
    overlap: number,
  ): Promise<Rotated> {
    const principal = this.principal(principalId);
    const old = this.#owned(principal, id);
    if (old.kind !== 'token') {
      throw new CountersignError('unprocessable', 'a certificate is not rotated here: register the new one');
    }
    const now = Date.now();
    const ends = old.expiresAt === undefined ? Infinity : Date.parse(old.expiresAt);
    const predecessorExpiresAt = new Date(Math.min(ends, now + overlap * 1_000)).toISOString();
    const lifetime = ends - Date.parse(old.createdAt);
    const created = newCredential(principal.id, {
      cidrs: old.cidrs,
      rotatedFrom: id,
      canary: old.canary,
      ...(lifetime !== Infinity && { expiresAt: new Date(now + lifetime).toISOString() }),
    });
    const detail = { ...detailOf(created.credential), principal: principal.name, predecessorExpiresAt };
    await act.commit({ kind: 'credential.rotated', outcome: 'done', detail }, (tx) => {
      this.#refuseRotation(principal, id);
      tx.insertCredential(created.credential);
      tx.expireCredential(id, predecessorExpiresAt);
      return { id: created.credential.id };
    });
    return { ...created, predecessorExpiresAt };
  }

  /**
   * Throws `not_found`, or `conflict` when it is revoked already or is the last one of the last admin.
   *
   * @param ownCredential id of the caller's.
   */
  async revokeCredential(
    act: Act<AccessWrites>,
    principalId: string,
    id: string,
    ownCredential: string,
  ): Promise<Credential> {
    const principal = this.principal(principalId);
    const credential = this.#owned(principal, id);
    const revokedAt = new Date().toISOString();
    const revoked: Credential = { ...credential, revokedAt };
    const detail = { id, principal: principal.name };
    await act.commit({ kind: 'credential.revoked', outcome: 'done', detail }, (tx) => {
      tx.revokeCredential(id, revokedAt);
      refuseWithoutAdmin(this.#reads, ownCredential);
      return credentialToJson(revoked);
    });
    return revoked;
  }

  #owned({ id: principalId, name }: Principal, id: string): Credential {
    const credential = this.#reads.credential(id)?.credential;
    if (credential?.principalId === principalId) return credential;
    throw new CountersignError('not_found', `principal ${name} has no credential ${id}`);
  }

  /** Inside the commit: what was revoked meanwhile must not live on, nor three tokens where there may be two. */
  #refuseRotation(principal: Principal, id: string): void {
    const now = new Date();
    const { rotatedFrom, ...old } = this.#owned(principal, id);
    if (!isLive(old, now)) {
      throw new CountersignError('conflict', `the credential ${id} is revoked or expired: make a new one`);
    }
    const other = this.#reads
      .credentialsOf(principal.id)
      .find((each) => (each.id === rotatedFrom || each.rotatedFrom === id) && isLive(each, now));
    if (other === undefined) return;
    throw new CountersignError(
      'conflict',
      `the last rotation is not over: wait until ${other.id} has expired, or revoke it`,
    );
  }
}

export function principalToJson({ id, name, roles, state, createdAt }: Principal): {
  readonly [name: string]: JsonValue;
} {
  return { id, name, roles, state, createdAt };
}

/** Without the hash of the secret, which is nobody's business. */
export function credentialToJson(credential: Credential): { readonly [name: string]: JsonValue } {
  const { createdAt, revokedAt } = credential;
  return { ...detailOf(credential), createdAt, ...(revokedAt !== undefined && { revokedAt }) };
}

/** What an entry says of a credential. */
function detailOf(credential: Credential): { readonly [name: string]: JsonValue } {
  const { id, kind, match, rotatedFrom, expiresAt, cidrs, canary } = credential;
  return {
    id,
    kind,
    ...(match !== undefined && { match }),
    ...(rotatedFrom !== undefined && { rotatedFrom }),
    ...(expiresAt !== undefined && { expiresAt }),
    cidrs,
    ...(canary === true && { canary }),
  };
}

function refuseForbidden(roles: readonly Role[]): void {
  const pair = forbiddenPair(roles);
  if (pair !== undefined) {
    throw new CountersignError('unprocessable', `one principal may not be both ${pair[0]} and ${pair[1]}`, [
      { path: 'roles', message: `${pair[0]} and ${pair[1]} exclude each other` },
    ]);
  }
}
