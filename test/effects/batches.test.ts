import { concat, getBytes, Interface, toBeHex, type TransactionDescription } from 'ethers';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Hex } from '../../src/bytes.ts';
import { account, calldata, callsOf, decodeCall, isCall, NOTHING, SAFE, SIGNER, USDC } from './intents.ts';

const MULTICALL = account(0xca);
const MULTISEND = account(0x3d);
const ROUTER = account(0xe5);
const TO = account(0x22);
const ZERO = account(0);
const EXEC =
  'execTransaction(address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,uint256 baseGas,uint256 gasPrice,address gasToken,address refundReceiver,bytes signatures)';
const TRANSFER = calldata('transfer(address,uint256)', [TO, 5]);
const UNKNOWN: Hex = '0x12345678';

/** What is compared of a call; `token` is its action. */
interface Flat {
  readonly path: string;
  readonly from: Hex;
  readonly to: Hex;
  readonly value: bigint;
  readonly ownFunds: boolean;
  readonly data: Hex;
  readonly delegate: boolean;
}

type Inner = Omit<Flat, 'path'>;

function exec(
  to: Hex,
  data: Hex,
  options: { value?: bigint; operation?: number; gasPrice?: number } = {},
): Hex {
  const { value = 0n, operation = 0, gasPrice = 0 } = options;
  return calldata(EXEC, [to, value, data, operation, 1, 2, gasPrice, ZERO, ZERO, `0x${'99'.repeat(65)}`]);
}

function pack(items: readonly { operation?: number; to: Hex; value?: bigint; data: Hex }[]): Hex {
  return concat(
    items.map(({ operation = 0, to, value = 0n, data }) =>
      concat([toBeHex(operation, 1), to, toBeHex(value, 32), toBeHex((data.length - 2) / 2, 32), data]),
    ),
  ) as Hex;
}

const multiSend = (...items: Parameters<typeof pack>[0]): Hex => calldata('multiSend(bytes)', [pack(items)]);

function flat(to: Hex, data: Hex, value = 0n): Flat[] {
  return callsOf(decodeCall(to, data, value)).map(({ path, from, to, value, ownFunds, data, delegate }) => ({
    path,
    from,
    to,
    value,
    ownFunds,
    data,
    delegate,
  }));
}

const outer = (to: Hex, data: Hex): Flat => ({
  path: '',
  from: SIGNER,
  to,
  value: 0n,
  ownFunds: false,
  data,
  delegate: false,
});

