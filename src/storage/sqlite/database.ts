import { chmodSync, existsSync, mkdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { leftovers, UNFINISHED_FILE } from '../../backup/restore.ts';
import { CountersignError } from '../../errors.ts';
import { keepTornWal } from './high-water-mark.ts';
import { MIGRATIONS } from './schema.ts';
import { openWalFile } from './wal-file.ts';

export const DATABASE_FILE = 'countersign.db';
const LOCK_FILE = 'countersign.lock';
const SQLITE_BUSY = 5;
const BUSY_TIMEOUT_MS = 5_000;

export interface OpenDatabase {
  readonly db: DatabaseSync;
  readonly close: () => void;
}

/** An open database that this process alone writes, until `close`. */
export interface WritableDatabase extends OpenDatabase {
  /** Resolves when all that was committed before the call is on disk. */
  readonly flush: () => Promise<void>;
}

/**
 * Opens (or makes) the database of a data directory for writing. WAL with synchronous=NORMAL: a commit that returned is
 * on disk once `flush` has resolved. Throws `conflict` when another process has the directory, and for what a restore
 * has left.
 */
export function openForWriting(directory: string): WritableDatabase {
  refuseUnfinished(directory);
  makeDirectory(directory);
  const lock = takeLock(directory);
  try {
    const file = path.join(directory, DATABASE_FILE);
    const db = openDatabase(file, (opened) => keepTornWal(directory, opened, `${file}-wal`));
    const wal = openWalFile(file);
    return {
      db,
      flush: wal.flush,
      close: () => {
        db.close();
        wal.close();
        lock.close();
      },
    };
  } catch (error) {
    lock.close();
    throw error;
  }
}

function openDatabase(file: string, beforeMove: (db: DatabaseSync) => void): DatabaseSync {
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(file, { enableForeignKeyConstraints: true });
    chmodSync(file, 0o600);
    db.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
      PRAGMA fullfsync = ON;
      PRAGMA trusted_schema = OFF;
      PRAGMA secure_delete = ON;
      PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS};
    `);
    migrate(db, file);
    beforeMove(db);
    moveWal(db, file);
    db.exec('PRAGMA synchronous = NORMAL');
    return db;
  } catch (error) {
    db?.close();
    if (error instanceof CountersignError) throw error;
    throw new CountersignError(
      'unavailable',
      `the database ${file} cannot be opened: ${reasonOf(error)}`,
      [],
      error,
    );
  }
}

/**
 * What a process before this one has committed and not flushed is read from here on as if it had been: so it is copied
 * into the database, and that flushed. Where a flush has failed before, nothing less is enough: the system takes the
 * log's pages for written.
 */
function moveWal(db: DatabaseSync, file: string): void {
  const { busy } = db.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get() as { busy: number };
  if (busy !== 0)
    throw new CountersignError(
      'unavailable',
      `another process reads ${file} and keeps its write-ahead log from being moved into it: wait for it, or end it, and start again`,
    );
}

/** Neither on half a restore nor, as if there had been none, on a new directory in its place. */
function refuseUnfinished(directory: string): void {
  const left = existsSync(path.join(directory, UNFINISHED_FILE))
    ? directory
    : existsSync(directory)
      ? undefined
      : leftovers(directory)[0];
  if (left === undefined) return;
  throw new CountersignError(
    'conflict',
    `${left} is left of a restore that was broken off (or is under way): remove it and restore again; nothing is started on it`,
  );
}

/** The last step of the path only: a parent that is not there is more likely a slip of the pen than a wish. */
function makeDirectory(directory: string): void {
  try {
    if (!existsSync(directory)) mkdirSync(directory, { mode: 0o700 });
    if (!statSync(directory).isDirectory()) throw new Error('it is a file');
  } catch (error) {
    throw new CountersignError(
      'unavailable',
      `the data directory ${directory} cannot be made or used: ${reasonOf(error)}`,
      [],
      error,
    );
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : 'unknown';
}

/** Moves all of the write-ahead log into the database, and empties it. False while a reader keeps it from that. */
export function truncateWal(db: DatabaseSync): boolean {
  // Nobody is served while this waits: who reads now is done the next time.
  db.exec('PRAGMA busy_timeout = 0');
  try {
    const { busy } = db.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get() as { busy: number };
    return busy === 0;
  } finally {
    db.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
  }
}

/** Opens the database of a data directory to look at it; a running service is not disturbed. */
export function openForReading(directory: string): OpenDatabase {
  const file = path.join(directory, DATABASE_FILE);
  let db: DatabaseSync;
  try {
    db = new DatabaseSync(file, { readOnly: true });
    db.prepare('PRAGMA user_version').get();
  } catch (error) {
    throw new CountersignError('not_found', `there is no readable database at ${file}`, [], error);
  }
  return { db, close: () => db.close() };
}

/** Runs `work`, which writes outside of the log's commits. On disk when it returns. */
export function atOnce<T>(db: DatabaseSync, work: () => T): T {
  db.exec('PRAGMA synchronous = FULL');
  try {
    return work();
  } finally {
    db.exec('PRAGMA synchronous = NORMAL');
  }
}

/** Runs `work`, which only reads, on the database as it is at one moment. */
export function atOneMoment<T>(db: DatabaseSync, work: () => T): T {
  db.exec('BEGIN');
  try {
    return work();
  } finally {
    db.exec('COMMIT');
  }
}

/**
 * A second, empty database, held in an exclusive transaction: a lock that the operating system drops when the
 * process ends, however it ends, and that readers of the main database do not notice.
 */
function takeLock(directory: string): DatabaseSync {
  let lock: DatabaseSync | undefined;
  try {
    lock = new DatabaseSync(path.join(directory, LOCK_FILE));
    lock.exec('PRAGMA busy_timeout = 0; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE;');
    return lock;
  } catch (error) {
    lock?.close();
    const taken = (error as { errcode?: unknown }).errcode === SQLITE_BUSY;
    throw new CountersignError(
      taken ? 'conflict' : 'unavailable',
      taken
        ? `another countersign process is running on the data directory ${directory}: stop it first, or use another --data`
        : `the data directory ${directory} cannot be written: ${reasonOf(error)}`,
      [],
      error,
    );
  }
}

function migrate(db: DatabaseSync, file: string): void {
  const { user_version: version } = db.prepare('PRAGMA user_version').get() as { user_version: number };
  if (version > MIGRATIONS.length) {
    throw new CountersignError('conflict', `${file} was written by a newer version of countersign`);
  }
  for (const [index, sql] of MIGRATIONS.entries()) {
    if (index < version) continue;
    db.exec(`BEGIN IMMEDIATE; ${sql}; PRAGMA user_version = ${index + 1}; COMMIT;`);
  }
}

/** Whether an error is SQLite's refusal of a second row with the same unique value. */
export function isUniqueViolation(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('UNIQUE constraint failed');
}
