import {
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import type { Evidence, EvidenceReads } from '../../audit/split-view.ts';
import { CountersignError } from '../../errors.ts';

export const MARK_FILE = 'countersign.mark';
/** Behind the name of the write-ahead log. */
const TORN = '.torn';

/**
 * Beside the database, how far its log was when that was last known to be on disk. What a database loses, it does not know
 * itself: a write-ahead log that is torn ends before the tear, and an older copy is as good as the newest. The file is written
 * after the flush and not flushed itself, so that after a loss of power it may be behind the database, and never ahead of it.
 */
export interface HighWaterMark {
  /** What the database has no more. The file stays as it is until the database keeps this evidence. */
  readonly lost: Evidence | undefined;
  /**
   * To be called in the transaction that makes the log this long.
   * @returns what says so in the file, to be called when the transaction is on disk.
   */
  reach(size: number): () => void;
  close(): void;
}

interface Mark {
  readonly size: number;
  /** RFC 6962, of the last entry; lower-case hex. */
  readonly leafHash: string;
}

/** Of one length, so that each is written over the one before it. */
const LINE = /^(\d{16}) ([0-9a-f]{64})\n$/;
const SIZE_DIGITS = 16;

/** Throws `unprocessable` for a file that is not as it was written. */
export function openHighWaterMark(
  directory: string,
  db: DatabaseSync,
  evidence: EvidenceReads,
): HighWaterMark {
  const file = path.join(directory, MARK_FILE);
  const found = readMark(file);
  const lost = found && lossOf(db, found);
  const leaf = db.prepare(LEAF_AT);
  const fd = openSync(file, found === undefined ? 'w' : 'r+', 0o600);
  const isKept = ({ source, size }: Evidence): boolean =>
    evidence.evidence().some((each) => each.source === source && each.size === size);
  let flushed = found !== undefined;
  let closed = false;
  const raise = (size: number, leafHash: string): void => {
    // Its number may be another file's by now.
    if (closed) return;
    if (lost !== undefined && !isKept(lost)) return;
    writeSync(fd, `${String(size).padStart(SIZE_DIGITS, '0')} ${leafHash}\n`, 0, 'latin1');
    // Empty, it would say that there has never been one.
    if (!flushed) fsyncSync(fd);
    flushed = true;
  };
  return {
    lost,
    reach: (size) => {
      const row = leaf.get(size - 1) as LeafRow | undefined;
      return () => {
        if (row !== undefined) raise(size, hexOf(row));
      };
    },
    close: () => {
      closed = true;
      closeSync(fd);
    },
  };
}

/**
 * Keeps the write-ahead log as it is where the database has lost what the mark tells of: behind a tear there may be frames that
 * SQLite does not read, and somebody else may. To be called before it is emptied. Throws as `openHighWaterMark`.
 */
export function keepTornWal(directory: string, db: DatabaseSync, wal: string): void {
  const found = readMark(path.join(directory, MARK_FILE));
  if (found === undefined || lossOf(db, found) === undefined) return;
  const kept = `${wal}${TORN}`;
  // The first is of the loss; those of later starts are of what came after it.
  if (statSync(wal).size === 0 || existsSync(kept)) return;
  // A copy that was broken off must not pass for the whole.
  copyFileSync(wal, `${kept}.part`);
  renameSync(`${kept}.part`, kept);
}

function lossOf(db: DatabaseSync, { size, leafHash }: Mark): Evidence | undefined {
  const row = db.prepare(LEAF_AT).get(size - 1) as LeafRow | undefined;
  if (row !== undefined && hexOf(row) === leafHash) return undefined;
  const end = db.prepare('SELECT coalesce(max(idx) + 1, 0) AS size FROM audit_entries');
  const { size: present } = end.get() as { size: number };
  const instead =
    row === undefined
      ? `the log in the database has ${present}: the end of it was lost, or an older database was put back`
      : `the log in the database has another entry ${size - 1}: another database was put in its place`;
  // With the hash: a log that was acknowledged may come to that size again, and be lost again.
  const source = `file ${MARK_FILE} ${leafHash}`;
  return { source, size, message: `${size} entries were on disk, and ${instead}` };
}

interface LeafRow {
  readonly hash: Uint8Array;
}

const LEAF_AT = 'SELECT leaf_hash AS hash FROM audit_entries WHERE idx = ?';

function hexOf({ hash }: LeafRow): string {
  return Buffer.from(hash).toString('hex');
}

function readMark(file: string): Mark | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'latin1');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  if (text === '') return undefined;
  const [, size, leafHash] = LINE.exec(text) ?? [];
  if (size !== undefined && leafHash !== undefined && Number(size) > 0)
    return { size: Number(size), leafHash };
  throw new CountersignError(
    'unprocessable',
    `${file} is damaged, so that nobody can tell whether the database has lost entries of the log; nothing is started on it. ` +
      'Compare the log with what is kept of it elsewhere (audit verify --data, --trusted), and remove the file if nothing is missing',
  );
}
