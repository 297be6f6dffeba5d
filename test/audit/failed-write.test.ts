import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { EntryDraft } from '../../src/audit/entry.ts';
import { AuditLog } from '../../src/audit/log.ts';
import type { LogStorage } from '../../src/audit/log-storage.ts';
import { openSqliteStorage, type Storage, type StorageTx } from '../../src/storage/sqlite/storage.ts';
import { SERVICE } from './memory-log.ts';

const DRAFT: EntryDraft = { kind: 'service.started', outcome: 'done' };
const unavailable = expect.objectContaining({ code: 'unavailable' }) as Error;

let folder: string;
let storage: Storage;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'failed-write-'));
  storage = openSqliteStorage(folder, () => 'example.org/log');
});

afterEach(() => {
  storage.close();
  rmSync(folder, { recursive: true });
});

it('a failed commit is the last one, also when more was queued than one takes', async () => {
  let commits = 0;
  const failing: LogStorage<StorageTx> = {
    head: () => storage.head(),
    nested: (work) => storage.nested(work),
    flush: () => storage.flush(),
    commit: (work) => {
      if (commits++ === 0) throw new Error('disk I/O error');
      storage.commit(work);
    },
  };
  const log = new AuditLog(failing, SERVICE);
  const results = await Promise.allSettled(
    Array.from({ length: 600 }, () => log.record(DRAFT, () => undefined)),
  );
  // What was scheduled before the failure runs in the turns after it.
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
  expect(results.filter(({ status }) => status === 'fulfilled')).toEqual([]);
  expect(commits).toBe(1);
  expect(storage.head().frontier.size).toBe(0);
});

it('nothing is written beside the log after a failed commit', async () => {
  const failing = {
    head: () => storage.head(),
    nested: <T>(work: () => T): T => storage.nested(work),
    flush: () => storage.flush(),
    commit: () => {
      throw new Error('disk I/O error');
    },
  };
  const log = new AuditLog(failing, SERVICE);
  let written = 0;
  log.writeBeside(() => written++);
  await expect(log.record(DRAFT, () => undefined)).rejects.toThrow(unavailable);
  expect(() => log.writeBeside(() => written++)).toThrow(unavailable);
  expect(written).toBe(1);
});

it('a failed write beside the log is the last one of all, and rejects what is queued', async () => {
  const log = new AuditLog(storage, SERVICE);
  await log.record(DRAFT, () => undefined);
  const queued = log.record(DRAFT, () => undefined);
  const fail = (): void => {
    throw new Error('disk full');
  };
  expect(() => log.writeBeside(fail)).toThrow(unavailable);
  await expect(queued).rejects.toThrow(unavailable);
  await expect(log.record(DRAFT, () => undefined)).rejects.toThrow(unavailable);
  expect(log.failure).toBe('disk full');
  expect(storage.head().frontier.size).toBe(1);
});
