import type { Entry } from './entry.ts';
import type { Frontier } from './tree/merkle.ts';

export interface LogHead {
  readonly frontier: Frontier;
  /** Time of the newest entry; the empty string in an empty log. */
  readonly time: string;
}

export interface EntryWrites {
  appendEntry(entry: Entry, bytes: Uint8Array, leafHash: Uint8Array): void;
  /** @param sha256 32 bytes. The same bytes are kept once. */
  keepData(sha256: Uint8Array, data: Uint8Array): void;
  /** The root of the complete subtree over the entries [index · 256^level, (index + 1) · 256^level), level ≥ 1. */
  keepNode(level: number, index: number, hash: Uint8Array): void;
  saveHead(head: LogHead): void;
}

export interface LogStorage<Tx> {
  head(): LogHead;
  /** Runs `work` in one transaction. Durable once `flush` has resolved; when it throws, nothing was written. */
  commit(work: (tx: Tx & EntryWrites) => void): void;
  /** Resolves when all that was committed before the call is on disk; the event loop is free meanwhile. */
  flush(): Promise<void>;
  /** Runs `work` inside the current transaction; when it throws, only its own writes are undone. */
  nested<T>(work: () => T): T;
}
