import { describe, expect, test } from 'vitest';
import type { Hex } from '../../src/bytes.ts';
import type { Intent, Transaction } from '../../src/intent/intent.ts';
import type { JsonValue } from '../../src/jcs.ts';
import { boundsOf } from '../../src/policy/bounds.ts';
import type { Condition } from '../../src/policy/model.ts';
import { calldata, members, typedDataOf } from '../effects/intents.ts';
import {
  ALICE,
  allow,
  allowTransfers,
  authorization,
  BLOB,
  BOB,
  CAROL,
  LEGACY,
  policyOf,
  policyWith,
  request,
  SET_CODE,
  SIGNER,
  TRANSFER,
  type Members,
} from './fixtures.ts';

const MORE: Members = {
  tokens: { usdc: { chain: 31337, address: BOB, standard: 'erc20', decimals: 6 } },
  abis: {
    desk: ['ping(uint256 n)'],
    permit2: ['approve(address token, address spender, uint160 amount, uint48 expiration)'],
    batch: ['multicall(bytes[] data)', 'multiSend(bytes transactions)'],
    safe: [
      'execTransaction(address to, uint256 value, bytes data, uint8 operation, uint256 safeTxGas, uint256 baseGas, uint256 gasPrice, address gasToken, address refundReceiver, bytes signatures)',
    ],
  },
};

const ping = calldata('ping(uint256)', [1n]);
const pay = calldata('transfer(address,uint256)', [ALICE, 5n]);
const multicall = (...calls: readonly Hex[]): Hex => calldata('multicall(bytes[])', [calls]);
const safeCall = (to: Hex, value: bigint, data: Hex, operation: number): Hex =>
  calldata('execTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes)', [
    to,
    value,
    data,
    operation,
    0n,
    0n,
    0n,
    BOB,
    BOB,
    '0x',
  ]);

const call = (data: Hex, to: Hex = BOB): Transaction => ({ ...TRANSFER, to, value: 0n, data });

/** What one allow rule for each list of conditions decides together. */
function decide(subject: Transaction | Intent, ...rules: readonly (readonly JsonValue[])[]): string {
  const all = rules.map((conditions, i) => Object.assign(allowTransfers(...conditions), { id: `r${i}` }));
  return policyWith(MORE, ...all).evaluate(request(subject)).effect;
}

const PING = { call: { abi: 'desk', fn: 'ping' } };
const PAY = { token: { token: 'usdc', action: 'transfer' } };
const MULTICALL = { call: { abi: 'batch', fn: 'multicall' } };
const EXEC = { call: { abi: 'safe', fn: 'execTransaction' } };