describe('batches', () => {
  it.each([
    ['multicall(bytes[])', []],
    ['multicall(uint256,bytes[])', [1_700_000_000]],
    ['multicall(bytes32,bytes[])', [`0x${'01'.repeat(32)}`]],
  ])('%s calls itself for its own sender', (fragment, before) => {
    const data = calldata(fragment, [...before, [UNKNOWN, TRANSFER]]);
    const inner = { from: SIGNER, to: ROUTER, value: 0n, ownFunds: false, delegate: false };
    expect(flat(ROUTER, data)).toEqual([
      outer(ROUTER, data),
      { path: '0', ...inner, data: UNKNOWN },
      { path: '1', ...inner, data: TRANSFER },
    ]);
    expect(callsOf(decodeCall(ROUTER, data))[2]?.token).toMatchObject({ contract: ROUTER, from: SIGNER });
  });

  it.each([
    ['aggregate((address,bytes)[])', []],
    ['blockAndAggregate((address,bytes)[])', []],
    ['tryAggregate(bool,(address,bytes)[])', [false]],
    ['tryBlockAndAggregate(bool,(address,bytes)[])', [true]],
  ])('%s calls as the multicall contract', (fragment, before) => {
    const data = calldata(fragment, [
      ...before,
      [
        [USDC, TRANSFER],
        [TO, NOTHING],
      ],
    ]);
    const inner = { from: MULTICALL, value: 0n, ownFunds: false, delegate: false };
    expect(flat(MULTICALL, data)).toEqual([
      outer(MULTICALL, data),
      { path: '0', ...inner, to: USDC, data: TRANSFER },
      { path: '1', ...inner, to: TO, data: NOTHING },
    ]);
    expect(callsOf(decodeCall(MULTICALL, data))[1]?.token).toMatchObject({ from: MULTICALL, amount: 5n });
  });

  it('aggregate3 calls as the multicall contract', () => {
    const data = calldata('aggregate3((address,bool,bytes)[])', [[[USDC, true, TRANSFER]]]);
    const inner = { from: MULTICALL, value: 0n, ownFunds: false, delegate: false };
    expect(flat(MULTICALL, data)).toEqual([
      outer(MULTICALL, data),
      { path: '0', ...inner, to: USDC, data: TRANSFER },
    ]);
  });

  it('aggregate3Value hands on the value that it got', () => {
    const data = calldata('aggregate3Value((address,bool,uint256,bytes)[])', [
      [
        [TO, false, 5, NOTHING],
        [USDC, false, 6, UNKNOWN],
      ],
    ]);
    const inner = { from: MULTICALL, ownFunds: false, delegate: false };
    expect(flat(MULTICALL, data, 11n)).toEqual([
      { ...outer(MULTICALL, data), value: 11n },
      { path: '0', ...inner, to: TO, value: 5n, data: NOTHING },
      { path: '1', ...inner, to: USDC, value: 6n, data: UNKNOWN },
    ]);
  });

  it.each([
    [0, false],
    [1, true],
  ])('a Safe makes its call with its own funds, operation %d', (operation, delegate) => {
    const data = exec(TO, UNKNOWN, { value: 5n, operation });
    expect(flat(SAFE, data)).toEqual([
      outer(SAFE, data),
      { path: '0', from: SAFE, to: TO, value: 5n, ownFunds: true, data: UNKNOWN, delegate },
    ]);
  });

  it('refuses a Safe transaction with a refund or with another operation', () => {
    expect(decodeCall(SAFE, exec(TO, NOTHING, { gasPrice: 1 })).problem).toContain('gasPrice');
    expect(decodeCall(SAFE, exec(TO, NOTHING, { operation: 2 })).problem).toContain('operation 2');
    expect(decodeCall(SAFE, exec(TO, NOTHING, { operation: 255 })).problem).toContain('operation 255');
  });

  it('a multiSend that a Safe delegates to acts as the Safe', () => {
    const send = multiSend(
      { to: USDC, data: TRANSFER },
      { to: TO, value: 7n, data: NOTHING },
      { operation: 1, to: TO, data: UNKNOWN },
    );
    const data = exec(MULTISEND, send, { operation: 1 });
    const inner = { from: SAFE, ownFunds: true };
    expect(flat(SAFE, data)).toEqual([
      outer(SAFE, data),
      { path: '0', ...inner, to: MULTISEND, value: 0n, data: send, delegate: true },
      { path: '0.0', ...inner, to: USDC, value: 0n, data: TRANSFER, delegate: false },
      { path: '0.1', ...inner, to: TO, value: 7n, data: NOTHING, delegate: false },
      { path: '0.2', ...inner, to: TO, value: 0n, data: UNKNOWN, delegate: true },
    ]);
    const token = callsOf(decodeCall(SAFE, data))[2]?.token;
    expect(token).toEqual({ action: 'transfer', contract: USDC, from: SAFE, to: TO, amount: 5n });
  });

  it('a multiSend that is called acts as itself', () => {
    const data = multiSend({ to: USDC, data: TRANSFER }, { operation: 1, to: TO, value: 1n, data: UNKNOWN });
    const inner = { from: MULTISEND, ownFunds: false };
    expect(flat(MULTISEND, data)).toEqual([
      outer(MULTISEND, data),
      { path: '0', ...inner, to: USDC, value: 0n, data: TRANSFER, delegate: false },
      { path: '1', ...inner, to: TO, value: 1n, data: UNKNOWN, delegate: true },
    ]);
  });

  it('a Multicall3 that a Safe delegates to spends the Safe’s funds', () => {
    const calls = calldata('aggregate3Value((address,bool,uint256,bytes)[])', [[[TO, false, 5, NOTHING]]]);
    const data = exec(MULTICALL, calls, { operation: 1 });
    expect(flat(SAFE, data).at(-1)).toEqual({
      path: '0.0',
      from: SAFE,
      to: TO,
      value: 5n,
      ownFunds: true,
      data: NOTHING,
      delegate: false,
    });
  });

  it('cannot tell what a delegated multicall reaches', () => {
    const calls = calldata('multicall(bytes[])', [[UNKNOWN]]);
    expect(decodeCall(SAFE, exec(ROUTER, calls)).problem).toBeUndefined();
    expect(decodeCall(SAFE, exec(ROUTER, calls, { operation: 1 })).problem).toContain('delegatecall');
  });

  it('an empty batch is the batch alone', () => {
    const data = multiSend();
    expect(flat(MULTISEND, data)).toEqual([outer(MULTISEND, data)]);
  });

  it.each([
    ['an operation above 1', [{ operation: 2, to: TO, data: NOTHING }], 'operation 2'],
    ['address 0, which may be the Safe', [{ to: ZERO, data: NOTHING }], 'address 0'],
  ])('refuses a multiSend with %s', (_name, items, problem) => {
    expect(decodeCall(MULTISEND, multiSend(...items)).problem).toContain(problem);
  });

  it('refuses a multiSend that is cut anywhere, or goes on', () => {
    const packed = pack([
      { to: USDC, data: TRANSFER },
      { to: TO, value: 1n, data: NOTHING },
      { to: TO, data: `${UNKNOWN}aabb` },
    ]);
    const whole = (packed.length - 2) / 2;
    const ends = new Set([0, 85 + 68, 85 + 68 + 85, whole]);
    for (let length = 0; length <= whole; length += 1) {
      const cut = calldata('multiSend(bytes)', [packed.slice(0, 2 + 2 * length)]);
      expect(decodeCall(MULTISEND, cut).problem === undefined, `${length}`).toBe(ends.has(length));
    }
    expect(decodeCall(MULTISEND, calldata('multiSend(bytes)', [`${packed}00`])).problem).toBeDefined();
    const huge = `0x00${TO.slice(2)}${'0'.repeat(64)}${'f'.repeat(64)}`;
    expect(decodeCall(MULTISEND, calldata('multiSend(bytes)', [huge])).problem).toContain('beyond');
  });

  it.each(['0x12', '0x1234', '0x123456'] as const)('refuses %s as a call, inside or outside', (data) => {
    expect(decodeCall(TO, data).problem).toBe('the call: its data is too short for a selector');
    expect(decodeCall(SAFE, exec(TO, data)).problem).toBe(
      'the inner call 0: its data is too short for a selector',
    );
  });

  it('says which inner call cannot be read, and keeps what came before', () => {
    const bad = TRANSFER.slice(0, -2);
    const data = calldata('multicall(bytes[])', [[UNKNOWN, bad, UNKNOWN]]);
    const { effects, problem } = decodeCall(ROUTER, data);
    expect(problem).toContain('the inner call 1 to transfer(address,uint256): ');
    expect(effects.filter(isCall).map(({ path, data }) => [path, data])).toEqual([
      ['', data],
      ['0', UNKNOWN],
      ['1', bad],
    ]);
  });

  it('a router’s multicall of a permit, a swap and a sweep', () => {
    const permit = calldata('permit(address,address,uint256,uint256,uint8,bytes32,bytes32)', [
      SIGNER,
      ROUTER,
      10,
      99,
      27,
      `0x${'11'.repeat(32)}`,
      `0x${'22'.repeat(32)}`,
    ]);
    const swap = calldata('exactInputSingle((address,address,uint24,address,uint256,uint256,uint160))', [
      [USDC, TO, 500, SIGNER, 10, 9, 0],
    ]);
    const sweep = calldata('unwrapWETH9(uint256,address)', [9, SIGNER]);
    const data = calldata('multicall(uint256,bytes[])', [99, [permit, swap, sweep]]);
    expect(flat(ROUTER, data).map(({ path, to, data }) => [path, to, data])).toEqual([
      ['', ROUTER, data],
      ['0', ROUTER, permit],
      ['1', ROUTER, swap],
      ['2', ROUTER, sweep],
    ]);
  });
});

