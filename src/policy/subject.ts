import type { Hex } from '../bytes.ts';
import { maxTotalFee } from '../intent/fees.ts';
import type { Intent, Operation, Transaction } from '../intent/intent.ts';
import type { NumberField } from './model.ts';

type Numbers = { readonly [field in NumberField]: bigint | undefined };

/** An intent as predicates read it; a number that the intent does not have is undefined. */
export interface Subject extends Numbers {
  readonly operation: Operation;
  /** undefined: not a transaction; null: it creates a contract. */
  readonly to: Hex | null | undefined;
  readonly data: Hex;
  /** How many addresses the access list has. */
  readonly accessList: number;
  readonly blobs: number;
  /** A type-4 transaction's list; an `authorization` is a list of one. */
  readonly authorizations: readonly { readonly chainId: bigint; readonly address: Hex }[];
  readonly purpose: string | undefined;
}

const NOTHING = {
  chainId: undefined,
  txType: undefined,
  nonce: undefined,
  gasLimit: undefined,
  value: undefined,
  gasPrice: undefined,
  maxFeePerGas: undefined,
  maxPriorityFeePerGas: undefined,
  maxFeePerBlobGas: undefined,
  maxTotalFee: undefined,
  to: undefined,
  data: '0x',
  accessList: 0,
  blobs: 0,
  authorizations: [],
  purpose: undefined,
} as const;

const TX_TYPES: readonly bigint[] = [0n, 1n, 2n, 3n, 4n];

export function subjectOf(intent: Intent): Subject {
  const { operation } = intent;
  if (operation === 'transaction') return subjectOfTransaction(intent.transaction);
  if (operation === 'digest') return { ...NOTHING, operation, purpose: intent.purpose };
  if (operation !== 'authorization') return { ...NOTHING, operation };
  return { ...NOTHING, operation, chainId: intent.chainId, nonce: intent.nonce, authorizations: [intent] };
}

/** Every member is written here, in one order, so that all transactions share one hidden class. */
function subjectOfTransaction(transaction: Transaction): Subject {
  const { type } = transaction;
  const hasFeeMarket = type === 2 || type === 3 || type === 4;
  return {
    operation: 'transaction',
    chainId: transaction.chainId,
    txType: TX_TYPES[type],
    nonce: transaction.nonce,
    gasLimit: transaction.gasLimit,
    value: transaction.value,
    gasPrice: hasFeeMarket ? undefined : transaction.gasPrice,
    maxFeePerGas: hasFeeMarket ? transaction.maxFeePerGas : undefined,
    maxPriorityFeePerGas: hasFeeMarket ? transaction.maxPriorityFeePerGas : undefined,
    maxFeePerBlobGas: type === 3 ? transaction.maxFeePerBlobGas : undefined,
    maxTotalFee: maxTotalFee(transaction),
    to: transaction.to,
    data: transaction.data,
    accessList: type === 0 ? 0 : transaction.accessList.length,
    blobs: type === 3 ? transaction.blobVersionedHashes.length : 0,
    authorizations: type === 4 ? transaction.authorizationList : NOTHING.authorizations,
    purpose: undefined,
  };
}
