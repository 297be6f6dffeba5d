import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { makeSeal, type SharedSealConfig } from '../../src/keystore/seal.ts';
import { SHARES_KEPT_MS } from '../../src/signer/gathered.ts';
import { ShareCollection } from '../../src/signer/process/share-collection.ts';

const NOTHING = Buffer.alloc(0);

let config: SharedSealConfig;
let shares: readonly Buffer[];
let key: Buffer;

beforeEach(async () => {
  const made = await makeSeal({ type: 'shamir', shares: 4, threshold: 3 }, NOTHING);
  config = made.seal.config as SharedSealConfig;
  ({ shares } = made);
  ({ key } = made.seal);
});
afterEach(() => vi.useRealTimers());

describe('shares that come together', () => {
  it('give the key with the last one of enough, and are forgotten then', () => {
    const collection = new ShareCollection();
    expect(collection.add(config, shares[3]!)).toEqual({ number: 4, have: 1, threshold: 3, set: config.set });
    expect(collection.add(config, shares[0]!).secret).toBeUndefined();
    expect(collection.add(config, shares[1]!).secret?.equals(key)).toBe(true);
    expect(collection.add(config, shares[3]!).have).toBe(1);
  });

  it('are forgotten when no other comes for a quarter of an hour, which each begins anew', () => {
    vi.useFakeTimers();
    const collection = new ShareCollection();
    collection.add(config, shares[0]!);
    vi.advanceTimersByTime(SHARES_KEPT_MS - 1);
    expect(collection.add(config, shares[1]!).have).toBe(2);
    vi.advanceTimersByTime(SHARES_KEPT_MS - 1);
    expect(() => collection.add(config, shares[1]!)).toThrow('given already');
    vi.advanceTimersByTime(1);
    expect(collection.add(config, shares[1]!).have).toBe(1);
  });

  it('are forgotten with a seal that was changed', async () => {
    const other = await makeSeal({ type: 'shamir', shares: 2, threshold: 2 }, NOTHING);
    const collection = new ShareCollection();
    collection.add(config, shares[0]!);
    const changed = other.seal.config as SharedSealConfig;
    expect(collection.add(changed, other.shares[0]!).have).toBe(1);
    expect(() => collection.add(changed, shares[1]!)).toThrow('changed since');
  });

  it('are refused where the seal never had them, though they say so', async () => {
    const other = await makeSeal({ type: 'shamir', shares: 4, threshold: 3 }, NOTHING);
    const forged = { ...(other.seal.config as SharedSealConfig), digests: config.digests };
    const collection = new ShareCollection();
    expect(() => collection.add(forged, other.shares[0]!)).toThrow('none of the shares');
    const fewer = { ...config, digests: [] };
    expect(() => collection.add(fewer, shares[0]!)).toThrow('none of the shares');
  });
});
