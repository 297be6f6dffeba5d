import type { Transaction } from './intent.ts';

/** EIP-4844: GAS_PER_BLOB. */
const GAS_PER_BLOB = 131_072n;

/** The most wei the transaction can cost in fees: gas at its highest price, and blob gas. Never wraps. */
export function maxTotalFee(transaction: Transaction): bigint {
  if (transaction.type === 0 || transaction.type === 1) return transaction.gasLimit * transaction.gasPrice;
  const gas = transaction.gasLimit * transaction.maxFeePerGas;
  if (transaction.type !== 3) return gas;
  const blobs = BigInt(transaction.blobVersionedHashes.length);
  return gas + GAS_PER_BLOB * blobs * transaction.maxFeePerBlobGas;
}
