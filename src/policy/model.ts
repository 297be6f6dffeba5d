import type { Hex } from '../bytes.ts';
import type { Intent, Operation, Transaction } from '../intent/intent.ts';
import { maxTotalFee } from '../intent/transaction.ts';
import type { Path } from './read.ts';

/** Compared as counts and identifiers; written as integers. */
export const INTEGER_FIELDS = ['chainId', 'txType', 'nonce', 'gasLimit'] as const;

/** Compared in wei (fees per gas: wei per gas); written as amounts. */
export const AMOUNT_FIELDS = [
  'value',
  'gasPrice',
  'maxFeePerGas',
  'maxPriorityFeePerGas',
  'maxFeePerBlobGas',
  'maxTotalFee',
] as const;

export type NumberField = (typeof INTEGER_FIELDS)[number] | (typeof AMOUNT_FIELDS)[number];

/** Comparisons that must all hold. */
export interface NumberTest {
  readonly eq?: bigint;
  readonly lt?: bigint;
  readonly lte?: bigint;
  readonly gt?: bigint;
  readonly gte?: bigint;
  readonly in?: ReadonlySet<bigint>;
  readonly notIn?: ReadonlySet<bigint>;
}

/** Lower-case addresses; `eq` is an `in` of one. */
export interface AddressTest {
  readonly in?: ReadonlySet<Hex>;
  readonly notIn?: ReadonlySet<Hex>;
}

/** `eq` is an `in` of one. */
export interface PurposeTest {
  readonly in?: ReadonlySet<string>;
  readonly prefix?: string;
}

export type Predicate =
  | { readonly kind: 'number'; readonly path: Path; readonly field: NumberField; readonly test: NumberTest }
  | {
      readonly kind: 'to';
      readonly path: Path;
      readonly test: AddressTest;
      /** true: the transaction creates a contract; false: it does not. */
      readonly create?: boolean;
    }
  | { readonly kind: 'accessList'; readonly path: Path; readonly max: number }
  | { readonly kind: 'blobs'; readonly path: Path; readonly max: number }
  | {
      readonly kind: 'authorizations';
      readonly path: Path;
      readonly max?: number;
      readonly address?: AddressTest;
      readonly chainId?: NumberTest;
    }
  | { readonly kind: 'digest'; readonly path: Path; readonly purpose: PurposeTest };

export type Condition =
  | { readonly kind: 'all'; readonly path: Path; readonly of: readonly Condition[] }
  | { readonly kind: 'any'; readonly path: Path; readonly of: readonly Condition[] }
  | { readonly kind: 'not'; readonly path: Path; readonly of: Condition }
  | Predicate;

export interface PrincipalSelector {
  readonly roles: ReadonlySet<string>;
  readonly ids: ReadonlySet<string>;
}

/** Groups are resolved to the names and tags they stand for. */
export interface KeySelector {
  readonly every: boolean;
  readonly names: ReadonlySet<string>;
  readonly tags: ReadonlySet<string>;
}

/** A rule that was read and checked; what is absent does not restrict. */
export interface Rule {
  readonly id: string;
  readonly effect: 'allow' | 'deny';
  readonly principals?: PrincipalSelector;
  readonly keys?: KeySelector;
  readonly operations: ReadonlySet<Operation>;
  readonly when?: Condition;
}

/** What is wrong with a rule that reads well. */
export interface Fault {
  readonly path: Path;
  readonly message: string;
}

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
