import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import type { AuditReads, EntryFilter, StoredEntry } from './stored-entry.ts';

/** Entries that are read at once: others wait for the event loop meanwhile. */
const PAGE = 200;
/** Waiting for more takes in what comes within this time, so that many who wait do not slow down who signs. */
const GATHER_MS = 100;

/** A log that grows. */
export interface GrowingLog {
  readonly size: number;
  onAppend(listener: () => void): () => void;
}

export interface Selection extends EntryFilter {
  /** RFC 3339, UTC, milliseconds; `since` inclusive, `until` exclusive. */
  readonly since?: string | undefined;
  readonly until?: string | undefined;
}

type Reads = Pick<AuditReads, 'entries'>;

/** The entries from index `from` up to but not including `to` that match, a page a turn of the event loop. */
export async function* pagesOf(
  reads: Reads,
  selection: Selection,
  { from, to }: { readonly from: number; readonly to: number },
): AsyncGenerator<readonly StoredEntry[]> {
  for (let next = from; next < to;) {
    const page = reads.entries({ ...selection, from: next, limit: PAGE });
    const wanted = page.filter(({ index }) => index < to);
    if (wanted.length > 0) yield wanted;
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return;
    next = last.index + 1;
    await nextTurn();
  }
}

/**
 * The entries from index `from` on that match, and those that come, until `signal`. An empty page says that nothing has
 * come for `idleMs`.
 */
export async function* tail(
  log: GrowingLog,
  reads: Reads,
  filter: EntryFilter,
  from: number,
  { signal, idleMs }: { readonly signal: AbortSignal; readonly idleMs: number },
): AsyncGenerator<readonly StoredEntry[]> {
  let next = from;
  while (!signal.aborted) {
    const to = log.size;
    yield* pagesOf(reads, filter, { from: next, to });
    next = Math.max(next, to);
    if (!(await growth(log, next, idleMs, signal))) yield [];
    else await sleep(GATHER_MS, undefined, { signal }).catch(() => undefined);
  }
}

/** True when the log has more than `size` entries, false when it had not within the time or was not to be waited for. */
async function growth(log: GrowingLog, size: number, idleMs: number, signal: AbortSignal): Promise<boolean> {
  const waiting = new AbortController();
  const stop = log.onAppend(() => waiting.abort());
  try {
    // Asked after listening, so that nothing is missed between the two.
    if (log.size > size || signal.aborted) return log.size > size;
    await sleep(idleMs, undefined, { signal: AbortSignal.any([signal, waiting.signal]) }).catch(
      () => undefined,
    );
    return log.size > size;
  } finally {
    stop();
  }
}
