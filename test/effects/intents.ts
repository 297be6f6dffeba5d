import { Interface } from 'ethers';
import type { Hex } from '../../src/bytes.ts';
import { decodeEffects } from '../../src/effects/decode.ts';
import type { CallEffect, Effect, Effects, TypedDataEffect } from '../../src/effects/effect.ts';
import type { Intent, Transaction } from '../../src/intent/intent.ts';
import { parseIntent } from '../../src/intent/schema.ts';

/** A lower-case address of one repeated byte. */
export const account = (byte: number): Hex => `0x${byte.toString(16).padStart(2, '0').repeat(20)}`;

export const SIGNER = account(0x51);
export const SAFE = account(0x5a);
export const USDC: Hex = '0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48';
export const NOTHING: Hex = '0x';

/** Calldata as ethers writes it. */
export function calldata(fragment: string, args: readonly unknown[]): Hex {
  const contract = new Interface([`function ${fragment}`]);
  const [first] = contract.fragments;
  if (first === undefined) throw new Error(fragment);
  return contract.encodeFunctionData(first.format('sighash'), args) as Hex;
}

export function transactionOf(fields: Partial<Pick<Transaction, 'to' | 'value' | 'data'>>): Intent {
  const transaction: Transaction = {
    type: 2,
    chainId: 1n,
    nonce: 7n,
    to: USDC,
    value: 0n,
    data: NOTHING,
    gasLimit: 100_000n,
    maxFeePerGas: 20_000_000_000n,
    maxPriorityFeePerGas: 1_000_000_000n,
    accessList: [],
    ...fields,
  };
  return { operation: 'transaction', transaction };
}

export function decodeCall(to: Hex, data: Hex, value = 0n): Effects {
  return decodeEffects(transactionOf({ to, data, value }), SIGNER);
}

/** Of a call that can be read. */
export function callsOf({ effects, problem }: Effects): CallEffect[] {
  if (problem !== undefined) throw new Error(problem);
  return effects.filter(isCall);
}

export function isCall(effect: Effect): effect is CallEffect {
  return effect.kind === 'call';
}

export function isTypedData(effect: Effect): effect is TypedDataEffect {
  return effect.kind === 'typed-data';
}

export interface TypedDataBody {
  readonly domain: object;
  readonly types: Readonly<Record<string, readonly { readonly name: string; readonly type: string }[]>>;
  readonly primaryType: string;
  readonly message: object;
}

export function typedDataOf(body: TypedDataBody): Intent {
  return parseIntent('typed-data', { ...body });
}

/** `{ name, type }` of each member: `address owner,uint256 value`. */
export function members(text: string): { readonly name: string; readonly type: string }[] {
  return text.split(',').map((member) => {
    const [type = '', name = ''] = member.trim().split(' ');
    return { name, type };
  });
}
