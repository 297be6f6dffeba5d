import { describe, expect, test } from 'vitest';
import type { Hex } from '../../src/bytes.ts';
import type { PolicyIntent } from '../../src/effects/effect.ts';
import type { Intent, Transaction } from '../../src/intent/intent.ts';
import type { JsonValue } from '../../src/jcs.ts';
import { calldata, members, typedDataOf } from '../effects/intents.ts';
import {
  ALICE,
  BLOB,
  BOB,
  CAROL,
  GWEI,
  OWNER,
  policyWith,
  request,
  SIGNER,
  TRANSFER,
  type Caller,
} from './fixtures.ts';

const MOST = 2n ** 256n - 1n;
const ALL = ['transfer', 'transferFrom', 'approve', 'increaseAllowance', 'setApprovalForAll', 'permit'];
const MORE = {
  tokens: {
    usdc: { chain: 31337, address: BOB, standard: 'erc20', decimals: 6 },
    punks: { chain: 31337, address: CAROL, standard: 'erc721' },
    items: { chain: 31337, address: ALICE, standard: 'erc1155' },
  },
  keyGroups: { warm: { tags: ['hot'] }, named: { names: ['treasury'] }, cold: { tags: ['cold'] } },
  breakGlass: {
    approval: 'glass',
    principals: { roles: ['signer'] },
    keys: { names: ['*'] },
    operations: ['transaction', 'typed-data', 'message'],
  },
  approvals: { glass: { all: [{ role: 'approver', m: 1 }] } },
};

const limit = (meter: JsonValue, per?: readonly string[]): JsonValue => ({
  meter,
  ...(per === undefined ? {} : { per }),
  window: { rolling: '24h', bucket: '5m' },
  max: '100',
  onExceed: 'deny',
});

/** What is charged to the one limit, as `scope amount`. Break-glass, so that rules and cover have no say. */
function charges(subject: Transaction | PolicyIntent, one: JsonValue, caller: Caller = OWNER): string[] {
  const policy = policyWith({ ...MORE, limits: { one } });
  const verdict = policy.judge(request(subject, { ...caller, breakGlass: 'test' }));
  expect(verdict.decision.effect).toBe('require');
  return verdict.charges.map(({ scope, amount }) => `${scope} ${amount}`);
}

const call = (data: Hex, to: Hex = BOB, value = 0n): Transaction => ({ ...TRANSFER, to, value, data });
const tokenMeter = (token: string, include: readonly string[] = ALL): JsonValue => limit({ token, include });
const transfer = (amount: bigint): Hex => calldata('transfer(address,uint256)', [ALICE, amount]);
const exec = (to: Hex, value: bigint, data: Hex): Hex =>
  calldata('execTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes)', [
    to,
    value,
    data,
    0,
    0n,
    0n,
    0n,
    BOB,
    BOB,
    '0x',
  ]);

test('a charge says all of its limit', () => {
  const policy = policyWith(MORE_LIMIT, {
    id: 'a',
    effect: 'allow',
    principals: { roles: ['signer'] },
    keys: { names: ['*'] },
    operations: ['message'],
  });
  expect(policy.judge(request({ operation: 'message', data: '0x' })).charges).toEqual([
    {
      limit: 'often',
      scope: 'all',
      amount: 1n,
      max: 5n,
      window: { rolling: 3_600_000, bucket: 60_000 },
      onExceed: { approval: 'glass' },
    },
  ]);
  expect(policy.judge(request(TRANSFER)).charges).toEqual([]);
});

const MORE_LIMIT = {
  ...MORE,
  limits: {
    often: {
      meter: 'count',
      window: { rolling: '1h', bucket: '1m' },
      max: 5,
      onExceed: { approval: 'glass' },
    },
  },
};

