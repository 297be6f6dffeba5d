import { chmodSync, existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { CountersignError } from '../../errors.ts';
import type { StoredCheckpoint, StoredEntry } from '../../audit/stored-entry.ts';
import type { LogSource } from '../../audit/verify/log.ts';
import { entryPages } from './entry-pages.ts';

/**
 * An archive of the audit log: one SQLite file (format 3, which the Library of Congress recommends for keeping), with all
 * that verification takes. Tables and how to verify by hand are in the file itself, in `about`.
 */
const FORMAT = 'countersign-audit-archive/v1';

const ABOUT = `An archive of a Countersign audit log.
audit_entries: idx is the position from 0; entry the bytes as hashed (RFC 8785 JSON); leaf_hash SHA-256(0x00 || entry), RFC 6962.
audit_data: bytes that are too long for an entry, under their SHA-256, which the entry names as dataHash.
checkpoints: C2SP signed notes (c2sp.org/tlog-checkpoint) over the first "size" entries, Ed25519 by the key in "vkey".
To verify: recompute every leaf hash and the RFC 6962 tree, compare its root at each checkpoint's size, and the notes with a
verifier key that you know from elsewhere: the one in this file proves nothing. countersign audit verify --archive FILE does it.`;

const SCHEMA = `
  CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE audit_entries (idx INTEGER PRIMARY KEY, leaf_hash BLOB NOT NULL, entry BLOB NOT NULL) STRICT;
  CREATE TABLE audit_data (sha256 BLOB PRIMARY KEY, data BLOB NOT NULL) STRICT;
  CREATE TABLE checkpoints (size INTEGER PRIMARY KEY, note TEXT NOT NULL) STRICT;
`;

export interface ArchiveWriter {
  /** How many entries it has: what is added goes on from there. */
  readonly size: number;
  /** In one transaction: a run that is broken off leaves whole pages. */
  add(entries: readonly StoredEntry[], data: readonly { sha256: Uint8Array; data: Uint8Array }[]): void;
  addCheckpoint(checkpoint: StoredCheckpoint): void;
  close(): void;
}

/**
 * Opens an archive to go on with it, or begins one. Throws `conflict` for an archive of another log, `unprocessable` for
 * what is no archive, `invalid_request` for a file that can't be written.
 */
export function writeArchive(file: string, vkey: string): ArchiveWriter {
  const begun = existsSync(file);
  const db = open(file, { readOnly: false });
  try {
    // One file when it is closed, and nothing lost when it is not.
    db.exec('PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF;');
    if (!begun) {
      begin(db, vkey);
      chmodSync(file, 0o600);
    }
    const origin = requireArchive(db, file).split('+')[0];
    if (origin !== vkey.split('+')[0]) {
      throw new CountersignError('conflict', `${file} is an archive of another log, ${origin}`);
    }
  } catch (error) {
    db.close();
    throw error;
  }
  const insertEntry = db.prepare('INSERT INTO audit_entries VALUES (?, ?, ?)');
  const insertData = db.prepare('INSERT OR IGNORE INTO audit_data VALUES (?, ?)');
  const insertCheckpoint = db.prepare('INSERT OR REPLACE INTO checkpoints VALUES (?, ?)');
  let size = sizeOf(db);
  return {
    get size() {
      return size;
    },
    add: (entries, data) => {
      db.exec('BEGIN IMMEDIATE');
      try {
        for (const { index, leafHash, bytes } of entries) {
          if (index !== size) {
            throw new CountersignError('unprocessable', `entry ${index} was given in place of entry ${size}`);
          }
          insertEntry.run(index, leafHash, bytes);
          size++;
        }
        for (const each of data) insertData.run(each.sha256, each.data);
        db.exec('COMMIT');
      } catch (error) {
        if (db.isTransaction) db.exec('ROLLBACK');
        size = sizeOf(db);
        throw error;
      }
    },
    addCheckpoint: ({ size: covered, note }) => void insertCheckpoint.run(covered, note),
    close: () => db.close(),
  };
}

export interface ArchiveReader {
  readonly source: LogSource;
  /** What the archive itself says the verifier key is. */
  readonly vkey: string;
  close(): void;
}

/** Throws `not_found` where there is no such file, `unprocessable` for what is no archive. */
export function openArchive(file: string): ArchiveReader {
  if (!existsSync(file)) throw new CountersignError('not_found', `there is no file ${file}`);
  const db = open(file, { readOnly: true });
  try {
    const vkey = requireArchive(db, file);
    return { source: sourceOf(db), vkey, close: () => db.close() };
  } catch (error) {
    db.close();
    throw error;
  }
}

function sourceOf(db: DatabaseSync): LogSource {
  const size = sizeOf(db);
  const pages = entryPages(db);
  const data = db.prepare('SELECT data FROM audit_data WHERE sha256 = ?');
  const notes = db.prepare('SELECT note FROM checkpoints ORDER BY size');
  return {
    size,
    entries: async function* (from) {
      yield* pages(from, size);
    },
    checkpoints: async function* () {
      for (const { note } of notes.iterate() as Iterable<{ note: string }>) yield note;
    },
    data: (sha256) => (data.get(sha256) as { data: Uint8Array } | undefined)?.data,
  };
}

function begin(db: DatabaseSync, vkey: string): void {
  db.exec(`BEGIN IMMEDIATE; ${SCHEMA}`);
  const insert = db.prepare('INSERT INTO about VALUES (?, ?)');
  insert.run('format', FORMAT);
  insert.run('vkey', vkey);
  insert.run('about', ABOUT);
  db.exec('COMMIT');
}

function open(file: string, options: { readonly readOnly: boolean }): DatabaseSync {
  try {
    return new DatabaseSync(file, options);
  } catch (error) {
    throw new CountersignError('invalid_request', `${file} cannot be opened`, [], error);
  }
}

/** Returns the verifier key in it. */
function requireArchive(db: DatabaseSync, file: string): string {
  try {
    const find = db.prepare('SELECT value FROM about WHERE name = ?');
    const format = find.get('format') as { value: string } | undefined;
    const vkey = find.get('vkey') as { value: string } | undefined;
    if (format?.value === FORMAT && vkey !== undefined) return vkey.value;
  } catch {
    // What has no such table is none.
  }
  throw new CountersignError(
    'unprocessable',
    `${file} is no archive of an audit log, or not of this version`,
  );
}

function sizeOf(db: DatabaseSync): number {
  return (
    ((db.prepare('SELECT max(idx) AS last FROM audit_entries').get() as { last: number | null }).last ?? -1) +
    1
  );
}
