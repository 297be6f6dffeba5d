import { setImmediate as yieldToOthers } from 'node:timers/promises';
import type { AuditReads } from '../audit/stored-entry.ts';
import { asBuffer } from '../bytes.ts';
import type { JsonValue } from '../jcs.ts';
import type { CompiledPolicy } from '../policy/policy.ts';
import { createReplay, type Difference } from '../policy/replay.ts';

/** Decisions replayed in one page; the page's caller asks for the next. */
const PAGE = 5_000;
/** Between these the service turns to other requests. */
const SLICE = 100;

export interface ReplayRange {
  /** RFC 3339, UTC, milliseconds. */
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  /** Index that a page before this one ended at. */
  readonly cursor?: number | undefined;
}

export interface ReplayPage {
  readonly evaluated: number;
  readonly skipped: number;
  readonly changed: readonly Difference[];
  readonly nextCursor: number | undefined;
}

/**
 * What a candidate would have decided of the log's decisions, one page of them. What its limits held before the page
 * is taken from the decisions within the longest window ahead of it.
 */
export async function replayPage(
  reads: AuditReads,
  candidate: CompiledPolicy,
  { from, to, cursor = 0 }: ReplayRange,
): Promise<ReplayPage> {
  const replay = createReplay(candidate);
  const page = readDecisions(reads, { index: cursor, since: from, until: to, limit: PAGE + 1 });
  const first = page[0];
  if (first === undefined) return { evaluated: 0, skipped: 0, changed: [], nextCursor: undefined };

  const longest = Math.max(0, ...candidate.model.limits.map(({ window }) => window.rolling + window.bucket));
  if (longest > 0) {
    const since = new Date(Date.parse(first.time) - longest).toISOString();
    for await (const entry of decisionsUpTo(reads, since, first.index)) replay.warm(entry);
  }
  const changed: Difference[] = [];
  for (const [position, { entry }] of page.slice(0, PAGE).entries()) {
    if (position % SLICE === SLICE - 1) await yieldToOthers();
    const difference = replay.feed(entry);
    if (difference !== undefined) changed.push(difference);
  }
  const { evaluated, skipped } = replay.summary();
  return { evaluated, skipped, changed, nextCursor: page[PAGE]?.index };
}

interface LoggedDecision {
  readonly index: number;
  readonly time: string;
  readonly entry: { readonly [name: string]: JsonValue };
}

function readDecisions(
  reads: AuditReads,
  {
    index,
    ...range
  }: { index: number; since?: string | undefined; until?: string | undefined; limit: number },
): LoggedDecision[] {
  return reads.entries({ ...range, from: index, kind: 'sign' }).map(({ index: at, bytes }) => {
    const entry = JSON.parse(asBuffer(bytes).toString('utf8')) as LoggedDecision['entry'] & { time: string };
    return { index: at, time: entry.time, entry };
  });
}

async function* decisionsUpTo(
  reads: AuditReads,
  since: string,
  end: number,
): AsyncGenerator<LoggedDecision['entry']> {
  for (let index = 0; index < end;) {
    const slice = readDecisions(reads, { index, since, limit: SLICE });
    for (const { index: at, entry } of slice) if (at < end) yield entry;
    const last = slice.at(-1);
    if (last === undefined) return;
    index = last.index + 1;
    await yieldToOthers();
  }
}
