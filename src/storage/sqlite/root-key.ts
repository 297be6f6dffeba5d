import type { DatabaseSync } from 'node:sqlite';
import { CountersignError } from '../../errors.ts';
import type { RewrapJob, RewrapReads, RewrapWrites, SealedTotp } from '../../signer/rewrap.ts';
import type { TermCounts, TermReads, TermWrites } from '../../signer/term-use.ts';

interface TermRow {
  term: number;
  created_at: string;
  encryptions: number;
}

/** A sealed secret is a byte of format, then its term as a big-endian u32 (keystore/envelope.ts). An erased one is empty. */
const BEFORE = 'length(sealed) > 0 AND substr(sealed, 2, 4) < ?';

export function termTable(db: DatabaseSync): TermReads & TermWrites & TermCounts {
  const newest = db.prepare('SELECT * FROM root_terms ORDER BY term DESC LIMIT 1');
  const insert = db.prepare('INSERT INTO root_terms VALUES (?, ?, ?)');
  const save = db.prepare('UPDATE root_terms SET encryptions = max(encryptions, ?) WHERE term = ?');

  return {
    newestTerm: () => {
      const row = newest.get() as TermRow | undefined;
      return row && { term: row.term, createdAt: row.created_at, encryptions: row.encryptions };
    },
    insertTerm: ({ term, createdAt, encryptions }) => {
      insert.run(term, createdAt, encryptions);
    },
    saveEncryptions: (term, encryptions) => {
      save.run(encryptions, term);
    },
  };
}

type OwnReads = Omit<RewrapReads, 'sealedBefore' | 'logKey'>;
type OwnWrites = Omit<RewrapWrites, 'replaceSealed'>;

export function rewrapTables(db: DatabaseSync): OwnReads & OwnWrites {
  const newestJob = db.prepare('SELECT body FROM rewrap_jobs ORDER BY seq DESC LIMIT 1');
  const saveJob = db.prepare(
    'INSERT INTO rewrap_jobs (id, body) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body',
  );
  const counts = ['key_versions', 'totp', 'log_keys'].map((table) =>
    db.prepare(`SELECT count(*) AS count FROM ${table} WHERE ${BEFORE}`),
  );
  const totpBefore = db.prepare(
    `SELECT principal_id AS principalId, sealed FROM totp WHERE principal_id > ? AND ${BEFORE}
     ORDER BY principal_id LIMIT ?`,
  );
  const replaceTotp = db.prepare('UPDATE totp SET sealed = ? WHERE principal_id = ? AND sealed = ?');
  const replaceLogKey = db.prepare('UPDATE log_keys SET sealed = ? WHERE version = ? AND sealed = ?');

  return {
    rewrapJob: () => {
      const row = newestJob.get() as { body: string } | undefined;
      return row && (JSON.parse(row.body) as RewrapJob);
    },
    saveRewrapJob: (job) => {
      saveJob.run(job.id, JSON.stringify(job));
    },
    countSealedBefore: (term) => {
      const bytes = termBytes(term);
      return counts.reduce((sum, count) => sum + (count.get(bytes) as { count: number }).count, 0);
    },
    totpSealedBefore: (term, after, limit) =>
      totpBefore.all(after, termBytes(term), limit) as unknown as SealedTotp[],
    replaceTotpSealed: (principalId, before, after) => {
      if (replaceTotp.run(after, principalId, before).changes !== 1) throw changed();
    },
    replaceLogKeySealed: (version, before, after) => {
      if (replaceLogKey.run(after, version, before).changes !== 1) throw changed();
    },
  };
}

function termBytes(term: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(term);
  return bytes;
}

function changed(): CountersignError {
  return new CountersignError('conflict', 'the sealed secret is not what it was');
}
