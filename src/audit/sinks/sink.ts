import type { ReadEntry } from '../projections/read-entry.ts';

/** Entries that follow each other, as they are handed over together. */
export interface Batch {
  /** Letters, digits and "_". The same for the same entries, in every attempt and after a restart. */
  readonly id: string;
  readonly entries: readonly ReadEntry[];
  /** Each entry in the sink's projection, one line without its end. */
  readonly lines: readonly string[];
}

/** Somewhere that entries go. */
export interface Sink {
  /**
   * Resolves when the whole batch is delivered as surely as the transport can say. What throws is tried again with the
   * same batch, so that entries may come twice, and none is left out. One at a time.
   *
   * @param signal gives up.
   */
  deliver(batch: Batch, signal: AbortSignal): Promise<void>;
  /** Reads files again and opens what is to be opened anew. Throws `invalid_request`, and goes on with what it has. */
  reload(): void;
  close(): Promise<void>;
}

/** What the other side asks for when it takes nothing. */
export class NotTaken extends Error {
  /** Not before this time has passed, in milliseconds; `never` until somebody reloads the service. */
  readonly retryAfter: number | 'never';

  constructor(message: string, retryAfter: number | 'never') {
    super(message);
    this.name = 'NotTaken';
    this.retryAfter = retryAfter;
  }
}
