import type { DatabaseSync } from 'node:sqlite';
import type { Hex } from '../../bytes.ts';
import { CountersignError } from '../../errors.ts';
import type { Key, KeyReads, KeyVersion, KeyVersionState, KeyWrites } from '../../keystore/keys.ts';
import { isUniqueViolation } from './database.ts';

interface KeyRow {
  id: string;
  name: string;
  tags: string;
  created_at: string;
  primary_version: number;
}

interface VersionRow {
  key_id: string;
  version: number;
  address: Hex;
  public_key: Hex;
  state: KeyVersionState;
  origin: KeyVersion['origin'];
  created_at: string;
  last_used_at: string | null;
}

export function keyTables(db: DatabaseSync): KeyReads & KeyWrites {
  const allKeys = db.prepare('SELECT * FROM keys ORDER BY name');
  const allVersions = db.prepare(
    `SELECT key_id, version, address, public_key, state, origin, created_at, last_used_at
     FROM key_versions ORDER BY key_id, version`,
  );
  const sealedOf = db.prepare('SELECT sealed FROM key_versions WHERE key_id = ? AND version = ?');
  const insertKey = db.prepare('INSERT INTO keys VALUES (?, ?, ?, ?, ?)');
  const insertVersion = db.prepare('INSERT INTO key_versions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)');
  const markUsed = db.prepare(
    "UPDATE key_versions SET last_used_at = ? WHERE key_id = ? AND version = ? AND state = 'enabled'",
  );
  const setState = db.prepare(
    'UPDATE key_versions SET state = ? WHERE key_id = ? AND version = ? AND state = ?',
  );

  return {
    keys: () => {
      const versions = Map.groupBy(allVersions.all() as unknown as VersionRow[], (row) => row.key_id);
      return (allKeys.all() as unknown as KeyRow[]).map((row) => toKey(row, versions.get(row.id) ?? []));
    },

    sealedKey: (keyId, version) => {
      const row = sealedOf.get(keyId, version) as { sealed: Uint8Array } | undefined;
      if (row === undefined) throw new CountersignError('not_found', 'there is no such key version');
      return row.sealed;
    },

    insertKey: (key, sealed) => {
      try {
        insertKey.run(key.id, key.name, JSON.stringify(key.tags), key.createdAt, key.primary);
      } catch (error) {
        throw isUniqueViolation(error)
          ? new CountersignError('conflict', `there is a key named ${key.name} already`)
          : error;
      }
      for (const v of key.versions) {
        try {
          insertVersion.run(
            key.id,
            v.version,
            v.address,
            v.publicKey,
            v.state,
            v.origin,
            v.createdAt,
            v.lastUsedAt ?? null,
            sealed,
          );
        } catch (error) {
          throw isUniqueViolation(error)
            ? new CountersignError('conflict', `the key of address ${v.address} is kept here already`)
            : error;
        }
      }
    },

    markUsed: (keyId, version, time) => {
      if (markUsed.run(time, keyId, version).changes !== 1) {
        throw new CountersignError(
          'key_state',
          'the key version was disabled before its signature was logged',
        );
      }
    },

    setKeyState: (keyId, version, from, to) => {
      if (setState.run(to, keyId, version, from).changes !== 1) {
        throw new CountersignError('key_state', `the key version is not ${from}`);
      }
    },
  };
}

function toKey(row: KeyRow, versions: readonly VersionRow[]): Key {
  return {
    id: row.id,
    name: row.name,
    tags: JSON.parse(row.tags) as string[],
    createdAt: row.created_at,
    primary: row.primary_version,
    versions: versions.map((version) => ({
      version: version.version,
      address: version.address,
      publicKey: version.public_key,
      state: version.state,
      origin: version.origin,
      createdAt: version.created_at,
      ...(version.last_used_at !== null && { lastUsedAt: version.last_used_at }),
    })),
  };
}
