import type { DatabaseSync } from 'node:sqlite';
import type { Hex } from '../../bytes.ts';
import { sealConfigSchema } from '../../keystore/seal.ts';
import type { PolicyReads, PolicyWrites, StoredPolicy } from '../../policy/policy.ts';
import type { LogKey, SealReads, SealWrites } from '../../signer/seal.ts';

export function sealTables(db: DatabaseSync): SealReads & SealWrites {
  const findSeal = db.prepare('SELECT config, keyring FROM seal');
  const insertSeal = db.prepare('INSERT INTO seal VALUES (1, ?, ?)');
  const findLogKey = db.prepare('SELECT public_key, sealed FROM log_keys ORDER BY id DESC LIMIT 1');
  const insertLogKey = db.prepare('INSERT INTO log_keys (public_key, sealed, created_at) VALUES (?, ?, ?)');

  return {
    seal: () => {
      const row = findSeal.get() as { config: string; keyring: Uint8Array } | undefined;
      if (row === undefined) return undefined;
      return { config: sealConfigSchema.parse(JSON.parse(row.config)), keyring: row.keyring };
    },
    logKey: (): LogKey | undefined => {
      const row = findLogKey.get() as { public_key: Hex; sealed: Uint8Array } | undefined;
      return row === undefined ? undefined : { publicKey: row.public_key, sealed: row.sealed };
    },
    insertSeal: ({ config, keyring }) => {
      insertSeal.run(JSON.stringify(config), keyring);
    },
    insertLogKey: ({ publicKey, sealed }, time) => {
      insertLogKey.run(publicKey, sealed, time);
    },
  };
}

export function policyTable(db: DatabaseSync): PolicyReads & PolicyWrites {
  const newest = db.prepare('SELECT revision, document, hash FROM policies ORDER BY revision DESC LIMIT 1');
  const insert = db.prepare('INSERT INTO policies VALUES (?, ?, ?, ?)');

  return {
    newestPolicy: () => newest.get() as StoredPolicy | undefined,
    insertPolicy: ({ revision, document, hash }, time) => {
      insert.run(revision, document, hash, time);
    },
  };
}

/** A value that is made once, when the data directory is, and never changes. */
export function fixedValue(db: DatabaseSync, name: string, make: () => string): string {
  db.prepare('INSERT OR IGNORE INTO meta VALUES (?, ?)').run(name, make());
  return (db.prepare('SELECT value FROM meta WHERE name = ?').get(name) as { value: string }).value;
}
