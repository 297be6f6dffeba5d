import { keccak_256 } from '@noble/hashes/sha3.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keccak256 } from '../src/keccak.ts';

describe('Keccak-256', () => {
  it('is that of Ethereum, and not SHA-3', () => {
    expect(keccak256(new Uint8Array()).toString('hex')).toBe(
      'c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470',
    );
  });

  it('is what another implementation makes of the same bytes, of any length', () => {
    for (let length = 0; length <= 600; length++) {
      const bytes = Buffer.alloc(length, length);
      expect(keccak256(bytes)).toEqual(Buffer.from(keccak_256(bytes)));
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200_000, size: 'max' }), (bytes) => {
        expect(keccak256(bytes)).toEqual(Buffer.from(keccak_256(bytes)));
      }),
      { numRuns: 50 },
    );
  });

  it('is not changed by the next one', () => {
    const first = keccak256(Buffer.from('first'));
    const copy = Buffer.from(first);
    keccak256(Buffer.from('second'));
    expect(first).toEqual(copy);
  });
});
