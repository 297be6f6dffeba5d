/** How far each sink has come: the index of the first entry that it has not. */
export interface CursorReads {
  sinkCursors(): ReadonlyMap<string, number>;
}

/** Like checkpoints, outside the log's commits: when the last write is lost, the sink gets some entries again. */
export interface CursorWrites {
  /** All of them in one commit. */
  saveSinkCursors(cursors: ReadonlyMap<string, number>): void;
  forgetSinkCursors(names: readonly string[]): void;
}

/** Each write waits for the disk, and nothing else is done meanwhile; all that came in this time is one. */
const INTERVAL_MS = 1_000;

export class Cursors {
  readonly #writes: CursorWrites;
  readonly #known: Map<string, number>;
  readonly #unsaved = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;

  /**
   * Forgets sinks that are no longer configured: if one comes back, it is new.
   *
   * @param starts where each begins that is new.
   * @param size of the log: no cursor is beyond it.
   */
  constructor(reads: CursorReads, writes: CursorWrites, starts: ReadonlyMap<string, number>, size: number) {
    this.#writes = writes;
    const stored = reads.sinkCursors();
    this.#known = new Map(
      [...starts].map(([name, start]) => [name, Math.min(stored.get(name) ?? start, size)]),
    );
    const gone = [...stored.keys()].filter((name) => !starts.has(name));
    if (gone.length > 0) writes.forgetSinkCursors(gone);
    // At once: else what comes before the first save would not be its to have, if it began anew after a crash.
    const added = [...this.#known].filter(([name, next]) => stored.get(name) !== next);
    if (added.length > 0) writes.saveSinkCursors(new Map(added));
  }

  next(name: string): number {
    return this.#known.get(name) ?? 0;
  }

  advance(name: string, next: number): void {
    this.#known.set(name, next);
    this.#unsaved.set(name, next);
    this.#timer ??= setTimeout(() => {
      try {
        this.save();
      } catch {
        // The log says itself that it can't be written any more.
      }
    }, INTERVAL_MS).unref();
  }

  /** Throws `unavailable` when nothing can be written any more. */
  save(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#unsaved.size === 0) return;
    const unsaved = new Map(this.#unsaved);
    this.#unsaved.clear();
    this.#writes.saveSinkCursors(unsaved);
  }
}
