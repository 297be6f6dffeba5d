import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CountersignError } from '../../src/errors.ts';
import { Damage, damageIn } from '../../src/storage/sqlite/damage.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'damage-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function failureOf(file: string, sql: string): unknown {
  const db = new DatabaseSync(file);
  try {
    db.prepare(sql).all();
  } catch (error) {
    return error;
  } finally {
    db.close();
  }
  throw new Error('it did not fail');
}

function readBroken(): unknown {
  const file = path.join(folder, 'broken.db');
  const made = new DatabaseSync(file);
  made.exec('CREATE TABLE t (x); INSERT INTO t VALUES (1)');
  made.close();
  const fd = openSync(file, 'r+');
  // The second page, that of the table, as no type of page that there is.
  writeSync(fd, Buffer.of(0x55), 0, 1, 4_096);
  closeSync(fd);
  return failureOf(file, 'SELECT x FROM t');
}

function readOther(): unknown {
  const file = path.join(folder, 'other.db');
  writeFileSync(file, 'not a database, and long enough to be looked at'.repeat(99));
  return failureOf(file, 'SELECT 1 FROM sqlite_schema');
}

function breakRule(): unknown {
  const file = path.join(folder, 'good.db');
  const made = new DatabaseSync(file);
  made.exec('CREATE TABLE IF NOT EXISTS t (x UNIQUE); INSERT OR IGNORE INTO t VALUES (1)');
  made.close();
  return failureOf(file, 'INSERT INTO t VALUES (1)');
}

describe('damage', () => {
  it('is a page that cannot be one, and a file that is no database; a rule that was broken is not', () => {
    for (const error of [readBroken(), readOther()]) expect(damageIn(error)).toBe(error);
    for (const error of [breakRule(), new Error('malformed'), undefined, null, 11])
      expect(damageIn(error)).toBeUndefined();
  });

  it('is found behind the errors that others have made of it', () => {
    const broken = readBroken();
    const once = new CountersignError('internal', 'the row cannot be read', [], broken);
    expect(damageIn(new Error('failed', { cause: once }))).toBe(broken);
    expect(damageIn(new Error('failed', { cause: breakRule() }))).toBeUndefined();
    const circle = new Error('failed');
    circle.cause = circle;
    expect(damageIn(circle)).toBeUndefined();
  });

  it('is told once, and holds', () => {
    const told: string[] = [];
    const damage = new Damage((reason) => told.push(reason));
    damage.look(breakRule());
    expect(damage.hindrance).toBeUndefined();
    damage.look(readBroken());
    damage.look(readOther());
    expect(told).toEqual([damage.hindrance]);
    expect(damage.hindrance).toContain('malformed');
  });
});
