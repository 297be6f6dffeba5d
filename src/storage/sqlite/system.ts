import type { DatabaseSync } from 'node:sqlite';
import type { Hex } from '../../bytes.ts';
import { CountersignError } from '../../errors.ts';
import { sealConfigSchema } from '../../keystore/seal.ts';
import type { PolicyReads, PolicyWrites, StoredPolicy } from '../../policy/policy.ts';
import type { LogKey, LogKeyReads, LogKeyWrites } from '../../signer/log-key.ts';
import type { SealReads, SealWrites } from '../../signer/seal.ts';

export function sealTables(
  db: DatabaseSync,
): SealReads & Omit<SealWrites, 'insertTerm'> & LogKeyReads & LogKeyWrites {
  const findSeal = db.prepare('SELECT config, keyring FROM seal');
  const insertSeal = db.prepare('INSERT INTO seal VALUES (1, ?, ?)');
  const replaceSeal = db.prepare('UPDATE seal SET config = ?, keyring = ? WHERE id = 1 AND keyring = ?');
  const findLogKey = db.prepare(
    'SELECT version, public_key, sealed FROM log_keys ORDER BY version DESC LIMIT 1',
  );
  const insertLogKey = db.prepare('INSERT INTO log_keys VALUES (?, ?, ?, ?)');
  const eraseLogKeys = db.prepare("UPDATE log_keys SET sealed = x'' WHERE version < ?");

  return {
    seal: () => {
      const row = findSeal.get() as { config: string; keyring: Uint8Array } | undefined;
      if (row === undefined) return undefined;
      return { config: sealConfigSchema.parse(JSON.parse(row.config)), keyring: row.keyring };
    },
    logKey: (): LogKey | undefined => {
      const row = findLogKey.get() as { version: number; public_key: Hex; sealed: Uint8Array } | undefined;
      if (row === undefined) return undefined;
      return { version: row.version, publicKey: row.public_key, sealed: row.sealed };
    },
    insertSeal: ({ config, keyring }) => {
      insertSeal.run(JSON.stringify(config), keyring);
    },
    replaceSeal: (before, { config, keyring }) => {
      if (replaceSeal.run(JSON.stringify(config), keyring, before).changes !== 1)
        throw new CountersignError('conflict', 'the seal was changed at the same time: try again');
    },
    insertLogKey: ({ version, publicKey, sealed }, time) => {
      insertLogKey.run(version, publicKey, sealed, time);
    },
    eraseLogKeysBefore: (version) => {
      eraseLogKeys.run(version);
    },
  };
}

interface PolicyRow {
  revision: number;
  document: string;
  hash: string;
  parent_hash: string | null;
  suites: string;
  loaded_at: string;
}

export function policyTable(db: DatabaseSync): PolicyReads & PolicyWrites {
  const newest = db.prepare('SELECT * FROM policies ORDER BY revision DESC LIMIT 1');
  const byRevision = db.prepare('SELECT * FROM policies WHERE revision = ?');
  const all = db.prepare(
    'SELECT revision, hash, parent_hash, loaded_at FROM policies ORDER BY revision DESC',
  );
  const insert = db.prepare('INSERT INTO policies VALUES (?, ?, ?, ?, ?, ?)');

  return {
    newestPolicy: () => toPolicy(newest.get()),
    policyByRevision: (revision) => toPolicy(byRevision.get(revision)),
    policies: () =>
      (all.all() as unknown as PolicyRow[]).map(({ revision, hash, parent_hash, loaded_at }) => ({
        revision,
        hash,
        parentHash: parent_hash,
        time: loaded_at,
      })),
    insertPolicy: ({ revision, document, hash, parentHash, suites }, time) => {
      insert.run(revision, document, hash, parentHash, JSON.stringify(suites), time);
    },
  };
}

function toPolicy(found: unknown): StoredPolicy | undefined {
  if (found === undefined) return undefined;
  const { revision, document, hash, parent_hash, suites } = found as PolicyRow;
  return {
    revision,
    document,
    hash,
    parentHash: parent_hash,
    suites: JSON.parse(suites) as StoredPolicy['suites'],
  };
}

/** A value that is made once, when the data directory is, and never changes. */
export function fixedValue(db: DatabaseSync, name: string, make: () => string): string {
  db.prepare('INSERT OR IGNORE INTO meta VALUES (?, ?)').run(name, make());
  return (db.prepare('SELECT value FROM meta WHERE name = ?').get(name) as { value: string }).value;
}
