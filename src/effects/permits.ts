import type { Hex } from '../bytes.ts';
import type { TypedData, TypedDataField } from '../intent/intent.ts';
import { encodeType, parseTypes } from '../intent/typed-data-types.ts';
import { AbiFault } from './abi-decode.ts';
import type { Call } from './batches.ts';
import type { TokenEffect } from './effect.ts';
import { ORDERS } from './orders.ts';
import { daiPermit, permit2Amount, permit2Deadline } from './tokens.ts';

/** What typed data does once it is signed. */
export interface SignedReading {
  /** EIP-712 `encodeType` of the primary type. */
  readonly encodeType: string;
  /** Whether it has the name of a well-known permit or order. */
  readonly exposure: boolean;
  readonly tokens: readonly TokenEffect[];
  /** That it orders. */
  readonly call?: Call;
  /** Why it cannot be read to the end. */
  readonly problem?: string;
}

type Meaning = Pick<SignedReading, 'tokens' | 'call'>;

/**
 * What typed data in canonical form gives away. Only the members' names and types say what a message is, so a permit
 * of another shape than the well-known one is exposure without tokens: nothing but its type tells a policy of it. The
 * same holds for a permit of a token whose domain names no `verifyingContract`.
 */
export function readSigned(typedData: TypedData, signer: Hex): SignedReading {
  const { types, primaryType } = typedData;
  const type = encodeType(parseTypes(types, primaryType, 'types'), primaryType);
  if (!EXPOSED.has(primaryType)) return { encodeType: type, exposure: false, tokens: [] };
  try {
    return { encodeType: type, exposure: true, ...meaningOf(type, typedData, signer) };
  } catch (error) {
    if (!(error instanceof AbiFault)) throw error;
    return { encodeType: type, exposure: true, tokens: [], problem: `${primaryType}: ${error.message}` };
  }
}

/** Throws AbiFault for an order that cannot be read. */
function meaningOf(type: string, typedData: TypedData, signer: Hex): Meaning {
  const { domain, message } = typedData;
  const { verifyingContract } = domain;
  const contract = typeof verifyingContract === 'string' ? (verifyingContract as Hex) : undefined;
  const ofToken = TOKEN_PERMITS.get(type);
  if (ofToken !== undefined)
    return { tokens: contract === undefined ? [] : [ofToken.read(message, contract)] };
  const permit2 = PERMIT2.get(type) ?? permit2WithWitness(typedData);
  if (permit2 !== undefined) return { tokens: permit2.read(message, signer) };
  const order = ORDERS.get(type);
  return order === undefined ? { tokens: [] } : { tokens: [], call: order.read(message, contract) };
}

type Message = TypedData['message'];

/** That the token's own contract takes: the domain's. */
interface TokenPermit {
  /** A method, so that each permit may name its own members: its type, by which it is found, has checked them. */
  read(message: Message, contract: Hex): TokenEffect;
}

/** EIP-2612. */
type Permit = {
  readonly owner: Hex;
  readonly spender: Hex;
  readonly value: string;
  readonly deadline: string;
};

type DaiPermit = {
  readonly holder: Hex;
  readonly spender: Hex;
  readonly expiry: string;
  readonly allowed: boolean;
};

/** EIP-3009. */
type Authorization = {
  readonly from: Hex;
  readonly to: Hex;
  readonly value: string;
  readonly validBefore: string;
};

function authorization(action: 'transferWithAuthorization' | 'receiveWithAuthorization'): TokenPermit {
  return {
    read: ({ from, to, value, validBefore }: Authorization, contract) => ({
      action,
      contract,
      from,
      to,
      amount: BigInt(value),
      deadline: BigInt(validBefore),
    }),
  };
}

const AUTHORIZATION =
  'address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce';

/** This map and the next are by EIP-712 `encodeType`: a contract knows a message by the hash of that. */
const TOKEN_PERMITS: ReadonlyMap<string, TokenPermit> = new Map<string, TokenPermit>([
  [
    'Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)',
    {
      read: ({ owner: from, spender, value, deadline }: Permit, contract) => ({
        action: 'permit',
        contract,
        from,
        spender,
        amount: BigInt(value),
        deadline: BigInt(deadline),
      }),
    },
  ],
  [
    'Permit(address holder,address spender,uint256 nonce,uint256 expiry,bool allowed)',
    {
      read: ({ holder, spender, expiry, allowed }: DaiPermit, contract) =>
        daiPermit(contract, holder, spender, BigInt(expiry), allowed),
    },
  ],
  [`TransferWithAuthorization(${AUTHORIZATION})`, authorization('transferWithAuthorization')],
  [`ReceiveWithAuthorization(${AUTHORIZATION})`, authorization('receiveWithAuthorization')],
  [
    'CancelAuthorization(address authorizer,bytes32 nonce)',
    {
      read: ({ authorizer: from }: { readonly authorizer: Hex }, contract) => ({
        action: 'cancelAuthorization',
        contract,
        from,
        amount: 0n,
      }),
    },
  ],
]);

