import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Entry, EntryDraft } from '../../src/audit/entry.ts';
import { AuditLog } from '../../src/audit/log.ts';
import type { EntryQuery } from '../../src/audit/stored-entry.ts';
import { openSqliteStorage, type Storage, type StorageTx } from '../../src/storage/sqlite/storage.ts';
import { SERVICE } from '../audit/memory-log.ts';

/** Two whole blocks of the index, and some entries after them. */
const SIZE = 2_500;
const RESTART = 600;
const START = Date.UTC(2030, 0, 1);

let folder: string;
let storage: Storage;
let written: Entry[];

/** Values that come everywhere, in long runs, rarely, and only after the last whole block. */
function draftAt(i: number): EntryDraft {
  const rare = i % 997 === 5;
  const principal = i < 1_000 ? 'early' : i > 2_400 ? 'late' : `p${i % 3}`;
  if (i % 11 === 0) return { kind: 'access.forbidden', outcome: 'denied', actor: { principal } };
  return {
    kind: 'sign',
    outcome: rare ? 'denied' : 'done',
    actor: { principal },
    key: { name: i < 1_100 ? 'first' : 'second' },
    operation: i % 2 === 0 ? 'transaction' : 'message',
    decision: { effect: rare ? 'deny' : 'allow', policyRevision: 1, policyHash: '', reason: '' },
  };
}

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'entry-index-'));
  storage = openSqliteStorage(folder, () => 'example.org/log');
  let now = START;
  const open = (): AuditLog<StorageTx> => new AuditLog(storage, SERVICE, () => new Date((now += 1_000)));
  let log = open();
  for (let i = 0; i < SIZE;) {
    // The first block is written by two processes, the second by one.
    if (i === RESTART) {
      storage.close();
      storage = openSqliteStorage(folder, () => 'example.org/log');
      log = open();
    }
    const until = Math.min(SIZE, i + 100);
    const batch = [];
    for (; i < until; i++) batch.push(log.record(draftAt(i), () => undefined));
    await Promise.all(batch);
  }
  written = storage.reads
    .entries({ from: 0, limit: -1 })
    .map(({ bytes }) => JSON.parse(Buffer.from(bytes).toString()) as Entry);
});

afterAll(() => {
  storage.close();
  rmSync(folder, { recursive: true });
});

/** The same, by looking at every entry. */
function expected({ from, order = 'asc', limit, since, until, ...filter }: EntryQuery): number[] {
  const matching = written.filter(
    (entry) =>
      (order === 'asc' ? entry.index >= from : entry.index <= from) &&
      (since === undefined || entry.time >= since) &&
      (until === undefined || entry.time < until) &&
      (filter.principal === undefined || entry.actor?.principal === filter.principal) &&
      (filter.key === undefined || entry.key?.name === filter.key) &&
      (filter.operation === undefined || entry.operation === filter.operation) &&
      (filter.effect === undefined || entry.decision?.effect === filter.effect) &&
      (filter.kind === undefined || entry.kind === filter.kind) &&
      (filter.outcome === undefined || entry.outcome === filter.outcome),
  );
  const ordered = order === 'asc' ? matching : matching.toReversed();
  return ordered.slice(0, limit).map(({ index }) => index);
}

const found = (query: EntryQuery): number[] => storage.reads.entries(query).map(({ index }) => index);

const optional = (...values: string[]): fc.Arbitrary<string | undefined> =>
  fc.constantFrom(undefined, ...values);
const time = fc.option(
  fc.integer({ min: -2, max: 30 }).map((step) => new Date(START + step * 1_000 + 500).toISOString()),
  { nil: undefined },
);
const query: fc.Arbitrary<EntryQuery> = fc.record({
  from: fc.oneof(fc.nat(SIZE + 10), fc.constantFrom(0, 1_023, 1_024, 2_047, 2_048, Number.MAX_SAFE_INTEGER)),
  order: fc.constantFrom('asc' as const, 'desc' as const),
  limit: fc.constantFrom(1, 2, 7, 1_000, 5_000),
  principal: optional('early', 'late', 'p0', 'p1', 'nobody'),
  key: optional('first', 'second', 'third'),
  operation: optional('transaction', 'message'),
  effect: optional('allow', 'deny'),
  kind: optional('sign', 'access.forbidden', 'seal.sealed'),
  outcome: optional('done', 'denied'),
  since: time,
  until: time,
});

describe('entries by their fields', () => {
  it('holds what the test means it to', () => {
    expect(written).toHaveLength(SIZE);
    expect(new Set(written.map((entry) => entry.time)).size).toBeGreaterThan(20);
  });

  it('are those that a look at every entry finds, in the same order', () => {
    fc.assert(
      fc.property(query, (asked) => {
        expect(found(asked)).toEqual(expected(asked));
      }),
      { numRuns: 2_000 },
    );
  });

  it('are found across pages, one after the other', () => {
    for (const order of ['asc', 'desc'] as const) {
      const filter = { kind: 'sign', outcome: 'denied', order };
      const pages: number[] = [];
      for (let from = order === 'asc' ? 0 : Number.MAX_SAFE_INTEGER; ;) {
        const [index] = found({ ...filter, from, limit: 1 });
        if (index === undefined) break;
        pages.push(index);
        from = order === 'asc' ? index + 1 : index - 1;
      }
      expect(pages).toEqual(expected({ ...filter, from: order === 'asc' ? 0 : SIZE, limit: SIZE }));
      expect(pages).toHaveLength(3);
    }
  });
});
