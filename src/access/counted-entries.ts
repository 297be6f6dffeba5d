import type { EntryDraft } from '../audit/entry.ts';
import type { Recorder } from '../audit/log.ts';
import { Recent } from './recent.ts';
import { Buckets, type RateLimit } from './throttle.ts';

/** How many entries of one sort there may be, and when those beyond are in the log, as one number. */
export interface Counting {
  /** Entries of their own. */
  readonly limit: RateLimit;
  readonly summaryMs: number;
  /** Milliseconds of a clock that does not step back. */
  readonly now: () => number;
}

/** Entries of one sort: some as they are, and those beyond as one that has their number. */
export class CountedEntries {
  readonly #recorder: Recorder<unknown>;
  readonly #summary: EntryDraft;
  readonly #bucket: Buckets;
  readonly #summaryMs: number;
  #count = 0;
  #since = '';
  #timer: NodeJS.Timeout | undefined;

  /** @param summary what the entry that has their number says besides. */
  constructor(recorder: Recorder<unknown>, summary: EntryDraft, { limit, summaryMs, now }: Counting) {
    this.#recorder = recorder;
    this.#summary = summary;
    this.#summaryMs = summaryMs;
    this.#bucket = new Buckets(limit, now);
  }

  /**
   * Resolves when the entry is on disk; at once for one that is counted only. Throws `unavailable`.
   *
   * @param write how it is written, where that is not by its draft alone.
   */
  async record(draft: EntryDraft, write: () => Promise<unknown> = () => this.#write(draft)): Promise<void> {
    const since = new Date().toISOString();
    if (this.#bucket.take('') > 0) {
      this.#add(1, since);
      return;
    }
    await write().catch((error: unknown) => {
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
    const detail = { ...this.#summary.detail, count, since };
    await this.#write({ ...this.#summary, detail }).catch(() => this.#add(count, since));
  }

  #add(count: number, since: string): void {
    if (this.#count === 0 || since < this.#since) this.#since = since;
    this.#count += count;
    this.#timer ??= setTimeout(() => void this.flush(), this.#summaryMs).unref();
  }

  async #write(draft: EntryDraft): Promise<void> {
    await this.#recorder.record(draft, () => undefined);
  }
}

/** Callers whose entries are counted each on its own. */
const MAX_CALLERS = 1_000;

/** The same for each caller on its own, so that one does not hide another. */
export class CountedByCaller {
  readonly #recorder: Recorder<unknown>;
  readonly #counting: Counting;
  readonly #callers = new Recent<CountedEntries>(MAX_CALLERS);

  constructor(recorder: Recorder<unknown>, counting: Counting) {
    this.#recorder = recorder;
    this.#counting = counting;
  }

  /**
   * As `CountedEntries.record`.
   *
   * @param draft with an actor.
   * @param detail what the entries of one caller that are counted together have in common.
   */
  async record(
    draft: EntryDraft,
    detail: EntryDraft['detail'] = {},
    write?: () => Promise<unknown>,
  ): Promise<void> {
    const { kind, outcome, actor } = draft;
    const name = `${kind} ${actor?.principalId} ${actor?.credential} ${JSON.stringify(detail)}`;
    const known = this.#callers.get(name);
    if (known !== undefined) return await known.record(draft, write);
    const { principal, principalId, credential } = actor ?? {};
    const summary: EntryDraft = {
      kind,
      outcome,
      actor: {
        ...(principal !== undefined && { principal }),
        ...(principalId !== undefined && { principalId }),
        ...(credential !== undefined && { credential }),
      },
      detail,
    };
    const entries = new CountedEntries(this.#recorder, summary, this.#counting);
    void this.#callers.set(name, entries)?.flush();
    await entries.record(draft, write);
  }

  async flush(): Promise<void> {
    await Promise.all([...this.#callers.values()].map((each) => each.flush()));
  }
}
