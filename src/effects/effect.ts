import type { Hex } from '../bytes.ts';
import type { Intent, TypedData } from '../intent/intent.ts';

/** What a call or a signed message does with a token. `permit` is every allowance that is given by signature. */
export const TOKEN_ACTIONS = [
  'transfer',
  'transferFrom',
  'approve',
  'increaseAllowance',
  'decreaseAllowance',
  'setApprovalForAll',
  'permit',
  'transferWithAuthorization',
  'receiveWithAuthorization',
  'cancelAuthorization',
] as const;
export type TokenAction = (typeof TOKEN_ACTIONS)[number];

/** Stands for "without limit": `setApprovalForAll`, a DAI permit. */
export const UNLIMITED = 2n ** 256n - 1n;

/** One movement or exposure of one token. Addresses are lower-case. */
export interface TokenEffect {
  readonly action: TokenAction;
  /** The token's contract. */
  readonly contract: Hex;
  /** Whose tokens they are. */
  readonly from?: Hex;
  /** Who gets them. */
  readonly to?: Hex;
  /** Who may take them later. */
  readonly spender?: Hex;
  /** In base units; `UNLIMITED` where there is no bound; 0 for a revocation. */
  readonly amount?: bigint;
  readonly tokenId?: bigint;
  /** One selector serves ERC-20 and ERC-721 (`transferFrom`, `approve`): the token's standard says which this is. */
  readonly amountOrId?: bigint;
  /** Seconds since 1970. */
  readonly deadline?: bigint;
}

/** One call: the transaction's own, one inside a batch, or one that typed data orders. A plain transfer is one without data. */
export interface CallEffect {
  readonly kind: 'call';
  /** Where it stands in the tree: `''` for the outermost, then `'0'`, `'1.0'`. */
  readonly path: string;
  /** `msg.sender` of the call: the key's address, or the contract that makes an inner call. */
  readonly from: Hex;
  readonly to: Hex;
  /** Wei that go with the call. */
  readonly value: bigint;
  /** Whether `value` leaves an account that the outermost call's value does not pay for: a Safe's own funds. */
  readonly ownFunds: boolean;
  readonly data: Hex;
  /** DELEGATECALL: the code at `to` runs with the storage and the funds of `from`. */
  readonly delegate: boolean;
  /** Of a well-known function; a call with several token effects stands in the list once for each. */
  readonly token?: TokenEffect;
}

export interface CreateEffect {
  readonly kind: 'create';
  readonly path: string;
  readonly value: bigint;
  readonly initCode: Hex;
  /** keccak256 of the init code. */
  readonly initcodeHash: Hex;
}

/** A message of EIP-4361, parsed; members as the specification names them. */
export interface SiweMessage {
  readonly scheme?: string;
  readonly domain: string;
  /** Lower-case. */
  readonly address: Hex;
  readonly statement?: string;
  readonly uri: string;
  readonly version: '1';
  readonly chainId: bigint;
  readonly nonce: string;
  /** RFC 3339, as written. */
  readonly issuedAt: string;
  readonly expirationTime?: string;
  readonly notBefore?: string;
  readonly requestId?: string;
  readonly resources: readonly string[];
}

export interface MessageEffect {
  readonly kind: 'message';
  /** The message when it is UTF-8. */
  readonly text?: string;
  /** When it reads as EIP-4361. */
  readonly siwe?: SiweMessage;
  /** It does not, but somebody may read it so: what a policy says of such messages cannot be decided. */
  readonly nearSiwe?: true;
}

export interface TypedDataEffect {
  readonly kind: 'typed-data';
  readonly typedData: TypedData;
  /** EIP-712 `encodeType` of the primary type. */
  readonly encodeType: string;
  /** Of a well-known permit; typed data with several token effects stands in the list once for each. */
  readonly token?: TokenEffect;
  /** A well-known permit or order: an allow rule has to name its token, its calls or its type. */
  readonly exposure: boolean;
}

/** What needs no decoding: the intent's own members say it all. */
export interface PlainEffect {
  readonly kind: 'authorization' | 'digest' | 'key.export';
}

export type Effect = CallEffect | CreateEffect | MessageEffect | TypedDataEffect | PlainEffect;

/** Beside the operations that sign. */
export type PolicyIntent = Intent | { readonly operation: 'key.export' };

/** All that an intent does, outermost first. */
export interface Effects {
  /** At least one, unless there is a problem. Each needs cover of its own. */
  readonly effects: readonly Effect[];
  /** Why it cannot be read to the end; denies. */
  readonly problem?: string;
}
