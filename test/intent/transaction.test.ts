import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { maxTotalFee } from '../../src/intent/transaction.ts';
import { arbitraryTransaction } from './arbitrary.ts';

describe('maxTotalFee', () => {
  it('is gas at its highest price plus blob gas, without wrapping', () => {
    fc.assert(
      fc.property(arbitraryTransaction(), (transaction) => {
        const price = 'gasPrice' in transaction ? transaction.gasPrice : transaction.maxFeePerGas;
        const blobs = 'blobVersionedHashes' in transaction ? transaction.blobVersionedHashes.length : 0;
        const blobPrice = 'maxFeePerBlobGas' in transaction ? transaction.maxFeePerBlobGas : 0n;
        const expected = transaction.gasLimit * price + 131_072n * BigInt(blobs) * blobPrice;
        expect(maxTotalFee(transaction)).toBe(expected);
      }),
    );
  });

  it('exceeds 2^256 where the fields do', () => {
    const max = 2n ** 256n - 1n;
    const fee = maxTotalFee({
      type: 3,
      chainId: 1n,
      nonce: 0n,
      to: '0x0000000000000000000000000000000000000000',
      value: 0n,
      data: '0x',
      gasLimit: 2n ** 64n - 1n,
      maxFeePerGas: max,
      maxPriorityFeePerGas: 0n,
      accessList: [],
      maxFeePerBlobGas: max,
      blobVersionedHashes: [`0x01${'00'.repeat(31)}`],
    });
    expect(fee).toBe((2n ** 64n - 1n + 131_072n) * max);
  });
});
