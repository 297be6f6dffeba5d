import type { DatabaseSync } from 'node:sqlite';
import { CountersignError } from '../../errors.ts';
import type { EntryWrites } from '../../audit/log-storage.ts';
import { TILE_WIDTH } from '../../audit/tree/tiles.ts';
import type { TreeReads } from '../../audit/stored-entry.ts';

interface NodeRow {
  idx: number;
  hash: Uint8Array;
}

/** The hashes of tiles: those of level 0 are the entries' own, those above were kept with the entries that completed them. */
export function treeNodes(db: DatabaseSync): TreeReads & Pick<EntryWrites, 'keepNode'> {
  const leaves = db.prepare(
    'SELECT idx, leaf_hash AS hash FROM audit_entries WHERE idx >= ? AND idx < ? ORDER BY idx',
  );
  const nodes = db.prepare(
    'SELECT idx, hash FROM audit_nodes WHERE level = ? AND idx >= ? AND idx < ? ORDER BY idx',
  );
  const insert = db.prepare('INSERT INTO audit_nodes VALUES (?, ?, ?)');

  return {
    nodes: (level, from, count) => {
      const rows = (level === 0
        ? leaves.all(from, from + count)
        : nodes.all(level, from, from + count)) as unknown as NodeRow[];
      // What stands after a gap is not where it would be taken to be.
      const gap = rows.findIndex(({ idx }, at) => idx !== from + at);
      return Buffer.concat((gap === -1 ? rows : rows.slice(0, gap)).map(({ hash }) => hash));
    },
    keepNode: (level, index, hash) => {
      insert.run(level, index, hash);
    },
  };
}

/** For each level from 1 on, how many nodes are kept, or would be if there were no gaps. */
export function nodeCounts(db: DatabaseSync): number[] {
  const rows = db.prepare('SELECT level, max(idx) + 1 AS count FROM audit_nodes GROUP BY level').all();
  const counts: number[] = [];
  for (const { level, count } of rows as unknown as { level: number; count: number }[]) counts[level] = count;
  return Array.from(counts, (count) => count ?? 0).slice(1);
}

/** Whether as many nodes are kept as a log of this size completes, at the same cost for any size. Throws `unprocessable`. */
export function checkTreeNodes(db: DatabaseSync, size: number): void {
  const end = db.prepare('SELECT coalesce(max(idx) + 1, 0) AS count FROM audit_nodes WHERE level = ?');
  for (let level = 1, expected = size; level === 1 || expected > 0; level++) {
    expected = Math.floor(expected / TILE_WIDTH);
    const { count } = end.get(level) as { count: number };
    if (count === expected) continue;
    throw new CountersignError(
      'unprocessable',
      `the tree of the audit log was changed from outside: at level ${level} it has ${count} nodes, and ${size} entries ` +
        `make ${expected}; nothing is started on it. Look with audit verify --data, and restore a backup`,
    );
  }
}
