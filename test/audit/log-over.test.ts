import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EntryDraft, Recordable } from '../../src/audit/entry.ts';
import { AuditLog } from '../../src/audit/log.ts';
import { openSqliteStorage, type Storage, type StorageTx } from '../../src/storage/sqlite/storage.ts';
import { entryOf, makeDirectory } from '../service.ts';
import { SERVICE } from './memory-log.ts';

const DRAFT: EntryDraft = { kind: 'service.started', outcome: 'done' };

let storage: Storage;
let log: AuditLog<StorageTx>;
beforeEach(() => {
  storage = openSqliteStorage(makeDirectory(), () => 'example.org/log');
  log = new AuditLog(storage, SERVICE);
});
afterEach(() => storage.close());

function record(draft: Recordable): Promise<number> {
  return log.record(draft, (_tx, { index }) => index);
}

/** An entry that says the size and root of the log before it, once it may. */
function telling(gate: Promise<unknown> = Promise.resolve()): Recordable {
  return {
    ...DRAFT,
    over: async (tree) => {
      const detail = { size: tree.size, root: tree.root().toString('hex') };
      await gate;
      return detail;
    },
  };
}

function details(): unknown[] {
  return storage.reads.entries({ from: 0, limit: 100 }).map((stored) => entryOf(stored).detail);
}

describe('an entry that tells how far the log is', () => {
  it('comes right after what it tells of, however many others wait', async () => {
    const gate = Promise.withResolvers<void>();
    const before = Promise.all([record(DRAFT), record(DRAFT)]);
    const told = record(telling(gate.promise));
    const after = [record(DRAFT), record(DRAFT)];
    await before;
    const root = log.tree.root().toString('hex');
    after.push(record(DRAFT));
    await sleep(20);
    expect(log.size).toBe(2);
    gate.resolve();
    expect([await told, ...(await Promise.all(after))]).toEqual([2, 3, 4, 5]);
    expect(details()[2]).toEqual({ size: 2, root });
  });

  it('may follow another, or be the first', async () => {
    const told = [record(telling()), record(telling()), record(DRAFT), record(telling())];
    expect(await Promise.all(told)).toEqual([0, 1, 2, 3]);
    expect(details()).toMatchObject([{ size: 0 }, { size: 1 }, undefined, { size: 3 }]);
  });

  it('is not written when it cannot be made, and the others are', async () => {
    const failing = { ...DRAFT, over: () => Promise.reject(new Error('no signer')) };
    const [failed, after] = await Promise.allSettled([record(failing), record(DRAFT)]);
    expect(failed).toMatchObject({ status: 'rejected', reason: new Error('no signer') });
    expect(after).toMatchObject({ status: 'fulfilled', value: 0 });
    expect(await record(DRAFT)).toBe(1);
  });

  it('does not outlive a log that has failed meanwhile', async () => {
    const gate = Promise.withResolvers<void>();
    const told = record(telling(gate.promise));
    const after = record(DRAFT);
    await sleep(5);
    const broken = (): void => {
      throw new Error('the disk is full');
    };
    expect(() => log.writeBeside(broken)).toThrow(/cannot be written/);
    await expect(told).rejects.toMatchObject({ code: 'unavailable' });
    await expect(after).rejects.toMatchObject({ code: 'unavailable' });
    gate.resolve();
    await sleep(5);
    expect(details()).toEqual([]);
  });
});
