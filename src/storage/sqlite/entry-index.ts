import type { DatabaseSync } from 'node:sqlite';
import type { EntryFilter } from '../../audit/stored-entry.ts';

/** Entries in a block: the bits of a bitmap. */
const BLOCK = 1_024;

/** What entries are found by, and the columns that hold it. */
const COLUMNS = {
  principal: 'principal',
  key: 'key_name',
  operation: 'operation',
  effect: 'effect',
  kind: 'kind',
  outcome: 'outcome',
} as const;
type Field = keyof typeof COLUMNS;
const FIELDS = Object.keys(COLUMNS) as Field[];

/** The columns of an entry that it is found by. */
export type IndexedRow = { readonly idx: number } & {
  readonly [field in Field as (typeof COLUMNS)[field]]: string | null;
};

interface Bitmap {
  readonly block: number;
  readonly bits: Uint8Array;
}

/** Indexes from `from` up to but not including `to`. */
export interface IndexRange {
  readonly from: number;
  readonly to: number;
}

/**
 * Finds entries by their fields. An index a column would be written with every entry, in as many places as there are
 * values, and costs more than the entry itself; this one is written once a block: for each value that occurs in it, a
 * bitmap of where. A search ANDs bitmaps, so that its time is bounded by the number of blocks however the values of
 * several fields lie. The entries after the last whole block are looked at one by one.
 */
export interface EntryIndex {
  /** Inside the commit that appended the entry, with the columns that entries are found by. */
  appended(row: IndexedRow): void;
  /** Indexes of the entries that match, in order. */
  find(filter: EntryFilter, range: IndexRange, order: 'asc' | 'desc'): Generator<number, void>;
}

export function entryIndex(db: DatabaseSync): EntryIndex {
  const columns = FIELDS.map((field) => COLUMNS[field]).join(', ');
  const blockRows = db.prepare(`SELECT idx, ${columns} FROM audit_entries WHERE idx >= ? AND idx < ?`);
  const insert = db.prepare('INSERT INTO audit_blocks VALUES (?, ?, ?, ?)');
  const seek = {
    asc: db.prepare(
      'SELECT block, bits FROM audit_blocks WHERE field = ? AND value = ? AND block >= ? ORDER BY block LIMIT 1',
    ),
    desc: db.prepare(
      'SELECT block, bits FROM audit_blocks WHERE field = ? AND value = ? AND block <= ? ORDER BY block DESC LIMIT 1',
    ),
  };
  const last = db.prepare('SELECT max(idx) AS last FROM audit_entries');
  const recent = Array.from<IndexedRow | undefined>({ length: BLOCK });

  /** Blocks in which every wanted value occurs, with where all of them do. */
  function* blocks(
    wanted: readonly (readonly [Field, string])[],
    first: number,
    order: 'asc' | 'desc',
  ): Generator<Bitmap, void> {
    const step = order === 'asc' ? 1 : -1;
    for (let at = first; ;) {
      const found: Uint8Array[] = [];
      for (const [field, value] of wanted) {
        const row = seek[order].get(field, value, at) as Bitmap | undefined;
        if (row === undefined) return;
        if (row.block !== at) {
          at = row.block;
          break;
        }
        found.push(row.bits);
      }
      if (found.length < wanted.length) continue;
      yield { block: at, bits: intersection(found) };
      at += step;
    }
  }

  function* whole(
    wanted: readonly (readonly [Field, string])[],
    { from, to }: IndexRange,
    order: 'asc' | 'desc',
  ): Generator<number, void> {
    if (from >= to) return;
    const first = Math.floor((order === 'asc' ? from : to - 1) / BLOCK);
    for (const { block, bits } of blocks(wanted, first, order)) {
      const start = block * BLOCK;
      if (start >= to || start + BLOCK <= from) return;
      for (const bit of setBits(bits, order)) {
        const index = start + bit;
        if (index >= from && index < to) yield index;
      }
    }
  }

  function* tail(
    wanted: readonly (readonly [Field, string])[],
    { from, to }: IndexRange,
    order: 'asc' | 'desc',
  ): Generator<number, void> {
    if (from >= to) return;
    const rows = blockRows.all(from, to) as unknown as IndexedRow[];
    const matching = rows.filter((row) => wanted.every(([field, value]) => row[COLUMNS[field]] === value));
    for (const { idx } of order === 'asc' ? matching : matching.toReversed()) yield idx;
  }

  return {
    appended: (row) => {
      // One that is undone is overwritten by the next, which has its index.
      recent[row.idx % BLOCK] = row;
      if (row.idx % BLOCK !== BLOCK - 1) return;
      const start = row.idx + 1 - BLOCK;
      // Those from before this process are not at hand.
      const atHand = recent.filter((row) => row !== undefined).filter(({ idx }) => idx >= start);
      const rows =
        atHand.length === BLOCK ? atHand : (blockRows.all(start, row.idx + 1) as unknown as IndexedRow[]);
      for (const field of FIELDS) {
        for (const [value, bits] of bitmapsOf(rows, COLUMNS[field], start)) {
          insert.run(field, value, start / BLOCK, bits);
        }
      }
    },

    *find(filter, range, order) {
      const wanted = FIELDS.flatMap((field) => {
        const value = filter[field];
        return value === undefined ? [] : ([[field, value]] as const);
      });
      const size = ((last.get() as { last: number | null }).last ?? -1) + 1;
      const indexed = size - (size % BLOCK);
      const older = { from: range.from, to: Math.min(range.to, indexed) };
      const newer = { from: Math.max(range.from, indexed), to: Math.min(range.to, size) };
      if (order === 'asc') yield* whole(wanted, older, order);
      yield* tail(wanted, newer, order);
      if (order === 'desc') yield* whole(wanted, older, order);
    },
  };
}

function bitmapsOf(
  rows: readonly IndexedRow[],
  column: (typeof COLUMNS)[Field],
  start: number,
): Map<string, Uint8Array> {
  const bitmaps = new Map<string, Uint8Array>();
  for (const row of rows) {
    const value = row[column];
    if (value === null) continue;
    let bits = bitmaps.get(value);
    if (bits === undefined) bitmaps.set(value, (bits = new Uint8Array(BLOCK / 8)));
    const bit = row.idx - start;
    bits[bit >> 3] = (bits[bit >> 3] ?? 0) | (1 << (bit & 7));
  }
  return bitmaps;
}

function intersection(bitmaps: readonly Uint8Array[]): Uint8Array {
  const bits = new Uint8Array(BLOCK / 8).fill(0xff);
  for (const bitmap of bitmaps)
    for (let i = 0; i < bits.length; i++) bits[i] = (bits[i] ?? 0) & (bitmap[i] ?? 0);
  return bits;
}

function* setBits(bits: Uint8Array, order: 'asc' | 'desc'): Generator<number, void> {
  for (let i = 0; i < BLOCK; i++) {
    const bit = order === 'asc' ? i : BLOCK - 1 - i;
    if (((bits[bit >> 3] ?? 0) & (1 << (bit & 7))) !== 0) yield bit;
  }
}