/** What ethers knows, to read calls in a second way. It is lenient where the decoder is strict. */
const KNOWN = new Interface([
  'function multicall(bytes[])',
  'function aggregate3Value((address target,bool allowFailure,uint256 value,bytes data)[])',
  'function tryAggregate(bool,(address target,bytes data)[])',
  `function ${EXEC}`,
  'function multiSend(bytes)',
  'function transfer(address,uint256)',
]);

function reference(call: Inner, path = ''): Flat[] {
  const own = { path, ...call };
  const parsed = call.data.length < 10 ? null : KNOWN.parseTransaction({ data: call.data });
  if (parsed === null) return [own];
  const inner = innerOf(parsed, call);
  return [
    own,
    ...inner.flatMap((next, index) => reference(next, path === '' ? `${index}` : `${path}.${index}`)),
  ];
}

const lower = (value: unknown): Hex => String(value).toLowerCase() as Hex;

function innerOf({ name, args }: TransactionDescription, { from, to, delegate }: Inner): Inner[] {
  const self = delegate ? from : to;
  const call = (to: Hex, value: bigint, data: Hex, isDelegate = false): Inner => ({
    from: self,
    to,
    value,
    ownFunds: delegate,
    data,
    delegate: isDelegate,
  });
  if (name === 'multicall') {
    return [...args[0]].map((data) => ({ from, to, value: 0n, ownFunds: false, data, delegate: false }));
  }
  if (name === 'aggregate3Value') {
    return [...args[0]].map((item) => call(lower(item.target), item.value, item.data));
  }
  if (name === 'tryAggregate') return [...args[1]].map((item) => call(lower(item.target), 0n, item.data));
  if (name === 'execTransaction') {
    const { value, data, operation } = args;
    return [{ from: self, to: lower(args[0]), value, ownFunds: true, data, delegate: operation === 1n }];
  }
  return name === 'multiSend' ? unpacked(getBytes(args[0]), call) : [];
}

