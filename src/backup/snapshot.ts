import type { LogSource } from '../audit/verify/log.ts';
import type { SnapshotFacts } from './header.ts';
import type { RestoredFrom } from './fence.ts';

/** Takes copies of a service's database. The storage implements it. */
export interface SnapshotSource {
  /**
   * Writes the database as it is at one moment, whatever is written to it meanwhile, into a new file that only its owner
   * can read, without `-wal` and `-shm` beside it. The copy carries the mark of a restored database, so that whatever is
   * made of it does not go on as the live service. Throws `not_found` without a database, `unavailable` when the file
   * can't be written.
   *
   * @param onProgress pages done, pages in all.
   */
  take(file: string, onProgress?: (done: number, total: number) => void): Promise<SnapshotFacts>;
}

/** Reads such copies. The storage implements it. Nothing that it gives is believed. */
export interface SnapshotFiles {
  /** Throws `unprocessable` for what is no database of this service, or of a newer one. */
  facts(file: string): SnapshotFacts;
  /** The file as a database: structure, foreign keys, checks. Throws `unprocessable`. */
  requireIntact(file: string): void;
  /** The log in it. */
  openLog(file: string): { readonly source: LogSource; close(): void };
  /** Replaces the mark, durably. */
  mark(file: string, restored: RestoredFrom): void;
}
