import type { Hex } from '../bytes.ts';
import { AbiFault } from './abi-decode.ts';
import type { AbiValue } from './abi.ts';
import { UNLIMITED, type TokenEffect } from './effect.ts';

/** The call of which the arguments are read: its `msg.sender`, and the contract that is called. */
export interface TokenCall {
  readonly from: Hex;
  readonly to: Hex;
}

/** A function that moves tokens or lets others move them. */
export interface TokenFunction {
  readonly signature: string;
  /**
   * What a call does with tokens, from its decoded arguments. Throws AbiFault when they contradict each other. A method,
   * so that each function may name the types of its own arguments: decoding by the signature has checked them.
   */
  read(args: readonly AbiValue[], call: TokenCall): readonly TokenEffect[];
}

/** Where Permit2 is on most chains: an address that its deployer's own code alone can come to (EIP-1014). */
export const PERMIT2: Hex = '0x000000000022d473030f116ddee9f6b43ac78ba3';

/** Permit2 never counts down an allowance of this amount: it is without limit. */
const PERMIT2_UNLIMITED = 2n ** 160n - 1n;

/** The amount of an allowance in Permit2. */
export function permit2Amount(amount: bigint): bigint {
  return amount === PERMIT2_UNLIMITED ? UNLIMITED : amount;
}

/** When an allowance in Permit2 ends. 0 is the end of the block that sets it, which is not after `signedUntil`. */
export function permit2Deadline(expiration: bigint, signedUntil: bigint): bigint {
  return expiration === 0n ? signedUntil : expiration;
}

/** DAI's permit gives everything or nothing; an expiry of 0 is none. */
export function daiPermit(
  contract: Hex,
  from: Hex,
  spender: Hex,
  expiry: bigint,
  allowed: boolean,
): TokenEffect {
  const amount = allowed ? UNLIMITED : 0n;
  const effect = { action: 'permit', contract, from, spender, amount } as const;
  return expiry === 0n ? effect : { ...effect, deadline: expiry };
}

const permit = ([from, spender, amount, deadline]: readonly [Hex, Hex, bigint, bigint], call: TokenCall) => [
  { action: 'permit', contract: call.to, from, spender, amount, deadline } as const,
];

type Authorization = readonly [Hex, Hex, bigint, bigint, bigint];

const moveByAuthorization =
  (action: 'transferWithAuthorization' | 'receiveWithAuthorization') =>
  ([from, to, amount, , deadline]: Authorization, call: TokenCall) => [
    { action, contract: call.to, from, to, amount, deadline },
  ];

const cancelAuthorization = ([from]: readonly [Hex], call: TokenCall) => [
  { action: 'cancelAuthorization', contract: call.to, from, amount: 0n } as const,
];

const AUTHORIZATION =
  'address from, address to, uint256 value, uint256 validAfter, uint256 validBefore, bytes32 nonce';
const PARTS = 'uint8 v, bytes32 r, bytes32 s';

