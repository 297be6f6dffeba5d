import type { DatabaseSync } from 'node:sqlite';
import type { CursorReads, CursorWrites } from '../../audit/sinks/cursors.ts';

/** Each write is one statement, and so one commit. */
export function cursorTable(db: DatabaseSync): CursorReads & CursorWrites {
  const all = db.prepare('SELECT name, next FROM sink_cursors');
  const save = db.prepare('INSERT OR REPLACE INTO sink_cursors SELECT key, value FROM json_each(?)');
  const forget = db.prepare('DELETE FROM sink_cursors WHERE name IN (SELECT value FROM json_each(?))');

  return {
    sinkCursors: () => {
      const rows = all.all() as unknown as { name: string; next: number }[];
      return new Map(rows.map(({ name, next }) => [name, next]));
    },
    saveSinkCursors: (cursors) => {
      save.run(JSON.stringify(Object.fromEntries(cursors)));
    },
    forgetSinkCursors: (names) => {
      forget.run(JSON.stringify(names));
    },
  };
}
