import type { NodeReader } from './tree/tiles.ts';

/** An entry as the storage keeps it. Verification recomputes everything from `bytes`. */
export interface StoredEntry {
  /** Position in the log, from 0. */
  readonly index: number;
  /** RFC 8785 JSON in UTF-8, exactly as hashed; at most `MAX_ENTRY_BYTES`. */
  readonly bytes: Uint8Array;
  /** RFC 6962 leaf hash of `bytes`, 32 bytes. */
  readonly leafHash: Uint8Array;
}

/** All conditions must hold; absent ones always do. */
export interface EntryFilter {
  /** Its name. */
  readonly principal?: string | undefined;
  /** Its name. */
  readonly key?: string | undefined;
  readonly operation?: string | undefined;
  readonly effect?: string | undefined;
  readonly kind?: string | undefined;
  readonly outcome?: string | undefined;
}

export interface EntryQuery extends EntryFilter {
  /** First index to look at; 'desc' goes down from it. */
  readonly from: number;
  /** By index; ascending when absent. */
  readonly order?: 'asc' | 'desc' | undefined;
  readonly limit: number;
  /** RFC 3339, UTC, milliseconds; `since` inclusive, `until` exclusive. */
  readonly since?: string | undefined;
  readonly until?: string | undefined;
}

export interface StoredCheckpoint {
  readonly size: number;
  /** C2SP signed note. */
  readonly note: string;
}

export interface AuditReads {
  /** In the order that the query asks for. */
  entries(query: EntryQuery): StoredEntry[];
  /** Those of some kinds in [from, to), in order, up to `limit`. Looks at each entry between. */
  entriesOfKinds(
    kinds: readonly string[],
    range: { readonly from: number; readonly to: number; readonly limit: number },
  ): StoredEntry[];
  entry(index: number): StoredEntry | undefined;
  /** What is kept beside the entries under its SHA-256, 32 bytes. */
  data(sha256: Uint8Array): Uint8Array | undefined;
  latestCheckpoint(): StoredCheckpoint | undefined;
  /** The one over exactly so many entries. */
  checkpoint(size: number): StoredCheckpoint | undefined;
  /** Those with lines of witnesses, newest first. */
  cosignedCheckpoints(limit: number): StoredCheckpoint[];
  /** Those over a larger tree than `size`, smallest first. */
  checkpointsAfter(size: number, limit: number): StoredCheckpoint[];
}

/** The tree over the entries, for tiles and proofs. */
export interface TreeReads {
  readonly nodes: NodeReader;
}

/** Checkpoints say nothing new: they may be written outside the log's commits, and lost without harm. */
export interface CheckpointWrites {
  saveCheckpoint(checkpoint: StoredCheckpoint): void;
  /** The same checkpoint with lines of witnesses in its note. */
  saveCosigned(checkpoint: StoredCheckpoint): void;
}
