import { beforeEach, describe, expect, it } from 'vitest';
import { systemAct } from '../../src/audit/act.ts';
import type { Entry } from '../../src/audit/entry.ts';
import { AuditLog } from '../../src/audit/log.ts';
import { SplitView, type Evidence } from '../../src/audit/split-view.ts';
import { openSqliteStorage, type Storage, type StorageTx } from '../../src/storage/sqlite/storage.ts';
import { makeDirectory } from '../service.ts';
import { SERVICE } from './memory-log.ts';

const FOUND: Evidence = { source: 'witness w', size: 20, message: 'witness w has cosigned 20 entries' };

let directory: string;
let storage: Storage;
let log: AuditLog<StorageTx>;
let splitView: SplitView;
let told: Evidence[];

beforeEach(() => {
  directory = makeDirectory();
  told = [];
  open();
  return () => storage.close();
});

function open(): void {
  storage = openSqliteStorage(directory, () => 'log.test/one');
  log = new AuditLog<StorageTx>(storage, SERVICE);
  splitView = new SplitView(storage.reads, systemAct<StorageTx>(log), (evidence) => void told.push(evidence));
}

const entries = (): Entry[] =>
  storage.reads
    .entries({ from: 0, limit: 100 })
    .map(({ bytes }) => JSON.parse(Buffer.from(bytes).toString('utf8')) as Entry);
const acknowledge = async (): Promise<{ readonly acknowledged: string[] }> =>
  await splitView.acknowledge(systemAct<StorageTx>(log), 'a restored backup');

describe('evidence', () => {
  it('holds from the moment when it is found, and is told and logged once', async () => {
    expect(splitView.hindrance).toBeUndefined();
    const reported = splitView.report(FOUND);
    expect(splitView.hindrance).toContain('witness w has cosigned 20 entries: nothing is signed until');
    await reported;
    await splitView.report({ ...FOUND });
    expect(told).toEqual([FOUND]);
    expect(entries()).toMatchObject([
      {
        kind: 'audit.split_view',
        outcome: 'failed',
        detail: { source: 'witness w', size: 20, reason: FOUND.message },
      },
    ]);
  });

  it('holds through a restart', async () => {
    await splitView.report(FOUND);
    storage.close();
    open();
    expect(splitView.standing()).toMatchObject([FOUND]);
    await splitView.report(FOUND);
    expect(entries()).toHaveLength(1);
  });

  it('that an operator has acknowledged is not raised again, and anything else is', async () => {
    await splitView.report(FOUND);
    await splitView.report({ ...FOUND, source: 'anchor a', root: 'ab' });
    expect(splitView.hindrance).toContain('and 1 more');
    expect(await acknowledge()).toEqual({ acknowledged: [FOUND.message, FOUND.message] });
    expect(splitView.hindrance).toBeUndefined();
    expect(entries().at(-1)).toMatchObject({ outcome: 'done', detail: { reason: 'a restored backup' } });
    storage.close();
    open();
    await splitView.report(FOUND);
    expect(splitView.hindrance).toBeUndefined();
    for (const other of [
      { ...FOUND, size: 21 },
      { ...FOUND, root: 'cd' },
      { ...FOUND, source: 'witness x' },
    ]) {
      await splitView.report(other);
      expect(splitView.standing()).toMatchObject([other]);
      await acknowledge();
    }
  });

  it('that there is not cannot be acknowledged', async () => {
    await expect(acknowledge()).rejects.toMatchObject({ code: 'conflict' });
    expect(entries()).toEqual([]);
  });

  it('that cannot be written holds all the same', async () => {
    expect(() =>
      log.writeBeside(() => {
        throw new Error('EIO');
      }),
    ).toThrow('cannot be written');
    await splitView.report(FOUND);
    expect(splitView.hindrance).toBeDefined();
    await expect(acknowledge()).rejects.toMatchObject({ code: 'unavailable' });
    expect(splitView.hindrance).toBeDefined();
  });
});
