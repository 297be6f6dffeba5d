import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import { CountersignError } from '../../errors.ts';
import { isOver, type Rotation, type RotationReads, type RotationWrites } from '../../rotation/rotation.ts';
import { isUniqueViolation } from './database.ts';

interface RotationRow {
  body: string;
}

/** The whole rotation is JSON; the columns beside it are what it is found by. */
export function rotationTable(db: DatabaseSync): Omit<RotationReads, 'newestNonces'> & RotationWrites {
  const byId = db.prepare('SELECT body FROM rotations WHERE id = ?');
  const open = db.prepare('SELECT body FROM rotations WHERE open = 1 ORDER BY seq');
  const openOfKey = db.prepare('SELECT body FROM rotations WHERE open = 1 AND key_id = ?');
  const insert = db.prepare(
    'INSERT INTO rotations (id, key_id, key_name, state, open, revision, body) VALUES (?, ?, ?, ?, ?, ?, ?)',
  );
  const save = db.prepare(
    'UPDATE rotations SET state = ?, open = ?, revision = ?, body = ? WHERE id = ? AND revision = ?',
  );
  const scopes = db.prepare('SELECT DISTINCT scope FROM limit_usage WHERE limit_name = ? AND ends > ?');

  return {
    rotation: (id) => toRotation(byId.get(id)),

    rotations: ({ keyName, state, before, limit }) => {
      const conditions = ['true'];
      const given: SQLInputValue[] = [];
      if (keyName !== undefined) {
        conditions.push('key_name = ?');
        given.push(keyName);
      }
      if (state !== undefined) {
        conditions.push('state = ?');
        given.push(state);
      }
      if (before !== undefined) {
        conditions.push('seq < (SELECT seq FROM rotations WHERE id = ?)');
        given.push(before);
      }
      const sql = `SELECT body FROM rotations WHERE ${conditions.join(' AND ')} ORDER BY seq DESC LIMIT ?`;
      return toRotations(db.prepare(sql).all(...given, limit));
    },

    openRotations: () => toRotations(open.all()),
    openRotationOf: (keyId) => toRotation(openOfKey.get(keyId)),

    usedScopes: (limit, time) => (scopes.all(limit, time) as { scope: string }[]).map(({ scope }) => scope),

    insertRotation: (rotation) => {
      const { id, key, state, revision } = rotation;
      const isOpen = isOver(rotation) ? 0 : 1;
      try {
        insert.run(id, key.id, key.name, state, isOpen, revision, JSON.stringify(rotation));
      } catch (error) {
        throw isUniqueViolation(error)
          ? new CountersignError('conflict', `key ${key.name} is being rotated already`)
          : error;
      }
    },

    saveRotation: (before, after) => {
      const { state, revision, id } = after;
      const values = [state, isOver(after) ? 0 : 1, revision, JSON.stringify(after)] as const;
      if (save.run(...values, id, before.revision).changes !== 1)
        throw new CountersignError('conflict', `rotation ${id} has been changed meanwhile`);
    },
  };
}

function toRotation(row: unknown): Rotation | undefined {
  return row === undefined ? undefined : (JSON.parse((row as RotationRow).body) as Rotation);
}

function toRotations(rows: readonly unknown[]): Rotation[] {
  return (rows as readonly RotationRow[]).map(({ body }) => JSON.parse(body) as Rotation);
}
