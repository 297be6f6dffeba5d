import type { Hex } from '../bytes.ts';
import type { Effect, TokenEffect, TypedDataEffect } from '../effects/effect.ts';
import { CountersignError } from '../errors.ts';
import type { Transaction } from '../intent/intent.ts';
import { maxTotalFee } from '../intent/transaction.ts';
import type { PolicyRequest } from './decision.ts';
import type { NumberField, PolicyOperation, Token } from './model.ts';

/** `value` is the effect's own: `valueOf`. */
type Numbers = { readonly [field in Exclude<NumberField, 'value'>]: bigint | undefined };

/**
 * A request as predicates read it, beside the one of its effects that is looked at: what all of them share. A number
 * that the request does not have is undefined.
 */
export interface Subject extends Numbers {
  readonly operation: PolicyOperation;
  /** Address of the key version that is to sign. */
  readonly signer: Hex;
  /** Milliseconds since 1970. */
  readonly now: number;
  /** How many addresses the access list has. */
  readonly accessList: number;
  readonly blobs: number;
  /** A type-4 transaction's list; an `authorization` is a list of one. */
  readonly authorizations: readonly { readonly chainId: bigint; readonly address: Hex }[];
  readonly purpose: string | undefined;
  /** Of a message, in bytes. */
  readonly messageLength: bigint | undefined;
  /** Of typed data, also where the effect is a call that it orders. */
  readonly typed: TypedDataEffect | undefined;
}

/** A request in the form in which rules are asked about each of its effects. */
export interface Question {
  readonly request: PolicyRequest;
  readonly subject: Subject;
}

const NOTHING = {
  chainId: undefined,
  txType: undefined,
  nonce: undefined,
  gasLimit: undefined,
  gasPrice: undefined,
  maxFeePerGas: undefined,
  maxPriorityFeePerGas: undefined,
  maxFeePerBlobGas: undefined,
  maxTotalFee: undefined,
  accessList: 0,
  blobs: 0,
  authorizations: [],
  purpose: undefined,
  messageLength: undefined,
  typed: undefined,
} as const;

const TX_TYPES: readonly bigint[] = [0n, 1n, 2n, 3n, 4n];

export function subjectOf({ intent, effects, key: { address: signer }, now }: PolicyRequest): Subject {
  const { operation } = intent;
  switch (operation) {
    case 'transaction':
      return subjectOfTransaction(intent.transaction, signer, now);
    case 'typed-data': {
      const [first] = effects.effects;
      const typed = first?.kind === 'typed-data' ? first : undefined;
      return { ...NOTHING, operation, signer, now, chainId: chainOf(typed), typed };
    }
    case 'authorization': {
      const { chainId, nonce } = intent;
      return { ...NOTHING, operation, signer, now, chainId, nonce, authorizations: [intent] };
    }
    case 'digest':
      return { ...NOTHING, operation, signer, now, purpose: intent.purpose };
    case 'message':
      return { ...NOTHING, operation, signer, now, messageLength: BigInt(intent.data.length / 2 - 1) };
    case 'key.export':
    default:
      return { ...NOTHING, operation, signer, now };
  }
}

/** Every member is written here, in one order, so that all transactions share one hidden class. */
function subjectOfTransaction(transaction: Transaction, signer: Hex, now: number): Subject {
  const { type } = transaction;
  const hasFeeMarket = type === 2 || type === 3 || type === 4;
  return {
    operation: 'transaction',
    signer,
    now,
    chainId: transaction.chainId,
    txType: TX_TYPES[type],
    nonce: transaction.nonce,
    gasLimit: transaction.gasLimit,
    gasPrice: hasFeeMarket ? undefined : transaction.gasPrice,
    maxFeePerGas: hasFeeMarket ? transaction.maxFeePerGas : undefined,
    maxPriorityFeePerGas: hasFeeMarket ? transaction.maxPriorityFeePerGas : undefined,
    maxFeePerBlobGas: type === 3 ? transaction.maxFeePerBlobGas : undefined,
    maxTotalFee: maxTotalFee(transaction),
    accessList: type === 0 ? 0 : transaction.accessList.length,
    blobs: type === 3 ? transaction.blobVersionedHashes.length : 0,
    authorizations: type === 4 ? transaction.authorizationList : NOTHING.authorizations,
    purpose: undefined,
    messageLength: undefined,
    typed: undefined,
  };
}

/** A canonical domain has its chain as a decimal text. */
function chainOf(typed: TypedDataEffect | undefined): bigint | undefined {
  const chainId = typed?.typedData.domain['chainId'];
  return typeof chainId === 'string' ? BigInt(chainId) : undefined;
}

/** Throws for typed data whose domain names no chain: some contracts take it on every chain. */
export function chainIdOf({ operation, chainId }: Subject): bigint | undefined {
  if (chainId === undefined && operation === 'typed-data') {
    throw new CountersignError('unprocessable', 'the domain names no chain, so it may be good on any');
  }
  return chainId;
}

/** Wei that go with a call or a creation; undefined for other effects. */
export function valueOf(effect: Effect): bigint | undefined {
  return effect.kind === 'call' || effect.kind === 'create' ? effect.value : undefined;
}

/** undefined: it is no call; null: it creates a contract. */
export function recipientOf(effect: Effect): Hex | null | undefined {
  if (effect.kind === 'call') return effect.to;
  return effect.kind === 'create' ? null : undefined;
}

/** What a call or typed data does with a token. */
export function tokenOf(effect: Effect): TokenEffect | undefined {
  return effect.kind === 'call' || effect.kind === 'typed-data' ? effect.token : undefined;
}

/** In base units. Where one selector serves two standards, the token's own says what its number is. */
export function amountOf({ standard }: Token, { amount, amountOrId }: TokenEffect): bigint | undefined {
  return amount ?? (standard === 'erc20' ? amountOrId : undefined);
}

export function tokenIdOf({ standard }: Token, { tokenId, amountOrId }: TokenEffect): bigint | undefined {
  return tokenId ?? (standard === 'erc721' ? amountOrId : undefined);
}
