import { describe, expect, it } from 'vitest';
import type { Transaction } from '../../src/intent/intent.ts';
import { digestOf, preimageOf } from '../../src/intent/preimage.ts';
import { parseIntent } from '../../src/intent/schema.ts';
import type { Charged } from '../../src/policy/ledger.ts';
import {
  claimOf,
  mayFollow,
  NonceGuard,
  type NonceAccount,
  type NonceClaim,
  type NonceSlot,
  type SignedClaim,
} from '../../src/signer/nonces.ts';

const SENDER = `0x${'aa'.repeat(20)}`;
const SLOT: NonceSlot = { keyId: 'k', version: 1, chainId: '1', nonce: '7' };

const BASE = {
  type: 2,
  chainId: 1,
  nonce: 7,
  to: `0x${'11'.repeat(20)}`,
  value: '5',
  gasLimit: 21000,
  maxFeePerGas: '100',
  maxPriorityFeePerGas: '10',
};

function claim(change: Record<string, unknown> = {}): NonceClaim {
  const intent = parseIntent('transaction', { transaction: { ...BASE, ...change } });
  const transaction: Transaction = intent.transaction;
  return claimOf(transaction, digestOf('transaction', preimageOf(intent)), SENDER);
}

describe('what may follow a signed transaction', () => {
  const first = claim();
  it.each([
    ['the same bytes', {}, true],
    ['both fees higher', { maxFeePerGas: '101', maxPriorityFeePerGas: '11' }, true],
    ['more gas and a higher fee', { gasLimit: 50000, maxFeePerGas: '101' }, true],
    ['only more gas', { gasLimit: 50000 }, false],
    ['a lower fee', { maxFeePerGas: '99' }, false],
    ['a higher fee, a lower tip', { maxFeePerGas: '101', maxPriorityFeePerGas: '9' }, false],
    ['another value for more', { value: '6', maxFeePerGas: '101' }, false],
    ['another recipient for more', { to: `0x${'12'.repeat(20)}`, maxFeePerGas: '101' }, false],
    ['data for more', { data: '0x00', maxFeePerGas: '101' }, false],
    ['a cancel', { to: SENDER, value: '0', maxFeePerGas: '101' }, true],
    ['a cancel that moves value', { to: SENDER, value: '1', maxFeePerGas: '101' }, false],
    ['a call to itself', { to: SENDER, value: '0', data: '0x00', maxFeePerGas: '101' }, false],
  ])('%s: %j is %s', (_name, change, expected) => {
    expect(mayFollow(first, claim(change))).toBe(expected);
  });

  it('takes the type as an effect only where it adds one', () => {
    const legacy = { type: 0, gasPrice: '200', maxFeePerGas: undefined, maxPriorityFeePerGas: undefined };
    expect(mayFollow(first, claim(legacy))).toBe(true);
    const authorization = {
      chainId: 1,
      address: SENDER,
      nonce: 1,
      yParity: 0,
      r: `0x${'01'.repeat(32)}`,
      s: '0x01',
    };
    expect(
      mayFollow(first, claim({ type: 4, maxFeePerGas: '101', authorizationList: [authorization] })),
    ).toBe(false);
  });
});

