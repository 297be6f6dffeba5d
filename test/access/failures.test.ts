import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Refusals } from '../../src/access/failures.ts';
import type { EntryDraft } from '../../src/audit/entry.ts';
import type { Recorder } from '../../src/audit/log.ts';
import { CountersignError } from '../../src/errors.ts';

const START = new Date('2030-01-01T00:00:00.000Z');
const draft: EntryDraft = {
  kind: 'access.unauthenticated',
  outcome: 'denied',
  detail: { reason: 'no credential' },
};

let entries: EntryDraft[];
let writable: boolean;
let failures: Refusals;

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
  failures = new Refusals(recorder, () => Date.now());
});
afterEach(() => vi.useRealTimers());

const fail = async (times: number): Promise<void> => {
  await Promise.all(Array.from({ length: times }, () => failures.unauthenticated(draft)));
};
const summaries = (): EntryDraft[] => entries.filter(({ detail }) => detail?.['count'] !== undefined);

/** All that the log tells of. */
const counted = (): number => entries.reduce((sum, { detail }) => sum + Number(detail?.['count'] ?? 1), 0);

test('a hundred at once have entries of their own, and no more is written for those', async () => {
  await fail(100);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(entries).toEqual(Array.from({ length: 100 }, () => draft));
});

test('those beyond are one entry, a second later', async () => {
  await fail(50_000);
  expect(entries).toHaveLength(100);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(entries.slice(100)).toEqual([
    {
      kind: 'access.unauthenticated',
      outcome: 'denied',
      detail: { count: 49_900, since: START.toISOString() },
    },
  ]);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(entries).toHaveLength(101);
});

test('in a minute of them the log grows by 21 a second, and none is uncounted', async () => {
  for (let i = 0; i < 600; i++) {
    await fail(500);
    await vi.advanceTimersByTimeAsync(100);
  }
  await failures.flush();
  expect(counted()).toBe(300_000);
  expect(entries.length).toBeLessThanOrEqual(100 + 61 * 21);
  expect(summaries().length).toBeGreaterThanOrEqual(59);
  // Each begins where the one before it ended.
  const since = summaries().map(({ detail }) => detail?.['since'] as string);
  expect(since).toEqual([...new Set(since)].toSorted());
});

test('at the stop what was counted is written at once', async () => {
  await fail(101);
  await failures.flush();
  expect(summaries()).toMatchObject([{ detail: { count: 1 } }]);
  await failures.flush();
  await vi.advanceTimersByTimeAsync(5_000);
  expect(summaries()).toHaveLength(1);
});

test('what the log did not take is counted, and written once it does', async () => {
  writable = false;
  await expect(failures.unauthenticated(draft)).rejects.toThrow('full');
  await expect(failures.unauthenticated(draft)).rejects.toThrow('full');
  await vi.advanceTimersByTimeAsync(3_500);
  expect(entries).toEqual([]);
  writable = true;
  await vi.advanceTimersByTimeAsync(1_000);
  expect(entries).toMatchObject([{ detail: { count: 2, since: START.toISOString() } }]);
});

test('what one caller may not do has a few entries, and a number of its own', async () => {
  const of = (principal: string): EntryDraft => ({
    kind: 'access.forbidden',
    outcome: 'denied',
    actor: { principal, principalId: `id of ${principal}`, credential: 'c', address: '192.0.2.1' },
    detail: { path: '/x' },
  });
  await Promise.all(Array.from({ length: 500 }, () => failures.forbidden(of('a'))));
  await Promise.all(Array.from({ length: 100 }, () => failures.forbidden(of('b'))));
  expect(entries).toEqual([
    ...Array.from({ length: 100 }, () => of('a')),
    ...Array.from({ length: 100 }, () => of('b')),
  ]);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(entries.slice(200)).toEqual([
    {
      kind: 'access.forbidden',
      outcome: 'denied',
      actor: { principal: 'a', principalId: 'id of a', credential: 'c' },
      detail: { count: 400, since: START.toISOString() },
    },
  ]);
});

test('callers that are too many to be counted each are counted all the same', async () => {
  for (let i = 0; i < 1_500; i++) {
    const actor = { principalId: String(i), credential: 'c' };
    for (let j = 0; j < 102; j++)
      await failures.forbidden({ kind: 'access.forbidden', outcome: 'denied', actor });
  }
  await failures.flush();
  expect(counted()).toBe(1_500 * 102);
});

test('locks have entries of their own, until they are too many', async () => {
  const lock: EntryDraft = { kind: 'credential.locked', outcome: 'denied', actor: { credential: 'c' } };
  await Promise.all(Array.from({ length: 50 }, () => failures.locked(lock)));
  await failures.flush();
  expect(entries).toHaveLength(21);
  expect(summaries()).toMatchObject([{ kind: 'credential.locked', detail: { count: 30 } }]);
});
