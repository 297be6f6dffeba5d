import type { EntryDraft } from '../audit/entry.ts';
import type { Recorder } from '../audit/log.ts';
import { Recent } from './recent.ts';
import { Buckets, type RateLimit } from './throttle.ts';

/** Entries of their own: for all failed authentications, for what one caller may not do, and for all locks. */
const UNAUTHENTICATED: RateLimit = { burst: 100, perSecond: 20 };
const FORBIDDEN: RateLimit = { burst: 100, perSecond: 5 };
const LOCKED: RateLimit = { burst: 20, perSecond: 1 };
/** Those beyond are in the log, as one number, after this time at the latest. */
const SUMMARY_MS = 1_000;
/** Callers whose refusals are counted each on its own. */
const MAX_CALLERS = 1_000;

/**
 * Refused requests in the log. Whoever is refused can ask as often as the network carries: entries of their own are
 * few, so that the log stays small and its queue free for signing, and the others are counted.
 */
export class Refusals {
  readonly #recorder: Recorder<unknown>;
  readonly #now: () => number;
  readonly #unauthenticated: CountedEntries;
  readonly #locked: CountedEntries;
  readonly #forbidden = new Recent<CountedEntries>(MAX_CALLERS);

  /** @param now milliseconds of a clock that does not step back. */
  constructor(recorder: Recorder<unknown>, now: () => number = () => performance.now()) {
    this.#recorder = recorder;
    this.#now = now;
    const unauthenticated = { kind: 'access.unauthenticated', outcome: 'denied' } as const;
    this.#unauthenticated = new CountedEntries(recorder, unauthenticated, UNAUTHENTICATED, now);
    const locked = { kind: 'credential.locked', outcome: 'denied' } as const;
    this.#locked = new CountedEntries(recorder, locked, LOCKED, now);
  }

  /** Resolves when the entry is on disk; at once for one that is counted only. Throws `unavailable`. */
  async unauthenticated(draft: EntryDraft): Promise<void> {
    await this.#unauthenticated.record(draft);
  }

  /** The same for a credential that is locked from now on. */
  async locked(draft: EntryDraft): Promise<void> {
    await this.#locked.record(draft);
  }

  /**
   * The same for a caller who may not do what it asks for.
   *
   * @param draft of kind `access.forbidden`, with an actor.
   */
  async forbidden(draft: EntryDraft): Promise<void> {
    const { actor } = draft;
    const name = `${actor?.principalId} ${actor?.credential}`;
    const known = this.#forbidden.get(name);
    if (known !== undefined) return await known.record(draft);
    const { principal, principalId, credential } = actor ?? {};
    const summary: EntryDraft = {
      kind: 'access.forbidden',
      outcome: 'denied',
      actor: {
        ...(principal !== undefined && { principal }),
        ...(principalId !== undefined && { principalId }),
        ...(credential !== undefined && { credential }),
      },
    };
    const entries = new CountedEntries(this.#recorder, summary, FORBIDDEN, this.#now);
    void this.#forbidden.set(name, entries)?.flush();
    await entries.record(draft);
  }

  /** Writes the entries of those that were counted only, if there are any. While the log can't write, they wait. */
  async flush(): Promise<void> {
    await Promise.all(
      [this.#unauthenticated, this.#locked, ...this.#forbidden.values()].map((each) => each.flush()),
    );
  }
}

/** Entries of one sort: some as they are, and those beyond as one that has their number. */
class CountedEntries {
  readonly #recorder: Recorder<unknown>;
  readonly #summary: EntryDraft;
  readonly #bucket: Buckets;
  #count = 0;
  #since = '';
  #timer: NodeJS.Timeout | undefined;

  constructor(recorder: Recorder<unknown>, summary: EntryDraft, limit: RateLimit, now: () => number) {
    this.#recorder = recorder;
    this.#summary = summary;
    this.#bucket = new Buckets(limit, now);
  }

  async record(draft: EntryDraft): Promise<void> {
    const since = new Date().toISOString();
    if (this.#bucket.take('') > 0) {
      this.#add(1, since);
      return;
    }
    await this.#write(draft).catch((error: unknown) => {
      this.#add(1, since);
      throw error;
    });
  }

  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const count = this.#count;
    const since = this.#since;
    if (count === 0) return;
    this.#count = 0;
    await this.#write({ ...this.#summary, detail: { count, since } }).catch(() => this.#add(count, since));
  }

  #add(count: number, since: string): void {
    if (this.#count === 0 || since < this.#since) this.#since = since;
    this.#count += count;
    this.#timer ??= setTimeout(() => void this.flush(), SUMMARY_MS).unref();
  }

  async #write(draft: EntryDraft): Promise<void> {
    await this.#recorder.record(draft, () => undefined);
  }
}
