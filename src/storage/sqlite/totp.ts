import type { DatabaseSync } from 'node:sqlite';
import { USED, type Totp, type TotpReads, type TotpWrites } from '../../approvals/second-factor.ts';
import { CountersignError } from '../../errors.ts';

interface TotpRow {
  principal_id: string;
  sealed: Uint8Array;
  confirmed_at: string | null;
  last_step: number | null;
  created_at: string;
}

export function totpTable(db: DatabaseSync): TotpReads & TotpWrites {
  const find = db.prepare('SELECT * FROM totp WHERE principal_id = ?');
  const insert = db.prepare(
    `INSERT INTO totp (principal_id, sealed, confirmed_at, last_step, created_at) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT (principal_id) DO UPDATE SET
       sealed = excluded.sealed, confirmed_at = excluded.confirmed_at,
       last_step = excluded.last_step, created_at = excluded.created_at
     WHERE confirmed_at IS NULL`,
  );
  const confirm = db.prepare(
    'UPDATE totp SET confirmed_at = ? WHERE principal_id = ? AND sealed = ? AND confirmed_at IS NULL',
  );
  const use = db.prepare(
    `UPDATE totp SET last_step = ?
     WHERE principal_id = ? AND sealed = ? AND confirmed_at IS NOT NULL AND coalesce(last_step, -1) < ?`,
  );
  const remove = db.prepare('DELETE FROM totp WHERE principal_id = ?');

  const totp = (principalId: string): Totp | undefined => {
    const row = find.get(principalId) as TotpRow | undefined;
    return row === undefined ? undefined : toTotp(row);
  };

  return {
    totp,

    insertTotp: ({ principalId, sealed, confirmedAt, lastStep, createdAt }) => {
      const values = [confirmedAt ?? null, lastStep ?? null, createdAt] as const;
      if (insert.run(principalId, sealed, ...values).changes !== 1) throw changed();
    },

    confirmTotp: (principalId, sealed, time) => {
      if (confirm.run(time, principalId, sealed).changes !== 1) throw changed();
    },

    useTotpStep: (principalId, sealed, step) => {
      if (use.run(step, principalId, sealed, step).changes === 1) return;
      const found = totp(principalId);
      const same = found?.confirmedAt !== undefined && Buffer.compare(found.sealed, sealed) === 0;
      throw same ? new CountersignError('forbidden', USED) : changed();
    },

    deleteTotp: (principalId) => {
      if (remove.run(principalId).changes !== 1) {
        throw new CountersignError('conflict', 'this principal has no second factor');
      }
    },
  };
}

function changed(): CountersignError {
  return new CountersignError('conflict', 'the second factor was changed at the same time: try again');
}

function toTotp(row: TotpRow): Totp {
  return {
    principalId: row.principal_id,
    sealed: row.sealed,
    createdAt: row.created_at,
    ...(row.confirmed_at !== null && { confirmedAt: row.confirmed_at }),
    ...(row.last_step !== null && { lastStep: row.last_step }),
  };
}
