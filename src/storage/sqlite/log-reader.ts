import type { DatabaseSync } from 'node:sqlite';
import { fromHex, type Hex } from '../../bytes.ts';
import { CountersignError } from '../../errors.ts';
import { formatVkey } from '../../audit/tree/note.ts';
import type { StoredEntry } from '../../audit/stored-entry.ts';
import type { NodeReader } from '../../audit/tree/tiles.ts';
import type { LogSource } from '../../audit/verify/log.ts';
import { auditReads, readLogEnd } from './audit.ts';
import { atOneMoment, openForReading } from './database.ts';
import { entryPages } from './entry-pages.ts';
import { nodeCounts, treeNodes } from './tree-nodes.ts';

const PAGE = 1_000;

/** The audit log of a data directory as it was when this was opened; a running service may go on writing. */
export interface LogReader {
  readonly source: LogSource;
  /** What the directory itself says the first verifier key was; undefined before the service is initialized. */
  readonly vkey: string | undefined;
  /** The same of the one in force now. */
  readonly currentVkey: string | undefined;
  close(): void;
}

/** Throws `not_found` where there is no database, `unprocessable` where it holds no log. */
export function openLogReader(directory: string): LogReader {
  const { db, close } = openForReading(directory);
  try {
    return { source: logSource(db), ...storedVkeys(db), close };
  } catch (error) {
    close();
    throw new CountersignError(
      'unprocessable',
      `the database in ${directory} holds no audit log that can be read`,
      [],
      error,
    );
  }
}

export function logSource(db: DatabaseSync): LogSource {
  const reads = auditReads(db);
  const pages = entryPages(db);
  const tree = treeNodes(db);
  // In this order: every checkpoint was signed over entries that were there before it.
  const newestCheckpoint = reads.latestCheckpoint()?.size ?? -1;
  const { frontier, size, kept } = atOneMoment(db, () => ({ ...readLogEnd(db), kept: nodeCounts(db) }));

  async function* entries(from: number): AsyncGenerator<readonly StoredEntry[]> {
    yield* pages(from, size);
  }

  async function* checkpoints(): AsyncGenerator<string> {
    for (let after = -1; after < newestCheckpoint;) {
      const page = reads
        .checkpointsAfter(after, PAGE)
        .filter((checkpoint) => checkpoint.size <= newestCheckpoint);
      for (const { note } of page) yield note;
      const last = page.at(-1);
      if (last === undefined) return;
      after = last.size;
    }
  }

  const head = { size: frontier.size, root: frontier.root() };
  const nodes: NodeReader = (level, from, count) => tree.nodes(level, from, count);
  return { size, head, entries, checkpoints, data: (sha256) => reads.data(sha256), tree: { nodes, kept } };
}

export function storedVkeys(db: DatabaseSync): Pick<LogReader, 'vkey' | 'currentVkey'> {
  const keys = db.prepare('SELECT public_key FROM log_keys ORDER BY version').all();
  const origin = db.prepare("SELECT value FROM meta WHERE name = 'origin'").get();
  const vkeyOf = (key: unknown): string | undefined =>
    key === undefined || origin === undefined
      ? undefined
      : formatVkey(origin['value'] as string, fromHex((key as { public_key: Hex }).public_key));
  return { vkey: vkeyOf(keys[0]), currentVkey: vkeyOf(keys.at(-1)) };
}
