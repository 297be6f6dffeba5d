import type { DatabaseSync } from 'node:sqlite';
import type { IdempotencyReads, IdempotencyWrites, KeptAnswer } from '../../http/idempotency.ts';
import type { NonceClaim, NonceReads, NonceSlot, NonceWrites } from '../../signer/nonces.ts';

interface ClaimRow {
  digest: string;
  effects: string;
  max_fee: string;
  max_priority_fee: string;
  cancel: number;
}

export function nonceTable(db: DatabaseSync): NonceReads & NonceWrites {
  const find = db.prepare(
    'SELECT * FROM nonces WHERE key_id = ? AND version = ? AND chain_id = ? AND nonce = ?',
  );
  const save = db.prepare('INSERT OR REPLACE INTO nonces VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)');

  return {
    nonceClaim: ({ keyId, version, chainId, nonce }: NonceSlot): NonceClaim | undefined => {
      const row = find.get(keyId, version, chainId, nonce) as ClaimRow | undefined;
      if (row === undefined) return undefined;
      return {
        digest: row.digest,
        effects: row.effects,
        maxFee: BigInt(row.max_fee),
        maxPriorityFee: BigInt(row.max_priority_fee),
        cancel: row.cancel === 1,
      };
    },
    saveNonceClaim: ({ keyId, version, chainId, nonce }, claim) => {
      const { digest, effects, maxFee, maxPriorityFee, cancel } = claim;
      const fees = [maxFee.toString(), maxPriorityFee.toString()] as const;
      save.run(keyId, version, chainId, nonce, digest, effects, ...fees, cancel ? 1 : 0);
    },
  };
}

export function idempotencyTable(db: DatabaseSync): IdempotencyReads & IdempotencyWrites {
  const find = db.prepare(
    'SELECT fingerprint, entry, answer FROM idempotency WHERE principal_id = ? AND name = ?',
  );
  const save = db.prepare('INSERT INTO idempotency VALUES (?, ?, ?, ?, ?, ?)');
  const forget = db.prepare('DELETE FROM idempotency WHERE created_at < ?');

  return {
    keptAnswer: (principalId, name) => {
      const row = find.get(principalId, name) as KeptAnswer | undefined;
      return row;
    },
    keepAnswer: (principalId, name, { fingerprint, entry, answer }, time) => {
      save.run(principalId, name, fingerprint, entry, answer, time);
    },
    forgetAnswersBefore: (time) => {
      forget.run(time);
    },
  };
}