function unpacked(
  bytes: Uint8Array,
  call: (to: Hex, value: bigint, data: Hex, isDelegate: boolean) => Inner,
): Inner[] {
  const buffer = Buffer.from(bytes);
  const calls: Inner[] = [];
  while (calls.length < 1000) {
    const start = calls.reduce((sum, { data }) => sum + 85 + (data.length - 2) / 2, 0);
    if (start >= buffer.length) break;
    const hex = (from: number, to: number): Hex => `0x${buffer.toString('hex', start + from, start + to)}`;
    const length = Number(BigInt(hex(53, 85)));
    calls.push(call(hex(1, 21), BigInt(hex(21, 53)), hex(85, 85 + length), buffer[start] === 1));
  }
  return calls;
}

interface Node {
  readonly to: Hex;
  readonly value: bigint;
  readonly data: Hex;
  readonly operation: number;
}

const arbitraryAddress = fc.integer({ min: 1, max: 255 }).map(account);
const arbitraryHead = {
  to: arbitraryAddress,
  value: fc.bigInt({ min: 0n, max: 2n ** 128n }),
  operation: fc.constantFrom(0, 1),
};

const arbitraryLeaf: fc.Arbitrary<Node> = fc.record({
  ...arbitraryHead,
  data: fc.oneof(
    fc.constantFrom(NOTHING, UNKNOWN, TRANSFER),
    fc.uint8Array({ minLength: 4, maxLength: 70 }).map((bytes): Hex => {
      return `0xdeadbeef${Buffer.from(bytes).toString('hex')}`;
    }),
  ),
});

