import { hash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EntryDraft } from '../../src/audit/entry.ts';
import { AuditLog } from '../../src/audit/log.ts';
import type { LogStorage } from '../../src/audit/log-storage.ts';
import { Frontier, leafHash } from '../../src/audit/tree/merkle.ts';
import { CountersignError } from '../../src/errors.ts';
import { canonicalize, type JsonValue } from '../../src/jcs.ts';
import { openSqliteStorage, type Storage, type StorageTx } from '../../src/storage/sqlite/storage.ts';
import { SERVICE } from './memory-log.ts';

const DRAFT: EntryDraft = { kind: 'service.started', outcome: 'done' };

let folder: string;
let storage: Storage;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'log-'));
  storage = openSqliteStorage(folder, () => 'example.org/log');
});

afterEach(() => {
  storage.close();
  rmSync(folder, { recursive: true });
});

/** The real storage, with its commits counted or made to fail. */
function watched(
  over: Partial<Pick<LogStorage<StorageTx>, 'commit'>> = {},
): LogStorage<StorageTx> & { commits: number } {
  const watcher: LogStorage<StorageTx> & { commits: number } = {
    commits: 0,
    head: () => storage.head(),
    nested: (work) => storage.nested(work),
    flush: () => storage.flush(),
    commit: (work) => {
      watcher.commits++;
      if (over.commit === undefined) storage.commit(work);
      else over.commit(work);
    },
  };
  return watcher;
}

const entries = (): readonly {
  index: number;
  json: Record<string, JsonValue>;
  leaf: string;
  bytes: Uint8Array;
}[] =>
  storage.reads.entries({ from: 0, limit: 1000 }).map(({ index, bytes, leafHash: leaf }) => ({
    index,
    bytes,
    json: JSON.parse(Buffer.from(bytes).toString()) as Record<string, JsonValue>,
    leaf: Buffer.from(leaf).toString('hex'),
  }));

