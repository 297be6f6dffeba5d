import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { atOnce, DATABASE_FILE, openForReading, openForWriting } from '../../src/storage/sqlite/database.ts';
import type { KeyFilter } from '../../src/keystore/keys.ts';
import { MIGRATIONS } from '../../src/storage/sqlite/schema.ts';
import { keyTables } from '../../src/storage/sqlite/keys.ts';
import { nonceTable } from '../../src/storage/sqlite/signing.ts';

let folder: string;

beforeEach(() => {
  folder = path.join(mkdtempSync(path.join(tmpdir(), 'database-')), 'data');
});

afterEach(() => rmSync(path.dirname(folder), { recursive: true }));

describe('the database', () => {
  it('is private, and commits to a log that is flushed on its own', async () => {
    const { db, flush, close } = openForWriting(folder);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(statSync(path.join(folder, DATABASE_FILE)).mode & 0o777).toBe(0o600);
    expect(db.prepare('PRAGMA journal_mode').get()).toEqual({ journal_mode: 'wal' });
    // 1 is NORMAL, 2 is FULL.
    expect(db.prepare('PRAGMA synchronous').get()).toEqual({ synchronous: 1 });
    expect(atOnce(db, () => db.prepare('PRAGMA synchronous').get())).toEqual({ synchronous: 2 });
    expect(db.prepare('PRAGMA synchronous').get()).toEqual({ synchronous: 1 });
    await flush();
    // Nothing is closed under a flush that is under way.
    const last = flush();
    close();
    await last;
    await expect(flush()).rejects.toThrow('closed');
  });

  it('has one writer; the second is told whose fault it is', () => {
    const { close } = openForWriting(folder);
    expect(() => openForWriting(folder)).toThrow(
      /another countersign process is running on the data directory/,
    );
    close();
    openForWriting(folder).close();
  });

  it('can be read while it is written', () => {
    const writer = openForWriting(folder);
    const reader = openForReading(folder);
    writer.db.exec("INSERT INTO meta VALUES ('a', 'b')");
    expect(reader.db.prepare('SELECT value FROM meta').get()).toEqual({ value: 'b' });
    expect(() => reader.db.exec('DELETE FROM meta')).toThrow(/readonly/);
    reader.close();
    writer.close();
  });

  it('is not opened while a reader keeps from it what was committed before', () => {
    const before = openForWriting(folder);
    const reader = openForReading(folder);
    reader.db.exec('BEGIN');
    reader.db.prepare('SELECT * FROM meta').all();
    before.db.exec("INSERT INTO meta VALUES ('c', 'd')");
    before.close();
    expect(() => openForWriting(folder)).toThrow(/another process reads .* start again/);
    reader.db.exec('COMMIT');
    const after = openForWriting(folder);
    expect(after.db.prepare("SELECT value FROM meta WHERE name = 'c'").get()).toEqual({ value: 'd' });
    reader.close();
    after.close();
  }, 30_000);

  it('is not opened by an older version, nor read where there is none', () => {
    openForWriting(folder).close();
    const db = new DatabaseSync(path.join(folder, DATABASE_FILE));
    db.exec('PRAGMA user_version = 999');
    db.close();
    expect(() => openForWriting(folder)).toThrow(/newer version/);
    expect(() => openForReading(path.join(folder, 'nothing'))).toThrow(/no readable database/);
  });

  it('says which directory or file it cannot use', () => {
    expect(() => openForWriting(path.join(folder, 'not', 'there'))).toThrow(
      /data directory .*not\/there cannot be made/,
    );
    expect(() => openForWriting('/proc/nope')).toThrow(/data directory \/proc\/nope cannot be made/);
    openForWriting(folder).close();
    const file = path.join(folder, DATABASE_FILE);
    expect(() => openForWriting(file)).toThrow(/it is a file/);
    writeFileSync(file, 'not a database, whatever its name says'.repeat(100));
    expect(() => openForWriting(folder)).toThrow(/countersign\.db cannot be opened: file is not a database/);
  });

  it('brings the nonces of an older version into their order', () => {
    mkdirSync(folder);
    const old = new DatabaseSync(path.join(folder, DATABASE_FILE));
    old.exec(`${MIGRATIONS[0]}; PRAGMA user_version = 1`);
    const insert = old.prepare("INSERT INTO nonces VALUES ('k', 1, '5', ?, 'd', 'e', '1', '2', 0, '[]')");
    for (const nonce of ['0', '9', '10', '18446744073709551614']) insert.run(nonce);
    old.close();
    const { db, close } = openForWriting(folder);
    const nonces = nonceTable(db);
    const account = { keyId: 'k', version: 1, chainId: '5' };
    expect(nonces.newestNonce(account)).toBe('18446744073709551614');
    expect(nonces.nonceClaim({ ...account, nonce: '9' })).toMatchObject({ digest: 'd', maxFee: 1n });
    expect(nonces.nonceClaim({ ...account, nonce: '0' })).toMatchObject({ effects: 'e' });
    expect(nonces.nonceClaim({ ...account, nonce: '1' })).toBeUndefined();
    close();
  });

  it('reads what an older version was charging for a nonce', () => {
    mkdirSync(folder);
    const old = new DatabaseSync(path.join(folder, DATABASE_FILE));
    old.exec(`${MIGRATIONS.slice(0, 3).join(';')}; PRAGMA user_version = 3`);
    const most = 2n ** 256n - 1n;
    const charges = [
      { limit: 'day "1"', scope: 'hot/1', start: 60_000, end: 120_000, amount: most },
      { limit: 'hour', scope: '-', start: 1_764_268_200_000, end: 1_764_268_500_000, amount: 7n },
    ];
    const json = JSON.stringify(charges.map((charge) => ({ ...charge, amount: `${charge.amount}` })));
    const insert = old.prepare("INSERT INTO nonces VALUES ('k', 1, '5', ?, 'd', 'e', '1', '2', 0, ?)");
    insert.run('7'.padStart(20, '0'), json);
    insert.run('8'.padStart(20, '0'), '[]');
    old.close();
    const { db, close } = openForWriting(folder);
    const nonces = nonceTable(db);
    const account = { keyId: 'k', version: 1, chainId: '5' };
    expect(nonces.nonceClaim({ ...account, nonce: '7' })?.charges).toEqual(charges);
    expect(nonces.nonceClaim({ ...account, nonce: '8' })?.charges).toEqual([]);
    close();
  });

  it('finds the keys of an older version by tag, state and schedule', () => {
    mkdirSync(folder);
    const old = new DatabaseSync(path.join(folder, DATABASE_FILE));
    old.exec(`${MIGRATIONS[0]}; ${MIGRATIONS[1]}; PRAGMA user_version = 2`);
    old.exec(`
      INSERT INTO keys VALUES ('1', 'hot', '["a","b","a"]', 't', 2, 0, 0, NULL), ('2', 'cold', '["b"]', 't', 1, 0, 0, '{"everyDays":1}');
      INSERT INTO key_versions (key_id, version, address, public_key, state, origin, created_at, sealed)
        VALUES ('1', 1, '0x1', '0x', 'disabled', 'generated', 't', x''), ('1', 2, '0x2', '0x', 'enabled', 'generated', 't', x''),
               ('2', 1, '0x3', '0x', 'enabled', 'generated', 't', x'');`);
    old.close();
    const { db, close } = openForWriting(folder);
    const keys = keyTables(db);
    const found = (filter: KeyFilter): string[] => keys.findKeys(filter, '', 9).map(({ name }) => name);
    expect(found({})).toEqual(['cold', 'hot']);
    expect(found({ tag: 'a' })).toEqual(['hot']);
    expect(found({ tag: 'b' })).toEqual(['cold', 'hot']);
    expect(found({ state: 'disabled' })).toEqual(['hot']);
    expect(found({ address: '0x2' })).toEqual(['hot']);
    expect(keys.scheduledKeys()).toEqual(['cold']);
    close();
  });

  it('takes each migration once', () => {
    openForWriting(folder).close();
    const { db, close } = openForWriting(folder);
    expect(db.prepare('PRAGMA user_version').get()).toEqual({ user_version: MIGRATIONS.length });
    close();
  });
});
