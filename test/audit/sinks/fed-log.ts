import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { systemAct } from '../../../src/audit/act.ts';
import type { EntryDraft } from '../../../src/audit/entry.ts';
import { AuditLog } from '../../../src/audit/log.ts';
import { readEntry, type ReadEntry } from '../../../src/audit/projections/read-entry.ts';
import { toPlain } from '../../../src/audit/projections/plain.ts';
import type { CursorWrites } from '../../../src/audit/sinks/cursors.ts';
import { sinksSchema } from '../../../src/audit/sinks/settings.ts';
import type { Batch } from '../../../src/audit/sinks/sink.ts';
import { Sinks } from '../../../src/audit/sinks/sinks.ts';
import { parseWith } from '../../../src/schema.ts';
import { openSqliteStorage, type Storage, type StorageTx } from '../../../src/storage/sqlite/storage.ts';
import { SERVICE } from '../memory-log.ts';

/** A real log in a real database, and what feeds sinks from it, as main.ts builds it. */
export interface FedLog {
  readonly folder: string;
  readonly storage: Storage;
  readonly log: AuditLog<StorageTx>;
  /** Entries with hostile text, in one commit. */
  append(count: number): Promise<void>;
  /** What failed and recovered, as it was told. */
  readonly told: string[];
  /** Starts feeding; settings as in the configuration file. */
  feed(...settings: readonly object[]): Sinks;
  /** Closes the database without stopping anything, as a crash does, and opens it again. */
  crash(): FedLog;
  remove(): void;
}

export function fedLog(folder = mkdtempSync(path.join(tmpdir(), 'sinks-'))): FedLog {
  const storage = openSqliteStorage(folder, () => 'example.org/log');
  const log = new AuditLog<StorageTx>(storage, SERVICE);
  const told: string[] = [];
  let made = 0;
  const draft = (): EntryDraft => ({
    kind: 'access.forbidden',
    outcome: 'denied',
    actor: { principal: 'mallory\r\n{"entry":\u2028', address: '192.0.2.1' },
    detail: { number: made++, reason: 'a "quoted" ] reason' },
  });
  return {
    folder,
    storage,
    log,
    told,
    append: async (count) => {
      const all = Array.from({ length: count }, () => log.record(draft(), () => undefined));
      await Promise.all(all);
    },
    feed: (...settings) => {
      const cursors: CursorWrites = {
        saveSinkCursors: (all) => log.writeBeside(() => storage.saveSinkCursors(all)),
        forgetSinkCursors: (names) => log.writeBeside(() => storage.forgetSinkCursors(names)),
      };
      const sinks = new Sinks(parseWith(sinksSchema, settings), log, storage.reads, cursors, systemAct(log), {
        failed: (name, reason) => told.push(`${name}: ${reason}`),
        recovered: (name) => told.push(`${name} recovered`),
      });
      sinks.start();
      return sinks;
    },
    crash: () => {
      storage.close();
      return fedLog(folder);
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** All entries of the log as they are read. */
export function readAll({ storage }: Pick<FedLog, 'storage'>): ReadEntry[] {
  return storage.reads.entries({ from: 0, limit: -1 }).map(readEntry);
}

export function batchOf(entries: readonly ReadEntry[]): Batch {
  return { id: `msg_${entries[0]?.index}`, entries, lines: entries.map(toPlain) };
}

/** The indexes of plain lines; throws for anything that is not a whole line. */
export function indexesOf(lines: readonly string[]): number[] {
  return lines.map((line) => {
    const { entry, index } = JSON.parse(line) as { entry: { index: number }; index: number };
    if (entry.index !== index) throw new Error(`entry ${entry.index} as ${index}`);
    return index;
  });
}

/**
 * What at-least-once means: every index from `from` to `to`, each for the first time in order; what comes again is a
 * run that was there already.
 */
export function isComplete(indexes: readonly number[], from: number, to: number): boolean {
  let next = from;
  for (const index of indexes) {
    if (index > next || index < from) return false;
    if (index === next) next += 1;
  }
  return next === to;
}

/** Waits until it is so. */
export async function until(isSo: () => boolean, limitMs = 20_000): Promise<void> {
  const end = Date.now() + limitMs;
  while (!isSo()) {
    if (Date.now() > end) throw new Error('it did not become so');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
