import type { EntryDraft } from '../audit/entry.ts';
import type { Recorder } from '../audit/log.ts';
import { CountedByCaller, CountedEntries } from './counted-entries.ts';

/** Entries of their own: for all failed authentications, for what one caller may not do, and for all locks. */
const UNAUTHENTICATED = { burst: 100, perSecond: 20 };
const FORBIDDEN = { burst: 100, perSecond: 5 };
const LOCKED = { burst: 20, perSecond: 1 };
/** Those beyond are in the log, as one number, after this time at the latest. */
const SUMMARY_MS = 1_000;

/**
 * Refused requests in the log. Whoever is refused can ask as often as the network carries: entries of their own are
 * few, so that the log stays small and its queue free for signing, and the others are counted.
 */
export class Refusals {
  readonly #unauthenticated: CountedEntries;
  readonly #locked: CountedEntries;
  readonly #forbidden: CountedByCaller;

  /** @param now milliseconds of a clock that does not step back. */
  constructor(recorder: Recorder<unknown>, now: () => number = () => performance.now()) {
    const counting = { summaryMs: SUMMARY_MS, now };
    const unauthenticated = { kind: 'access.unauthenticated', outcome: 'denied' } as const;
    this.#unauthenticated = new CountedEntries(recorder, unauthenticated, {
      ...counting,
      limit: UNAUTHENTICATED,
    });
    const locked = { kind: 'credential.locked', outcome: 'denied' } as const;
    this.#locked = new CountedEntries(recorder, locked, { ...counting, limit: LOCKED });
    this.#forbidden = new CountedByCaller(recorder, { ...counting, limit: FORBIDDEN });
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
    await this.#forbidden.record(draft);
  }

  /** Writes the entries of those that were counted only, if there are any. While the log can't write, they wait. */
  async flush(): Promise<void> {
    await Promise.all([this.#unauthenticated, this.#locked, this.#forbidden].map((each) => each.flush()));
  }
}
