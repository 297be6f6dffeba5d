import assert from 'node:assert/strict';
import { Transaction } from 'ethers';
import { toHex } from '../../../src/bytes.ts';
import { decodeEffects } from '../../../src/effects/decode.ts';
import { describeIntent } from '../../../src/effects/describe.ts';
import { canonicalize } from '../../../src/jcs.ts';
import { intentToJson } from '../../../src/intent/codec.ts';
import { OPERATIONS, type Intent } from '../../../src/intent/intent.ts';
import { preimageOf } from '../../../src/intent/preimage.ts';
import { parseStrictJson } from '../../../src/http/json.ts';
import { parseIntent } from '../../../src/intent/schema.ts';
import { checkPreimageShape } from '../../../src/intent/shape.ts';
import { attempt } from '../attempt.ts';

const SIGNER = '0x5151515151515151515151515151515151515151';

/** Bodies of the signing routes: what is taken survives its canonical JSON, and what is signed has the shape of its operation. */
export function fuzz(bytes: Uint8Array): void {
  const body = attempt(['invalid_request', 'payload_too_large'], () => parseStrictJson(bytes));
  if (body === undefined) return;
  for (const operation of OPERATIONS) {
    const intent = attempt(['invalid_request'], (): Intent => parseIntent(operation, body));
    if (intent === undefined) continue;
    const json = intentToJson(intent);
    canonicalize(json);
    assert.deepEqual(parseIntent(operation, json), intent);

    const preimage = preimageOf(intent);
    checkPreimageShape(operation, preimage);
    if (intent.operation === 'transaction' && intent.transaction.nonce < 2n ** 53n) {
      assert.equal(Transaction.from(toHex(preimage)).unsignedSerialized, toHex(preimage));
    }
    const lines = describeIntent(intent, decodeEffects(intent, SIGNER), { tokens: new Map() });
    assert.ok(lines.every((line) => !line.includes('\n')));
  }
}
