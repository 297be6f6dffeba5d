import type { Hex } from '../bytes.ts';

/** What a caller may ask a key to sign; each has its own route, its own preimage and its own policy rules. */
export const OPERATIONS = ['transaction', 'message', 'typed-data', 'authorization', 'digest'] as const;
export type Operation = (typeof OPERATIONS)[number];

/** What a digest is said to be. */
export const PURPOSE = /^[!-~](?:[ -~]{0,198}[!-~])?$/;
export const PURPOSE_FORM = '1 to 200 printable ASCII characters, without spaces at the ends';

export interface AccessListEntry {
  readonly address: Hex;
  readonly storageKeys: readonly Hex[];
}

/** A signed EIP-7702 tuple as a type-4 transaction carries it. */
export interface SignedAuthorization {
  readonly chainId: bigint;
  readonly address: Hex;
  readonly nonce: bigint;
  readonly yParity: 0 | 1;
  readonly r: bigint;
  readonly s: bigint;
}

/** Quantities are uint256 at most; byte strings and addresses are lower-case hex; `to: null` creates a contract. */
interface TransactionBase {
  readonly chainId: bigint;
  readonly nonce: bigint;
  readonly to: Hex | null;
  readonly value: bigint;
  readonly data: Hex;
  readonly gasLimit: bigint;
}

/** Always with a chain id: a transaction without replay protection (before EIP-155) is never signed. */
export interface LegacyTransaction extends TransactionBase {
  readonly type: 0;
  readonly gasPrice: bigint;
}

/** EIP-2930. */
export interface AccessListTransaction extends TransactionBase {
  readonly type: 1;
  readonly gasPrice: bigint;
  readonly accessList: readonly AccessListEntry[];
}

interface FeeMarket extends TransactionBase {
  readonly maxFeePerGas: bigint;
  readonly maxPriorityFeePerGas: bigint;
  readonly accessList: readonly AccessListEntry[];
}

/** EIP-1559. */
export interface FeeMarketTransaction extends FeeMarket {
  readonly type: 2;
}

/** EIP-4844, in its canonical form, without the blobs themselves. */
export interface BlobTransaction extends FeeMarket {
  readonly type: 3;
  readonly to: Hex;
  readonly maxFeePerBlobGas: bigint;
  readonly blobVersionedHashes: readonly Hex[];
}

/** EIP-7702. */
export interface SetCodeTransaction extends FeeMarket {
  readonly type: 4;
  readonly to: Hex;
  readonly authorizationList: readonly SignedAuthorization[];
}

export type Transaction =
  LegacyTransaction | AccessListTransaction | FeeMarketTransaction | BlobTransaction | SetCodeTransaction;

export interface TypedDataField {
  readonly name: string;
  readonly type: string;
}

/**
 * A value in the canonical form of its type (EIP-712): integers are decimal strings, `bytes`, `bytesN` and addresses
 * lower-case hex, a struct's members stand in the order of their type.
 */
export type TypedValue = string | boolean | readonly TypedValue[] | { readonly [name: string]: TypedValue };

export interface TypedData {
  readonly domain: { readonly [name: string]: TypedValue };
  readonly types: { readonly [name: string]: readonly TypedDataField[] };
  readonly primaryType: string;
  readonly message: { readonly [name: string]: TypedValue };
}

/**
 * The canonical form of a request to sign. Policies read it, the audit log keeps it, and the bytes that
 * are signed are encoded from it and from nothing else.
 */
export type Intent =
  | { readonly operation: 'transaction'; readonly transaction: Transaction }
  | { readonly operation: 'message'; readonly data: Hex }
  | { readonly operation: 'typed-data'; readonly typedData: TypedData }
  | {
      readonly operation: 'authorization';
      readonly chainId: bigint;
      readonly address: Hex;
      readonly nonce: bigint;
    }
  | { readonly operation: 'digest'; readonly digest: Hex; readonly purpose: string };