describe('the nonce guard', () => {
  function guarded(): {
    guard: NonceGuard;
    stored: Map<string, SignedClaim>;
    tx: Parameters<ReturnType<NonceGuard['reserve']>['commit']>[0];
  } {
    const stored = new Map<string, SignedClaim>();
    const name = (slot: NonceSlot): string => JSON.stringify(slot);
    const tx = {
      nonceClaim: (slot: NonceSlot) => stored.get(name(slot)),
      newestNonce: ({ keyId, version, chainId }: NonceAccount) =>
        [...stored.keys()]
          .map((text) => JSON.parse(text) as NonceSlot)
          .filter((slot) => slot.keyId === keyId && slot.version === version && slot.chainId === chainId)
          .map(({ nonce }) => BigInt(nonce))
          .reduce<bigint | undefined>((a, b) => (a === undefined || b > a ? b : a), undefined)
          ?.toString(),
      addNonceClaim: (slot: NonceSlot, added: SignedClaim) => {
        expect(stored.has(name(slot))).toBe(false);
        stored.set(name(slot), added);
      },
      replaceNonceClaim: (slot: NonceSlot, later: SignedClaim) => {
        expect(stored.has(name(slot))).toBe(true);
        stored.set(name(slot), later);
      },
    };
    return { guard: new NonceGuard(tx), stored, tx };
  }

  it('holds a slot while its first claim is being signed, and frees it when that fails', () => {
    const { guard } = guarded();
    const first = guard.reserve(SLOT, claim());
    expect(() => guard.reserve(SLOT, claim({ value: '6' }))).toThrow(/nonce 7/);
    first.release();
    guard.reserve(SLOT, claim({ value: '6' })).release();
  });

  it('keeps a slot for what was signed', () => {
    const { guard, tx } = guarded();
    const first = guard.reserve(SLOT, claim());
    first.commit(tx, []);
    first.release();
    expect(() => guard.reserve(SLOT, claim({ value: '6' }))).toThrow(/nonce 7/);
    guard.reserve({ ...SLOT, nonce: '8' }, claim({ value: '6' })).release();
    guard.reserve({ ...SLOT, chainId: '5' }, claim({ value: '6' })).release();
    guard.reserve({ ...SLOT, version: 2 }, claim({ value: '6' })).release();
  });

  it('finds what was signed before it, below the newest and after a signature that it made', () => {
    const { guard, tx, stored } = guarded();
    for (const nonce of ['7', '18446744073709551614']) {
      stored.set(JSON.stringify({ ...SLOT, nonce }), { ...claim(), charges: [] });
    }
    const other = claim({ value: '6' });
    expect(() => guard.reserve(SLOT, other)).toThrow(/nonce 7/);
    expect(() => guard.reserve({ ...SLOT, nonce: '18446744073709551614' }, other)).toThrow(/nonce 1844/);
    const between = { ...SLOT, nonce: '10' };
    const first = guard.reserve(between, claim());
    first.commit(tx, []);
    first.release();
    expect(() => guard.reserve(between, other)).toThrow(/nonce 10/);
    const fresh = { ...SLOT, chainId: '5', nonce: '0' };
    const second = guard.reserve(fresh, claim());
    second.commit(tx, []);
    second.release();
    expect(() => guard.reserve(fresh, other)).toThrow(/nonce 0/);
  });

  it('does not let a slower, cheaper claim take the place of the one that replaced it', () => {
    const { guard, tx } = guarded();
    const cheap = guard.reserve(SLOT, claim());
    const dear = guard.reserve(SLOT, claim({ maxFeePerGas: '200' }));
    dear.commit(tx, []);
    expect(() => cheap.commit(tx, [])).toThrow(/nonce 7/);
    cheap.release();
    dear.release();
  });

  it('forgets nothing of what is held when one of two equal claims ends', () => {
    const { guard } = guarded();
    const a = guard.reserve(SLOT, claim());
    const b = guard.reserve(SLOT, claim());
    a.release();
    expect(() => guard.reserve(SLOT, claim({ value: '6' }))).toThrow(/nonce 7/);
    b.release();
  });

  const taken = (amount: bigint, start = 0): Charged => ({
    limit: 'day',
    scope: 'all',
    start,
    end: start + 60_000,
    amount,
  });

  it('keeps with a claim all that was charged for its slot', () => {
    const { guard, tx } = guarded();
    const dear = claim({ maxFeePerGas: '200' });
    expect(guard.charged(SLOT, claim())).toEqual([]);
    const first = guard.reserve(SLOT, claim());
    // What is only being signed may come to nothing, so that nothing is taken off for it.
    expect(guard.charged(SLOT, dear)).toEqual([]);
    first.commit(tx, [taken(60n)]);
    first.release();
    expect(guard.charged(SLOT, dear)).toEqual([taken(60n)]);
    const second = guard.reserve(SLOT, dear);
    second.commit(tx, [taken(15n, 60_000)]);
    second.release();
    expect(guard.charged(SLOT, claim({ maxFeePerGas: '300' }))).toEqual([taken(60n), taken(15n, 60_000)]);
  });

  it('adds to what is there at the commit, not to what was there when it was reserved', () => {
    const { guard, tx } = guarded();
    const first = guard.reserve(SLOT, claim());
    const second = guard.reserve(SLOT, claim({ maxFeePerGas: '200' }));
    first.commit(tx, [taken(60n)]);
    second.commit(tx, [taken(75n)]);
    expect(guard.charged(SLOT, claim({ maxFeePerGas: '300' }))).toEqual([taken(60n), taken(75n)]);
  });

  it('says nothing of what was charged to what may not take its place', () => {
    const { guard, tx } = guarded();
    guard.reserve(SLOT, claim()).commit(tx, [taken(60n)]);
    expect(guard.charged(SLOT, claim({ value: '6', maxFeePerGas: '200' }))).toEqual([]);
    expect(guard.charged({ ...SLOT, nonce: '8' }, claim())).toEqual([]);
    expect(guard.charged(SLOT, claim())).toEqual([taken(60n)]);
  });

  it('does not grow without end', () => {
    const { guard, tx } = guarded();
    for (let i = 0; i < 100; i++) guard.reserve(SLOT, claim()).commit(tx, [taken(1n, i)]);
    const kept = guard.charged(SLOT, claim());
    expect(kept.length).toBeLessThanOrEqual(64);
    expect(kept.at(-1)).toEqual(taken(1n, 99));
  });
});
