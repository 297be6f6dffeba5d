import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Act } from '../audit/act.ts';
import { CountersignError } from '../errors.ts';
import type { JsonValue } from '../jcs.ts';
import { isWithin, newCredential, type NewCredential } from './credentials.ts';
import type { AccessReads, AccessWrites, Credential, Principal } from './principals.ts';
import { forbiddenPair, type Role } from './roles.ts';

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
   * another request changed meanwhile.
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
      this.#refuseWithoutAdmin(ownCredential);
      return principalToJson(after);
    });
    return after;
  }

  /** The token is in what this returns and nowhere else. */
  async createCredential(
    act: Act<AccessWrites>,
    principalId: string,
    options: { readonly expiresAt?: string | undefined; readonly cidrs?: readonly string[] | undefined },
  ): Promise<NewCredential> {
    const principal = this.principal(principalId);
    const created = newCredential(principal.id, options);
    const { id, expiresAt, cidrs } = created.credential;
    const detail = { id, principal: principal.name, ...(expiresAt !== undefined && { expiresAt }), cidrs };
    await act.commit({ kind: 'credential.created', outcome: 'done', detail }, (tx) => {
      tx.insertCredential(created.credential);
      return { id };
    });
    return created;
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
    const credential = this.#reads.credential(id)?.credential;
    if (credential?.principalId !== principal.id) {
      throw new CountersignError('not_found', `principal ${principal.name} has no credential ${id}`);
    }
    const revokedAt = new Date().toISOString();
    const revoked: Credential = { ...credential, revokedAt };
    const detail = { id, principal: principal.name };
    await act.commit({ kind: 'credential.revoked', outcome: 'done', detail }, (tx) => {
      tx.revokeCredential(id, revokedAt);
      this.#refuseWithoutAdmin(ownCredential);
      return credentialToJson(revoked);
    });
    return revoked;
  }

  /** After a change and inside its commit, so that two at once can't each count on the other's admin. */
  #refuseWithoutAdmin(ownCredential: string): void {
    const canAdminister = (principal: Principal): boolean =>
      isAdmin(principal) &&
      this.#reads.credentialsOf(principal.id).some((credential) => isUsable(credential, ownCredential));
    if (this.list().some(canAdminister)) return;
    throw new CountersignError(
      'conflict',
      'nobody could administer the service after this: give another enabled principal the role admin first, and a credential without expiry for the loopback interface',
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
  const { id, createdAt, expiresAt, cidrs, revokedAt } = credential;
  return {
    id,
    createdAt,
    ...(expiresAt !== undefined && { expiresAt }),
    cidrs,
    ...(revokedAt !== undefined && { revokedAt }),
  };
}

/** The addresses that callers on this machine come from. */
const LOOPBACK = ['127.0.0.1', '::1'];

/** For good, and from this machine; the caller's own has just proven that it can be used. */
function isUsable({ id, revokedAt, expiresAt, cidrs }: Credential, ownCredential: string): boolean {
  if (revokedAt !== undefined) return false;
  if (id === ownCredential) return true;
  return expiresAt === undefined && LOOPBACK.some((address) => isWithin(cidrs, address));
}

function isAdmin({ roles, state }: Principal): boolean {
  return state === 'enabled' && roles.includes('admin');
}

function refuseForbidden(roles: readonly Role[]): void {
  const pair = forbiddenPair(roles);
  if (pair !== undefined) {
    throw new CountersignError('unprocessable', `one principal may not be both ${pair[0]} and ${pair[1]}`, [
      { path: 'roles', message: `${pair[0]} and ${pair[1]} exclude each other` },
    ]);
  }
}
