import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { EntryDraft } from '../../src/audit/entry.ts';
import { AuditGate } from '../../src/audit/gate.ts';
import { AuditLog, type CommitProbe } from '../../src/audit/log.ts';
import type { LogStorage } from '../../src/audit/log-storage.ts';
import { openSqliteStorage, type Storage, type StorageTx } from '../../src/storage/sqlite/storage.ts';
import { SERVICE } from './memory-log.ts';

const DRAFT: EntryDraft = { kind: 'service.started', outcome: 'done' };
const KEPT = { fingerprint: 'f', entry: 0, answer: '{}' };
const unavailable = expect.objectContaining({ code: 'unavailable' }) as Error;

let folder: string;
let storage: Storage;
let flushes: { readonly end: () => void; readonly fail: (error: Error) => void }[];

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'log-flush-'));
  storage = openSqliteStorage(folder, () => 'example.org/log');
  flushes = [];
});

afterEach(() => {
  storage.close();
  rmSync(folder, { recursive: true });
});

/** The real storage, on a disk whose flushes take until they are told to end. */
function slow(probe?: CommitProbe): AuditLog<StorageTx> {
  const slowly: LogStorage<StorageTx> = {
    head: () => storage.head(),
    nested: (work) => storage.nested(work),
    commit: (work) => storage.commit(work),
    flush: async () => {
      await new Promise<void>((end, fail) => flushes.push({ end, fail }));
      await storage.flush();
    },
  };
  return new AuditLog(slowly, SERVICE, undefined, probe);
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}

async function flushed(count: number): Promise<void> {
  while (flushes.length < count) await turns();
}

describe('a commit that is not on disk yet', () => {
  it('is answered to nobody, and shown to nobody', async () => {
    const told: string[] = [];
    const log = slow((_, when) => told.push(when));
    const gate = new AuditGate(log, []);
    log.onAppend(() => told.push('appended'));
    const answered = log
      .record(DRAFT, (tx) => tx.keepAnswer('p', 'name', KEPT, '2026-01-01T00:00:00.000Z'))
      .then(() => told.push('answered'));
    await flushed(1);
    await turns();
    expect(storage.head().frontier.size).toBe(1);
    expect(told).toEqual(['before']);
    expect(log.size).toBe(0);
    expect(storage.reads.entry(0)).toBeUndefined();
    expect(storage.reads.entries({ from: 0, limit: 9 })).toEqual([]);
    expect(storage.reads.entries({ from: 9, limit: 9, order: 'desc' })).toEqual([]);
    expect(storage.reads.entries({ from: 0, limit: 9, kind: DRAFT.kind })).toEqual([]);
    expect(storage.reads.entriesOfKinds([DRAFT.kind], { from: 0, to: 9, limit: 9 })).toEqual([]);
    expect(storage.reads.keptAnswer('p', 'name')).toBeUndefined();
    expect(gate.isCovered(0)).toBe(false);
    await expect(gate.covered(0)).rejects.toThrow(unavailable);

    flushes[0]?.end();
    await answered;
    expect(told).toEqual(['before', 'after', 'appended', 'answered']);
    expect(log.size).toBe(1);
    expect(storage.reads.entry(0)?.index).toBe(0);
    expect(storage.reads.entriesOfKinds([DRAFT.kind], { from: 0, to: 9, limit: 9 })).toHaveLength(1);
    expect(storage.reads.keptAnswer('p', 'name')).toEqual(KEPT);
    expect(gate.isCovered(0)).toBe(true);
    await gate.covered(0);
  });

  it('keeps the next from being begun; what comes meanwhile shares that', async () => {
    const log = slow();
    const first = log.record(DRAFT, () => 'first');
    await flushed(1);
    const begun: string[] = [];
    const later = ['a', 'b', 'c'].map((name) => log.record(DRAFT, () => begun.push(name)));
    await turns();
    expect(begun).toEqual([]);
    flushes[0]?.end();
    await expect(first).resolves.toBe('first');
    await flushed(2);
    expect(begun).toEqual(['a', 'b', 'c']);
    flushes[1]?.end();
    await Promise.all(later);
    expect(flushes).toHaveLength(2);
    expect(log.size).toBe(4);
  });

  it('and never gets there, is the last one: nobody is answered, and nobody sees it', async () => {
    const log = slow();
    const gate = new AuditGate(log, [() => log.hindrance]);
    const first = log.record(DRAFT, (tx) => tx.keepAnswer('p', 'name', KEPT, '2026-01-01T00:00:00.000Z'));
    await flushed(1);
    const second = log.record(DRAFT, () => undefined);
    flushes[0]?.fail(new Error('EIO: i/o error, fdatasync'));
    await expect(first).rejects.toThrow(unavailable);
    await expect(second).rejects.toThrow(unavailable);
    await expect(log.record(DRAFT, () => undefined)).rejects.toThrow(unavailable);
    expect(log.failure).toBe('EIO: i/o error, fdatasync');
    expect(() => gate.requireOpen()).toThrow(unavailable);
    expect(log.size).toBe(0);
    expect(storage.reads.entry(0)).toBeUndefined();
    expect(storage.reads.keptAnswer('p', 'name')).toBeUndefined();
    expect(flushes).toHaveLength(1);

    // The next start takes it, and puts it on the disk before anything builds on it.
    storage.close();
    storage = openSqliteStorage(folder, () => 'example.org/log');
    expect(new AuditLog(storage, SERVICE).size).toBe(1);
    expect(storage.reads.keptAnswer('p', 'name')).toEqual(KEPT);
  });

  it('is waited for by whoever reads the tree and what is stored as of one moment', async () => {
    const log = slow();
    await log.settled();
    const first = log.record(DRAFT, () => undefined);
    await flushed(1);
    const sizes: (readonly [number, number])[] = [];
    const settled = log.settled().then(() => sizes.push([log.size, storage.head().frontier.size]));
    const second = log.record(DRAFT, () => undefined);
    await turns();
    expect(sizes).toEqual([]);
    flushes[0]?.end();
    await Promise.all([first, settled]);
    expect(sizes).toEqual([[1, 1]]);
    await flushed(2);
    flushes[1]?.end();
    await second;
  });

  it('is waited for by an entry that tells how far the log is', async () => {
    const log = slow();
    const first = log.record(DRAFT, () => undefined);
    await flushed(1);
    const sizes: number[] = [];
    const over = log.record(
      { ...DRAFT, over: async ({ size }) => (sizes.push(size, log.size), { size }) },
      () => undefined,
    );
    await turns();
    expect(sizes).toEqual([]);
    flushes[0]?.end();
    await first;
    await flushed(2);
    expect(sizes).toEqual([1, 1]);
    flushes[1]?.end();
    await over;
  });
});

