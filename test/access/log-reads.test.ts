import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { LogReads } from '../../src/access/log-reads.ts';
import type { EntryDraft } from '../../src/audit/entry.ts';
import type { Recorder } from '../../src/audit/log.ts';
import { CountersignError } from '../../src/errors.ts';

const START = new Date('2030-01-01T00:00:00.000Z');
const LIST = '/v1/audit/entries';
const alice = { principal: 'alice', principalId: 'id-a', credential: 'c1', address: '10.0.0.1' };
const bob = { principal: 'bob', principalId: 'id-b', credential: 'c2', address: '10.0.0.2' };

let entries: EntryDraft[];
let writable: boolean;
let reads: LogReads;

beforeEach(() => {
  vi.useFakeTimers({ now: START });
  entries = [];
  writable = true;
  const recorder: Recorder<unknown> = {
    record: (entry, effects) => {
      if (!writable) return Promise.reject(new CountersignError('unavailable', 'full'));
      entries.push(entry);
      return Promise.resolve(effects({}, { index: entries.length - 1, leafHash: '' }));
    },
  };
  reads = new LogReads(recorder, () => Date.now());
});
afterEach(() => vi.useRealTimers());

const look = (actor: object, route = LIST, query: object = {}): Promise<void> =>
  reads.record({ actor, requestId: 'r' }, route, query);

test('the first look is an entry with who looked and what was asked, before it is answered', async () => {
  await look(alice, LIST, { key: 'treasury' });
  expect(entries).toEqual([
    {
      kind: 'audit.read',
      outcome: 'done',
      actor: alice,
      requestId: 'r',
      detail: { route: LIST, key: 'treasury' },
    },
  ]);
});

test('the pages after it are one number a minute, and nobody hides behind another', async () => {
  for (let i = 0; i < 1_000; i++) await look(alice);
  await look(bob);
  await look(alice, '/v1/audit/entries/{index}');
  expect(entries).toHaveLength(3);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(entries.slice(3)).toEqual([
    {
      kind: 'audit.read',
      outcome: 'done',
      actor: { principal: 'alice', principalId: 'id-a', credential: 'c1' },
      detail: { route: LIST, count: 999, since: START.toISOString() },
    },
  ]);
});

test('is not kept from reading a log that cannot be written; the look is in it once it can', async () => {
  writable = false;
  await look(alice);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(entries).toEqual([]);
  writable = true;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(entries).toMatchObject([{ detail: { route: LIST, count: 1 } }]);
});

test('at a stop nothing is left out', async () => {
  await look(alice);
  await look(alice);
  await reads.flush();
  expect(entries).toHaveLength(2);
});