describe('the audit log', () => {
  it('tells who listens that it has grown, when that is on disk, and not when nothing was written', async () => {
    let failing = false;
    const log = new AuditLog(
      watched({
        commit: (work) => {
          if (failing) throw new Error('the disk is full');
          storage.commit(work);
        },
      }),
      SERVICE,
    );
    const heard: number[] = [];
    const end = log.onAppend(() => heard.push(log.size, storage.head().frontier.size));
    await Promise.all([log.record(DRAFT, () => undefined), log.record(DRAFT, () => undefined)]);
    expect(heard).toEqual([2, 2]);
    end();
    await log.record(DRAFT, () => undefined);
    expect(heard).toEqual([2, 2]);
    log.onAppend(() => heard.push(-1));
    failing = true;
    await expect(log.record(DRAFT, () => undefined)).rejects.toThrow('cannot be written');
    expect(heard).toEqual([2, 2]);
  });

  it('puts what was asked for together in one commit, in order', async () => {
    const watcher = watched();
    const log = new AuditLog(watcher, SERVICE);
    const receipts = await Promise.all(
      Array.from({ length: 100 }, (_, i) =>
        log.record({ ...DRAFT, requestId: `r${i}` }, (_tx, receipt) => receipt),
      ),
    );
    expect(watcher.commits).toBe(1);
    expect(receipts.map(({ index }) => index)).toEqual(Array.from({ length: 100 }, (_, i) => i));
    expect(entries().map(({ json }) => json['requestId'])).toEqual(
      Array.from({ length: 100 }, (_, i) => `r${i}`),
    );
    expect(entries().map(({ leaf }) => leaf)).toEqual(receipts.map((receipt) => receipt.leafHash));
  });

  it('stores canonical bytes whose hashes make the tree that is on disk', async () => {
    const log = new AuditLog(storage, SERVICE);
    for (let i = 0; i < 13; i++) await log.record(DRAFT, () => undefined);
    const frontier = new Frontier();
    for (const { bytes, json, leaf } of entries()) {
      expect(Buffer.from(bytes).toString()).toBe(canonicalize(json));
      expect(leafHash(bytes).toString('hex')).toBe(leaf);
      frontier.append(leafHash(bytes));
    }
    expect(storage.head().frontier.root().equals(frontier.root())).toBe(true);
    expect(log.tree.root().equals(frontier.root())).toBe(true);
  });

  it('goes on where it was after a restart', async () => {
    const first = new AuditLog(storage, SERVICE);
    await first.record(DRAFT, () => undefined);
    await first.record(DRAFT, () => undefined);
    storage.close();
    storage = openSqliteStorage(folder, () => 'another.example/log');
    expect(storage.origin).toBe('example.org/log');
    const second = new AuditLog(storage, SERVICE);
    expect(second.size).toBe(2);
    await expect(second.record(DRAFT, (_tx, { index }) => index)).resolves.toBe(2);
  });

  it('writes effects with their entry, or neither', async () => {
    const log = new AuditLog(storage, SERVICE);
    const insert = (name: string) => (tx: StorageTx) => {
      tx.insertPrincipal({ id: name, name: 'same', roles: ['signer'], state: 'enabled', createdAt: '' });
      return name;
    };
    const results = await Promise.allSettled([
      log.record({ ...DRAFT, requestId: 'one' }, insert('a')),
      log.record({ ...DRAFT, requestId: 'two' }, insert('b')),
      log.record({ ...DRAFT, requestId: 'three' }, () => 'c'),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(results[1]).toMatchObject({ reason: { code: 'conflict' } });
    expect(entries().map(({ index, json }) => [index, json['requestId']])).toEqual([
      [0, 'one'],
      [1, 'three'],
    ]);
    expect(storage.reads.principals().map(({ id }) => id)).toEqual(['a']);
  });

  it('undoes every effect of an item that fails after its first', async () => {
    const log = new AuditLog(storage, SERVICE);
    const failing = log.record(DRAFT, (tx) => {
      tx.insertPrincipal({ id: 'x', name: 'x', roles: ['signer'], state: 'enabled', createdAt: '' });
      throw new CountersignError('nonce_conflict', 'too late');
    });
    await expect(failing).rejects.toMatchObject({ code: 'nonce_conflict' });
    expect(storage.reads.principals()).toEqual([]);
    expect(entries()).toEqual([]);
  });

  it('says nothing before the commit is through', async () => {
    const order: string[] = [];
    const log = new AuditLog(
      watched({
        commit: (work) => {
          storage.commit(work);
          order.push('durable');
        },
      }),
      SERVICE,
    );
    await log.record(DRAFT, () => order.push('effects')).then(() => order.push('answered'));
    expect(order).toEqual(['effects', 'durable', 'answered']);
  });

  it('never writes again after a failed commit, and releases nothing of it', async () => {
    let broken = false;
    const log = new AuditLog(
      watched({
        commit: (work) => {
          storage.commit(work);
          if (broken) throw new Error('disk I/O error');
        },
      }),
      SERVICE,
    );
    await log.record(DRAFT, () => undefined);
    broken = true;
    const results = await Promise.allSettled([log.record(DRAFT, () => 1), log.record(DRAFT, () => 2)]);
    for (const result of results)
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'unavailable' } });
    broken = false;
    await expect(log.record(DRAFT, () => 3)).rejects.toMatchObject({ code: 'unavailable' });
    expect(log.failure).toBe('disk I/O error');
    expect(log.size).toBe(1);
  });

  it('refuses an entry that is too large, and goes on', async () => {
    const log = new AuditLog(storage, SERVICE);
    const large = { ...DRAFT, detail: { text: 'x'.repeat(66_000) } };
    await expect(log.record(large, () => undefined)).rejects.toMatchObject({ code: 'payload_too_large' });
    await expect(log.record(DRAFT, (_tx, { index }) => index)).resolves.toBe(0);
  });

  it('keeps its times in order when the clock steps back', async () => {
    const clock = ['2026-01-02T00:00:00.000Z', '2026-01-01T00:00:00.000Z', '2026-01-03T00:00:00.000Z'];
    const log = new AuditLog(storage, SERVICE, () => new Date(clock.shift() ?? ''));
    for (let i = 0; i < 3; i++) await log.record(DRAFT, () => undefined);
    expect(entries().map(({ json }) => json['time'])).toEqual([
      '2026-01-02T00:00:00.000Z',
      '2026-01-02T00:00:00.000Z',
      '2026-01-03T00:00:00.000Z',
    ]);
  });

  it('says in each entry which machine and which run of the service wrote it', async () => {
    const first = new AuditLog(storage, SERVICE);
    for (let i = 0; i < 2; i++) await first.record(DRAFT, () => undefined);
    await new AuditLog(storage, { node: 'other', version: '2.0.0' }).record(DRAFT, () => undefined);
    expect(entries().map(({ json }) => json['service'])).toEqual([
      { ...SERVICE, epoch: 0 },
      { ...SERVICE, epoch: 0 },
      { node: 'other', version: '2.0.0', epoch: 2 },
    ]);
  });

  it('keeps long data beside the entry, once, and not at all when the effects fail', async () => {
    const log = new AuditLog(storage, SERVICE);
    const beside = Buffer.alloc(100_000, 1);
    const sha256 = hash('sha256', beside, 'buffer');
    const failing = log.record({ ...DRAFT, beside }, () => {
      throw new CountersignError('conflict', 'no');
    });
    await expect(failing).rejects.toMatchObject({ code: 'conflict' });
    expect(storage.reads.data(sha256)).toBeUndefined();
    for (let i = 0; i < 2; i++) await log.record({ ...DRAFT, beside }, () => undefined);
    expect(Buffer.from(storage.reads.data(sha256)!)).toEqual(beside);
    expect(entries()[0]?.bytes.length).toBeLessThan(500);
  });

  it('takes no more than its queue holds, says so before anything is begun, and goes on', async () => {
    const log = new AuditLog(storage, SERVICE);
    const queued = Array.from({ length: 10_000 }, () => log.record(DRAFT, () => undefined));
    expect(log.hindrance).toMatch(/too many/);
    await expect(log.record(DRAFT, () => undefined)).rejects.toMatchObject({ code: 'unavailable' });
    await Promise.all(queued);
    expect(log.hindrance).toBeUndefined();
    expect(log.size).toBe(10_000);
  });

  it('holds more than one commit takes', async () => {
    const watcher = watched();
    const log = new AuditLog(watcher, SERVICE);
    await Promise.all(Array.from({ length: 1200 }, () => log.record(DRAFT, () => undefined)));
    expect(watcher.commits).toBe(3);
    expect(log.size).toBe(1200);
  });
});