describe('a commit for which more entries are announced', () => {
  let commits: number;
  let log: AuditLog<StorageTx>;

  beforeEach(() => {
    // A millisecond lasts until a test says that it is over, however slow the machine is.
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    commits = 0;
    const counted: LogStorage<StorageTx> = {
      head: () => storage.head(),
      nested: (work) => storage.nested(work),
      commit: (work) => {
        commits++;
        storage.commit(work);
      },
      flush: () => storage.flush(),
    };
    log = new AuditLog(counted, SERVICE);
  });

  afterEach(() => void vi.useRealTimers());

  it('waits for them', async () => {
    const arrived = [log.announce(), log.announce()];
    const first = log.record(DRAFT, () => undefined);
    await turns();
    expect(commits).toBe(0);
    arrived[0]?.();
    const second = log.record(DRAFT, () => undefined);
    await turns();
    expect(commits).toBe(0);
    arrived[1]?.();
    const third = log.record(DRAFT, () => undefined);
    await Promise.all([first, second, third]);
    expect(commits).toBe(1);
  });

  it('does not wait for ever', async () => {
    log.announce();
    const recorded = log.record(DRAFT, () => undefined);
    await turns();
    expect(commits).toBe(0);
    vi.advanceTimersByTime(1);
    await recorded;
    expect(commits).toBe(1);
  });

  it('does not wait for one when there are many', async () => {
    const lost = log.announce();
    await Promise.all(Array.from({ length: 16 }, () => log.record(DRAFT, () => undefined)));
    expect(commits).toBe(1);
    lost();
    await log.record(DRAFT, () => undefined);
    expect(commits).toBe(2);
    expect(log.size).toBe(17);
  });
});