/** ERC-20 with the allowance functions of OpenZeppelin, EIP-2612, DAI, EIP-3009; and what ERC-721 shares with them. */
const ERC20: readonly TokenFunction[] = [
  {
    signature: 'transfer(address to, uint256 value)',
    read: ([to, amount]: readonly [Hex, bigint], call) => [
      { action: 'transfer', contract: call.to, from: call.from, to, amount },
    ],
  },
  {
    signature: 'transferFrom(address from, address to, uint256 valueOrId)',
    read: ([from, to, amountOrId]: readonly [Hex, Hex, bigint], call) => [
      { action: 'transferFrom', contract: call.to, from, to, amountOrId },
    ],
  },
  {
    signature: 'approve(address spender, uint256 valueOrId)',
    read: ([spender, amountOrId]: readonly [Hex, bigint], call) => [
      { action: 'approve', contract: call.to, from: call.from, spender, amountOrId },
    ],
  },
  {
    signature: 'increaseAllowance(address spender, uint256 added)',
    read: ([spender, amount]: readonly [Hex, bigint], call) => [
      { action: 'increaseAllowance', contract: call.to, from: call.from, spender, amount },
    ],
  },
  {
    signature: 'decreaseAllowance(address spender, uint256 subtracted)',
    read: ([spender, amount]: readonly [Hex, bigint], call) => [
      { action: 'decreaseAllowance', contract: call.to, from: call.from, spender, amount },
    ],
  },
  {
    signature: `permit(address owner, address spender, uint256 value, uint256 deadline, ${PARTS})`,
    read: permit,
  },
  {
    signature: 'permit(address owner, address spender, uint256 value, uint256 deadline, bytes signature)',
    read: permit,
  },
  {
    signature: `permit(address holder, address spender, uint256 nonce, uint256 expiry, bool allowed, ${PARTS})`,
    read: ([holder, spender, , expiry, allowed]: readonly [Hex, Hex, bigint, bigint, boolean], call) => [
      daiPermit(call.to, holder, spender, expiry, allowed),
    ],
  },
  ...[PARTS, 'bytes signature'].flatMap((signature) => [
    {
      signature: `transferWithAuthorization(${AUTHORIZATION}, ${signature})`,
      read: moveByAuthorization('transferWithAuthorization'),
    },
    {
      signature: `receiveWithAuthorization(${AUTHORIZATION}, ${signature})`,
      read: moveByAuthorization('receiveWithAuthorization'),
    },
    {
      signature: `cancelAuthorization(address authorizer, bytes32 nonce, ${signature})`,
      read: cancelAuthorization,
    },
  ]),
];

const safeTransfer721 = ([from, to, tokenId]: readonly [Hex, Hex, bigint], call: TokenCall) => [
  { action: 'transferFrom', contract: call.to, from, to, tokenId } as const,
];

/** ERC-721 and ERC-1155. */
const COLLECTIBLES: readonly TokenFunction[] = [
  {
    signature: 'setApprovalForAll(address operator, bool approved)',
    read: ([spender, approved]: readonly [Hex, boolean], call) => [
      {
        action: 'setApprovalForAll',
        contract: call.to,
        from: call.from,
        spender,
        amount: approved ? UNLIMITED : 0n,
      },
    ],
  },
  { signature: 'safeTransferFrom(address from, address to, uint256 id)', read: safeTransfer721 },
  { signature: 'safeTransferFrom(address from, address to, uint256 id, bytes data)', read: safeTransfer721 },
  {
    signature: 'safeTransferFrom(address from, address to, uint256 id, uint256 value, bytes data)',
    read: ([from, to, tokenId, amount]: readonly [Hex, Hex, bigint, bigint], call) => [
      { action: 'transferFrom', contract: call.to, from, to, tokenId, amount },
    ],
  },
  {
    signature: 'safeBatchTransferFrom(address from, address to, uint256[] ids, uint256[] values, bytes data)',
    read: ([from, to, ids, amounts]: readonly [Hex, Hex, bigint[], bigint[]], call) =>
      pairs(ids, amounts).map(([tokenId, amount]) => ({
        action: 'transferFrom',
        contract: call.to,
        from,
        to,
        tokenId,
        amount,
      })),
  },
];

type Details = readonly [token: Hex, amount: bigint, expiration: bigint];
type Permitted = readonly [token: Hex, amount: bigint];
type Requested = readonly [to: Hex, amount: bigint];

const DETAILS = '(address token, uint160 amount, uint48 expiration, uint48 nonce)';
const PERMITTED = '(address token, uint256 amount)';
const REQUESTED = '(address to, uint256 requestedAmount)';
const WITNESS = 'bytes32 witness, string witnessTypeString';

function permit2Allowance(details: Details, from: Hex, spender: Hex, signedUntil: bigint): TokenEffect {
  const [contract, amount, expiration] = details;
  return {
    action: 'permit',
    contract,
    from,
    spender,
    amount: permit2Amount(amount),
    deadline: permit2Deadline(expiration, signedUntil),
  };
}

