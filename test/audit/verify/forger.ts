import { cpSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { encodeEntry, type Entry } from '../../../src/audit/entry.ts';
import { Frontier, leafHash } from '../../../src/audit/tree/merkle.ts';
import { TILE_HEIGHT } from '../../../src/audit/tree/tiles.ts';
import { verifyLog, type VerifyOptions, type VerifyReport } from '../../../src/audit/verify/log.ts';
import { DATABASE_FILE } from '../../../src/storage/sqlite/database.ts';
import { openLogReader } from '../../../src/storage/sqlite/log-reader.ts';
import { makeDirectory } from '../../service.ts';

/** What somebody can do to the log who has the database file of a real service, and its program. */
export interface Forger {
  readonly data: string;
  readonly db: DatabaseSync;
  entry(index: number): Record<string, unknown>;
  bytes(index: number): Buffer;
  size(): number;
  /** Puts other bytes in an entry's place, with the leaf hash of the old ones, or of the new ones. */
  put(index: number, bytes: Buffer | object, rehash: boolean): void;
  /** The same entries with this done to them, numbered anew; every hash, the tiles and the head fit them. */
  rewrite(change: (entries: Buffer[]) => void): void;
  close(): void;
}

export function forge(data: string): Forger {
  const db = new DatabaseSync(path.join(data, DATABASE_FILE));
  const bytes = (index: number): Buffer => {
    const row = db.prepare('SELECT entry FROM audit_entries WHERE idx = ?').get(index) as {
      entry: Uint8Array;
    };
    return Buffer.from(row.entry);
  };
  const size = (): number =>
    (db.prepare('SELECT count(*) AS size FROM audit_entries').get() as { size: number }).size;
  const set = db.prepare('UPDATE audit_entries SET entry = ? WHERE idx = ?');
  const setHash = db.prepare('UPDATE audit_entries SET leaf_hash = ? WHERE idx = ?');
  return {
    data,
    db,
    bytes,
    size,
    entry: (index) => JSON.parse(bytes(index).toString('utf8')) as Record<string, unknown>,
    put: (index, given, rehash) => {
      const made = Buffer.isBuffer(given) ? given : encodeEntry(given as Entry);
      set.run(made, index);
      if (rehash) setHash.run(leafHash(made), index);
    },
    rewrite: (change) => {
      const entries = Array.from({ length: size() }, (_, index) => bytes(index));
      change(entries);
      replaceAll(db, entries);
    },
    close: () => db.close(),
  };
}

function replaceAll(db: DatabaseSync, entries: readonly Buffer[]): void {
  const tree = new Frontier();
  const insert = db.prepare('INSERT INTO audit_entries VALUES (?, ?, ?, ?, NULL, NULL, NULL, NULL, ?, ?)');
  const keep = db.prepare('INSERT INTO audit_nodes VALUES (?, ?, ?)');
  db.exec('BEGIN; DELETE FROM audit_entries; DELETE FROM audit_nodes');
  let time = '';
  let epoch = 0;
  for (const [index, each] of entries.entries()) {
    const entry = JSON.parse(each.toString('utf8')) as Entry;
    if (entry.kind === 'service.started') epoch = index;
    // Times keep their order where entries were moved.
    time = entry.time > time ? entry.time : time;
    const bytes = encodeEntry({ ...entry, index, time, service: { ...entry.service, epoch } });
    const leaf = leafHash(bytes);
    insert.run(index, time, entry.kind, entry.outcome, leaf, bytes);
    tree.append(leaf, (height, at, hash) => {
      if (height % TILE_HEIGHT === 0) keep.run(height / TILE_HEIGHT, at, hash);
    });
  }
  db.prepare('UPDATE audit_head SET size = ?, frontier = ?, time = ?').run(
    tree.size,
    Buffer.concat(tree.hashes()),
    time,
  );
  db.exec('COMMIT');
}

/** A copy of a data directory that is nobody's, for one forger. */
export function copyOfData(data: string): string {
  const copy = makeDirectory();
  cpSync(data, copy, { recursive: true });
  return copy;
}

export async function verifyData(data: string, options: VerifyOptions): Promise<VerifyReport> {
  const log = openLogReader(data);
  try {
    return await verifyLog(log.source, options);
  } finally {
    log.close();
  }
}
