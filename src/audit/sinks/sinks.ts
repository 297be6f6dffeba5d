import type { Act } from '../act.ts';
import { PROJECTIONS } from '../projections/projection.ts';
import { Cursors, type CursorReads, type CursorWrites } from './cursors.ts';
import { Feed, type FeedReads, type FeedState } from './feed.ts';
import { GATHER_MS, openSink } from './open.ts';
import { Reporter, type SinkWatcher } from './reporter.ts';
import type { SinkSettings } from './settings.ts';
import { StallGuard } from './stall-guard.ts';

export interface SinkStatus extends FeedState {
  readonly name: string;
  readonly type: SinkSettings['type'];
  readonly required: boolean;
  readonly lagEntries: number;
  readonly lagSeconds: number;
}

interface GrowingLog {
  readonly size: number;
  onAppend(listener: () => void): () => void;
}

interface Line {
  readonly settings: SinkSettings;
  readonly feed: Feed;
  readonly guard: StallGuard | undefined;
}

const CHECK_MS = 1_000;
/** Somebody who waits for a required sink waits for signatures. */
const PACE = { firstMs: 500, mostMs: 60_000 };
const REQUIRED_PACE = { firstMs: 250, mostMs: 5_000 };

/** All sinks of the audit log, each fed on its own. */
export class Sinks {
  readonly #log: GrowingLog;
  readonly #lines: readonly Line[];
  readonly #cursors: Cursors;
  #timer: NodeJS.Timeout | undefined;
  #unsubscribe: (() => void) | undefined;

  /** A new sink begins with what the log gets from now on. Throws `invalid_request` for files that can't be used. */
  constructor(
    settings: readonly SinkSettings[],
    log: GrowingLog,
    reads: FeedReads & CursorReads,
    writes: CursorWrites,
    act: Act<unknown>,
    watcher: SinkWatcher,
  ) {
    this.#log = log;
    const opened = settings.map((of) => ({ of, sink: openSink(of) }));
    const starts = new Map(settings.map(({ name, from }) => [name, from === 'now' ? log.size : 0]));
    this.#cursors = new Cursors(reads, writes, starts, log.size);
    this.#lines = opened.map(({ of, sink }) => {
      const { name, type, projection, kinds, required } = of;
      const reporter = new Reporter(name, watcher);
      const feed = new Feed(
        {
          sink,
          project: PROJECTIONS[projection],
          kinds,
          log,
          reads,
          pace: required === undefined ? PACE : REQUIRED_PACE,
          gather: { ms: GATHER_MS[type], entries: (required?.maxLagEntries ?? Infinity) / 4 },
          onDelivered: (next) => {
            this.#cursors.advance(name, next);
            reporter.delivered();
            this.#check();
          },
          onPassed: (next) => {
            this.#cursors.advance(name, next);
            this.#check();
          },
          onFailed: (reason) => reporter.failed(reason),
        },
        this.#cursors.next(name),
      );
      const guard = required === undefined ? undefined : new StallGuard(name, required, act);
      return { settings: of, feed, guard };
    });
  }

  /** Why nothing is signed now; undefined while every required sink keeps up. */
  get hindrance(): string | undefined {
    for (const { guard } of this.#lines) if (guard?.hindrance !== undefined) return guard.hindrance;
    return undefined;
  }

  start(): void {
    if (this.#lines.length === 0) return;
    for (const { feed } of this.#lines) feed.start();
    this.#unsubscribe = this.#log.onAppend(() => {
      for (const { feed } of this.#lines) feed.notify();
      this.#check();
    });
    this.#timer = setInterval(() => this.#check(), CHECK_MS);
    this.#timer.unref();
    this.#check();
  }

  /** Reads files again, opens files anew and tries again at once. Throws `invalid_request`, after all have tried. */
  reload(): void {
    let problem: unknown;
    for (const { feed } of this.#lines) {
      try {
        feed.reload();
      } catch (error) {
        problem ??= error;
      }
    }
    if (problem instanceof Error) throw problem;
  }

  /** Delivers what there is within the time; what is left is for the next start. */
  async stop(graceMs: number): Promise<void> {
    clearInterval(this.#timer);
    this.#unsubscribe?.();
    await Promise.all(this.#lines.map(({ feed }) => feed.stop(graceMs)));
    this.#cursors.save();
  }

  status(): SinkStatus[] {
    return this.#lines.map(({ settings: { name, type, required }, feed }) => {
      const { entries: lagEntries, seconds: lagSeconds } = feed.lag;
      return { ...feed.state, name, type, required: required !== undefined, lagEntries, lagSeconds };
    });
  }

  #check(): void {
    for (const { feed, guard } of this.#lines) guard?.check(feed.lag, feed.problem);
  }
}
