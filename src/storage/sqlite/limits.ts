import type { DatabaseSync } from 'node:sqlite';
import type { Charged, UsageReads, UsageWrites } from '../../policy/ledger.ts';
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

/** What the transaction under way has added to buckets. */
export interface UsageSums {
  /** Writes it, once for each bucket: at the end of the transaction. */
  write(): void;
  /** How much was added, to go back to. */
  mark(): number;
  /** Takes back what was added since. */
  undo(mark: number): void;
}

/** What the signatures of one commit add to a bucket is written once: they have most buckets in common. */
export function usageTable(
  db: DatabaseSync,
): UsageReads & UsageWrites & UsageCleanup & { readonly sums: UsageSums } {
  const after = db.prepare(
    'SELECT starts, ends, amount FROM limit_usage WHERE limit_name = ? AND scope = ? AND ends > ? ORDER BY ends',
  );
  const newest = db.prepare('SELECT max(starts) AS starts FROM limit_usage');
  const find = db.prepare(
    'SELECT amount FROM limit_usage WHERE limit_name = ? AND scope = ? AND ends = ? AND starts = ?',
  );
  const save = db.prepare('INSERT OR REPLACE INTO limit_usage VALUES (?, ?, ?, ?, ?)');
  const forget = db.prepare('DELETE FROM limit_usage WHERE ends <= ?');

  const added: Charged[] = [];

  return {
    sums: {
      write: () => {
        const sums = sumsOf(added);
        added.length = 0;
        for (const { limit, scope, start, end, amount } of sums) {
          const row = find.get(limit, scope, end, start) as { amount: string } | undefined;
          save.run(limit, scope, end, start, String(BigInt(row?.amount ?? 0) + amount));
        }
      },
      mark: () => added.length,
      undo: (mark) => {
        added.length = mark;
      },
    },

    usage: (limit, scope, time) => {
      const rows = after.all(limit, scope, time) as unknown as UsageRow[];
      const written = rows.map(({ starts, ends, amount }) => ({
        start: starts,
        end: ends,
        amount: BigInt(amount),
      }));
      const unwritten = added.filter(
        (each) => each.limit === limit && each.scope === scope && each.end > time,
      );
      if (unwritten.length === 0) return written;
      const buckets = unwritten.map(({ start, end, amount }) => ({ start, end, amount }));
      return [...written, ...buckets].toSorted((one, other) => one.end - other.end);
    },

    newestUsage: () => (newest.get() as { starts: number | null }).starts ?? undefined,

    addUsage: (charged) => {
      added.push(charged);
    },

    forgetUsageBefore: (time) => {
      forget.run(time);
    },
  };
}

/** One for each bucket. */
function sumsOf(added: readonly Charged[]): Iterable<Charged> {
  const sums: { -readonly [member in keyof Charged]: Charged[member] }[] = [];
  const byLimit = new Map<string, Map<string, typeof sums>>();
  for (const charged of added) {
    const { limit, scope, start, end, amount } = charged;
    let byScope = byLimit.get(limit);
    if (byScope === undefined) byLimit.set(limit, (byScope = new Map()));
    let buckets = byScope.get(scope);
    if (buckets === undefined) byScope.set(scope, (buckets = []));
    let sum = buckets.find((bucket) => bucket.start === start && bucket.end === end);
    if (sum === undefined) {
      sum = { ...charged, amount: 0n };
      buckets.push(sum);
      sums.push(sum);
    }
    sum.amount += amount;
  }
  return sums;
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
