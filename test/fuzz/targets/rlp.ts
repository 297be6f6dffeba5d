import assert from 'node:assert/strict';
import { decodeRlp as decodeWithEthers, encodeRlp as encodeWithEthers, type RlpStructuredData } from 'ethers';
import { toHex } from '../../../src/bytes.ts';
import { decodeRlp, encodeRlp, type RlpItem } from '../../../src/intent/rlp.ts';
import { attempt } from '../attempt.ts';

/** Canonical RLP: whatever is taken encodes to the same bytes, and is what ethers reads. */
export function fuzz(bytes: Uint8Array): void {
  const item = attempt(['invalid_request'], () => decodeRlp(bytes));
  const theirs = readWithEthers(toHex(bytes));
  if (item !== undefined) {
    assert.deepEqual(encodeRlp(item), Buffer.from(bytes));
    assert.deepEqual(theirs, plain(item));
  } else if (theirs !== undefined && depthOf(theirs) <= 64) {
    // Ethers takes encodings that are not the shortest, which is what ours is for.
    assert.notEqual(encodeWithEthers(theirs), toHex(bytes));
  }
}

function readWithEthers(hex: string): RlpStructuredData | undefined {
  try {
    return decodeWithEthers(hex);
  } catch {
    return undefined;
  }
}

function plain(item: RlpItem): RlpStructuredData {
  return item instanceof Uint8Array ? toHex(item) : item.map(plain);
}

function depthOf(item: RlpStructuredData): number {
  return typeof item === 'string' ? 0 : 1 + Math.max(0, ...item.map(depthOf));
}