function encodeBatch(kind: number, nodes: readonly Node[]): Hex {
  const [first] = nodes;
  if (kind === 0) return calldata('multicall(bytes[])', [nodes.map(({ data }) => data)]);
  if (kind === 1) {
    return calldata('aggregate3Value((address,bool,uint256,bytes)[])', [
      nodes.map(({ to, value, data }) => [to, false, value, data]),
    ]);
  }
  if (kind === 2) {
    return calldata('tryAggregate(bool,(address,bytes)[])', [true, nodes.map(({ to, data }) => [to, data])]);
  }
  return kind === 3 && first !== undefined ? exec(first.to, first.data, first) : multiSend(...nodes);
}

function arbitraryBatch(depth: number): fc.Arbitrary<Node> {
  const inner = depth === 0 ? arbitraryLeaf : fc.oneof(arbitraryLeaf, arbitraryBatch(depth - 1));
  return fc
    .record({
      ...arbitraryHead,
      kind: fc.integer({ min: 0, max: 4 }),
      nodes: fc.array(inner, { maxLength: 3 }),
    })
    .map(({ kind, nodes, to, value, operation }) => ({
      to,
      value,
      operation,
      data: encodeBatch(kind, nodes),
    }));
}

const asOuter = ({ to, value, data }: Node): Inner => ({
  from: SIGNER,
  to,
  value,
  ownFunds: false,
  data,
  delegate: false,
});

/** Well-formed, and refused all the same: a delegated multicall. */
function delegatesMulticall(calls: readonly Flat[]): boolean {
  return calls.some(({ delegate, data }) => delegate && data.startsWith('0xac9650d8'));
}

/** Calls, or undefined where there is a problem. */
function read({ to, data, value }: Node): Flat[] | undefined {
  return decodeCall(to, data, value).problem === undefined ? flat(to, data, value) : undefined;
}

describe('batches against ethers', () => {
  it('flattens every nesting to the calls that are made, in order', () => {
    const refused = new Set<boolean>();
    fc.assert(
      fc.property(arbitraryBatch(3), (node) => {
        const made = reference(asOuter(node));
        refused.add(delegatesMulticall(made));
        expect(read(node)).toEqual(delegatesMulticall(made) ? undefined : made);
      }),
      { numRuns: 300 },
    );
    expect(refused).toEqual(new Set([true, false]));
  });

  it('reads damaged data as ethers does, or not at all', () => {
    let refused = 0;
    fc.assert(
      fc.property(arbitraryBatch(2), fc.nat(), fc.integer({ min: 1, max: 15 }), (node, place, change) => {
        const at = 2 + (place % (node.data.length - 2));
        const digit = (Number.parseInt(node.data.charAt(at), 16) ^ change).toString(16);
        const damaged = {
          ...node,
          data: `${node.data.slice(0, at)}${digit}${node.data.slice(at + 1)}` as Hex,
        };
        const calls = read(damaged);
        if (calls === undefined) refused += 1;
        expect(calls ?? 'a problem').toEqual(calls === undefined ? 'a problem' : reference(asOuter(damaged)));
        expect(decodeCall(damaged.to, damaged.data).effects.length).toBeGreaterThan(0);
      }),
      { numRuns: 500 },
    );
    expect(refused).toBeGreaterThan(100);
  });

  it('never reads a batch that is cut off', () => {
    fc.assert(
      fc.property(arbitraryBatch(2), fc.nat(), ({ to, data }, place) => {
        const length = 10 + 2 * (place % ((data.length - 10) / 2));
        expect(decodeCall(to, data.slice(0, length) as Hex).problem).toBeDefined();
        const inner = calldata('multicall(bytes[])', [[UNKNOWN, data.slice(0, length)]]);
        expect(decodeCall(to, inner).problem).toBeDefined();
      }),
      { numRuns: 300 },
    );
  });
});
