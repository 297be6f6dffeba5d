import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AuditLog } from '../../src/audit/log.ts';
import type { EntryDraft } from '../../src/audit/entry.ts';
import type { Evidence } from '../../src/audit/split-view.ts';
import { DATABASE_FILE } from '../../src/storage/sqlite/database.ts';
import { MARK_FILE } from '../../src/storage/sqlite/high-water-mark.ts';
import { openSqliteStorage } from '../../src/storage/sqlite/storage.ts';
import { SERVICE } from '../audit/memory-log.ts';

let folder: string;
let database: string;
let mark: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'high-water-mark-'));
  database = path.join(folder, DATABASE_FILE);
  mark = path.join(folder, MARK_FILE);
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Entries, each in a commit of its own. @returns what was lost when it was opened. */
async function write(
  count: number,
  kind: EntryDraft['kind'] = 'service.started',
  keep = false,
): Promise<Evidence | undefined> {
  const storage = openSqliteStorage(folder, () => 'example.org/log');
  const log = new AuditLog(storage, SERVICE);
  const { lost } = storage;
  if (keep && lost !== undefined)
    await log.record({ kind: 'audit.split_view', outcome: 'failed' }, (tx) =>
      tx.keepEvidence(lost, '2026-01-01T00:00:00.000Z'),
    );
  for (let i = 0; i < count; i++) await log.record({ kind, outcome: 'done' }, () => undefined);
  storage.close();
  return lost;
}

/** @returns what puts it back as it is now. */
function keepDatabase(): () => void {
  const older = path.join(folder, 'older');
  copyFileSync(database, older);
  return () => copyFileSync(older, database);
}

function markedSize(): number {
  return Number(readFileSync(mark, 'latin1').split(' ')[0]);
}

describe('how far the log was', () => {
  it('is noted with each commit, and found again', async () => {
    expect(await write(0)).toBeUndefined();
    expect(readFileSync(mark, 'latin1')).toBe('');
    expect(await write(3)).toBeUndefined();
    expect(readFileSync(mark, 'latin1')).toMatch(/^0{15}3 [0-9a-f]{64}\n$/);
    expect(await write(9)).toBeUndefined();
    expect(markedSize()).toBe(12);
    expect(await write(0)).toBeUndefined();
  });

  it('does not matter where it is behind: power was lost before it was written', async () => {
    await write(3);
    const before = readFileSync(mark);
    await write(4);
    writeFileSync(mark, before);
    expect(await write(1)).toBeUndefined();
    expect(markedSize()).toBe(8);
  });

  it('begins anew where there is none', async () => {
    await write(3);
    rmSync(mark);
    expect(await write(1)).toBeUndefined();
    expect(markedSize()).toBe(4);
  });

  it('tells of a shorter log until the database knows of it, however long that has become', async () => {
    await write(3);
    const putBack = keepDatabase();
    await write(4);
    putBack();
    const [, leafHash = ''] = readFileSync(mark, 'latin1').trim().split(' ');
    const lost = { source: `file ${MARK_FILE} ${leafHash}`, size: 7 };
    expect(await write(0)).toMatchObject({ ...lost, message: expect.stringContaining('has 3') as string });
    expect(await write(6)).toMatchObject(lost);
    expect(markedSize()).toBe(7);
    expect(await write(1, undefined, true)).toMatchObject({
      ...lost,
      message: expect.stringContaining('another entry 6') as string,
    });
    expect(markedSize()).toBe(11);
    expect(await write(1)).toBeUndefined();
  });

  it('tells of a second loss at the same size, when the first is known', async () => {
    await write(3);
    const putBack = keepDatabase();
    await write(4);
    putBack();
    const first = await write(3, undefined, true);
    expect(markedSize()).toBe(7);
    const kept = readFileSync(mark);
    // A shorter log, in which the first loss is known.
    putBack();
    writeFileSync(mark, `${'0'.repeat(15)}7 ${first?.source.split(' ').at(-1)}\n`);
    await write(2, undefined, true);
    writeFileSync(mark, kept);
    const second = await write(0);
    expect(second).toMatchObject({ size: 7 });
    expect(second?.source).not.toBe(first?.source);
    await write(1);
    expect(readFileSync(mark)).toEqual(kept);
  });

  it('tells of another log that is as long', async () => {
    await write(2);
    const putBack = keepDatabase();
    await write(2);
    putBack();
    const kept = readFileSync(mark);
    rmSync(mark);
    await write(2, 'service.stopped');
    writeFileSync(mark, kept);
    expect(await write(0)).toMatchObject({ size: 4 });
  });

  it.each(['x', '0000000000000003 abc\n', `${'0'.repeat(16)} ${'0'.repeat(64)}\n`, '\0'.repeat(82)])(
    'stops the start where it is damaged (%j)',
    async (text) => {
      await write(3);
      writeFileSync(mark, text);
      await expect(write(1)).rejects.toMatchObject({ code: 'unprocessable' });
      expect(readFileSync(mark, 'latin1')).toBe(text);
      rmSync(mark);
      expect(await write(1)).toBeUndefined();
    },
  );

  it('is not written once it is closed, also by a flush that was under way', async () => {
    const storage = openSqliteStorage(folder, () => 'example.org/log');
    const log = new AuditLog(storage, SERVICE);
    await log.record({ kind: 'service.started', outcome: 'done' }, () => undefined);
    const last = log.record({ kind: 'service.stopped', outcome: 'done' }, () => undefined);
    await new Promise((resolve) => setImmediate(resolve));
    storage.close();
    // What has its number next.
    const other = path.join(folder, 'other');
    const fds = Array.from({ length: 8 }, () => openSync(other, 'w+'));
    await last.catch(() => undefined);
    expect(readFileSync(other, 'latin1')).toBe('');
    for (const fd of fds) closeSync(fd);
    expect(markedSize()).toBe(1);
  });

  it('is not begun where the database is refused', async () => {
    await write(1);
    rmSync(mark);
    writeFileSync(database, 'no database');
    await expect(write(0)).rejects.toMatchObject({ code: 'unavailable' });
    expect(existsSync(mark)).toBe(false);
  });
});
