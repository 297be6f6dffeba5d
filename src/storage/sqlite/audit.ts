import type { DatabaseSync } from 'node:sqlite';
import { CountersignError } from '../../errors.ts';
import type { EntryWrites, LogHead } from '../../audit/log-storage.ts';
import { Frontier, HASH_BYTES } from '../../audit/tree/merkle.ts';
import type {
  AuditReads,
  CheckpointWrites,
  StoredCheckpoint,
  StoredEntry,
} from '../../audit/stored-entry.ts';
import { entryIndex, type IndexRange } from './entry-index.ts';

interface EntryRow {
  idx: number;
  leaf_hash: Uint8Array;
  entry: Uint8Array;
}

/** @param shown entries are there up to this index and not including it, whatever is in the table behind them. */
export function auditReads(
  db: DatabaseSync,
  shown: () => number = () => Number.MAX_SAFE_INTEGER,
): AuditReads {
  const index = entryIndex(db);
  const byIndex = db.prepare('SELECT idx, leaf_hash, entry FROM audit_entries WHERE idx = ?');
  const data = db.prepare('SELECT data FROM audit_data WHERE sha256 = ?');
  const all = {
    asc: db.prepare(
      'SELECT idx, leaf_hash, entry FROM audit_entries WHERE idx >= ? AND idx < ? ORDER BY idx LIMIT ?',
    ),
    desc: db.prepare(
      'SELECT idx, leaf_hash, entry FROM audit_entries WHERE idx >= ? AND idx < ? ORDER BY idx DESC LIMIT ?',
    ),
  };
  const ofKinds = db.prepare(
    `SELECT idx, leaf_hash, entry FROM audit_entries
     WHERE idx >= ? AND idx < ? AND kind IN (SELECT value FROM json_each(?)) ORDER BY idx LIMIT ?`,
  );
  const timeAt = db.prepare('SELECT time FROM audit_entries WHERE idx = ?');
  const last = db.prepare('SELECT max(idx) AS last FROM audit_entries');
  const latest = db.prepare('SELECT size, note FROM checkpoints ORDER BY size DESC LIMIT 1');
  const after = db.prepare('SELECT size, note FROM checkpoints WHERE size > ? ORDER BY size LIMIT ?');
  const ofSize = db.prepare('SELECT size, note FROM checkpoints WHERE size = ?');
  const cosigned = db.prepare(
    'SELECT size, note FROM checkpoints WHERE cosigned = 1 ORDER BY size DESC LIMIT ?',
  );

  /** Index of the first entry of this time or later. Times never decrease along the log. */
  const firstAt = (time: string): number => {
    let low = 0;
    let high = ((last.get() as { last: number | null }).last ?? -1) + 1;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const row = timeAt.get(middle) as { time: string } | undefined;
      if (row === undefined || row.time < time) low = middle + 1;
      else high = middle;
    }
    return low;
  };

  return {
    entries: ({ from, order = 'asc', limit, since, until, ...filter }) => {
      const first = since === undefined ? 0 : firstAt(since);
      const end = Math.min(shown(), until === undefined ? Number.MAX_SAFE_INTEGER : firstAt(until));
      const range = rangeOf(order, from, { from: first, to: end });
      if (Object.values(filter).every((value) => value === undefined)) {
        return (all[order].all(range.from, range.to, limit) as unknown as EntryRow[]).map(toStoredEntry);
      }
      const found: StoredEntry[] = [];
      for (const at of index.find(filter, range, order)) {
        const row = byIndex.get(at) as EntryRow | undefined;
        if (row !== undefined) found.push(toStoredEntry(row));
        if (found.length === limit) break;
      }
      return found;
    },
    entriesOfKinds: (kinds, { from, to, limit }) =>
      (ofKinds.all(from, Math.min(to, shown()), JSON.stringify(kinds), limit) as unknown as EntryRow[]).map(
        toStoredEntry,
      ),
    entry: (at) => {
      const row = at < shown() ? (byIndex.get(at) as EntryRow | undefined) : undefined;
      return row === undefined ? undefined : toStoredEntry(row);
    },
    data: (sha256) => (data.get(sha256) as { data: Uint8Array } | undefined)?.data,
    latestCheckpoint: () => latest.get() as StoredCheckpoint | undefined,
    checkpoint: (size) => ofSize.get(size) as StoredCheckpoint | undefined,
    cosignedCheckpoints: (limit) => cosigned.all(limit) as unknown as StoredCheckpoint[],
    checkpointsAfter: (size, limit) => after.all(size, limit) as unknown as StoredCheckpoint[],
  };
}

/** The part of a range that a listing which begins at `from` goes through. */
function rangeOf(order: 'asc' | 'desc', from: number, within: IndexRange): IndexRange {
  if (order === 'asc') return { ...within, from: Math.max(from, within.from) };
  return { ...within, to: from < within.to ? from + 1 : within.to };
}

function toStoredEntry(row: EntryRow): StoredEntry {
  return { index: row.idx, leafHash: row.leaf_hash, bytes: row.entry };
}

export function auditWrites(db: DatabaseSync): Omit<EntryWrites, 'keepNode'> & CheckpointWrites {
  const index = entryIndex(db);
  const insert = db.prepare('INSERT INTO audit_entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)');
  const keepData = db.prepare('INSERT OR IGNORE INTO audit_data VALUES (?, ?)');
  const saveHead = db.prepare('INSERT OR REPLACE INTO audit_head VALUES (1, ?, ?, ?)');
  const saveCheckpoint = db.prepare('INSERT OR IGNORE INTO checkpoints (size, note) VALUES (?, ?)');
  const saveCosigned = db.prepare('UPDATE checkpoints SET note = ?, cosigned = 1 WHERE size = ?');

  return {
    appendEntry: (entry, bytes, leafHash) => {
      const { index: idx, time, kind, outcome } = entry;
      const principal = entry.actor?.principal ?? null;
      const keyName = entry.key?.name ?? null;
      const operation = entry.operation ?? null;
      const effect = entry.decision?.effect ?? null;
      insert.run(idx, time, kind, outcome, principal, keyName, operation, effect, leafHash, bytes);
      index.appended({ idx, principal, key_name: keyName, operation, effect, kind, outcome });
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
    saveCosigned: ({ size, note }) => {
      saveCosigned.run(note, size);
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

/** To be called within a transaction where others may write meanwhile. */
export function readLogEnd(db: DatabaseSync): LogEnd {
  const { first, size } = db
    .prepare(
      `SELECT (SELECT coalesce(min(idx), 0) FROM audit_entries) AS first,
              (SELECT coalesce(max(idx) + 1, 0) FROM audit_entries) AS size`,
    )
    .get() as { first: number; size: number };
  return { ...readHead(db), first, size };
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
