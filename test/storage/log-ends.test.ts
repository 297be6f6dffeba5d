import { mkdtempSync, rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AuditLog } from '../../src/audit/log.ts';
import { verifyLog } from '../../src/audit/verify/log.ts';
import { DATABASE_FILE } from '../../src/storage/sqlite/database.ts';
import { openLogReader } from '../../src/storage/sqlite/log-reader.ts';
import { openSqliteStorage } from '../../src/storage/sqlite/storage.ts';
import { notary } from '../audit/memory-log.ts';
import { SERVICE } from '../audit/memory-log.ts';

const owner = notary('example.org/log');
let folder: string;

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'log-ends-'));
  const storage = openSqliteStorage(folder, () => 'example.org/log');
  const log = new AuditLog(storage, SERVICE);
  for (let i = 0; i < 9; i++) {
    await log.record({ kind: 'service.started', outcome: 'done' }, () => undefined);
    if (i % 4 === 0) storage.saveCheckpoint({ size: log.size, note: owner.note(log.size, log.tree.root()) });
  }
  storage.close();
});

afterEach(() => rmSync(folder, { recursive: true }));

function damage(sql: string): void {
  const db = new DatabaseSync(path.join(folder, DATABASE_FILE));
  db.exec(sql);
  db.close();
}

function start(): void {
  openSqliteStorage(folder, () => 'unused').close();
}

async function verify(): Promise<unknown> {
  const log = openLogReader(folder);
  try {
    return await verifyLog(log.source, { vkey: owner.vkey });
  } finally {
    log.close();
  }
}

describe('the ends of the log', () => {
  it('fit where nobody has touched it, and where it is empty', async () => {
    start();
    expect(await verify()).toMatchObject({ ok: true, size: 9 });
    damage('DELETE FROM audit_entries; DELETE FROM audit_head; DELETE FROM checkpoints');
    start();
    expect(await verify()).toMatchObject({ ok: true, size: 0 });
  });

  it.each([
    ['the last entries and the checkpoints above', 'idx >= 7', 'size > 7', 7],
    ['all but the first checkpoint’s entry', 'idx >= 1', 'size > 1', 1],
    ['all of them', 'true', 'true', 0],
  ])('show that %s are gone', async (_name, entries, checkpoints, index) => {
    damage(`DELETE FROM audit_entries WHERE ${entries}; DELETE FROM checkpoints WHERE ${checkpoints}`);
    expect(await verify()).toMatchObject({
      ok: false,
      firstBad: { index, through: 8, problem: 'head_mismatch' },
    });
    expect(start).toThrow(/changed from outside: it has .*, its head counts 9 and/);
    // The directory is free again.
    expect(start).toThrow(expect.objectContaining({ code: 'unprocessable' }) as Error);
  });

  it.each([
    ['the head is gone', 'DELETE FROM audit_head', 'head_mismatch'],
    ['the first entry is gone', 'DELETE FROM audit_entries WHERE idx = 0', 'index_gap'],
    [
      'an entry was added',
      'CREATE TEMP TABLE more AS SELECT * FROM audit_entries WHERE idx = 8; UPDATE more SET idx = 9; INSERT INTO audit_entries SELECT * FROM more',
      'entry_index',
    ],
    [
      'entries and head are gone, and a checkpoint is not',
      'DELETE FROM audit_entries; DELETE FROM audit_head',
      'log_cut',
    ],
  ])('show that %s', async (_name, sql, problem) => {
    damage(sql);
    expect(await verify()).toMatchObject({ ok: false, firstBad: { problem } });
    expect(start).toThrow(expect.objectContaining({ code: 'unprocessable' }) as Error);
  });
});
