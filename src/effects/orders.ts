import type { Hex } from '../bytes.ts';
import type { TypedData } from '../intent/intent.ts';
import { AbiFault } from './abi-decode.ts';
import { safeCall, type Call } from './batches.ts';

/** Typed data that tells a contract to make a call. */
export interface Order {
  /**
   * The call, from a message of the order's type; `contract` is the domain's. Throws AbiFault where it cannot be told. A
   * method, so that each order may name its own members: its type, by which it is found, has checked them.
   */
  read(message: TypedData['message'], contract: Hex | undefined): Call;
}

type SafeTx = {
  readonly to: Hex;
  readonly value: string;
  readonly data: Hex;
  readonly operation: string;
  readonly gasPrice: string;
};

const SAFE_TX: Order = {
  read: ({ to, value, data, operation, gasPrice }: SafeTx, safe) => {
    if (safe === undefined) throw new AbiFault('the domain has no verifyingContract, so it names no Safe');
    const numbers = { value: BigInt(value), operation: BigInt(operation), gasPrice: BigInt(gasPrice) };
    return safeCall(safe, { to, data, ...numbers });
  },
};

type MetaTransaction = { readonly from: Hex; readonly functionSignature: Hex };

/** `executeMetaTransaction` of bridged tokens and others: a contract takes a call from `from` that anybody relays. */
const META_TRANSACTION: Order = {
  read: ({ from, functionSignature: data }: MetaTransaction, to) => {
    if (to === undefined)
      throw new AbiFault('the domain has no verifyingContract, so it names no contract to call');
    return { from, to, value: 0n, ownFunds: false, data, delegate: false };
  },
};

type ForwardRequest = {
  readonly from: Hex;
  readonly to: Hex;
  readonly value: string;
  readonly data: Hex;
};

/** ERC-2771: contracts that trust the forwarder take the call for one from `from`. Who relays it pays the value. */
const FORWARD_REQUEST: Order = {
  read: ({ from, to, value, data }: ForwardRequest) => {
    return { from, to, value: BigInt(value), ownFunds: false, data, delegate: false };
  },
};

const SAFE_GAS = 'uint256 gasPrice,address gasToken,address refundReceiver,uint256 nonce';
const FORWARDED = 'address from,address to,uint256 value,uint256 gas,uint256 nonce';

/** By EIP-712 `encodeType`. */
export const ORDERS: ReadonlyMap<string, Order> = new Map<string, Order>([
  // Contracts of Safe before 1.0.0 say `dataGas` for `baseGas`.
  ...['baseGas', 'dataGas'].map(
    (gas) =>
      [
        `SafeTx(address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,uint256 ${gas},${SAFE_GAS})`,
        SAFE_TX,
      ] as const,
  ),
  ['MetaTransaction(uint256 nonce,address from,bytes functionSignature)', META_TRANSACTION],
  // OpenZeppelin before 5.0, and since.
  [`ForwardRequest(${FORWARDED},bytes data)`, FORWARD_REQUEST],
  [`ForwardRequest(${FORWARDED},uint48 deadline,bytes data)`, FORWARD_REQUEST],
]);
