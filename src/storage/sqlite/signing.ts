import type { DatabaseSync } from 'node:sqlite';
import { CountersignError } from '../../errors.ts';
import type { IdempotencyReads, IdempotencyWrites, KeptAnswer } from '../../http/idempotency.ts';
import type { Charged } from '../../policy/ledger.ts';
import type { RotationReads } from '../../rotation/rotation.ts';
import type { NonceReads, NonceSlot, NonceWrites, SignedClaim } from '../../signer/nonces.ts';
import { checksummed, readChecksummed } from './checksummed.ts';
import { isUniqueViolation } from './database.ts';

interface ClaimRow {
  digest: string;
  effects: string;
  max_fee: string;
  max_priority_fee: string;
  cancel: number;
  charges: string;
}

export function nonceTable(db: DatabaseSync): NonceReads & NonceWrites & Pick<RotationReads, 'newestNonces'> {
  const find = db.prepare(
    'SELECT * FROM nonces WHERE key_id = ? AND version = ? AND chain_id = ? AND nonce = ?',
  );
  const newest = db.prepare(
    'SELECT max(nonce) AS nonce FROM nonces WHERE key_id = ? AND version = ? AND chain_id = ?',
  );
  const ofVersion = db.prepare(
    'SELECT chain_id, max(nonce) AS nonce FROM nonces WHERE key_id = ? AND version = ? GROUP BY chain_id',
  );
  const add = db.prepare('INSERT INTO nonces VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)');
  const replace = db.prepare('REPLACE INTO nonces VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)');

  return {
    nonceClaim: ({ keyId, version, chainId, nonce }: NonceSlot): SignedClaim | undefined => {
      const row = find.get(keyId, version, chainId, padded(nonce)) as ClaimRow | undefined;
      if (row === undefined) return undefined;
      return {
        digest: row.digest,
        effects: row.effects,
        maxFee: BigInt(row.max_fee),
        maxPriorityFee: BigInt(row.max_priority_fee),
        cancel: row.cancel === 1,
        charges: chargesOf(row.charges),
      };
    },
    newestNonce: ({ keyId, version, chainId }) => {
      const { nonce } = newest.get(keyId, version, chainId) as { nonce: string | null };
      return nonce === null ? undefined : unpadded(nonce);
    },
    newestNonces: (keyId, version) =>
      (ofVersion.all(keyId, version) as { chain_id: string; nonce: string }[]).map(
        ({ chain_id: chainId, nonce }) => ({ chainId, nonce: unpadded(nonce) }),
      ),
    addNonceClaim: (slot, claim) => {
      try {
        add.run(...rowOf(slot, claim));
      } catch (error) {
        if (!isUniqueViolation(error)) throw error;
        const what = `something was signed with nonce ${slot.nonce} on chain ${slot.chainId} already`;
        throw new CountersignError('nonce_conflict', what, [], error);
      }
    },
    replaceNonceClaim: (slot, claim) => {
      replace.run(...rowOf(slot, claim));
    },
  };
}

function rowOf(
  { keyId, version, chainId, nonce }: NonceSlot,
  { digest, effects, maxFee, maxPriorityFee, cancel, charges }: SignedClaim,
): (string | number)[] {
  return [
    keyId,
    version,
    chainId,
    padded(nonce),
    digest,
    effects,
    maxFee.toString(),
    maxPriorityFee.toString(),
    cancel ? 1 : 0,
    chargesToJson(charges),
  ];
}

/** A nonce is below 2^64 (EIP-2681), which has 20 digits. */
function padded(nonce: string): string {
  return nonce.padStart(20, '0');
}

function unpadded(nonce: string): string {
  return nonce.replace(/^0{1,19}/, '');
}

type ChargeColumns = readonly [limit: string, scope: string, start: number, end: number, amount: string];

/** An array for each: they are a good part of what a signature writes. */
function chargesToJson(charges: readonly Charged[]): string {
  return JSON.stringify(
    charges.map(({ limit, scope, start, end, amount }): ChargeColumns => [
      limit,
      scope,
      start,
      end,
      `${amount}`,
    ]),
  );
}

function chargesOf(json: string): readonly Charged[] {
  // What most transactions have: no limit applies to them.
  if (json === '[]') return [];
  const charges = JSON.parse(json) as readonly ChargeColumns[];
  return charges.map(([limit, scope, start, end, amount]) => {
    return { limit, scope, start, end, amount: BigInt(amount) };
  });
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
      if (row === undefined || row.answer === null) return row;
      const answer = readChecksummed(row.answer);
      if (answer === undefined) {
        const what = `the answer kept for a repeat (audit entry ${row.entry})`;
        throw new CountersignError('internal', `${what} was changed on disk`);
      }
      return { ...row, answer };
    },
    keepAnswer: (principalId, name, { fingerprint, entry, answer }, time) => {
      save.run(principalId, name, fingerprint, entry, answer === null ? null : checksummed(answer), time);
    },
    forgetAnswersBefore: (time) => {
      forget.run(time);
    },
  };
}
