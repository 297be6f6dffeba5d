import assert from 'node:assert/strict';
import { toHex } from '../../../src/bytes.ts';
import { decodeEffects } from '../../../src/effects/decode.ts';
import { describeIntent } from '../../../src/effects/describe.ts';
import { encodeCall } from '../../../src/effects/abi-encode.ts';
import { isCutOff, knownFunction, KNOWN_FUNCTIONS } from '../../../src/effects/functions.ts';
import type { Intent } from '../../../src/intent/intent.ts';
import { attempt } from '../attempt.ts';

const SIGNER = '0x5151515151515151515151515151515151515151';

/** Calldata; its first byte chooses a known selector, 255 none. What is told of it is in it, and is told in bounds. */
export function fuzz(bytes: Uint8Array): void {
  const chosen = KNOWN_FUNCTIONS[bytes[0] ?? 255];
  const data = toHex(
    Buffer.concat([Buffer.from(chosen?.fn.selector.slice(2) ?? '', 'hex'), bytes.subarray(1)]),
  );
  const intent: Intent = {
    operation: 'transaction',
    transaction: {
      type: 0,
      chainId: 1n,
      nonce: 0n,
      to: '0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48',
      value: BigInt(bytes[1] ?? 0),
      data,
      gasLimit: 100_000n,
      gasPrice: 1n,
    },
  };
  const effects = decodeEffects(intent, SIGNER);
  assert.ok(effects.effects.length > 0 && effects.effects.length <= 256);
  for (const effect of effects.effects) {
    assert.ok(effect.kind === 'call');
    assert.ok(data.includes(effect.data.slice(2)), 'an inner call that is not in the calldata');
    assert.ok(effect.path.split('.').length <= 4);
  }
  if (isCutOff(data)) assert.ok(effects.problem !== undefined);
  assert.ok(describeIntent(intent, effects, { tokens: new Map() }).every((line) => !line.includes('\n')));

  const known = knownFunction(data);
  const values = known && attempt(['unprocessable'], () => known.decode(data));
  if (known !== undefined && values !== undefined) assert.equal(encodeCall(known.fn, values), data);
  // Nothing of a call that cannot be read is taken for the whole.
  if (known !== undefined && values === undefined) assert.ok(effects.problem !== undefined);
}
