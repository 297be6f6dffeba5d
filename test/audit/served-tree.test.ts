import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AuditLog } from '../../src/audit/log.ts';
import { ServedTree } from '../../src/audit/served-tree.ts';
import type { StoredCheckpoint } from '../../src/audit/stored-entry.ts';
import { parseBundle } from '../../src/audit/tree/tiles.ts';
import { verifyProof } from '../../src/audit/verify/proof.ts';
import { DATABASE_FILE } from '../../src/storage/sqlite/database.ts';
import { openSqliteStorage, type Storage } from '../../src/storage/sqlite/storage.ts';
import { notary, SERVICE } from './memory-log.ts';

/** The example of the tlog-tiles specification: full and partial tiles at three levels. */
const SIZE = 70_000;
const CHECKPOINTS = new Set([1, 255, 256, 257, 65_535, 65_536, 65_537, SIZE]);

const owner = notary('example.org/log');
const checkpoints: StoredCheckpoint[] = [];
let folder: string;
let storage: Storage;
let tree: ServedTree;
let entries: Buffer[];
let leaves: Buffer[];

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'served-tree-'));
  storage = openSqliteStorage(folder, () => 'example.org/log');
  const log = new AuditLog(storage, SERVICE);
  // Entries share commits, and single ones complete subtrees in the middle of one.
  while (log.size < SIZE) {
    const next = Math.min(...[...CHECKPOINTS].filter((size) => size > log.size));
    const count = Math.min(500, next - log.size);
    await Promise.all(
      Array.from({ length: count }, (_, i) =>
        log.record({ kind: 'sign', outcome: 'denied', requestId: `r${log.size + i}` }, () => undefined),
      ),
    );
    if (CHECKPOINTS.has(log.size))
      checkpoints.push({ size: log.size, note: owner.note(log.size, log.tree.root()) });
  }
  entries = storage.reads.entries({ from: 0, limit: SIZE }).map(({ bytes }) => Buffer.from(bytes));
  leaves = entries.map((entry) => sha256(Buffer.of(0), entry));
  tree = new ServedTree(() => log.size, storage.reads);
});

afterAll(() => {
  storage.close();
  rmSync(folder, { recursive: true });
});

