import type { Hex } from '../bytes.ts';

/** A Solidity ABI type; `uint` and `int` carry their bits, `bytesN` is `fixed-bytes`. */
export type AbiType =
  | { readonly kind: 'uint' | 'int'; readonly bits: number }
  | { readonly kind: 'address' | 'bool' | 'bytes' | 'string' }
  | { readonly kind: 'fixed-bytes'; readonly size: number }
  | { readonly kind: 'array'; readonly of: AbiType; readonly length?: number }
  | { readonly kind: 'tuple'; readonly of: readonly AbiField[] };

export interface AbiField {
  /** The empty string where the signature names none. */
  readonly name: string;
  readonly type: AbiType;
}

export interface AbiFunction {
  readonly name: string;
  readonly inputs: readonly AbiField[];
  /** Canonical: `transfer(address,uint256)`. */
  readonly signature: string;
  /** The first four bytes of its keccak256. */
  readonly selector: Hex;
}

/**
 * Integers are bigints, addresses and bytes lower-case hex, strings text, arrays and tuples lists in the order of
 * their type.
 */
export type AbiValue = bigint | boolean | string | readonly AbiValue[];
