import { hash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { CountersignError } from '../../errors.ts';
import { readEntry, type Projection, type ReadEntry } from '../projections/read-entry.ts';
import type { AuditReads, StoredEntry } from '../stored-entry.ts';
import { backoff, type Pace } from './backoff.ts';
import type { Lag } from './stall-guard.ts';
import { NotTaken, type Batch, type Sink } from './sink.ts';

/**
 * What is handed over at once: so many entries, or what first goes over so many bytes. Putting them into words holds up
 * everybody else for a few milliseconds.
 */
const MAX_ENTRIES = 200;
const MAX_BYTES = 256 * 1024;
/** Read at once from the storage. */
const PAGE = 50;
/** Where only some kinds are wanted, so many entries are looked at before somebody else has a turn. */
const WINDOW = 2_048;

export type FeedReads = Pick<AuditReads, 'entries' | 'entriesOfKinds' | 'entry'>;

export interface FeedParts {
  readonly sink: Sink;
  readonly project: Projection;
  readonly log: { readonly size: number };
  readonly reads: FeedReads;
  /** What the sink gets; everything when absent. */
  readonly kinds?: readonly string[] | undefined;
  readonly pace: Pace;
  /** After a batch, so long is waited for more to send together, unless so many wait already. */
  readonly gather: { readonly ms: number; readonly entries: number };
  /** `next` is the index of the first entry that the sink has not. */
  readonly onDelivered: (next: number) => void;
  /** The same, where what was between is nothing that the sink gets. */
  readonly onPassed: (next: number) => void;
  readonly onFailed: (reason: string) => void;
}

export interface FeedState {
  /** `waiting`: it has everything. `stopped`: the receiver wants no more; a reload starts it again. */
  readonly state: 'waiting' | 'sending' | 'retrying' | 'stopped';
  readonly next: number;
  readonly failures: number;
  readonly lastError: { readonly time: string; readonly reason: string } | undefined;
}

/** What comes next for the sink. */
interface Load {
  /** None where nothing is wanted of what was looked at. */
  readonly batch: Batch | undefined;
  /** Index of the first entry that was not looked at. */
  readonly next: number;
}

type Rest = 'idle' | 'gathering' | 'backoff' | 'stopped';

/** Feeds one sink from the log by index: in order, a bounded batch at a time, each until it is delivered. */
export class Feed {
  readonly #parts: FeedParts;
  readonly #giveUp = new AbortController();
  readonly #givenUp: Promise<never>;
  #next: number;
  #load: Load | undefined;
  #oldest: { readonly index: number; readonly time: number } | undefined;
  #inARow = 0;
  #failures = 0;
  #lastError: FeedState['lastError'];
  #rest: Rest | undefined;
  #rouse: (() => void) | undefined;
  #stopping = false;
  #running: Promise<void> | undefined;

  /** @param next index of the first entry that the sink has not. */
  constructor(parts: FeedParts, next: number) {
    this.#parts = parts;
    this.#next = next;
    this.#givenUp = new Promise((_, reject) => {
      this.#giveUp.signal.addEventListener('abort', () => reject(new Error('the service stops')));
    });
    this.#givenUp.catch(() => undefined);
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** There are new entries. */
  notify(): void {
    if (this.#rest === 'idle' || (this.#rest === 'gathering' && this.#isPressed())) this.#rouse?.();
  }

  /** Has the sink read its files again, and tries again now, whatever it was waiting for. Throws `invalid_request`. */
  reload(): void {
    try {
      this.#parts.sink.reload();
    } finally {
      this.#rouse?.();
    }
  }

  /** Delivers what there is, unless it fails or takes longer than this. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    this.#rouse?.();
    const late = setTimeout(() => this.#giveUp.abort(), graceMs);
    await this.#running;
    clearTimeout(late);
    const closed = this.#parts.sink.close().catch(() => undefined);
    if (!this.#giveUp.signal.aborted) await closed;
  }

  get lag(): Lag {
    const entries = Math.max(0, this.#parts.log.size - this.#next);
    if (entries === 0) return { entries, seconds: 0 };
    return { entries, seconds: Math.max(0, (Date.now() - this.#timeOfNext()) / 1_000) };
  }

  get state(): FeedState {
    const state =
      this.#rest === 'stopped'
        ? 'stopped'
        : this.#inARow > 0
          ? 'retrying'
          : this.#next < this.#parts.log.size
            ? 'sending'
            : 'waiting';
    return { state, next: this.#next, failures: this.#failures, lastError: this.#lastError };
  }

  /** Why the sink gets nothing now; undefined while it does. */
  get problem(): string | undefined {
    return this.#inARow > 0 ? this.#lastError?.reason : undefined;
  }

  async #run(): Promise<void> {
    while (!this.#giveUp.signal.aborted) {
      if (this.#next >= this.#parts.log.size) {
        if (this.#stopping) return;
        await this.#restFor('idle');
        continue;
      }
      try {
        await this.#deliver();
      } catch (error) {
        const [rest, ms] = this.#failed(error);
        if (this.#stopping) return;
        await this.#restFor(rest, ms);
        continue;
      }
      if (!this.#stopping && !this.#isPressed()) await this.#restFor('gathering', this.#parts.gather.ms);
    }
  }

  #isPressed(): boolean {
    const { log, gather } = this.#parts;
    return log.size - this.#next >= Math.min(MAX_ENTRIES, gather.entries);
  }

  async #deliver(): Promise<void> {
    const { sink, onDelivered, onPassed } = this.#parts;
    const { batch, next } = (this.#load ??= this.#read());
    // What hangs in the file system can't be called back.
    if (batch !== undefined) await Promise.race([sink.deliver(batch, this.#giveUp.signal), this.#givenUp]);
    else await nextTurn();
    this.#next = next;
    this.#load = undefined;
    if (batch === undefined) {
      onPassed(next);
      return;
    }
    this.#inARow = 0;
    onDelivered(next);
  }

  #failed(error: unknown): [Rest, number | undefined] {
    const reason = shortly(error);
    this.#lastError = { time: new Date().toISOString(), reason };
    this.#inARow += 1;
    this.#failures += 1;
    this.#parts.onFailed(reason);
    const wait = backoff(this.#parts.pace, this.#inARow);
    if (!(error instanceof NotTaken)) return ['backoff', wait];
    return error.retryAfter === 'never'
      ? ['stopped', undefined]
      : ['backoff', Math.max(wait, error.retryAfter)];
  }

  #read(): Load {
    const { project, kinds, log } = this.#parts;
    const end = kinds === undefined ? log.size : Math.min(log.size, this.#next + WINDOW);
    const entries: ReadEntry[] = [];
    const lines: string[] = [];
    let next = this.#next;
    for (let bytes = 0; next < end && entries.length < MAX_ENTRIES && bytes < MAX_BYTES;) {
      const page = this.#page(next, end, Math.min(PAGE, MAX_ENTRIES - entries.length));
      if (page.length === 0) next = end;
      for (const stored of page) {
        const read = readEntry(stored);
        const line = project(read);
        entries.push(read);
        lines.push(line);
        next = stored.index + 1;
        bytes += line.length;
        if (bytes >= MAX_BYTES) break;
      }
    }
    if (entries.length === 0) return { batch: undefined, next };
    const digest = hash('sha256', entries.map(({ leafHash }) => leafHash).join('\n'), 'hex');
    return { batch: { id: `msg_${digest.slice(0, 32)}`, entries, lines }, next };
  }

  /** What the sink gets of [from, end), in order. Throws where one is missing of a sink that gets everything. */
  #page(from: number, end: number, most: number): StoredEntry[] {
    const { reads, kinds } = this.#parts;
    if (kinds !== undefined) return reads.entriesOfKinds(kinds, { from, to: end, limit: most });
    const page = reads.entries({ from, limit: Math.min(most, end - from) });
    for (const [i, { index }] of page.entries()) if (index !== from + i) throw missing(from + i);
    if (page.length === 0) throw missing(from);
    return page;
  }

  #timeOfNext(): number {
    if (this.#oldest?.index !== this.#next) {
      const stored = this.#parts.reads.entry(this.#next);
      const time = stored === undefined ? Date.now() : Date.parse(readEntry(stored).entry.time);
      this.#oldest = { index: this.#next, time };
    }
    return this.#oldest.time;
  }

  #restFor(rest: Rest, ms?: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = ms === undefined ? undefined : setTimeout(() => this.#rouse?.(), ms);
      this.#rest = rest;
      this.#rouse = () => {
        clearTimeout(timer);
        this.#rest = undefined;
        this.#rouse = undefined;
        resolve();
      };
    });
  }
}

function missing(index: number): Error {
  return new Error(`entry ${index} is not in the log`);
}

/** Said to whoever may see the status: an error of the system by its code, whose text has paths. */
function shortly(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error';
  if (error instanceof CountersignError) return error.message;
  return (error as NodeJS.ErrnoException).code ?? error.message;
}
