import type { Hex } from '../bytes.ts';
import type { Operation } from '../intent/intent.ts';
import type { Path } from './problems.ts';

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
