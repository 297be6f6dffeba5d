import { hash } from 'node:crypto';
import { canonicalize } from '../jcs.ts';
import { CountersignError } from '../errors.ts';
import type { Transaction } from '../intent/intent.ts';
import type { Charged } from '../policy/ledger.ts';
import { SignedNonces } from './signed-nonces.ts';

/** One place in an account's history: at most one effect may ever be signed for it. */
export interface NonceSlot {
  readonly keyId: string;
  readonly version: number;
  readonly chainId: string;
  readonly nonce: string;
}

/** What was signed for a slot. */
export interface NonceClaim {
  /** The digest that was signed, hex. */
  readonly digest: string;
  /** SHA-256 of everything but the fees and the gas limit, hex. */
  readonly effects: string;
  readonly maxFee: bigint;
  readonly maxPriorityFee: bigint;
  /** To the sender itself, no value, no data: takes the place of anything. */
  readonly cancel: boolean;
}

/** A claim that lasts, with what the limits were charged for its slot so far: only one of all that was signed happens. */
export interface SignedClaim extends NonceClaim {
  readonly charges: readonly Charged[];
}

export type NonceAccount = Pick<NonceSlot, 'keyId' | 'version' | 'chainId'>;

export interface NonceReads {
  nonceClaim(slot: NonceSlot): SignedClaim | undefined;
  /** The highest nonce for which something was signed; decimal. */
  newestNonce(account: NonceAccount): string | undefined;
}

export interface NonceWrites extends NonceReads {
  /** Throws `nonce_conflict` when there is one. */
  addNonceClaim(slot: NonceSlot, claim: SignedClaim): void;
  replaceNonceClaim(slot: NonceSlot, claim: SignedClaim): void;
}

/** The oldest of more are forgotten, which charges more and never less. */
const MAX_CHARGES = 64;

export function claimOf(transaction: Transaction, digest: Buffer, sender: string): NonceClaim {
  const { to, value, data } = transaction;
  const effects = canonicalize([
    to,
    value.toString(),
    data,
    transaction.type === 3 ? transaction.blobVersionedHashes : [],
    transaction.type === 4
      ? transaction.authorizationList.map(({ chainId, address, nonce, yParity, r, s }) =>
          [chainId, address, nonce, yParity, r, s].map(String),
        )
      : [],
  ]);
  const legacy = transaction.type === 0 || transaction.type === 1;
  return {
    digest: digest.toString('hex'),
    effects: hash('sha256', effects),
    maxFee: legacy ? transaction.gasPrice : transaction.maxFeePerGas,
    maxPriorityFee: legacy ? transaction.gasPrice : transaction.maxPriorityFeePerGas,
    cancel:
      to === sender && value === 0n && data === '0x' && transaction.type !== 3 && transaction.type !== 4,
  };
}

/** The same bytes again, the same effects for higher fees, or a cancel. */
export function mayFollow(earlier: NonceClaim, later: NonceClaim): boolean {
  if (later.digest === earlier.digest || later.cancel) return true;
  const pricier = later.maxFee > earlier.maxFee && later.maxPriorityFee >= earlier.maxPriorityFee;
  return later.effects === earlier.effects && pricier;
}

export interface Reservation {
  /**
   * Inside the commit: makes the claim lasting. Throws `nonce_conflict` when another got there first.
   *
   * @param charged by this signature, after what its predecessors were charged was taken off.
   */
  commit(tx: NonceWrites, charged: readonly Charged[]): void;
  /** Always, in the end, committed or not. */
  release(): void;
}

/**
 * Refuses a second, different transaction for one slot. A claim is held in memory while its signature is being
 * made, and lasts from the commit of its audit entry.
 */
export class NonceGuard {
  readonly #reads: NonceReads;
  readonly #inFlight = new Map<string, NonceClaim[]>();
  readonly #nonces = new SignedNonces();

  constructor(reads: NonceReads) {
    this.#reads = reads;
  }

  /**
   * What was charged already for that which the claim would take the place of. What is only being signed is not in it:
   * it may come to nothing.
   */
  charged(slot: NonceSlot, claim: NonceClaim): readonly Charged[] {
    const signed = this.#signed(slot);
    return signed !== undefined && mayFollow(signed, claim) ? signed.charges : [];
  }

  reserve(slot: NonceSlot, claim: NonceClaim): Reservation {
    const account = accountOf(slot);
    const name = `${account}/${slot.nonce}`;
    const held = this.#inFlight.get(name) ?? [];
    const signed = this.#signed(slot);
    if (
      (signed !== undefined && !mayFollow(signed, claim)) ||
      held.some((earlier) => !mayFollow(earlier, claim))
    ) {
      throw conflict(slot);
    }
    this.#inFlight.set(name, [...held, claim]);
    return {
      commit: (tx, charged) => {
        const now = this.#signed(slot, tx);
        if (now !== undefined && !mayFollow(now, claim)) throw conflict(slot);
        const charges = [...(now?.charges ?? []), ...charged].slice(-MAX_CHARGES);
        if (now === undefined) tx.addNonceClaim(slot, { ...claim, charges });
        else tx.replaceNonceClaim(slot, { ...claim, charges });
        this.#nonces.add(account, BigInt(slot.nonce));
      },
      release: () => {
        const rest = (this.#inFlight.get(name) ?? []).filter((other) => other !== claim);
        if (rest.length === 0) this.#inFlight.delete(name);
        else this.#inFlight.set(name, rest);
      },
    };
  }

  #signed(slot: NonceSlot, reads: NonceReads = this.#reads): SignedClaim | undefined {
    const newest = (): bigint => BigInt(reads.newestNonce(slot) ?? -1);
    return this.#nonces.mayHave(accountOf(slot), BigInt(slot.nonce), newest)
      ? reads.nonceClaim(slot)
      : undefined;
  }
}

function accountOf({ keyId, version, chainId }: NonceAccount): string {
  return `${keyId}/${version}/${chainId}`;
}

function conflict({ chainId, nonce }: NonceSlot): CountersignError {
  return new CountersignError(
    'nonce_conflict',
    `a different transaction with nonce ${nonce} was already signed by this key on chain ${chainId}; ` +
      'only the same effects with higher fees, or a cancel, may replace it',
  );
}
