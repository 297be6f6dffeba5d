import type { DatabaseSync } from 'node:sqlite';
import type { UsageReads, UsageWrites } from '../../policy/ledger.ts';
import type { DeniedIntent, DeniedReads, DeniedWrites } from '../../signer/denied.ts';

interface UsageRow {
  starts: number;
  ends: number;
  amount: string;
}

/** Beside the log's commits, like all cleaning up. */
export interface UsageCleanup {
  /** Forgets the buckets that ended at `time` (milliseconds) or before. */
  forgetUsageBefore(time: number): void;
}

export function usageTable(db: DatabaseSync): UsageReads & UsageWrites & UsageCleanup {
  const after = db.prepare(
    'SELECT starts, ends, amount FROM limit_usage WHERE limit_name = ? AND scope = ? AND ends > ? ORDER BY ends',
  );
  const newest = db.prepare('SELECT max(starts) AS starts FROM limit_usage');
  const find = db.prepare(
    'SELECT amount FROM limit_usage WHERE limit_name = ? AND scope = ? AND ends = ? AND starts = ?',
  );
  const save = db.prepare('INSERT OR REPLACE INTO limit_usage VALUES (?, ?, ?, ?, ?)');
  const forget = db.prepare('DELETE FROM limit_usage WHERE ends <= ?');

  return {
    usage: (limit, scope, time) =>
      (after.all(limit, scope, time) as unknown as UsageRow[]).map(({ starts, ends, amount }) => ({
        start: starts,
        end: ends,
        amount: BigInt(amount),
      })),

    newestUsage: () => (newest.get() as { starts: number | null }).starts ?? undefined,

    addUsage: ({ limit, scope, start, end, amount }) => {
      const row = find.get(limit, scope, end, start) as { amount: string } | undefined;
      const sum = BigInt(row?.amount ?? 0) + amount;
      save.run(limit, scope, end, start, sum.toString());
    },

    forgetUsageBefore: (time) => {
      forget.run(time);
    },
  };
}

export function deniedTable(db: DatabaseSync): DeniedReads & DeniedWrites {
  const find = db.prepare(
    'SELECT operation, entry FROM denied_digests WHERE digest = ? ORDER BY entry DESC LIMIT 1',
  );
  const save = db.prepare('INSERT OR REPLACE INTO denied_digests VALUES (?, ?, ?, ?)');
  const forget = db.prepare('DELETE FROM denied_digests WHERE digest = ? AND key_id = ?');

  return {
    deniedDigest: (digest) => find.get(digest) as DeniedIntent | undefined,
    rememberDenied: (keyId, digest, { operation, entry }) => {
      save.run(digest, keyId, operation, entry);
    },
    forgetDenied: (keyId, digest) => {
      forget.run(digest, keyId);
    },
  };
}
