import type { Hex } from '../bytes.ts';
import { AbiFault } from './abi-decode.ts';
import type { AbiValue } from './abi.ts';
import type { CallEffect } from './effect.ts';

/** One call, without its place among the others. */
export type Call = Pick<CallEffect, 'from' | 'to' | 'value' | 'ownFunds' | 'data' | 'delegate'>;

/** A function that makes the calls that its arguments name. */
export interface BatchFunction {
  readonly signature: string;
  /**
   * The calls that a call makes, in order, from its decoded arguments. Throws AbiFault for what cannot be told, and for
   * what would move funds in a way that calls do not show. A method, so that each function may name the types of its
   * own arguments: decoding by the signature has checked them.
   */
  read(args: readonly AbiValue[], call: Call): readonly Call[];
}

/** An order to a Safe: the arguments of `execTransaction` that say what it does, and those of a signed SafeTx. */
export interface SafeOrder {
  readonly to: Hex;
  readonly value: bigint;
  readonly data: Hex;
  readonly operation: bigint;
  readonly gasPrice: bigint;
}

/** The call that a Safe makes, with its own funds. Throws AbiFault. */
export function safeCall(safe: Hex, { to, value, data, operation, gasPrice }: SafeOrder): Call {
  if (gasPrice !== 0n) {
    throw new AbiFault('gasPrice is not 0: the Safe would pay a refund, which no limit counts');
  }
  return { from: safe, to, value, ownFunds: true, data, delegate: isDelegate(operation) };
}

/** Enum.Operation of Safe. */
function isDelegate(operation: bigint): boolean {
  if (operation > 1n) throw new AbiFault(`operation ${operation} is neither 0 (call) nor 1 (delegatecall)`);
  return operation === 1n;
}

/** The account as which the code of a call runs. */
function runsAs({ from, to, delegate }: Call): Hex {
  return delegate ? from : to;
}

/** A contract that calls functions of its own, for the sender of the whole. */
function callsOfItself(items: readonly Hex[], { from, to, delegate }: Call): readonly Call[] {
  if (delegate) throw new AbiFault('by delegatecall: it calls itself, and which code that is cannot be told');
  return items.map((data) => ({ from, to, value: 0n, ownFunds: false, data, delegate: false }));
}

/** A contract that makes calls as itself, with the value that came with the call unless it is run by delegatecall. */
function callOf(call: Call, to: Hex, value: bigint, data: Hex): Call {
  return { from: runsAs(call), to, value, ownFunds: call.delegate, data, delegate: false };
}

type Target = readonly [target: Hex, callData: Hex];

const callTargets = (targets: readonly Target[], call: Call) =>
  targets.map(([to, data]) => callOf(call, to, 0n, data));

const TARGETS = '(address target, bytes callData)[] calls';

export const BATCH_FUNCTIONS: readonly BatchFunction[] = [
  {
    signature: 'multicall(bytes[] data)',
    read: ([items]: readonly [Hex[]], call) => callsOfItself(items, call),
  },
  {
    signature: 'multicall(uint256 deadline, bytes[] data)',
    read: ([, items]: readonly [bigint, Hex[]], call) => callsOfItself(items, call),
  },
  {
    signature: 'multicall(bytes32 previousBlockhash, bytes[] data)',
    read: ([, items]: readonly [Hex, Hex[]], call) => callsOfItself(items, call),
  },
  {
    signature: `aggregate(${TARGETS})`,
    read: ([targets]: readonly [Target[]], call) => callTargets(targets, call),
  },
  {
    signature: `blockAndAggregate(${TARGETS})`,
    read: ([targets]: readonly [Target[]], call) => callTargets(targets, call),
  },
  {
    signature: `tryAggregate(bool requireSuccess, ${TARGETS})`,
    read: ([, targets]: readonly [boolean, Target[]], call) => callTargets(targets, call),
  },
  {
    signature: `tryBlockAndAggregate(bool requireSuccess, ${TARGETS})`,
    read: ([, targets]: readonly [boolean, Target[]], call) => callTargets(targets, call),
  },
  {
    signature: 'aggregate3((address target, bool allowFailure, bytes callData)[] calls)',
    read: ([items]: readonly [(readonly [Hex, boolean, Hex])[]], call) =>
      items.map(([to, , data]) => callOf(call, to, 0n, data)),
  },
  {
    signature: 'aggregate3Value((address target, bool allowFailure, uint256 value, bytes callData)[] calls)',
    read: ([items]: readonly [(readonly [Hex, boolean, bigint, Hex])[]], call) =>
      items.map(([to, , value, data]) => callOf(call, to, value, data)),
  },
  {
    signature:
      'execTransaction(address to, uint256 value, bytes data, uint8 operation, uint256 safeTxGas, uint256 baseGas, uint256 gasPrice, address gasToken, address refundReceiver, bytes signatures)',
    read: (
      [to, value, data, operation, , , gasPrice]: readonly [Hex, bigint, Hex, bigint, bigint, bigint, bigint],
      call,
    ) => [safeCall(runsAs(call), { to, value, data, operation, gasPrice })],
  },
  {
    signature: 'multiSend(bytes transactions)',
    read: ([packed]: readonly [Hex], call) => unpack(packed, call),
  },
];

/** Hex digits of the parts of a packed transaction: operation (1 byte), to (20), value (32), length of data (32). */
const TO = 2;
const VALUE = TO + 40;
const LENGTH = VALUE + 64;
const DATA = LENGTH + 64;

const NOBODY: Hex = `0x${'0'.repeat(40)}`;

/** The transactions of Safe's `multiSend`, one after the other without padding; they have to fill the bytes. */
function unpack(packed: Hex, call: Call): readonly Call[] {
  const calls: Call[] = [];
  for (let start = 2; start < packed.length;) {
    const data = start + DATA;
    if (data > packed.length) throw new AbiFault('the last transaction of the batch is cut off');
    const end = data + 2 * Number.parseInt(packed.slice(start + LENGTH, data), 16);
    if (end > packed.length) throw new AbiFault('the data of a transaction goes beyond the batch');
    const to: Hex = `0x${packed.slice(start + TO, start + VALUE)}`;
    if (to === NOBODY) {
      throw new AbiFault('a transaction goes to address 0: some versions call the Safe itself then');
    }
    const value = BigInt(`0x${packed.slice(start + VALUE, start + LENGTH)}`);
    const delegate = isDelegate(BigInt(`0x${packed.slice(start, start + TO)}`));
    calls.push({ ...callOf(call, to, value, `0x${packed.slice(data, end)}`), delegate });
    start = end;
  }
  return calls;
}