function permit2Move(
  [contract]: Permitted,
  [to, amount]: Requested,
  from: Hex,
  deadline: bigint,
): TokenEffect {
  return { action: 'transferFrom', contract, from, to, amount, deadline };
}

type PermitTransfer = readonly [
  permit: readonly [Permitted, nonce: bigint, deadline: bigint],
  details: Requested,
  owner: Hex,
];

const permitTransferFrom = ([[permitted, , deadline], requested, owner]: PermitTransfer) => [
  permit2Move(permitted, requested, owner, deadline),
];

type PermitBatchTransfer = readonly [
  permit: readonly [Permitted[], nonce: bigint, deadline: bigint],
  details: Requested[],
  owner: Hex,
];

const permitBatchTransferFrom = ([[permitted, , deadline], requested, owner]: PermitBatchTransfer) =>
  pairs(permitted, requested).map(([token, details]) => permit2Move(token, details, owner, deadline));

/** Permit2, whatever its address. Moves are by allowance or by a signature of the owner; either way `from` loses. */
const PERMIT2_FUNCTIONS: readonly TokenFunction[] = [
  {
    signature: 'approve(address token, address spender, uint160 amount, uint48 expiration)',
    read: ([contract, spender, amount, deadline]: readonly [Hex, Hex, bigint, bigint], { from }) => [
      { action: 'approve', contract, from, spender, amount: permit2Amount(amount), deadline },
    ],
  },
  {
    signature: 'transferFrom(address from, address to, uint160 amount, address token)',
    read: ([from, to, amount, contract]: readonly [Hex, Hex, bigint, Hex]) => [
      { action: 'transferFrom', contract, from, to, amount },
    ],
  },
  {
    signature: 'transferFrom((address from, address to, uint160 amount, address token)[] details)',
    read: ([details]: readonly [(readonly [Hex, Hex, bigint, Hex])[]]) =>
      details.map(([from, to, amount, contract]) => ({ action: 'transferFrom', contract, from, to, amount })),
  },
  {
    signature: `permit(address owner, (${DETAILS} details, address spender, uint256 sigDeadline) permitSingle, bytes signature)`,
    read: ([owner, [details, spender, signedUntil]]: readonly [Hex, readonly [Details, Hex, bigint]]) => [
      permit2Allowance(details, owner, spender, signedUntil),
    ],
  },
  {
    signature: `permit(address owner, (${DETAILS}[] details, address spender, uint256 sigDeadline) permitBatch, bytes signature)`,
    read: ([owner, [details, spender, signedUntil]]: readonly [Hex, readonly [Details[], Hex, bigint]]) =>
      details.map((one) => permit2Allowance(one, owner, spender, signedUntil)),
  },
  ...[
    ['permitTransferFrom', 'bytes signature'],
    ['permitWitnessTransferFrom', `${WITNESS}, bytes signature`],
  ].flatMap(([name, rest]) => [
    {
      signature: `${name}((${PERMITTED} permitted, uint256 nonce, uint256 deadline) permit, ${REQUESTED} details, address owner, ${rest})`,
      read: permitTransferFrom,
    },
    {
      signature: `${name}((${PERMITTED}[] permitted, uint256 nonce, uint256 deadline) permit, ${REQUESTED}[] details, address owner, ${rest})`,
      read: permitBatchTransferFrom,
    },
  ]),
];

/** Each has its own selector, although names repeat. */
export const TOKEN_FUNCTIONS: readonly TokenFunction[] = [...ERC20, ...COLLECTIBLES, ...PERMIT2_FUNCTIONS];

function pairs<A, B>(one: readonly A[], other: readonly B[]): (readonly [A, B])[] {
  if (one.length !== other.length) {
    throw new AbiFault(`lists of ${one.length} and of ${other.length} do not go together`);
  }
  return one.flatMap((item, index) => {
    const partner = other[index];
    return partner === undefined ? [] : [[item, partner] as const];
  });
}