/** Names its tokens itself; whose they are, only the signature says. */
interface Permit2 {
  /** A method for the same reason as in TokenPermit. */
  read(message: Message, signer: Hex): readonly TokenEffect[];
}

type Details = { readonly token: Hex; readonly amount: string; readonly expiration: string };

/** An allowance. */
type Allowance<Of> = { readonly details: Of; readonly spender: Hex; readonly sigDeadline: string };

function allowance(details: Details, spender: Hex, sigDeadline: string, from: Hex): TokenEffect {
  return {
    action: 'permit',
    contract: details.token,
    from,
    spender,
    amount: permit2Amount(BigInt(details.amount)),
    deadline: permit2Deadline(BigInt(details.expiration), BigInt(sigDeadline)),
  };
}

type Permitted = { readonly token: Hex; readonly amount: string };

/** A move of at most so much, once. */
type Transfer<Of> = { readonly permitted: Of; readonly spender: Hex; readonly deadline: string };

function transfer({ token, amount }: Permitted, spender: Hex, deadline: string, from: Hex): TokenEffect {
  return {
    action: 'permit',
    contract: token,
    from,
    spender,
    amount: BigInt(amount),
    deadline: BigInt(deadline),
  };
}

const SINGLE_TRANSFER: Permit2 = {
  read: ({ permitted, spender, deadline }: Transfer<Permitted>, signer) => [
    transfer(permitted, spender, deadline, signer),
  ],
};

const BATCH_TRANSFER: Permit2 = {
  read: ({ permitted, spender, deadline }: Transfer<readonly Permitted[]>, signer) =>
    permitted.map((one) => transfer(one, spender, deadline, signer)),
};

const DETAILS = 'PermitDetails(address token,uint160 amount,uint48 expiration,uint48 nonce)';
const PERMISSIONS = 'TokenPermissions(address token,uint256 amount)';

/** What comes after the tokens. */
const TERMS = 'address spender,uint256 nonce,uint256 deadline';

const PERMIT2: ReadonlyMap<string, Permit2> = new Map<string, Permit2>([
  [
    `PermitSingle(PermitDetails details,address spender,uint256 sigDeadline)${DETAILS}`,
    {
      read: ({ details, spender, sigDeadline }: Allowance<Details>, signer) => [
        allowance(details, spender, sigDeadline, signer),
      ],
    },
  ],
  [
    `PermitBatch(PermitDetails[] details,address spender,uint256 sigDeadline)${DETAILS}`,
    {
      read: ({ details, spender, sigDeadline }: Allowance<readonly Details[]>, signer) =>
        details.map((one) => allowance(one, spender, sigDeadline, signer)),
    },
  ],
  [`PermitTransferFrom(TokenPermissions permitted,${TERMS})${PERMISSIONS}`, SINGLE_TRANSFER],
  [`PermitBatchTransferFrom(TokenPermissions[] permitted,${TERMS})${PERMISSIONS}`, BATCH_TRANSFER],
]);

/** By primary type: Permit2 fixes the members up to the witness, which the spender's protocol chooses. */
const WITH_WITNESS: ReadonlyMap<string, { readonly permitted: string; readonly permit: Permit2 }> = new Map([
  ['PermitWitnessTransferFrom', { permitted: 'TokenPermissions', permit: SINGLE_TRANSFER }],
  ['PermitBatchWitnessTransferFrom', { permitted: 'TokenPermissions[]', permit: BATCH_TRANSFER }],
]);

function permit2WithWitness({ types, primaryType }: TypedData): Permit2 | undefined {
  const known = WITH_WITNESS.get(primaryType);
  if (known === undefined) return undefined;
  const fixed = `${known.permitted} permitted,${TERMS},`;
  const permissions = `TokenPermissions(${describeMembers(types['TokenPermissions'])})`;
  return describeMembers(types[primaryType]).startsWith(fixed) && permissions === PERMISSIONS
    ? known.permit
    : undefined;
}

/** As in `encodeType`. */
function describeMembers(fields: readonly TypedDataField[] = []): string {
  return fields.map(({ type, name }) => `${type} ${name}`).join(',');
}

/**
 * Beside those that are read: a SafeMessage is the signature of its Safe below anything that is hashed into it; the
 * others sell what the account has, or let others act as it.
 */
const EXPOSED: ReadonlySet<string> = new Set([
  ...[...TOKEN_PERMITS.keys(), ...PERMIT2.keys(), ...ORDERS.keys()].map((type) =>
    type.slice(0, type.indexOf('(')),
  ),
  ...WITH_WITNESS.keys(),
  'SafeMessage',
  // Seaport.
  'OrderComponents',
  'BulkOrder',
  // ERC-4337: EntryPoint 0.8, and the module of Safe.
  'PackedUserOperation',
  'SafeOp',
  // ERC-7710.
  'Delegation',
]);
