import { chmodSync, closeSync, openSync } from 'node:fs';
import path from 'node:path';
import { backup, DatabaseSync } from 'node:sqlite';
import { snapshotFactsSchema, type SnapshotFacts } from '../../backup/header.ts';
import type { SnapshotFiles, SnapshotSource } from '../../backup/snapshot.ts';
import { CountersignError } from '../../errors.ts';
import { parseWith } from '../../schema.ts';
import { auditReads, readHead } from './audit.ts';
import { openForReading } from './database.ts';
import { fenceReads, setMark } from './fence.ts';
import { logSource, storedVkeys } from './log-reader.ts';
import { MIGRATIONS } from './schema.ts';

/** Some 2 MB a step: between two of them everything else goes on. */
const PAGES_A_STEP = 512;

/** Copies of the database of a data directory; whether a service writes to it makes no difference. */
export function snapshotSource(directory: string): SnapshotSource {
  return {
    take: async (file, onProgress) => {
      const { db, close } = openForReading(directory);
      try {
        makePrivate(file);
        // The copy is of the state that this transaction sees, however long it takes.
        db.exec('BEGIN');
        db.prepare('SELECT count(*) FROM meta').get();
        await backup(db, file, {
          rate: PAGES_A_STEP,
          progress: ({ totalPages, remainingPages }) => onProgress?.(totalPages - remainingPages, totalPages),
        });
        return finishCopy(file);
      } catch (error) {
        if (error instanceof CountersignError) throw error;
        throw new CountersignError(
          'unavailable',
          `the database cannot be copied to ${path.dirname(file)}: ${error instanceof Error ? error.message : 'unknown'}`,
          [],
          error,
        );
      } finally {
        close();
      }
    },
  };
}

function makePrivate(file: string): void {
  closeSync(openSync(file, 'wx', 0o600));
  chmodSync(file, 0o600);
}

/** One file without a log beside it, that says of itself that it is a copy. */
function finishCopy(file: string): SnapshotFacts {
  const db = new DatabaseSync(file);
  try {
    // It is read once and removed: nobody waits for it to be on disk.
    db.exec('PRAGMA synchronous = OFF; PRAGMA journal_mode = DELETE; PRAGMA trusted_schema = OFF;');
    const facts = factsOf(db);
    const { epoch, log } = facts;
    const earlier = fenceReads(db).restoredFrom();
    setMark(db, { ...earlier, epoch, size: log.size, root: log.root, backupAt: new Date().toISOString() });
    return facts;
  } finally {
    db.close();
  }
}

export const snapshotFiles: SnapshotFiles = {
  facts: (file) => reading(file, factsOf),

  requireIntact: (file) => {
    reading(file, (db) => {
      const found = [
        ...db.prepare('PRAGMA integrity_check').all(),
        ...db.prepare('PRAGMA foreign_key_check').all(),
      ];
      const [first] = found.map((row) => Object.values(row).map(String).join(' '));
      if (found.length === 1 && first === 'ok') return;
      throw new CountersignError(
        'unprocessable',
        `the database in the backup is damaged: ${first ?? 'unknown'}`,
      );
    });
  },

  openLog: (file) => {
    const db = open(file, true);
    return { source: logSource(db), close: () => db.close() };
  },

  mark: (file, restored) => {
    const db = open(file, false);
    try {
      db.exec('PRAGMA synchronous = FULL; PRAGMA fullfsync = ON;');
      setMark(db, restored);
    } finally {
      db.close();
    }
  },
};

function reading<T>(file: string, read: (db: DatabaseSync) => T): T {
  const db = open(file, true);
  try {
    return read(db);
  } catch (error) {
    if (error instanceof CountersignError) throw error;
    throw new CountersignError(
      'unprocessable',
      `the database in the backup cannot be read: ${error instanceof Error ? error.message : 'unknown'}`,
      [],
      error,
    );
  } finally {
    db.close();
  }
}

function open(file: string, readOnly: boolean): DatabaseSync {
  let db: DatabaseSync;
  try {
    db = new DatabaseSync(file, { readOnly });
  } catch (error) {
    throw new CountersignError('not_found', `there is no database ${file} that can be opened`, [], error);
  }
  db.exec('PRAGMA trusted_schema = OFF;');
  return db;
}

function factsOf(db: DatabaseSync): SnapshotFacts {
  const { user_version: schema } = db.prepare('PRAGMA user_version').get() as { user_version: number };
  if (schema > MIGRATIONS.length) {
    throw new CountersignError(
      'unprocessable',
      'the database in the backup was written by a newer version of countersign',
    );
  }
  const { frontier } = readHead(db);
  const { vkey, currentVkey } = storedVkeys(db);
  const seal = db.prepare("SELECT config ->> 'type' AS type FROM seal").get() as { type: string } | undefined;
  const count = (table: string): number =>
    (db.prepare(`SELECT count(*) AS count FROM ${table}`).get() as { count: number }).count;
  const facts = {
    schema,
    origin: (
      db.prepare("SELECT value FROM meta WHERE name = 'origin'").get() as { value: string } | undefined
    )?.value,
    vkey: vkey ?? null,
    currentVkey: currentVkey ?? null,
    epoch: fenceReads(db).fencingEpoch(),
    seal: seal?.type ?? null,
    log: { size: frontier.size, root: frontier.root().toString('hex') },
    checkpoint: auditReads(db).latestCheckpoint()?.note ?? null,
    counts: {
      keys: count('keys'),
      keyVersions: count('key_versions'),
      principals: count('principals'),
      credentials: count('credentials'),
      policies: count('policies'),
    },
  };
  return parseWith(snapshotFactsSchema, facts, 'what the database says of itself');
}
