import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import type { EntryWrites, LogHead } from '../../audit/log.ts';
import { Frontier, HASH_BYTES } from '../../audit/merkle.ts';
import type {
  AuditReads,
  CheckpointWrites,
  EntryQuery,
  StoredCheckpoint,
  StoredEntry,
} from '../../audit/stored-entry.ts';

interface EntryRow {
  idx: number;
  leaf_hash: Uint8Array;
  entry: Uint8Array;
}

const COLUMN_OF = {
  principal: 'principal = ?',
  key: 'key_name = ?',
  operation: 'operation = ?',
  effect: 'effect = ?',
  kind: 'kind = ?',
  since: 'time >= ?',
  until: 'time < ?',
} as const;

export function auditReads(db: DatabaseSync): AuditReads {
  const byIndex = db.prepare('SELECT idx, leaf_hash, entry FROM audit_entries WHERE idx = ?');
  const latest = db.prepare('SELECT size, note FROM checkpoints ORDER BY size DESC LIMIT 1');
  const after = db.prepare('SELECT size, note FROM checkpoints WHERE size > ? ORDER BY size LIMIT ?');

  return {
    entries: (query) => {
      const { sql, values } = selectEntries(query);
      return (db.prepare(sql).all(...values) as unknown as EntryRow[]).map(toStoredEntry);
    },
    entry: (index) => {
      const row = byIndex.get(index) as EntryRow | undefined;
      return row === undefined ? undefined : toStoredEntry(row);
    },
    latestCheckpoint: () => latest.get() as StoredCheckpoint | undefined,
    checkpointsAfter: (size, limit) => after.all(size, limit) as unknown as StoredCheckpoint[],
  };
}

function selectEntries({ from, limit, ...filters }: EntryQuery): { sql: string; values: SQLInputValue[] } {
  const conditions = ['idx >= ?'];
  const values: SQLInputValue[] = [from];
  for (const [name, condition] of Object.entries(COLUMN_OF)) {
    const value = filters[name as keyof typeof COLUMN_OF];
    if (value === undefined) continue;
    conditions.push(condition);
    values.push(value);
  }
  return {
    sql: `SELECT idx, leaf_hash, entry FROM audit_entries WHERE ${conditions.join(' AND ')} ORDER BY idx LIMIT ?`,
    values: [...values, limit],
  };
}

function toStoredEntry(row: EntryRow): StoredEntry {
  return { index: row.idx, leafHash: row.leaf_hash, bytes: row.entry };
}

export function auditWrites(db: DatabaseSync): EntryWrites & CheckpointWrites {
  const insert = db.prepare('INSERT INTO audit_entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)');
  const saveHead = db.prepare('INSERT OR REPLACE INTO audit_head VALUES (1, ?, ?, ?)');
  const saveCheckpoint = db.prepare('INSERT OR IGNORE INTO checkpoints VALUES (?, ?)');

  return {
    appendEntry: (entry, bytes, leafHash) => {
      insert.run(
        entry.index,
        entry.time,
        entry.kind,
        entry.actor?.principal ?? null,
        entry.key?.name ?? null,
        entry.operation ?? null,
        entry.decision?.effect ?? null,
        leafHash,
        bytes,
      );
    },
    saveHead: ({ frontier, time }) => {
      saveHead.run(frontier.size, Buffer.concat(frontier.hashes()), time);
    },
    saveCheckpoint: ({ size, note }) => {
      saveCheckpoint.run(size, note);
    },
  };
}

export function readHead(db: DatabaseSync): LogHead {
  const row = db.prepare('SELECT size, frontier, time FROM audit_head').get() as
    { size: number; frontier: Uint8Array; time: string } | undefined;
  if (row === undefined) return { frontier: new Frontier(), time: '' };
  const hashes: Uint8Array[] = [];
  for (let offset = 0; offset < row.frontier.length; offset += HASH_BYTES) {
    hashes.push(row.frontier.subarray(offset, offset + HASH_BYTES));
  }
  return { frontier: Frontier.of(row.size, hashes), time: row.time };
}
