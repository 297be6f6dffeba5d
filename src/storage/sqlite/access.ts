import type { DatabaseSync } from 'node:sqlite';
import type {
  AccessReads,
  AccessWrites,
  Credential,
  OwnedCredential,
  Principal,
} from '../../access/principals.ts';
import type { Role } from '../../access/roles.ts';
import { CountersignError } from '../../errors.ts';
import { isUniqueViolation } from './database.ts';

interface PrincipalRow {
  id: string;
  name: string;
  roles: string;
  state: Principal['state'];
  created_at: string;
}

interface CredentialRow {
  id: string;
  principal_id: string;
  secret_hash: Uint8Array | null;
  created_at: string;
  expires_at: string | null;
  cidrs: string;
  revoked_at: string | null;
  kind: Credential['kind'];
  match: string | null;
  rotated_from: string | null;
  canary: number;
}

export function accessTables(db: DatabaseSync): AccessReads & AccessWrites {
  const all = db.prepare('SELECT * FROM principals ORDER BY name');
  const byId = db.prepare('SELECT * FROM principals WHERE id = ?');
  const credentialById = db.prepare('SELECT * FROM credentials WHERE id = ?');
  const credentialsByMatch = db.prepare(
    `SELECT * FROM credentials WHERE match = ? AND kind = 'certificate' ORDER BY created_at, id`,
  );
  const credentialsOf = db.prepare(
    'SELECT * FROM credentials WHERE principal_id = ? ORDER BY created_at, id',
  );
  const insertPrincipal = db.prepare('INSERT INTO principals VALUES (?, ?, ?, ?, ?)');
  const updatePrincipal = db.prepare(
    'UPDATE principals SET roles = coalesce(?, roles), state = coalesce(?, state) WHERE id = ?',
  );
  const insertCredential = db.prepare(
    `INSERT INTO credentials
       (id, principal_id, secret_hash, created_at, expires_at, cidrs, revoked_at, kind, match, rotated_from, canary)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const expire = db.prepare('UPDATE credentials SET expires_at = ? WHERE id = ?');
  const revoke = db.prepare('UPDATE credentials SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL');

  const readPrincipal = (id: string): Principal | undefined => {
    const row = byId.get(id) as PrincipalRow | undefined;
    return row === undefined ? undefined : toPrincipal(row);
  };
  const withOwner = (row: CredentialRow): OwnedCredential[] => {
    const owner = readPrincipal(row.principal_id);
    return owner === undefined ? [] : [{ credential: toCredential(row), principal: owner }];
  };

  const caches: CommittedCache<unknown>[] = [];
  const cached = <T>(read: (key: string) => T | undefined): ((key: string) => T | undefined) => {
    const cache = new CommittedCache<T>(db, read);
    caches.push(cache);
    return (key) => cache.get(key);
  };
  const forget = (): void => caches.forEach((cache) => cache.clear());

  const certificates = cached((match) => {
    const rows = credentialsByMatch.all(match) as unknown as CredentialRow[];
    const found = rows.flatMap(withOwner);
    return found.length === 0 ? undefined : found;
  });

  return {
    principals: () => (all.all() as unknown as PrincipalRow[]).map(toPrincipal),
    principal: cached(readPrincipal),
    credential: cached((id) => {
      const row = credentialById.get(id) as CredentialRow | undefined;
      return row === undefined ? undefined : withOwner(row)[0];
    }),
    certificates: (match) => certificates(match) ?? [],
    credentialsOf: (id) => (credentialsOf.all(id) as unknown as CredentialRow[]).map(toCredential),

    insertPrincipal: ({ id, name, roles, state, createdAt }) => {
      forget();
      try {
        insertPrincipal.run(id, name, JSON.stringify(roles), state, createdAt);
      } catch (error) {
        throw isUniqueViolation(error)
          ? new CountersignError('conflict', `there is a principal named ${name} already`)
          : error;
      }
    },

    updatePrincipal: (id, { roles, state }) => {
      forget();
      updatePrincipal.run(roles === undefined ? null : JSON.stringify(roles), state ?? null, id);
    },

    insertCredential: (credential) => {
      forget();
      insertCredential.run(
        credential.id,
        credential.principalId,
        credential.secretHash ?? null,
        credential.createdAt,
        credential.expiresAt ?? null,
        JSON.stringify(credential.cidrs),
        credential.revokedAt ?? null,
        credential.kind,
        credential.match ?? null,
        credential.rotatedFrom ?? null,
        credential.canary === true ? 1 : 0,
      );
    },

    expireCredential: (id, time) => {
      forget();
      expire.run(time, id);
    },

    revokeCredential: (id, time) => {
      forget();
      if (revoke.run(time, id).changes !== 1) {
        throw new CountersignError('conflict', 'the credential is revoked already');
      }
    },
  };
}

/** More than any installation has in use at one time. */
const MAX_CACHED = 10_000;

/**
 * What was read and is committed. Every write forgets all of it, and nothing is kept or taken while a transaction is
 * open, which may still be undone: what this gives is always what the tables hold. Who is not there is not kept, so
 * that nobody can fill it by asking.
 */
class CommittedCache<T> {
  readonly #db: DatabaseSync;
  readonly #read: (key: string) => T | undefined;
  readonly #values = new Map<string, T>();

  constructor(db: DatabaseSync, read: (key: string) => T | undefined) {
    this.#db = db;
    this.#read = read;
  }

  get(key: string): T | undefined {
    if (this.#db.isTransaction) return this.#read(key);
    const known = this.#values.get(key);
    if (known !== undefined) return known;
    const value = this.#read(key);
    if (value === undefined) return undefined;
    if (this.#values.size >= MAX_CACHED) this.#values.clear();
    this.#values.set(key, value);
    return value;
  }

  clear(): void {
    this.#values.clear();
  }
}

function toPrincipal(row: PrincipalRow): Principal {
  return {
    id: row.id,
    name: row.name,
    roles: JSON.parse(row.roles) as Role[],
    state: row.state,
    createdAt: row.created_at,
  };
}

function toCredential(row: CredentialRow): Credential {
  return {
    id: row.id,
    principalId: row.principal_id,
    kind: row.kind,
    ...(row.secret_hash !== null && { secretHash: row.secret_hash }),
    ...(row.match !== null && { match: row.match }),
    ...(row.rotated_from !== null && { rotatedFrom: row.rotated_from }),
    createdAt: row.created_at,
    ...(row.expires_at !== null && { expiresAt: row.expires_at }),
    cidrs: JSON.parse(row.cidrs) as string[],
    ...(row.revoked_at !== null && { revokedAt: row.revoked_at }),
    ...(row.canary === 1 && { canary: true }),
  };
}
