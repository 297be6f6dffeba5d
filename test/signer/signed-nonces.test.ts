import { describe, expect, it } from 'vitest';
import { SignedNonces } from '../../src/signer/signed-nonces.ts';

/** Signed nonces as they are stored, which is looked at as little as can be. */
class Stored {
  readonly nonces: SignedNonces;
  readonly signed = new Map<string, Set<bigint>>();
  reads = 0;

  constructor(maxAccounts?: number) {
    this.nonces = new SignedNonces(maxAccounts);
  }

  mayHave(account: string, nonce: bigint): boolean {
    return this.nonces.mayHave(account, nonce, () => {
      this.reads++;
      return [...(this.signed.get(account) ?? [])].reduce((a, b) => (a > b ? a : b), -1n);
    });
  }

  sign(account: string, nonce: bigint): void {
    const signed = this.signed.get(account) ?? new Set();
    this.signed.set(account, signed.add(nonce));
    this.nonces.add(account, nonce);
  }
}

describe('the nonces that were signed', () => {
  it.each([
    { held: 'all', maxAccounts: undefined },
    { held: 'some', maxAccounts: 40 },
  ])('are never missed, in whatever order, where $held accounts are remembered', ({ maxAccounts }) => {
    const random = randomOf(7);
    const stored = new Stored(maxAccounts);
    const missed: string[] = [];
    for (let i = 0; i < 60_000; i++) {
      const account = `account ${random(90)}`;
      const nonce = BigInt(random(2) === 0 ? random(2_000) : random(1_000_000));
      if (random(3) > 0) stored.sign(account, nonce);
      else if (!stored.mayHave(account, nonce) && stored.signed.get(account)?.has(nonce) === true)
        missed.push(`${account}, nonce ${nonce}`);
    }
    expect(missed).toEqual([]);
    for (const [account, nonces] of stored.signed)
      for (const nonce of nonces) expect(stored.mayHave(account, nonce)).toBe(true);
  });

  it('are looked for once an account, and not where callers at once sign ahead of each other', () => {
    const stored = new Stored();
    stored.sign('a', 10n);
    expect(stored.mayHave('a', 11n)).toBe(false);
    // Four callers of a hundred each.
    for (let step = 0n; step < 100n; step++)
      for (let caller = 0n; caller < 4n; caller++) {
        const nonce = 11n + caller * 100n + step;
        expect(stored.mayHave('a', nonce)).toBe(false);
        stored.sign('a', nonce);
        expect(stored.mayHave('a', nonce)).toBe(true);
      }
    expect(stored.mayHave('a', 411n)).toBe(false);
    expect(stored.mayHave('a', 5n)).toBe(true);
    expect(stored.reads).toBe(1);
  });

  it('are remembered up to a number for an account, and all below it are looked for then', () => {
    const stored = new Stored();
    expect(stored.mayHave('a', 0n)).toBe(false);
    for (let nonce = 2n; nonce <= 1_024n; nonce += 2n) stored.sign('a', nonce);
    expect(stored.mayHave('a', 3n)).toBe(false);
    stored.sign('a', 1_026n);
    expect(stored.mayHave('a', 3n)).toBe(true);
    expect(stored.mayHave('a', 1_027n)).toBe(false);
  });
});

/** Numbers below a bound, the same ones each time. */
function randomOf(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
}