/* RFC 6962 §2.1, from Node's streaming hash: nothing shared with the implementation. */
function sha256(...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

function mth(from: number, to: number): Buffer {
  if (to - from === 1) return leaves[from]!;
  let k = 1;
  while (2 * k < to - from) k *= 2;
  return sha256(Buffer.of(1), mth(from, from + k), mth(from + k, to));
}

/** The n-th tile at level l as the specification defines it. */
function definedTile(level: number, index: number, width: number): Buffer {
  const span = 256 ** level;
  const first = index * 256;
  return Buffer.concat(
    Array.from({ length: width }, (_, i) => mth((first + i) * span, (first + i + 1) * span)),
  );
}

/** Does something to the database from outside, looks, and undoes it. */
function withDamage(damage: string, undo: string, look: () => void): void {
  const db = new DatabaseSync(path.join(folder, DATABASE_FILE));
  try {
    db.exec(damage);
    look();
  } finally {
    db.exec(undo);
    db.close();
  }
}

describe('the tree that is served', () => {
  it.each([
    ...[0, 1, 255, 256, 272].map((index) => [0, index, 256] as const),
    [0, 273, 112],
    [0, 0, 1],
    [0, 255, 255],
    [0, 273, 50],
    [1, 0, 256],
    [1, 0, 255],
    [1, 1, 17],
    [2, 0, 1],
  ] as const)('has tile %i/%i, %i wide, as defined over its leaves', (level, index, width) => {
    expect(tree.tile(level, { index, width }).equals(definedTile(level, index, width))).toBe(true);
  });

  it.each([
    [0, 273, 113, /only the first 112/],
    [0, 273, 256, /only the first 112/],
    [0, 274, 1, /no such tile/],
    [1, 1, 18, /only the first 17/],
    [2, 0, 2, /only the first 1 /],
    [3, 0, 1, /no such tile/],
    [63, 0, 1, /no such tile/],
    [0, 2 ** 53 - 1, 256, /no such tile/],
  ])('has no tile %i/%i, %i wide', (level, index, width, message) => {
    expect(() => tree.tile(level, { index, width })).toThrow(message);
    expect(() => tree.tile(level, { index, width })).toThrow(
      expect.objectContaining({ code: 'not_found' }) as Error,
    );
  });

  it('has bundles of the entries that the tiles of level 0 are hashes of', () => {
    for (const [index, width] of [
      [0, 256],
      [255, 256],
      [256, 1],
      [273, 112],
    ] as const) {
      const bundle = parseBundle(tree.bundle({ index, width }), width);
      expect(bundle.every((entry, i) => entry.equals(entries[index * 256 + i]!))).toBe(true);
      const hashes = Buffer.concat(bundle.map((entry) => sha256(Buffer.of(0), entry)));
      expect(hashes.equals(tree.tile(0, { index, width }))).toBe(true);
    }
    expect(() => tree.bundle({ index: 273, width: 113 })).toThrow(/only the first 112/);
  });

  it('proves entries against checkpoints at the edges of tiles', () => {
    expect(checkpoints.map(({ size }) => size)).toEqual([...CHECKPOINTS]);
    for (const checkpoint of checkpoints) {
      const { size } = checkpoint;
      const indexes = [0, 1, 254, 255, 256, 300, 65_535, 65_536, 69_999, size - 1, Math.floor(size / 3)];
      for (const index of indexes.filter((at) => at < size)) {
        const proven = verifyProof(tree.proof(index, checkpoint), { entry: entries[index]! }, owner.vkey);
        expect(proven).toMatchObject({ index, size });
      }
    }
    expect(() => tree.proof(300, checkpoints[0]!)).toThrow(/size 1 has no leaf 300/);
    expect(() => tree.proof(SIZE, checkpoints[0]!)).toThrow(/no entry 70000/);
  });

  it('gives out no proof that does not hold, after a bit of a stored hash was flipped', () => {
    const newest = checkpoints.at(-1)!;
    const flip = (value: string): string =>
      `UPDATE audit_nodes SET hash = unhex('${value}') WHERE level = 1 AND idx = 3`;
    const good = mth(768, 1024);
    const bad = Buffer.from(good);
    bad[31]! ^= 1;
    withDamage(flip(bad.toString('hex')), flip(good.toString('hex')), () => {
      // Entry 600 has the subtree of entries 768 to 1,023 in its path; entry 800 has its own in place of it.
      expect(() => tree.proof(600, newest)).toThrow(/do not lead from entry 600 to the checkpoint of 70000/);
      expect(() => tree.proof(600, newest)).toThrow(expect.objectContaining({ code: 'internal' }) as Error);
      verifyProof(tree.proof(800, newest), { entry: entries[800]! }, owner.vkey);
    });
    verifyProof(tree.proof(600, newest), { entry: entries[600]! }, owner.vkey);
  });

  it('says what is missing, after a stored hash or an entry was deleted', () => {
    const newest = checkpoints.at(-1)!;
    const row = 'WHERE level = 1 AND idx = 3';
    withDamage(
      `CREATE TABLE aside AS SELECT * FROM audit_nodes ${row}; DELETE FROM audit_nodes ${row}`,
      'INSERT INTO audit_nodes SELECT * FROM aside; DROP TABLE aside',
      () => {
        expect(() => tree.proof(600, newest)).toThrow(/lacks the hash of entries 768 to 1023/);
        expect(() => tree.tile(1, { index: 0, width: 256 })).toThrow(/tile 0 of level 1 lacks a hash/);
      },
    );
    withDamage(
      'CREATE TABLE aside AS SELECT * FROM audit_entries WHERE idx = 300; DELETE FROM audit_entries WHERE idx = 300',
      'INSERT INTO audit_entries SELECT * FROM aside; DROP TABLE aside',
      () => {
        expect(() => tree.bundle({ index: 1, width: 256 })).toThrow(/entries 256 to 511 are not all there/);
        expect(() => tree.tile(0, { index: 1, width: 256 })).toThrow(/tile 1 of level 0 lacks a hash/);
      },
    );
    expect(tree.tile(0, { index: 1, width: 256 }).equals(definedTile(0, 1, 256))).toBe(true);
  });
});

describe('a start', () => {
  const open = (): void => openSqliteStorage(folder, () => 'unused').close();

  it('goes on with the tree that is stored, and is refused where it is not all there', () => {
    storage.close();
    open();
    for (const [level, node] of [
      [1, 272],
      [2, 0],
    ] as const) {
      const row = `WHERE level = ${level} AND idx = ${node}`;
      withDamage(
        `CREATE TABLE aside AS SELECT * FROM audit_nodes ${row}; DELETE FROM audit_nodes ${row}`,
        'INSERT INTO audit_nodes SELECT * FROM aside; DROP TABLE aside',
        () => {
          expect(open).toThrow(`at level ${level} it has`);
          expect(open).toThrow(expect.objectContaining({ code: 'unprocessable' }) as Error);
        },
      );
    }
    withDamage(
      "INSERT INTO audit_nodes VALUES (3, 0, x'00')",
      'DELETE FROM audit_nodes WHERE level = 3',
      () => expect(open).toThrow(/at level 3 it has 1 nodes, and 70000 entries make 0/),
    );
    storage = openSqliteStorage(folder, () => 'unused');
  });
});
