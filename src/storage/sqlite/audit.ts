import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import { CountersignError } from '../../errors.ts';
import type { EntryWrites, LogHead } from '../../audit/log.ts';
import { Frontier, HASH_BYTES } from '../../audit/tree/merkle.ts';
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
  outcome: 'outcome = ?',
  since: 'time >= ?',
  until: 'time < ?',
} as const;

export function auditReads(db: DatabaseSync): AuditReads {
  const byIndex = db.prepare('SELECT idx, leaf_hash, entry FROM audit_entries WHERE idx = ?');
  const data = db.prepare('SELECT data FROM audit_data WHERE sha256 = ?');
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
    data: (sha256) => (data.get(sha256) as { data: Uint8Array } | undefined)?.data,
    latestCheckpoint: () => latest.get() as StoredCheckpoint | undefined,
    checkpointsAfter: (size, limit) => after.all(size, limit) as unknown as StoredCheckpoint[],
  };
}

function selectEntries({ from, order = 'asc', limit, ...filters }: EntryQuery): {
  sql: string;
  values: SQLInputValue[];
} {
  const conditions = [order === 'asc' ? 'idx >= ?' : 'idx <= ?'];
  const values: SQLInputValue[] = [from];
  for (const [name, condition] of Object.entries(COLUMN_OF)) {
    const value = filters[name as keyof typeof COLUMN_OF];
    if (value === undefined) continue;
    conditions.push(condition);
    values.push(value);
  }
  return {
    sql: `SELECT idx, leaf_hash, entry FROM audit_entries WHERE ${conditions.join(' AND ')} ORDER BY idx ${order} LIMIT ?`,
    values: [...values, limit],
  };
}

function toStoredEntry(row: EntryRow): StoredEntry {
  return { index: row.idx, leafHash: row.leaf_hash, bytes: row.entry };
}

export function auditWrites(db: DatabaseSync): Omit<EntryWrites, 'keepNode'> & CheckpointWrites {
  const index = entryIndex(db);
  const insert = db.prepare('INSERT INTO audit_entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)');
  const keepData = db.prepare('INSERT OR IGNORE INTO audit_data VALUES (?, ?)');
  const saveHead = db.prepare('INSERT OR REPLACE INTO audit_head VALUES (1, ?, ?, ?)');
  const saveCheckpoint = db.prepare('INSERT OR IGNORE INTO checkpoints VALUES (?, ?)');

  return {
    appendEntry: (entry, bytes, leafHash) => {
      insert.run(
        entry.index,
        entry.time,
        entry.kind,
        entry.outcome,
        entry.actor?.principal ?? null,
        entry.key?.name ?? null,
        entry.operation ?? null,
        entry.decision?.effect ?? null,
        leafHash,
        bytes,
      );
    },
    keepData: (sha256, data) => {
      keepData.run(sha256, data);
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

/** The stored head, and where the entries really begin and end, of one moment. */
interface LogEnd extends LogHead {
  /** Index of the first entry; 0 when there is none. */
  readonly first: number;
  /** Index of the last entry and one; 0 when there is none. */
  readonly size: number;
}

export function readLogEnd(db: DatabaseSync): LogEnd {
  db.exec('BEGIN');
  try {
    const { first, size } = db
      .prepare(
        `SELECT (SELECT coalesce(min(idx), 0) FROM audit_entries) AS first,
                (SELECT coalesce(max(idx) + 1, 0) FROM audit_entries) AS size`,
      )
      .get() as { first: number; size: number };
    return { ...readHead(db), first, size };
  } finally {
    db.exec('COMMIT');
  }
}

/**
 * What a start can see of a log that was cut, at the same cost for any size: its ends, against the stored head and
 * the newest checkpoint. What is between is for `verifyLog`. Throws `unprocessable`.
 */
export function checkLogEnds(db: DatabaseSync): void {
  const { frontier, first, size } = readLogEnd(db);
  const newest = auditReads(db).latestCheckpoint()?.size ?? 0;
  if (first === 0 && size === frontier.size && newest <= size) return;
  const found = size === 0 ? 'no entries' : `entries ${first} to ${size - 1}`;
  throw new CountersignError(
    'unprocessable',
    `the audit log in the database was changed from outside: it has ${found}, its head counts ${frontier.size} ` +
      `and its newest checkpoint ${newest}; nothing is started on it. Look with audit verify --data, and restore a backup`,
  );
}
