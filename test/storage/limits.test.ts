import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Charged } from '../../src/policy/ledger.ts';
import type { NonceSlot, SignedClaim } from '../../src/signer/nonces.ts';
import { openSqliteStorage, type Storage } from '../../src/storage/sqlite/storage.ts';

let folder: string;
let storage: Storage;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'limits-'));
  storage = openSqliteStorage(folder, () => 'example.org/log');
});

afterEach(() => {
  storage.close();
  rmSync(folder, { recursive: true });
});

const MAX = 2n ** 256n - 1n;

function charged(start: number, length: number, amount: bigint, over: Partial<Charged> = {}): Charged {
  return { limit: 'day', scope: 'hot/1', start, end: start + length, amount, ...over };
}

function write(...all: readonly Charged[]): void {
  storage.commit((tx) => {
    for (const each of all) tx.addUsage(each);
  });
}

describe('the usage of limits', () => {
  it('is summed by bucket, exactly, beyond 256 bits', () => {
    write(charged(0, 60, MAX), charged(0, 60, MAX), charged(60, 60, 1n));
    expect(storage.reads.usage('day', 'hot/1', 0)).toEqual([
      { start: 0, end: 60, amount: 2n * MAX },
      { start: 60, end: 120, amount: 1n },
    ]);
  });

  it('keeps buckets of different sizes that end together, and reads them by their ends', () => {
    write(charged(0, 300, 1n), charged(240, 60, 2n), charged(180, 60, 4n), charged(0, 600, 8n));
    const read = storage.reads.usage('day', 'hot/1', 240);
    expect(read.map(({ end }) => end)).toEqual([300, 300, 600]);
    expect(read.reduce((sum, { amount }) => sum + amount, 0n)).toBe(11n);
    expect(storage.reads.newestUsage()).toBe(240);
  });

  it('is there for whoever reads inside the commit, and gone with an item that is undone', () => {
    write(charged(0, 60, 1n));
    const sum = (): bigint =>
      storage.reads.usage('day', 'hot/1', 0).reduce((total, { amount }) => total + amount, 0n);
    storage.commit((tx) => {
      storage.nested(() => tx.addUsage(charged(0, 60, 2n)));
      expect(sum()).toBe(3n);
      const undone = (): void => {
        tx.addUsage(charged(0, 60, 4n));
        tx.addUsage(charged(60, 60, 8n));
        expect(storage.reads.usage('day', 'hot/1', 0).map(({ end }) => end)).toEqual([60, 60, 60, 120]);
        throw new Error('undone');
      };
      expect(() => storage.nested(undone)).toThrow('undone');
      storage.nested(() => tx.addUsage(charged(0, 60, 16n)));
    });
    expect(storage.reads.usage('day', 'hot/1', 0)).toEqual([{ start: 0, end: 60, amount: 19n }]);
    const failing = (): void =>
      storage.commit((tx) => {
        tx.addUsage(charged(0, 60, 32n));
        throw new Error('failed');
      });
    expect(failing).toThrow('failed');
    write(charged(0, 60, 64n));
    expect(storage.reads.usage('day', 'hot/1', 0)).toEqual([{ start: 0, end: 60, amount: 83n }]);
  });

  it('is apart for each limit and scope', () => {
    write(charged(0, 60, 1n), charged(0, 60, 2n, { scope: 'hot' }), charged(0, 60, 4n, { limit: 'hour' }));
    expect(storage.reads.usage('day', 'hot/1', 0)).toHaveLength(1);
    expect(storage.reads.usage('day', '', 0)).toEqual([]);
    expect(storage.reads.usage('hour', 'hot/1', 0)).toEqual([{ start: 0, end: 60, amount: 4n }]);
  });

  it('forgets what has ended by a time, and nothing else', () => {
    write(charged(0, 60, 1n), charged(60, 60, 2n));
    storage.forgetUsageBefore(60);
    expect(storage.reads.usage('day', 'hot/1', 0)).toEqual([{ start: 60, end: 120, amount: 2n }]);
    storage.forgetUsageBefore(119);
    expect(storage.reads.usage('day', 'hot/1', 0)).toHaveLength(1);
  });

  it('is nothing at first', () => {
    expect(storage.reads.newestUsage()).toBeUndefined();
    expect(storage.reads.usage('day', 'all', 0)).toEqual([]);
  });
});

