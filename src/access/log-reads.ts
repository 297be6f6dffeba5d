import type { EntryDraft } from '../audit/entry.ts';
import type { Recorder } from '../audit/log.ts';
import { CountedByCaller } from './counted-entries.ts';

/** A caller's first look at a part of the log is an entry; those of the minutes after it are counted. */
const READS = { burst: 1, perSecond: 1 / 60 };
const SUMMARY_MS = 60_000;

/**
 * Reads of the log in the log: who looked, with which question. Paging through it would double it, so that the pages
 * after the first, of the same caller and route, are one number a minute.
 */
export class LogReads {
  readonly #reads: CountedByCaller;

  /** @param now milliseconds of a clock that does not step back. */
  constructor(recorder: Recorder<unknown>, now: () => number = () => performance.now()) {
    this.#reads = new CountedByCaller(recorder, { limit: READS, summaryMs: SUMMARY_MS, now });
  }

  /** Never fails: a log that can't be written is read to see why. What is missed is counted until it can be. */
  async record(draft: Pick<EntryDraft, 'actor' | 'requestId'>, route: string, query: object): Promise<void> {
    const detail = { route, ...query };
    await this.#reads
      .record({ ...draft, kind: 'audit.read', outcome: 'done', detail }, { route })
      .catch(() => undefined);
  }

  /** Writes the entries of those that were counted only. */
  async flush(): Promise<void> {
    await this.#reads.flush();
  }
}
