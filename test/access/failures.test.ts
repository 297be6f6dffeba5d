import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { FailedAuthentications } from '../../src/access/failures.ts';
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
let failures: FailedAuthentications;

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
  failures = new FailedAuthentications(recorder, () => Date.now());
});
afterEach(() => vi.useRealTimers());

const fail = async (times: number): Promise<void> => {
  await Promise.all(Array.from({ length: times }, () => failures.record(draft)));
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
  await expect(failures.record(draft)).rejects.toThrow('full');
  await expect(failures.record(draft)).rejects.toThrow('full');
  await vi.advanceTimersByTimeAsync(3_500);
  expect(entries).toEqual([]);
  writable = true;
  await vi.advanceTimersByTimeAsync(1_000);
  expect(entries).toMatchObject([{ detail: { count: 2, since: START.toISOString() } }]);
});
