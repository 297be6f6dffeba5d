import assert from 'node:assert/strict';
import { Transaction } from 'ethers';
import { toHex } from '../../../src/bytes.ts';
import { OPERATIONS } from '../../../src/intent/intent.ts';
import { decodeRlp } from '../../../src/intent/rlp.ts';
import { checkPreimageShape } from '../../../src/intent/shape.ts';
import { attempt } from '../attempt.ts';

/** What the signer process looks at before it signs: no bytes pass for two operations, and a transaction is one to ethers. */
export function fuzz(bytes: Uint8Array): void {
  const passed = OPERATIONS.filter((operation) => {
    const shape = attempt(['internal'], () => (checkPreimageShape(operation, bytes), true));
    return shape === true;
  });
  // Any 32 bytes are a digest, and are signed as they are; the others are hashed.
  const hashed = passed.filter((operation) => operation !== 'digest');
  assert.ok(hashed.length <= 1, `passes for ${hashed.join(' and ')}`);
  if (hashed[0] === 'transaction' && isWrittenByEthers(bytes)) {
    assert.equal(Transaction.from(toHex(bytes)).unsignedSerialized, toHex(bytes));
  }
}

/** Ethers holds nonces in doubles, and writes no tip that is above the fee. */
function isWrittenByEthers(preimage: Uint8Array): boolean {
  const legacy = (preimage[0] ?? 0) >= 0xc0;
  const fields = decodeRlp(legacy ? preimage : preimage.subarray(1));
  const field = (index: number): bigint => BigInt(toHex(fields[index] as Uint8Array).padEnd(3, '0'));
  if (legacy) return field(0) < 2n ** 53n;
  return field(1) < 2n ** 53n && (preimage[0] === 1 || field(2) <= field(3));
}
