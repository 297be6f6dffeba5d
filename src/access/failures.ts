import type { EntryDraft } from '../audit/entry.ts';
import type { Recorder } from '../audit/log.ts';

/** Entries of their own: this many at once, and so many a second after that. */
const BURST = 100;
const PER_SECOND = 20;
/** Those beyond are in the log, as one number, after this time at the latest. */
const SUMMARY_MS = 1_000;

/**
 * Failed authentications in the log. Whoever has no credential can make as many as the network carries: entries of
 * their own are few, so that the log stays small and its queue free for signing, and the others are counted.
 */
export class FailedAuthentications {
  readonly #recorder: Recorder<unknown>;
  readonly #now: () => number;
  #tokens = BURST;
  #refilledAt: number;
  #count = 0;
  #since = '';
  #timer: NodeJS.Timeout | undefined;

  /** @param now milliseconds of a clock that does not step back. */
  constructor(recorder: Recorder<unknown>, now: () => number = () => performance.now()) {
    this.#recorder = recorder;
    this.#now = now;
    this.#refilledAt = now();
  }

  /** Resolves when the entry is on disk; at once for one that is counted only. Throws `unavailable`. */
  async record(draft: EntryDraft): Promise<void> {
    const since = new Date().toISOString();
    if (!this.#takeToken()) {
      this.#add(1, since);
      return;
    }
    await this.#write(draft).catch((error: unknown) => {
      this.#add(1, since);
      throw error;
    });
  }

  /** Writes the entry of those that were counted only, if there are any. While the log can't write, they wait. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const count = this.#count;
    const since = this.#since;
    if (count === 0) return;
    this.#count = 0;
    const detail = { count, since };
    await this.#write({ kind: 'access.unauthenticated', outcome: 'denied', detail }).catch(() =>
      this.#add(count, since),
    );
  }

  #add(count: number, since: string): void {
    if (this.#count === 0 || since < this.#since) this.#since = since;
    this.#count += count;
    this.#timer ??= setTimeout(() => void this.flush(), SUMMARY_MS).unref();
  }

  #takeToken(): boolean {
    const now = this.#now();
    this.#tokens = Math.min(BURST, this.#tokens + ((now - this.#refilledAt) / 1_000) * PER_SECOND);
    this.#refilledAt = now;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }

  async #write(draft: EntryDraft): Promise<void> {
    await this.#recorder.record(draft, () => undefined);
  }
}