describe('meters', () => {
  test('count', () => {
    expect(charges(call(transfer(5n)), limit('count'))).toEqual(['all 1']);
    expect(charges({ operation: 'message', data: '0x' }, limit('count'))).toEqual(['all 1']);
  });

  test('the fee of a transaction, blobs included', () => {
    expect(charges(TRANSFER, limit('maxTotalFee'))).toEqual([`all ${21_000n * GWEI}`]);
    expect(charges(BLOB, limit('maxTotalFee'))).toEqual([`all ${21_000n * GWEI + 131_072n * 3n}`]);
    expect(charges({ operation: 'message', data: '0x' }, limit('maxTotalFee'))).toEqual([]);
  });

  test('value: of the transaction, and what a Safe adds of its own', () => {
    const value = limit('value');
    expect(charges(TRANSFER, value)).toEqual(['all 1']);
    expect(charges({ ...TRANSFER, value: 0n }, value)).toEqual([]);
    expect(charges({ ...TRANSFER, to: null, value: 7n, data: '0x00' }, value)).toEqual(['all 7']);
    expect(charges(call(exec(ALICE, 9n, '0x'), BOB, 2n), value)).toEqual(['all 11']);
    // The calls of a batch are paid for by the transaction's value.
    const batch = calldata(
      'aggregate3Value((address target,bool allowFailure,uint256 value,bytes callData)[])',
      [
        [
          [ALICE, false, 3n, '0x'],
          [CAROL, false, 4n, '0x'],
        ],
      ],
    );
    expect(charges(call(batch, BOB, 7n), value)).toEqual(['all 7']);
  });

  test('value: of the calls inside, where they carry more than the call around them', () => {
    const value = limit('value');
    type Inner = readonly [to: Hex, value: bigint, data: Hex];
    const batch = (...calls: readonly Inner[]): Hex =>
      calldata('aggregate3Value((address target,bool allowFailure,uint256 value,bytes callData)[])', [
        calls.map(([to, wei, data]) => [to, false, wei, data]),
      ]);
    expect(charges(call(batch([ALICE, 3n, '0x'], [CAROL, 4n, '0x'])), value)).toEqual(['all 7']);
    expect(charges(call(batch([ALICE, 3n, '0x']), BOB, 9n), value)).toEqual(['all 9']);
    const nested = batch([CAROL, 1n, batch([ALICE, 5n, '0x'], [ALICE, 5n, '0x'])], [ALICE, 2n, '0x']);
    expect(charges(call(nested), value)).toEqual(['all 12']);
    expect(charges(call(nested, BOB, 20n), value)).toEqual(['all 20']);
    // A Safe's own funds, of which the batch that it calls gets a part.
    expect(charges(call(exec(CAROL, 6n, batch([ALICE, 8n, '0x'])), BOB, 2n), value)).toEqual(['all 10']);
    expect(charges(call(batch([BOB, 1n, exec(ALICE, 8n, '0x')], [ALICE, 1n, '0x'])), value)).toEqual([
      'all 10',
    ]);
  });

  test('value: once for a call with several token effects', () => {
    const moves = calldata('safeBatchTransferFrom(address,address,uint256[],uint256[],bytes)', [
      SIGNER,
      BOB,
      [1n, 2n],
      [3n, 4n],
      '0x',
    ]);
    expect(charges(call(moves, ALICE, 5n), limit('value'))).toEqual(['all 5']);
    expect(charges(call(exec(ALICE, 5n, moves)), limit('value'))).toEqual(['all 5']);
    expect(charges(call(moves, ALICE), tokenMeter('items'))).toEqual(['all 7']);
  });

  test('value: of the orders to a Safe', () => {
    const order = typedDataOf({
      domain: { chainId: 31337, verifyingContract: CAROL },
      types: {
        SafeTx: members(
          'address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,uint256 baseGas,uint256 gasPrice,address gasToken,address refundReceiver,uint256 nonce',
        ),
      },
      primaryType: 'SafeTx',
      message: {
        to: ALICE,
        value: '12',
        data: '0x',
        operation: 0,
        safeTxGas: 0,
        baseGas: 0,
        gasPrice: 0,
        gasToken: BOB,
        refundReceiver: BOB,
        nonce: 0,
      },
    });
    expect(charges(order, limit('value', ['chain']))).toEqual(['31337 12']);
  });

  test.each<[string, Hex, Hex, JsonValue, string[]]>([
    ['a transfer', BOB, transfer(5n), tokenMeter('usdc'), ['all 5']],
    ['another action', BOB, transfer(5n), tokenMeter('usdc', ['approve']), []],
    ['another contract', CAROL, transfer(5n), tokenMeter('usdc'), []],
    ['nothing', BOB, transfer(0n), tokenMeter('usdc'), []],
    [
      'an allowance',
      BOB,
      calldata('approve(address,uint256)', [ALICE, MOST]),
      tokenMeter('usdc'),
      [`all ${MOST}`],
    ],
    [
      'a number that is an id',
      CAROL,
      calldata('approve(address,uint256)', [ALICE, 77n]),
      tokenMeter('punks'),
      ['all 1'],
    ],
    [
      'all of a collection',
      CAROL,
      calldata('setApprovalForAll(address,bool)', [ALICE, true]),
      tokenMeter('punks'),
      [`all ${MOST}`],
    ],
    [
      'none of a collection',
      CAROL,
      calldata('setApprovalForAll(address,bool)', [ALICE, false]),
      tokenMeter('punks'),
      [],
    ],
    // No ERC-20 has it: what it does is not known.
    [
      'no amount',
      BOB,
      calldata('safeTransferFrom(address,address,uint256)', [SIGNER, ALICE, 1n]),
      tokenMeter('usdc'),
      [`all ${MOST}`],
    ],
    [
      'a batch',
      BOB,
      calldata('multicall(bytes[])', [[transfer(5n), transfer(6n)]]),
      tokenMeter('usdc'),
      ['all 11'],
    ],
    [
      'more than a uint256',
      BOB,
      calldata('multicall(bytes[])', [[transfer(MOST), transfer(6n)]]),
      tokenMeter('usdc'),
      [`all ${MOST + 6n}`],
    ],
  ])('a token: %s', (_, to, data, one, expected) => {
    expect(charges(call(data, to), one)).toEqual(expected);
  });

  test('a token: on its chain, and where no chain is named', () => {
    const permit = (domain: object): Intent =>
      typedDataOf({
        domain: { verifyingContract: BOB, ...domain },
        types: {
          Permit: members('address owner,address spender,uint256 value,uint256 nonce,uint256 deadline'),
        },
        primaryType: 'Permit',
        message: { owner: SIGNER, spender: ALICE, value: '9', nonce: '0', deadline: '1800000000' },
      });
    const domains = [{ chainId: 31337 }, { chainId: 1 }, {}];
    const amounts = domains.map((domain) => charges(permit(domain), tokenMeter('usdc')));
    expect(amounts).toEqual([['all 9'], [], ['all 9']]);
    expect(charges({ ...call(transfer(5n)), chainId: 1n }, tokenMeter('usdc'))).toEqual([]);
    // One window for both: what names no chain is no second allowance.
    const perChain = limit({ token: 'usdc', include: ALL }, ['chain']);
    expect([{ chainId: 31337 }, {}].map((domain) => charges(permit(domain), perChain))).toEqual([
      ['31337 9'],
      ['31337 9'],
    ]);
  });
});

describe('scopes', () => {
  test.each<[readonly string[], string[]]>([
    [['key'], ['treasury 1']],
    [['principal'], ['payroll 1']],
    [['chain'], ['31337 1']],
    [['key', 'chain'], ['treasury/31337 1']],
    [['chain', 'principal', 'key'], ['31337/payroll/treasury 1']],
    [['keyGroup'], ['warm 1', 'named 1']],
    [
      ['keyGroup', 'chain'],
      ['warm/31337 1', 'named/31337 1'],
    ],
  ])('per %j', (per, expected) => {
    expect(charges(TRANSFER, limit('count', per))).toEqual(expected);
  });

  test('of a key in no group, and of a request on no chain', () => {
    const lone: Caller = { ...OWNER, key: { name: 'lone', tags: [] } };
    expect(charges(TRANSFER, limit('count', ['keyGroup', 'key']), lone)).toEqual(['-/lone 1']);
    expect(charges({ operation: 'message', data: '0x' }, limit('count', ['chain']))).toEqual(['- 1']);
  });
});
