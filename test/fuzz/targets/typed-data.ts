import assert from 'node:assert/strict';
import { keccak256, TypedDataEncoder } from 'ethers';
import { toHex } from '../../../src/bytes.ts';
import { decodeEffects } from '../../../src/effects/decode.ts';
import { parseStrictJson } from '../../../src/http/json.ts';
import { intentToJson } from '../../../src/intent/codec.ts';
import type { TypedData } from '../../../src/intent/intent.ts';
import { preimageOf } from '../../../src/intent/preimage.ts';
import { parseIntent } from '../../../src/intent/schema.ts';
import { attempt } from '../attempt.ts';

const SIGNER = '0x5151515151515151515151515151515151515151';

/** EIP-712: what is taken survives its canonical JSON, and ethers hashes it alike. */
export function fuzz(bytes: Uint8Array): void {
  const body = attempt(['invalid_request', 'payload_too_large'], () => parseStrictJson(bytes));
  const intent = attempt(['invalid_request'], () => parseIntent('typed-data', body));
  if (intent === undefined) return;
  assert.deepEqual(parseIntent('typed-data', intentToJson(intent)), intent);
  const { effects } = decodeEffects(intent, SIGNER);
  assert.ok(effects.length > 0 && effects.length <= 256);
  assert.equal(hashWithEthers(intent.typedData), keccak256(toHex(preimageOf(intent))));
}

function hashWithEthers({ domain, types, primaryType, message }: TypedData): string {
  const fields = Object.entries(types).map(([name, list]) => [name, list.map((field) => ({ ...field }))]);
  const encoder = TypedDataEncoder.from(
    Object.fromEntries(fields) as Record<string, { name: string; type: string }[]>,
  );
  assert.equal(encoder.primaryType, primaryType);
  return TypedDataEncoder.hash(domain, Object.fromEntries(fields) as never, message);
}
