import type { DatabaseSync } from 'node:sqlite';
import type { AccessReads, AccessWrites, Credential, Principal } from '../../access/principals.ts';
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
  secret_hash: Uint8Array;
  created_at: string;
  expires_at: string | null;
  cidrs: string;
  revoked_at: string | null;
}

export function accessTables(db: DatabaseSync): AccessReads & AccessWrites {
  const all = db.prepare('SELECT * FROM principals ORDER BY name');
  const byId = db.prepare('SELECT * FROM principals WHERE id = ?');
  const credentialById = db.prepare('SELECT * FROM credentials WHERE id = ?');
  const credentialsOf = db.prepare(
    'SELECT * FROM credentials WHERE principal_id = ? ORDER BY created_at, id',
  );
  const insertPrincipal = db.prepare('INSERT INTO principals VALUES (?, ?, ?, ?, ?)');
  const updatePrincipal = db.prepare(
    'UPDATE principals SET roles = coalesce(?, roles), state = coalesce(?, state) WHERE id = ?',
  );
  const insertCredential = db.prepare(
    `INSERT INTO credentials (id, principal_id, secret_hash, created_at, expires_at, cidrs, revoked_at)
     VALUES (?, ?, ?, ?, ?, ?, ?)`,
  );
  const revoke = db.prepare('UPDATE credentials SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL');

  const principal = (id: string): Principal | undefined => {
    const row = byId.get(id) as PrincipalRow | undefined;
    return row === undefined ? undefined : toPrincipal(row);
  };

  return {
    principals: () => (all.all() as unknown as PrincipalRow[]).map(toPrincipal),
    principal,

    credential: (id) => {
      const row = credentialById.get(id) as CredentialRow | undefined;
      if (row === undefined) return undefined;
      const owner = principal(row.principal_id);
      return owner === undefined ? undefined : { credential: toCredential(row), principal: owner };
    },

    credentialsOf: (id) => (credentialsOf.all(id) as unknown as CredentialRow[]).map(toCredential),

    insertPrincipal: ({ id, name, roles, state, createdAt }) => {
      try {
        insertPrincipal.run(id, name, JSON.stringify(roles), state, createdAt);
      } catch (error) {
        throw isUniqueViolation(error)
          ? new CountersignError('conflict', `there is a principal named ${name} already`)
          : error;
      }
    },

    updatePrincipal: (id, { roles, state }) => {
      updatePrincipal.run(roles === undefined ? null : JSON.stringify(roles), state ?? null, id);
    },

    insertCredential: (credential) => {
      insertCredential.run(
        credential.id,
        credential.principalId,
        credential.secretHash,
        credential.createdAt,
        credential.expiresAt ?? null,
        JSON.stringify(credential.cidrs),
        credential.revokedAt ?? null,
      );
    },

    revokeCredential: (id, time) => {
      if (revoke.run(time, id).changes !== 1) {
        throw new CountersignError('conflict', 'the credential is revoked already');
      }
    },
  };
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
    secretHash: row.secret_hash,
    createdAt: row.created_at,
    ...(row.expires_at !== null && { expiresAt: row.expires_at }),
    cidrs: JSON.parse(row.cidrs) as string[],
    ...(row.revoked_at !== null && { revokedAt: row.revoked_at }),
  };
}