describe('the claims of nonces', () => {
  it('come back with what was charged for them', () => {
    const slot: NonceSlot = { keyId: 'k', version: 1, chainId: '1', nonce: '7' };
    const claim: SignedClaim = {
      digest: 'aa',
      effects: 'bb',
      maxFee: 1n,
      maxPriorityFee: MAX,
      cancel: false,
      charges: [charged(60, 60, MAX), charged(120, 300, 1n, { scope: '-' })],
    };
    expect(storage.reads.nonceClaim(slot)).toBeUndefined();
    storage.commit((tx) => tx.addNonceClaim(slot, claim));
    expect(storage.reads.nonceClaim(slot)).toEqual(claim);
    expect(() => storage.commit((tx) => tx.addNonceClaim(slot, claim))).toThrow(
      expect.objectContaining({ code: 'nonce_conflict' }),
    );
    storage.commit((tx) => tx.replaceNonceClaim(slot, { ...claim, charges: [] }));
    expect(storage.reads.nonceClaim(slot)).toEqual({ ...claim, charges: [] });
  });

  it('are in the order of numbers, up to the highest nonce (EIP-2681)', () => {
    const account = { keyId: 'k', version: 1, chainId: '1' };
    const claim = { digest: '', effects: '', maxFee: 0n, maxPriorityFee: 0n, cancel: false, charges: [] };
    expect(storage.reads.newestNonce(account)).toBeUndefined();
    const sign = (nonce: string): void => {
      storage.commit((tx) => tx.addNonceClaim({ ...account, nonce }, claim));
      expect(storage.reads.nonceClaim({ ...account, nonce })).toEqual(claim);
    };
    for (const nonce of ['0', '10', '9']) sign(nonce);
    expect(storage.reads.newestNonce(account)).toBe('10');
    for (const nonce of ['18446744073709551614', '99']) sign(nonce);
    storage.commit((tx) => tx.addNonceClaim({ ...account, chainId: '5', nonce: '0' }, claim));
    expect(storage.reads.newestNonce(account)).toBe('18446744073709551614');
    expect(storage.reads.newestNonces('k', 1)).toEqual([
      { chainId: '1', nonce: '18446744073709551614' },
      { chainId: '5', nonce: '0' },
    ]);
    expect(storage.reads.newestNonce({ ...account, version: 2 })).toBeUndefined();
  });
});

describe('the digests of what was denied', () => {
  const digest = `0x${'5a'.repeat(32)}` as const;

  it('are found for any key, the newest denial first, and forgotten for one', () => {
    expect(storage.reads.deniedDigest(digest)).toBeUndefined();
    storage.commit((tx) => {
      tx.rememberDenied('a', digest, { operation: 'transaction', entry: 3 });
      tx.rememberDenied('b', digest, { operation: 'transaction', entry: 9 });
      tx.rememberDenied('a', digest, { operation: 'transaction', entry: 5 });
    });
    expect(storage.reads.deniedDigest(digest)).toMatchObject({ operation: 'transaction', entry: 9 });
    storage.commit((tx) => tx.forgetDenied('b', digest));
    expect(storage.reads.deniedDigest(digest)).toMatchObject({ entry: 5 });
    storage.commit((tx) => tx.forgetDenied('b', digest));
    storage.commit((tx) => tx.forgetDenied('a', digest));
    expect(storage.reads.deniedDigest(digest)).toBeUndefined();
  });
});
