import type { DatabaseSync } from 'node:sqlite';
import {
  restoredFromSchema,
  type FenceReads,
  type FenceWrites,
  type RestoredFrom,
} from '../../backup/fence.ts';
import { canonicalize } from '../../jcs.ts';
import { parseWith } from '../../schema.ts';

const MARK = 'restored_from';
const EPOCH = 'fencing_epoch';

export function fenceTable(db: DatabaseSync): FenceReads & FenceWrites {
  const put = db.prepare('INSERT OR REPLACE INTO meta VALUES (?, ?)');
  const remove = db.prepare('DELETE FROM meta WHERE name = ?');
  return {
    ...fenceReads(db),
    takeOver: (epoch) => {
      put.run(EPOCH, String(epoch));
      remove.run(MARK);
    },
  };
}

export function fenceReads(db: DatabaseSync): FenceReads {
  const find = db.prepare('SELECT value FROM meta WHERE name = ?');
  const value = (name: string): string | undefined =>
    (find.get(name) as { value: string } | undefined)?.value;
  return {
    fencingEpoch: () => Number(value(EPOCH) ?? 1),
    restoredFrom: () => {
      const mark = value(MARK);
      return mark === undefined
        ? undefined
        : parseWith(restoredFromSchema, JSON.parse(mark), 'the mark of the restored database');
    },
  };
}

export function setMark(db: DatabaseSync, restored: RestoredFrom): void {
  db.prepare('INSERT OR REPLACE INTO meta VALUES (?, ?)').run(MARK, canonicalize(restored));
}
