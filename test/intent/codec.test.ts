import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { intentToJson } from '../../src/intent/codec.ts';
import { digestOf, preimageOf } from '../../src/intent/preimage.ts';
import { parseIntent } from '../../src/intent/schema.ts';
import { arbitraryIntent } from './arbitrary.ts';

describe('intentToJson', () => {
  it('is a body of the intent’s own route that parses to the intent again', () => {
    fc.assert(
      fc.property(arbitraryIntent(), (intent) => {
        const json: unknown = JSON.parse(JSON.stringify(intentToJson(intent)));
        const parsed = parseIntent(intent.operation, json);
        expect(parsed).toEqual(intent);
        expect(intentToJson(parsed)).toEqual(json);
        const preimage = preimageOf(intent);
        expect(preimageOf(parsed).equals(preimage)).toBe(true);
        expect(digestOf(intent.operation, preimage).length).toBe(32);
      }),
      { numRuns: 2000 },
    );
  });

  it('writes quantities as decimal strings and the type as a number', () => {
    const intent = parseIntent('transaction', {
      transaction: {
        chainId: '0x1',
        nonce: 5,
        to: '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed',
        gasLimit: '0x5208',
        maxFeePerGas: '0x77359400',
        maxPriorityFeePerGas: '1',
      },
    });
    expect(intentToJson(intent)).toEqual({
      transaction: {
        type: 2,
        chainId: '1',
        nonce: '5',
        to: '0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed',
        value: '0',
        data: '0x',
        gasLimit: '21000',
        maxFeePerGas: '2000000000',
        maxPriorityFeePerGas: '1',
        accessList: [],
      },
    });
  });
});
