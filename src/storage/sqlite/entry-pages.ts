import type { DatabaseSync } from 'node:sqlite';
import { HASH_BYTES } from '../../audit/tree/merkle.ts';
import type { StoredEntry } from '../../audit/stored-entry.ts';

interface PageRow {
  /** Null, like the others, where no entry is left. */
  readonly indexes: string | null;
  readonly lengths: string;
  readonly leaf_hashes: Uint8Array;
  readonly entries: Uint8Array;
}

const PAGE = 256;

/**
 * Entries from an index on, in order, up to an end: for whoever reads all of them. A page is one row with everything
 * joined, because that takes half the time of a row for each entry. Where somebody has changed the table so that parts do
 * not fit each other, what comes out fits its leaf hashes no more.
 */
export function entryPages(db: DatabaseSync): (from: number, end: number) => Generator<StoredEntry[]> {
  const page = db.prepare(`
    SELECT group_concat(idx) AS indexes,
      group_concat(length(entry)) AS lengths,
      cast(group_concat(leaf_hash, '') AS BLOB) AS leaf_hashes,
      cast(group_concat(entry, '') AS BLOB) AS entries
    FROM (SELECT idx, leaf_hash, entry FROM audit_entries WHERE idx >= ? AND idx < ? ORDER BY idx LIMIT ${PAGE})`);

  return function* (from, end) {
    for (let next = from; next < end;) {
      const row = page.get(next, end) as unknown as PageRow;
      if (row.indexes === null) return;
      const entries = split(row.indexes, row);
      yield entries;
      next = (entries.at(-1) as StoredEntry).index + 1;
    }
  };
}

function split(indexes: string, { lengths, leaf_hashes, entries }: PageRow): StoredEntry[] {
  const ends = lengths.split(',').map(Number);
  let at = 0;
  return indexes.split(',').map((index, i) => {
    const start = at;
    at += ends[i] ?? 0;
    const leafHash = leaf_hashes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES);
    return { index: Number(index), leafHash, bytes: entries.subarray(start, at) };
  });
}
