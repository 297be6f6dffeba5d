import { backoff, type Pace } from '../sinks/backoff.ts';
import type { SplitView } from '../split-view.ts';
import type { AuditReads, StoredCheckpoint } from '../stored-entry.ts';
import { parseCheckpoint } from '../tree/checkpoint.ts';
import { parseNote } from '../tree/note.ts';
import type { Anchor } from './anchor.ts';
import { contradictionIn, type OwnLog } from './compare.ts';

export interface AnchorsParts {
  readonly anchors: readonly Anchor[];
  readonly everySeconds: number;
  readonly reads: Pick<AuditReads, 'latestCheckpoint'>;
  readonly own: OwnLog;
  readonly splitView: Pick<SplitView, 'report' | 'standing'>;
}

/** What is known of one place. */
export interface AnchorStatus {
  readonly name: string;
  /** Entries that the newest checkpoint kept there covers; 0 while none is known. */
  readonly size: number;
  /** When it was kept there, by our clock, RFC 3339; absent for what was there before the start. */
  readonly time?: string;
  /** Why the last try failed. */
  readonly problem?: string;
}

/** How long a start waits to read what is kept in a place. */
const FIRST_LOOK_MS = 3_000;
const AFTER_FAILURE: Pace = { firstMs: 1_000, mostMs: 60_000 };

interface Place {
  readonly anchor: Anchor;
  size: number;
  time: string | undefined;
  problem: string | undefined;
  failures: number;
  busy: Promise<void> | undefined;
  next: NodeJS.Timeout | undefined;
}

/**
 * Keeps the newest checkpoint in places outside, each on its own schedule. What goes wrong is seen in status and
 * metrics, and holds nothing up. While somebody outside is known to hold another log, nothing is published: what is kept
 * there is what the two are told apart by.
 */
export class Anchors {
  readonly #parts: AnchorsParts;
  readonly #places: readonly Place[];
  #stopped = false;

  constructor(parts: AnchorsParts) {
    this.#parts = parts;
    this.#places = parts.anchors.map((anchor) => ({
      anchor,
      size: 0,
      time: undefined,
      problem: undefined,
      failures: 0,
      busy: undefined,
      next: undefined,
    }));
  }

  /** Holds what is kept outside against the log, where it can be read, and begins to publish. Never rejects. */
  async start(): Promise<void> {
    await Promise.all(this.#places.map(async (place) => await within(FIRST_LOOK_MS, this.#compare(place))));
    for (const place of this.#places) this.#publishSoon(place, 0);
  }

  /** Publishes what is left to publish, as far as that takes no longer than this. */
  async stop(withinMs: number): Promise<void> {
    this.#stopped = true;
    for (const { next } of this.#places) clearTimeout(next);
    const last = this.#places.map(async (place) => {
      await place.busy;
      await this.#publish(place);
    });
    await within(withinMs, Promise.all(last));
  }

  status(): AnchorStatus[] {
    return this.#places.map(({ anchor, size, time, problem }) => ({
      name: anchor.name,
      size,
      ...(time !== undefined && { time }),
      ...(problem !== undefined && { problem }),
    }));
  }

  /** What it finds after its start has gone on without it holds, too. */
  async #compare(place: Place): Promise<void> {
    place.problem = 'what is kept there cannot be read: no answer in time';
    try {
      const note = await place.anchor.newest?.();
      place.problem = undefined;
      if (note === undefined) return;
      const contradiction = contradictionIn(note, place.anchor.name, this.#parts.own);
      if (contradiction === undefined) {
        place.size = Math.max(place.size, parseCheckpoint(parseNote(note).text).size);
        return;
      }
      place.problem = contradiction.message;
      await this.#parts.splitView.report(contradiction);
    } catch (error) {
      place.problem = `what is kept there cannot be read: ${reasonOf(error)}`;
    }
  }

  #publishSoon(place: Place, delayMs: number): void {
    if (this.#stopped) return;
    place.next = setTimeout(() => {
      place.busy = this.#publish(place).finally(() => {
        place.busy = undefined;
        this.#publishSoon(place, this.#delayAfter(place));
      });
    }, delayMs).unref();
  }

  #delayAfter({ failures }: Place): number {
    const regular = this.#parts.everySeconds * 1_000;
    return failures === 0 ? regular : Math.min(regular, backoff(AFTER_FAILURE, failures));
  }

  /** Never rejects. */
  async #publish(place: Place): Promise<void> {
    const checkpoint = this.#due(place);
    if (checkpoint === undefined) return;
    try {
      const kept = await place.anchor.publish(checkpoint);
      if (kept !== undefined && parseNote(kept).text !== parseNote(checkpoint.note).text) {
        await this.#contradicted(place, kept);
        return;
      }
      const time = new Date().toISOString();
      Object.assign(place, { size: checkpoint.size, time, failures: 0, problem: undefined });
    } catch (error) {
      place.failures += 1;
      place.problem = reasonOf(error);
    }
  }

  #due({ size }: Place): StoredCheckpoint | undefined {
    if (this.#parts.splitView.standing().length > 0) return undefined;
    const newest = this.#parts.reads.latestCheckpoint();
    return newest !== undefined && newest.size > size ? newest : undefined;
  }

  async #contradicted(place: Place, kept: string): Promise<void> {
    const contradiction = contradictionIn(kept, place.anchor.name, this.#parts.own);
    place.failures += 1;
    place.problem = contradiction?.message ?? 'something else is kept under the name of the checkpoint';
    if (contradiction !== undefined) await this.#parts.splitView.report(contradiction);
  }
}

async function within(ms: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)));
  await Promise.race([work, late]);
  clearTimeout(timer);
}

/** For status; of a system error the code, which has no paths that a listing would not show. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error';
  return (error as NodeJS.ErrnoException).code ?? error.message;
}