describe('cover of a transaction', () => {
  const plain = policyOf(allowTransfers());

  test('reaches plain transfers of types 0 to 2, with or without access list', () => {
    for (const transaction of [
      LEGACY,
      TRANSFER,
      { ...TRANSFER, accessList: [{ address: BOB, storageKeys: [] }] },
    ]) {
      expect(plain.evaluate(request(transaction)).effect).toBe('allow');
    }
  });

  test('reaches calldata only by a rule that has `call` or `token` on every path', () => {
    expect(plain.evaluate(request(call(ping)))).toMatchObject({
      effect: 'deny',
      failed: [{ rule: 'pay', predicate: 'call: calldata is not covered without `call` or `token`' }],
    });
    const effects = [
      [{ to: { in: [BOB] } }],
      [PING],
      [{ any: [PING, { nonce: { eq: 7 } }] }],
      [{ any: [PING, PAY] }],
      [{ not: { not: PING } }],
    ].map((conditions) => decide(call(ping), conditions));
    expect(effects).toEqual(['deny', 'allow', 'deny', 'allow', 'deny']);
    expect(decide(call(pay), [PAY])).toBe('allow');
    expect(decide(call(pay), [PING])).toBe('deny');
  });

  test('is asked of every call of a batch, by one rule or by several', () => {
    const batch = call(multicall(ping, pay));
    expect(decide(batch, [MULTICALL])).toBe('deny');
    expect(decide(batch, [MULTICALL], [PING])).toBe('deny');
    expect(decide(batch, [PING], [PAY])).toBe('deny');
    expect(decide(batch, [MULTICALL], [PING], [PAY])).toBe('allow');
    expect(decide(batch, [{ any: [MULTICALL, PING, PAY] }])).toBe('allow');
    expect(decide(call(multicall(multicall(ping), pay)), [MULTICALL], [PING], [PAY])).toBe('allow');
    expect(decide(call(multicall(multicall(ping, '0x12345678'), pay)), [MULTICALL], [PING], [PAY])).toBe(
      'deny',
    );
  });

  test('looks at the recipient and the value of each call by itself', () => {
    const order = call(safeCall(CAROL, 9n, '0x', 0));
    expect(decide(order, [EXEC], [{ to: { in: [CAROL] } }, { value: { lte: '9' } }])).toBe('allow');
    expect(decide(order, [EXEC], [{ to: { in: [CAROL] } }, { value: { lte: '8' } }])).toBe('deny');
    expect(decide(order, [EXEC], [{ to: { in: [BOB] } }])).toBe('deny');
  });

  test('reaches a delegatecall only by a rule that lists its contract', () => {
    const order = call(safeCall(CAROL, 0n, ping, 1));
    const to = (test: JsonValue): JsonValue => ({
      call: { to: test, delegate: true, abi: 'desk', fn: 'ping' },
    });
    expect(decide(order, [EXEC], [PING])).toBe('deny');
    expect(decide(order, [EXEC], [PING, { to: { in: [CAROL] } }])).toBe('deny');
    expect(decide(order, [EXEC], [to({ notIn: [BOB] })])).toBe('deny');
    expect(decide(order, [EXEC], [to({ eq: BOB })])).toBe('deny');
    expect(decide(order, [EXEC], [to({ eq: CAROL })])).toBe('allow');
    expect(decide(call(safeCall(BOB, 0n, pay, 1)), [EXEC], [PAY])).toBe('deny');
    expect(decide(call(safeCall(CAROL, 0n, '0x', 1)), [EXEC], [{ to: { in: [CAROL] } }])).toBe('deny');
  });

  test('reaches a delegatecall only by a rule that says it is one, but for a batch', () => {
    const order = (data: Hex, operation: number): Transaction => call(safeCall(CAROL, 0n, data, operation));
    const rule = (delegate?: boolean): JsonValue => ({
      call: { to: { eq: CAROL }, abi: 'desk', fn: 'ping', ...(delegate !== undefined && { delegate }) },
    });
    const decisions = (data: Hex, operation: number) =>
      [rule(), rule(true), rule(false), { any: [rule(true), rule()] }].map((one) =>
        decide(order(data, operation), [EXEC], [one]),
      );
    expect(decisions(ping, 0)).toEqual(['allow', 'deny', 'allow', 'allow']);
    expect(decisions(ping, 1)).toEqual(['deny', 'allow', 'deny', 'deny']);
    const policy = policyWith(MORE, allowTransfers(EXEC), { ...allowTransfers(rule()), id: 'r' });
    expect(policy.evaluate(request(order(ping, 1))).failed?.at(-1)?.predicate).toBe(
      `inner call 0 to ${CAROL}: call: a delegatecall is not covered without \`call: { delegate: true }\``,
    );
    const plain = (to: Hex): string => `00${to.slice(2)}${'0'.repeat(64)}${'0'.repeat(62)}24${ping.slice(2)}`;
    const batch = calldata('multiSend(bytes)', [`0x${plain(CAROL)}`]);
    const SEND = { call: { to: { eq: CAROL }, abi: 'batch', fn: 'multiSend' } };
    expect(decide(order(batch, 1), [EXEC], [SEND], [PING])).toBe('allow');
    expect(decide(order(batch, 1), [EXEC], [SEND])).toBe('deny');
    expect(decide(order(batch, 1), [EXEC], [{ call: { abi: 'batch', fn: 'multiSend' } }], [PING])).toBe(
      'deny',
    );
  });

  test('denies a delegatecall, or all that is none, by a rule that says so', () => {
    const denied = (delegate: boolean, operation: number): string =>
      policyWith(
        MORE,
        allowTransfers(EXEC),
        Object.assign(
          allowTransfers({ call: { to: { eq: CAROL }, delegate: operation === 1, abi: 'desk', fn: 'ping' } }),
          { id: 'ping' },
        ),
        {
          id: 'no',
          effect: 'deny',
          operations: ['transaction'],
          when: { call: { delegate, abi: 'desk', fn: 'ping' } },
        },
      ).evaluate(request(call(safeCall(CAROL, 0n, ping, operation)))).effect;
    expect([denied(true, 1), denied(true, 0), denied(false, 1), denied(false, 0)]).toEqual([
      'deny',
      'allow',
      'allow',
      'deny',
    ]);
  });

  test('reaches a token by the token itself or Permit2, and by no other contract that only names it', () => {
    const approve = calldata('approve(address,address,uint160,uint48)', [BOB, ALICE, 5n, 0n]);
    const APPROVE = { token: { token: 'usdc', action: 'approve', spender: { eq: ALICE } } };
    const FN = { call: { abi: 'permit2', fn: 'approve' } };
    const at = (to: Hex): Transaction => ({ ...call(approve, to), value: 10n ** 18n });
    expect(decide(at('0x000000000022d473030f116ddee9f6b43ac78ba3'), [APPROVE])).toBe('allow');
    expect(decide(at(BOB), [APPROVE])).toBe('allow');
    expect(decide(at(CAROL), [APPROVE])).toBe('deny');
    expect(decide(at(CAROL), [APPROVE, { to: { notIn: [BOB] } }])).toBe('deny');
    expect(decide(at(CAROL), [{ any: [APPROVE, FN] }])).toBe('deny');
    expect(decide(at(CAROL), [APPROVE, { to: { in: [CAROL] } }])).toBe('allow');
    expect(decide(at(CAROL), [FN])).toBe('allow');
    expect(decide(call(multicall(approve), CAROL), [MULTICALL], [APPROVE])).toBe('deny');
    expect(
      policyWith(MORE, allowTransfers(APPROVE)).evaluate(request(at(CAROL))).failed?.[0]?.predicate,
    ).toBe('token: a call of another contract than the token is not covered without `to: { in }` or `call`');
  });

  test('reaches a contract creation only by a rule that says so', () => {
    const creation: Transaction = { ...TRANSFER, to: null, data: '0x6000' };
    const hash = '0x5c34be18ccddf23d1c4b5a8d4d3a7e5c4ab0f57b4f4a0fb1fd2b0a46bbd9bd52';
    expect(plain.evaluate(request(creation))).toMatchObject({
      effect: 'deny',
      failed: [
        {
          rule: 'pay',
          predicate: 'to: a contract creation is not covered without `to: { create: true }` or `create`',
        },
      ],
    });
    const creator = policyOf(allowTransfers({ to: { create: true } }));
    expect(creator.evaluate(request(creation)).effect).toBe('allow');
    expect(creator.evaluate(request({ ...creation, data: '0x' })).effect).toBe('allow');
    expect(creator.evaluate(request(TRANSFER)).effect).toBe('deny');
    const empty = '0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470';
    const byHash = policyOf(allowTransfers({ create: { initcodeHash: { in: [empty, hash] } } }));
    expect(byHash.evaluate(request({ ...creation, data: '0x' })).effect).toBe('allow');
    expect(byHash.evaluate(request(creation)).effect).toBe('deny');
  });

  test('reaches blobs only by a rule that bounds them on every path', () => {
    const effects = [
      [],
      [{ blobs: { max: 1 } }],
      [{ blobs: { max: 0 } }],
      [{ any: [{ blobs: { max: 1 } }, { nonce: { eq: 7 } }] }],
      [{ not: { blobs: { max: 0 } } }],
    ].map((conditions) => decide(BLOB, conditions));
    expect(effects).toEqual(['deny', 'allow', 'deny', 'deny', 'deny']);
    expect(decide({ ...BLOB, data: ping }, [{ blobs: { max: 1 } }])).toBe('deny');
    expect(decide({ ...BLOB, data: ping }, [PING])).toBe('deny');
    expect(decide({ ...BLOB, data: ping }, [{ blobs: { max: 1 } }, PING])).toBe('allow');
  });

  test('reaches a set-code transaction only by a rule that bounds length and chains of its list', () => {
    const every = { chainId: { eq: 31337 } };
    const cases: [JsonValue[], string][] = [
      [[], 'deny'],
      [[{ authorizations: { max: 4 } }], 'deny'],
      [[{ authorizations: { every } }], 'deny'],
      [[{ authorizations: { max: 4, every: { address: { in: [BOB] } } } }], 'deny'],
      [[{ authorizations: { max: 4, every: { chainId: { gte: 1 } } } }], 'deny'],
      [[{ authorizations: { max: 4, every } }], 'allow'],
      [[{ authorizations: { max: 4 } }, { authorizations: { every } }], 'allow'],
      [[{ authorizations: { max: 0, every } }], 'deny'],
      [[{ authorizations: { max: 4, every: { chainId: { in: [1] } } } }], 'deny'],
    ];
    for (const [conditions, effect] of cases) expect(decide(SET_CODE, conditions)).toBe(effect);
    const two = { ...SET_CODE, authorizationList: [authorization(31337n, BOB), authorization(1n, BOB)] };
    expect(decide(two, [{ authorizations: { max: 4, every } }])).toBe('deny');
  });
});

describe('cover of typed data', () => {
  const decideTyped = (intent: Intent, ...conditions: readonly (JsonValue | undefined)[]): string => {
    const rules = conditions.map((when, i) => Object.assign(allow(['typed-data'], when), { id: `r${i}` }));
    return policyWith(MORE, ...rules).evaluate(request(intent)).effect;
  };
  const PERMIT = 'Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)';
  const permit = typedDataOf({
    domain: { chainId: 31337, verifyingContract: BOB },
    types: { Permit: members(PERMIT.slice(7, -1)) },
    primaryType: 'Permit',
    message: { owner: SIGNER, spender: ALICE, value: '9', nonce: '0', deadline: '1800000000' },
  });
  const mail = typedDataOf({
    domain: { name: 'Mail' },
    types: { Mail: members('string text') },
    primaryType: 'Mail',
    message: { text: 'hello' },
  });

  test('reaches what gives nothing away by any rule', () => {
    expect([decideTyped(mail, undefined), decideTyped(mail)]).toEqual(['allow', 'deny']);
  });

  test('reaches a permit only by a rule that names its type or its token', () => {
    expect(decideTyped(permit, undefined)).toBe('deny');
    expect(decideTyped(permit, { typed: { domain: { chainId: 31337 } } })).toBe('deny');
    expect(decideTyped(permit, { typed: { type: PERMIT } })).toBe('allow');
    expect(decideTyped(permit, { token: { token: 'usdc', action: 'permit' } })).toBe('allow');
    expect(decideTyped(permit, { any: [{ typed: { type: PERMIT } }, { chainId: { eq: 31337 } }] })).toBe(
      'deny',
    );
  });

  const SAFE_TX =
    'SafeTx(address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,uint256 baseGas,uint256 gasPrice,address gasToken,address refundReceiver,uint256 nonce)';
  const order = (to: Hex, data: Hex, operation: number): Intent =>
    typedDataOf({
      domain: { chainId: 31337, verifyingContract: CAROL },
      types: { SafeTx: members(SAFE_TX.slice(7, -1)) },
      primaryType: 'SafeTx',
      message: {
        to,
        value: '1',
        data,
        operation,
        safeTxGas: 0,
        baseGas: 0,
        gasPrice: 0,
        gasToken: BOB,
        refundReceiver: BOB,
        nonce: 0,
      },
    });
  const typed = { typed: { type: SAFE_TX } };

  test('reaches the calls that an order makes', () => {
    expect(decideTyped(order(BOB, ping, 0), undefined)).toBe('deny');
    expect(decideTyped(order(BOB, ping, 0), typed)).toBe('allow');
    expect(decideTyped(order(BOB, ping, 0), PING)).toBe('deny');
    // The order by its type where nothing is called, and the call by its function.
    const envelope = { all: [typed, { not: { to: { notIn: [SIGNER] } } }] };
    expect(decideTyped(order(BOB, ping, 0), envelope)).toBe('deny');
    expect(decideTyped(order(BOB, ping, 0), envelope, PING)).toBe('allow');
    expect(decideTyped(order(ALICE, '0x', 0), envelope, PING)).toBe('deny');
    expect(decideTyped(order(ALICE, '0x', 0), envelope, { to: { in: [ALICE] } })).toBe('allow');
    expect(decideTyped(order(ALICE, '0x', 0), envelope, { to: { notIn: [BOB] } })).toBe('deny');
  });

  test('does not reach a delegatecall by the type of the order', () => {
    const listed = { call: { to: { in: [BOB] }, delegate: true, abi: 'desk', fn: 'ping' } };
    expect(decideTyped(order(BOB, ping, 1), typed)).toBe('deny');
    expect(decideTyped(order(BOB, ping, 1), typed, PING)).toBe('deny');
    expect(decideTyped(order(BOB, ping, 1), typed, listed)).toBe('allow');
  });
});

describe('what holds on every path', () => {
  const path: string[] = [];
  const to = (...options: readonly Hex[]): Condition => ({
    kind: 'to',
    path,
    test: { in: new Set(options) },
  });
  const blobs: Condition = { kind: 'blobs', path, max: 1 };

  test('is what any branch of `all` and every branch of `any` binds', () => {
    const all: Condition = { kind: 'all', path, of: [to(ALICE), blobs] };
    expect(boundsOf(all)).toEqual(new Set(['to', 'blobs']));
    expect(boundsOf({ kind: 'any', path, of: [all, to(BOB)] })).toEqual(new Set(['to']));
    expect(boundsOf({ kind: 'not', path, of: all })).toEqual(new Set());
    expect(boundsOf(undefined)).toEqual(new Set());
  });
});
