import { describe, expect, test } from 'vitest';
import type { JsonValue } from '../../src/jcs.ts';
import { readDocument } from '../../src/policy/document.ts';
import type { PolicyModel, Predicate } from '../../src/policy/model.ts';
import { createProblems } from '../../src/policy/read.ts';
import { parseStrictYaml } from '../../src/policy/yaml.ts';
import { ALICE, allow, BOB, CAROL, deny, documentOf, refusal, type Members } from './fixtures.ts';

const EXAMPLE = `apiVersion: countersign/policy/v1
revision: 42
lists:
  payouts: ["0x1111111111111111111111111111111111111111"]
tokens:
  usdc: { chain: 1, address: "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48", standard: erc20, decimals: 6 }
keyGroups:
  hot: { tags: [hot] }
approvals:
  big: { all: [{ role: approver, m: 2 }], distinct: true, excludeRequester: true, ttl: 4h, rejects: 1 }
limits:
  usdc-day: { meter: { token: usdc, include: [transfer, approve, permit] }, per: [keyGroup], window: { rolling: 24h, bucket: 5m }, max: "250000 usdc", onExceed: { approval: big } }
  gas-hour: { meter: maxTotalFee, per: [key, chain], window: { rolling: 1h, bucket: 1m }, max: "0.5 ether", onExceed: deny }
rules:
  - id: pay-usdc
    effect: allow
    principals: { roles: [signer] }
    keys: { groups: [hot] }
    operations: [transaction]
    when:
      all:
        - { chainId: { in: [1] } }
        - { token: { token: usdc, action: transfer, to: { in: $payouts }, amount: { lte: "50000 usdc" } } }
        - { value: { eq: "0" } }
        - { maxTotalFee: { lte: "0.05 ether" } }
    windows: [{ tz: Europe/Zurich, days: [mon, tue, wed, thu, fri], from: "07:00", to: "19:00" }]
`;

const USDC = {
  name: 'usdc',
  chain: 1n,
  address: '0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48',
  standard: 'erc20',
  decimals: 6,
};

function read(document: JsonValue): PolicyModel {
  const problems = createProblems('the policy', () => undefined);
  const model = readDocument(document, problems);
  problems.throwIfAny();
  return model;
}

describe('a whole document', () => {
  test('is read into what it means', () => {
    const { value, problems } = parseStrictYaml(EXAMPLE, 'policy.yaml');
    const model = readDocument(value, problems);
    problems.throwIfAny();
    const hot = { every: false, names: new Set(), tags: new Set(['hot']) };
    expect(model).toEqual({
      tokens: new Map([['usdc', USDC]]),
      keyGroups: new Map([['hot', hot]]),
      approvals: new Map([
        [
          'big',
          {
            name: 'big',
            all: [{ role: 'approver', m: 2 }],
            distinct: true,
            excludeRequester: true,
            ttl: 14_400_000,
            rejects: 1,
          },
        ],
      ]),
      limits: [
        {
          name: 'usdc-day',
          meter: { kind: 'token', token: USDC, include: new Set(['transfer', 'approve', 'permit']) },
          per: ['keyGroup'],
          window: { rolling: 86_400_000, bucket: 300_000 },
          max: 250_000_000_000n,
          onExceed: { approval: 'big' },
        },
        {
          name: 'gas-hour',
          meter: { kind: 'maxTotalFee' },
          per: ['key', 'chain'],
          window: { rolling: 3_600_000, bucket: 60_000 },
          max: 500_000_000_000_000_000n,
          onExceed: 'deny',
        },
      ],
      rules: [
        {
          id: 'pay-usdc',
          effect: 'allow',
          hard: false,
          shadow: false,
          draining: false,
          principals: { roles: new Set(['signer']), ids: new Set() },
          keys: hot,
          operations: new Set(['transaction']),
          when: expect.objectContaining({ kind: 'all' }),
          windows: [
            {
              tz: 'Europe/Zurich',
              days: new Set(['mon', 'tue', 'wed', 'thu', 'fri']),
              from: 420,
              to: 1140,
            },
          ],
        },
      ],
    });
    expect(model.rules[0]?.when).toMatchObject({
      of: [
        { kind: 'number', field: 'chainId', test: { in: new Set([1n]) } },
        {
          kind: 'token',
          token: USDC,
          actions: new Set(['transfer']),
          to: { in: new Set([BOB]) },
          amount: { lte: 50_000_000_000n },
        },
        { kind: 'number', field: 'value', test: { eq: 0n } },
        { kind: 'number', field: 'maxTotalFee', test: { lte: 50_000_000_000_000_000n } },
      ],
    });
  });

  test('has defaults', () => {
    const { approvals, limits, rules } = read({
      ...documentOf({ id: 'a', effect: 'deny', operations: ['key.export'] }),
      approvals: { a: { all: [{ role: 'admin', m: 1 }] } },
      limits: { l: { meter: 'count', window: { rolling: '1h', bucket: '1h' }, max: 10, onExceed: 'deny' } },
    });
    expect(approvals.get('a')).toMatchObject({
      distinct: true,
      excludeRequester: true,
      ttl: 86_400_000,
      rejects: 1,
    });
    expect(approvals.get('a')).not.toHaveProperty('credential');
    expect(limits).toMatchObject([{ per: [], max: 10n, window: { rolling: 3_600_000, bucket: 3_600_000 } }]);
    expect(rules).toEqual([
      {
        id: 'a',
        effect: 'deny',
        hard: false,
        shadow: false,
        draining: false,
        operations: new Set(['key.export']),
      },
    ]);
  });

  test('says who may break glass, who changes it, and what it follows', () => {
    const parent = 'ab'.repeat(32);
    const model = read({
      ...documentOf(),
      parent,
      keyGroups: { hot: { names: ['payroll'] } },
      approvals: { a: { all: [{ role: 'admin', m: 1 }], credential: 'otp', rejects: 2 } },
      breakGlass: {
        approval: 'a',
        principals: { ids: ['p-1'] },
        keys: { groups: ['hot'], tags: ['cold'] },
        operations: ['transaction', 'typed-data', 'message', 'authorization'],
      },
      change: { approval: 'a' },
    });
    expect(model).toMatchObject({
      parent,
      change: { approval: 'a' },
      breakGlass: {
        approval: 'a',
        principals: { roles: new Set(), ids: new Set(['p-1']) },
        keys: { every: false, names: new Set(['payroll']), tags: new Set(['cold']) },
        operations: new Set(['transaction', 'typed-data', 'message', 'authorization']),
      },
    });
    expect(model.approvals.get('a')).toMatchObject({ credential: 'otp', rejects: 2 });
  });

  test('keeps what a rule says of time and source', () => {
    const [rule] = read({
      ...documentOf({
        id: 'r',
        effect: 'require',
        approval: 'a',
        mode: 'shadow',
        operations: ['message'],
        source: { cidr: ['10.0.0.0/8'], mtls: false },
        validity: { from: '2026-11-20T10:00:00+01:00', until: '2026-11-20T10:00:00.250Z' },
        windows: [{ tz: 'UTC', days: ['sun'], from: '00:00', to: '24:00' }],
      }),
      approvals: { a: { all: [{ role: 'admin', m: 1 }] } },
    }).rules;
    expect(rule).toMatchObject({
      effect: 'require',
      approval: 'a',
      shadow: true,
      source: { cidr: ['10.0.0.0/8'], mtls: false },
      validity: { from: Date.UTC(2026, 10, 20, 9), until: Date.UTC(2026, 10, 20, 10) + 250 },
      windows: [{ tz: 'UTC', days: new Set(['sun']), from: 0, to: 1440 }],
    });
  });
});

const DEFINED = {
  lists: { friends: [ALICE, BOB] },
  tokens: {
    usdc: { chain: 1, address: USDC.address, standard: 'erc20', decimals: 6 },
    punks: { chain: 1, address: CAROL, standard: 'erc721' },
    cards: { chain: 10, address: CAROL, standard: 'erc1155' },
  },
  abis: {
    erc20: ['transfer(address to, uint256 amount)', 'approve(address,uint256)'],
    vault: [
      'swap((uint256 amountIn, (address who, bytes32 tag)[] legs) order, uint64 deadline)',
      'pay(address[] to, uint256[] amounts)',
      'pay(address to)',
      'note(string text, bytes data, bool loud, int8 shift, bytes4 kind, uint256[2][] pairs)',
      {
        type: 'function',
        name: 'route',
        stateMutability: 'payable',
        outputs: [],
        inputs: [
          {
            name: 'o',
            type: 'tuple',
            components: [{ name: 'to', type: 'address', internalType: 'address' }],
          },
        ],
      },
    ],
  },
};

const NOTE = { abi: 'vault', fn: 'note' };
const MAIL = 'Mail(Person from,Person[] to,string contents)Person(string name,address wallet)';
const HASH = `0x${'Ab'.repeat(32)}`;

function predicateOf(operation: string, when: JsonValue): Predicate {
  const model = read({ ...documentOf(deny([operation], when)), ...DEFINED });
  return model.rules[0]?.when as Predicate;
}

describe('predicates', () => {
  test.each<[string, string, JsonValue, unknown]>([
    [
      'a call by name',
      'transaction',
      { call: { abi: 'erc20', fn: 'transfer' } },
      { fn: { signature: 'transfer(address,uint256)', selector: '0xa9059cbb' }, args: [] },
    ],
    [
      'a call by signature',
      'transaction',
      { call: { abi: 'vault', fn: 'pay(address)' } },
      { fn: { signature: 'pay(address)' } },
    ],
    [
      'a call by signature with names',
      'transaction',
      {
        call: { abi: 'erc20', fn: 'approve(address spender,uint256 amount)', args: { spender: { eq: BOB } } },
      },
      { args: [{ name: 'spender', steps: [0], test: { kind: 'address', test: { in: new Set([BOB]) } } }] },
    ],
    [
      'a call of a contract',
      'typed-data',
      { call: { to: { in: '$friends', isSigner: false }, abi: 'erc20', fn: 'transfer' } },
      { to: { in: new Set([ALICE, BOB]), isSigner: false } },
    ],
    [
      'arguments by position',
      'transaction',
      {
        call: {
          abi: 'erc20',
          fn: 'approve',
          args: { '0': { isSigner: true }, '1': { lt: '5', notIn: [1] } },
        },
      },
      {
        args: [
          { name: '0', steps: [0], test: { kind: 'address', test: { isSigner: true } } },
          { name: '1', steps: [1], test: { kind: 'number', test: { lt: 5n, notIn: new Set([1n]) } } },
        ],
      },
    ],
    [
      'arguments inside tuples and lists',
      'transaction',
      {
        call: {
          abi: 'vault',
          fn: 'swap',
          args: {
            'order.amountIn': { gte: 1, lte: '9' },
            'order.legs': { len: { lte: 3 }, every: { who: { in: '$friends' }, '1': { eq: HASH } } },
            deadline: { within: '1h30m' },
          },
        },
      },
      {
        args: [
          { name: 'order.amountIn', steps: [0, 0], test: { kind: 'number', test: { gte: 1n, lte: 9n } } },
          {
            name: 'order.legs',
            steps: [0, 1],
            test: {
              kind: 'list',
              len: { lte: 3n },
              every: [
                // JSON objects have their integer-like members first.
                {
                  name: '1',
                  steps: [1],
                  test: { kind: 'bytes', test: { in: new Set([HASH.toLowerCase()]) } },
                },
                { name: 'who', steps: [0], test: { kind: 'address', test: { in: new Set([ALICE, BOB]) } } },
              ],
            },
          },
          { name: 'deadline', steps: [1], test: { kind: 'number', test: { within: 5_400_000 } } },
        ],
      },
    ],
    [
      'arguments of every type',
      'transaction',
      {
        call: {
          ...NOTE,
          args: {
            text: { prefix: 'a', len: { lt: 9 }, notIn: ['', 'é'] },
            data: { eq: '0x', len: { eq: 0 } },
            loud: { eq: false },
            shift: { gte: -128, lt: '-1' },
            kind: { in: ['0xA9059CBB'], prefix: '0xa9' },
            pairs: { some: { every: { eq: 1 }, len: { eq: 2 } } },
          },
        },
      },
      {
        args: [
          {
            name: 'text',
            test: { kind: 'text', test: { prefix: 'a', len: { lt: 9n }, notIn: new Set(['', 'é']) } },
          },
          { name: 'data', test: { kind: 'bytes', test: { in: new Set(['0x']), len: { eq: 0n } } } },
          { name: 'loud', test: { kind: 'bool', eq: false } },
          { name: 'shift', test: { kind: 'number', test: { gte: -128n, lt: -1n } } },
          { name: 'kind', test: { kind: 'bytes', test: { in: new Set(['0xa9059cbb']), prefix: '0xa9' } } },
          {
            name: 'pairs',
            test: {
              kind: 'list',
              some: [
                {
                  name: '',
                  steps: [],
                  test: {
                    kind: 'list',
                    len: { eq: 2n },
                    every: [{ name: '', steps: [], test: { kind: 'number', test: { eq: 1n } } }],
                  },
                },
              ],
            },
          },
        ],
      },
    ],
    [
      'an item of a JSON ABI',
      'transaction',
      { call: { abi: 'vault', fn: 'route', args: { 'o.to': { isSigner: true } } } },
      { fn: { signature: 'route((address))' }, args: [{ name: 'o.to', steps: [0, 0] }] },
    ],
    [
      'a token with all its members',
      'typed-data',
      {
        token: {
          token: 'usdc',
          action: ['approve', 'permit'],
          from: { isSigner: true },
          to: { notIn: [ALICE] },
          spender: { eq: BOB },
          amount: { gt: '0', lte: '1.5 usdc' },
        },
      },
      {
        token: USDC,
        actions: new Set(['approve', 'permit']),
        from: { isSigner: true },
        to: { notIn: new Set([ALICE]) },
        spender: { in: new Set([BOB]) },
        amount: { gt: 0n, lte: 1_500_000n },
      },
    ],
    [
      'an NFT',
      'transaction',
      { token: { token: 'punks', action: 'transferFrom', tokenId: { in: [1, '2'] } } },
      { token: { name: 'punks', decimals: 0 }, tokenId: { in: new Set([1n, 2n]) } },
    ],
    [
      'an amount of a multi-token',
      'transaction',
      { token: { token: 'cards', action: 'transferFrom', tokenId: { eq: 7 }, amount: { lte: '3' } } },
      { amount: { lte: 3n } },
    ],
    [
      'a creation by its init code',
      'transaction',
      { create: { initcodeHash: { eq: HASH } } },
      { initcodeHash: { in: new Set([HASH.toLowerCase()]) } },
    ],
    [
      'typed data by domain',
      'typed-data',
      {
        typed: {
          domain: {
            name: 'Mail',
            version: { in: ['1', '2'] },
            chainId: 1,
            verifyingContract: { in: '$friends' },
            salt: HASH,
          },
        },
      },
      {
        domain: {
          name: { in: new Set(['Mail']) },
          version: { in: new Set(['1', '2']) },
          chainId: { eq: 1n },
          verifyingContract: { in: new Set([ALICE, BOB]) },
          salt: { in: new Set([HASH.toLowerCase()]) },
        },
        message: [],
      },
    ],
    [
      'typed data by type and message',
      'typed-data',
      {
        typed: {
          type: MAIL,
          message: { 'from.wallet': { isSigner: true }, to: { every: { wallet: { in: '$friends' } } } },
        },
      },
      {
        type: MAIL,
        domain: {},
        message: [
          {
            name: 'from.wallet',
            steps: ['from', 'wallet'],
            test: { kind: 'address', test: { isSigner: true } },
          },
          {
            name: 'to',
            steps: ['to'],
            test: { kind: 'list', every: [{ name: 'wallet', steps: ['wallet'] }] },
          },
        ],
      },
    ],
    ['a message by pattern', 'message', { message: { re2: 'Log in [0-9]+' } }, { re2: 'Log in [0-9]+' }],
    ['a message by length', 'message', { message: { len: { eq: 32 } } }, { len: { eq: 32n } }],
    [
      'a message to log in',
      'message',
      {
        message: {
          siwe: {
            domain: { in: ['app.example'] },
            uri: { prefix: 'https://app.example/' },
            chainId: { eq: 1 },
            expiresWithin: '15m',
          },
        },
      },
      {
        siwe: {
          domain: { in: new Set(['app.example']) },
          uri: { prefix: 'https://app.example/' },
          chainId: { eq: 1n },
          expiresWithin: 900_000,
        },
      },
    ],
  ])('read %s', (_, operation, when, expected) => {
    expect(predicateOf(operation, when)).toMatchObject(expected as object);
  });

  const args = (more: Members): JsonValue => ({ call: { ...NOTE, args: more } });
  const swap = (more: Members): JsonValue => ({ call: { abi: 'vault', fn: 'swap', args: more } });
  const token = (more: Members): JsonValue => ({ token: { token: 'usdc', action: 'transfer', ...more } });

  test.each<[string, string, JsonValue, string]>([
    [
      'an empty call',
      'transaction',
      { call: {} },
      'call.abi: is missing; write a name that is defined under',
    ],
    [
      'an unknown ABI',
      'transaction',
      { call: { abi: 'erc721', fn: 'f' } },
      'call.abi: "erc721" is not defined under `abis` (erc20, vault)',
    ],
    [
      'no function',
      'transaction',
      { call: { abi: 'erc20' } },
      'call.fn: must be text: a name or a signature',
    ],
    [
      'an unknown function',
      'transaction',
      { call: { abi: 'erc20', fn: 'burn' } },
      'call.fn: "burn" is not a function of this ABI, which has transfer(address,uint256), approve(address,uint256)',
    ],
    [
      'an unknown signature',
      'transaction',
      { call: { abi: 'erc20', fn: 'transfer(address)' } },
      'call.fn: transfer(address) is not a function of this ABI',
    ],
    [
      'a signature that does not read',
      'transaction',
      { call: { abi: 'erc20', fn: 'transfer(' } },
      'call.fn: needs a type at character 10',
    ],
    [
      'an overloaded name',
      'transaction',
      { call: { abi: 'vault', fn: 'pay' } },
      'call.fn: "pay" is the name of several functions; write one of pay(address[],uint256[]), pay(address)',
    ],
    [
      'names that are not the ABI’s',
      'transaction',
      { call: { abi: 'erc20', fn: 'transfer(address from, uint256 amount)' } },
      'call.fn: names a parameter "from" that the ABI names "to"',
    ],
    [
      'a delegatecall that is none',
      'transaction',
      { call: { ...NOTE, delegate: 'yes' } },
      'call.delegate: must be true or false',
    ],
    [
      'a delegatecall and none at once',
      'transaction',
      { all: [{ call: { ...NOTE, delegate: true } }, { call: { ...NOTE, delegate: false } }] },
      'all[1].call: can never hold',
    ],
    ['no arguments', 'transaction', args({}), 'args: restricts nothing; write { name: { eq: … } }'],
    [
      'an unknown argument',
      'transaction',
      args({ voice: { eq: 1 } }),
      'args.voice: there is no "voice" here: text, data, loud, shift, kind, pairs',
    ],
    [
      'a position that is not there',
      'transaction',
      { call: { abi: 'erc20', fn: 'approve', args: { '2': { eq: 1 } } } },
      'there is no "2" here: 0, 1',
    ],
    [
      'one argument by two names',
      'transaction',
      args({ loud: { eq: true }, '2': { eq: true } }),
      'args.loud: is what "2" is; write their comparisons as one',
    ],
    [
      'a path into a list',
      'transaction',
      swap({ 'order.legs.0.who': { eq: BOB } }),
      'leads through a list; write order.legs: { every: { … } }',
    ],
    [
      'a path beyond a value',
      'transaction',
      swap({ 'deadline.x': { eq: 1 } }),
      'goes on after deadline, which has no members',
    ],
    [
      'a tuple',
      'transaction',
      swap({ order: { eq: 1 } }),
      'args.order: has members of its own; write one: order.amountIn, order.legs',
    ],
    [
      'an unknown member',
      'transaction',
      swap({ 'order.x': { eq: 1 } }),
      'there is no "x" here: order.amountIn',
    ],
    ['text for a number', 'transaction', swap({ deadline: { prefix: 'a' } }), '`prefix` is not known here'],
    [
      'a number that does not fit',
      'transaction',
      swap({ deadline: { lt: (2n ** 64n).toString() } }),
      'deadline.lt: does not fit in uint64',
    ],
    ['a negative that does not fit', 'transaction', args({ shift: { eq: -129 } }), 'does not fit in int8'],
    ['ether in arguments', 'transaction', swap({ deadline: { lt: '1 ether' } }), 'is not a whole number'],
    ['no time', 'transaction', swap({ deadline: { within: 3600 } }), 'deadline.within: is not a duration'],
    [
      'a range of addresses',
      'transaction',
      swap({ 'order.legs': { every: { who: { lt: BOB } } } }),
      '`lt` is not',
    ],
    [
      'a bool by in',
      'transaction',
      args({ loud: { in: [true] } }),
      'loud.in: `in` is not known here; use one of: eq',
    ],
    ['a bool by text', 'transaction', args({ loud: { eq: 'true' } }), 'loud.eq: must be true or false'],
    [
      'an empty prefix',
      'transaction',
      args({ text: { prefix: '' } }),
      'text.prefix: is empty and begins every',
    ],
    ['a lone surrogate', 'transaction', args({ text: { eq: '\ud800' } }), 'text.eq: has a lone surrogate'],
    ['a number as text', 'transaction', args({ text: { eq: 1 } }), 'text.eq: must be text, not a number'],
    [
      'half a byte',
      'transaction',
      args({ data: { eq: '0x1' } }),
      'data.eq: is not valid; write bytes as quoted hex',
    ],
    ['an empty prefix of bytes', 'transaction', args({ data: { prefix: '0x' } }), 'data.prefix: is empty'],
    ['too many bytes', 'transaction', args({ kind: { eq: HASH } }), 'kind.eq: has 32 bytes; write exactly 4'],
    [
      'a prefix of too many',
      'transaction',
      args({ kind: { prefix: HASH } }),
      'has 32 bytes; write from 1 to 4',
    ],
    [
      'a fixed length',
      'transaction',
      args({ kind: { len: { eq: 4 } } }),
      'kind.len: `len` is not known here',
    ],
    [
      'a list by eq',
      'transaction',
      args({ pairs: { eq: 1 } }),
      'pairs.eq: `eq` is not known here; use one of: len',
    ],
    ['a list by nothing', 'transaction', args({ pairs: {} }), 'pairs: compares with nothing'],
    ['items by nothing', 'transaction', args({ pairs: { every: {} } }), 'pairs.every: compares with nothing'],
    [
      'tuples by nothing',
      'transaction',
      swap({ 'order.legs': { every: {} } }),
      'args["order.legs"].every: restricts nothing',
    ],
    [
      'an unknown token',
      'transaction',
      token({ token: 'dai' }),
      'token.token: "dai" is not defined under `tokens`',
    ],
    ['no action', 'transaction', token({ action: undefined }), 'token.action: must be one of transfer,'],
    ['an empty action', 'transaction', token({ action: [] }), 'token.action: is empty'],
    [
      'an unknown action',
      'transaction',
      token({ action: ['mint'] }),
      'token.action[0]: must be one of transfer,',
    ],
    [
      'ether of a token',
      'transaction',
      token({ amount: { lte: '1 ether' } }),
      'amount.lte: "ether" is not a unit',
    ],
    [
      'another token’s unit',
      'transaction',
      token({ amount: { lte: '1 punks' } }),
      '"punks" is not a unit here',
    ],
    ['a token of ether', 'transaction', { value: { lte: '1 usdc' } }, 'value.lte: "usdc" is not a unit here'],
    [
      'an id of an ERC-20',
      'transaction',
      token({ tokenId: { eq: 1 } }),
      'tokenId: an erc20 has no token ids',
    ],
    [
      'an NFT with decimals',
      'transaction',
      token({ token: 'punks', amount: { eq: '1 punks' } }),
      'amount.eq: is not an amount of punks; an erc721 has no unit',
    ],
    ['an address by range', 'transaction', token({ to: { lt: BOB } }), 'to.lt: `lt` is not known here'],
    [
      'an address by eq and in',
      'transaction',
      token({ to: { eq: BOB, in: [BOB] } }),
      'to.eq: says what `in` says',
    ],
    ['isSigner by text', 'transaction', token({ to: { isSigner: 'no' } }), 'isSigner: must be true or false'],
    ['no init code', 'transaction', { create: {} }, 'create.initcodeHash: must be a mapping, not nothing'],
    [
      'a short hash',
      'transaction',
      { create: { initcodeHash: { eq: '0x12' } } },
      'initcodeHash.eq: has 1 bytes; write exactly 32',
    ],
    [
      'all other init code',
      'transaction',
      { create: { initcodeHash: { notIn: [HASH] } } },
      'initcodeHash.notIn: `notIn` is not known here; use one of: eq, in',
    ],
    ['empty typed data', 'typed-data', { typed: {} }, 'typed: restricts nothing'],
    ['an empty domain', 'typed-data', { typed: { domain: {} } }, 'typed.domain: restricts nothing'],
    [
      'an unknown member of the domain',
      'typed-data',
      { typed: { domain: { chain: 1 } } },
      'domain.chain: `chain` is not known here',
    ],
    [
      'a domain with a list',
      'typed-data',
      { typed: { domain: { name: ['Mail'] } } },
      'domain.name.eq: must be text, not a list',
    ],
    [
      'a message without type',
      'typed-data',
      { typed: { message: { a: { eq: 1 } } } },
      'typed.message: needs `type`',
    ],
    [
      'a type by name',
      'typed-data',
      { typed: { type: 'Mail' } },
      'typed.type: is not a type at character 1; write it as EIP-712 encodes it',
    ],
    [
      'an unknown member of the message',
      'typed-data',
      { typed: { type: MAIL, message: { 'from.age': { eq: 1 } } } },
      'there is no "age" here: from.name, from.wallet',
    ],
    [
      'a position in a message',
      'typed-data',
      { typed: { type: MAIL, message: { '0': { eq: 1 } } } },
      'there is no "0" here: from, to, contents',
    ],
    [
      'an empty message test',
      'message',
      { message: {} },
      'message: must have one of the three, re2, siwe or len',
    ],
    [
      'both message tests',
      'message',
      { message: { re2: 'a', siwe: { domain: { eq: 'a' } } } },
      'message: must have one of the three',
    ],
    [
      'a pattern that does not compile',
      'message',
      { message: { re2: '(a' } },
      'message.re2: is not a pattern of RE2',
    ],
    ['a lookahead', 'message', { message: { re2: '(?=a)' } }, 'message.re2: is not a pattern of RE2'],
    [
      'a length that none has',
      'message',
      { all: [{ message: { len: { lt: 32 } } }, { message: { len: { gt: 40 } } }] },
      'all[1].message: can never hold',
    ],
    ['a pattern by number', 'message', { message: { re2: 1 } }, 'message.re2: must be text'],
    ['an empty log-in', 'message', { message: { siwe: {} } }, 'message.siwe: restricts nothing'],
    [
      'an unknown part of a log-in',
      'message',
      { message: { siwe: { address: { eq: BOB } } } },
      'siwe.address: `address` is not known here',
    ],
    [
      'a log-in without time',
      'message',
      { message: { siwe: { domain: { eq: 'a' }, expiresWithin: '0s' } } },
      'siwe.expiresWithin: is not a duration',
    ],
    [
      'time of a field',
      'transaction',
      { nonce: { within: '1h' } },
      'nonce.within: `within` is not known here',
    ],
  ])('do not read %s', (_, operation, when, expected) => {
    const { lines } = refusal(() => read({ ...documentOf(deny([operation], when)), ...DEFINED }));
    expect(lines.join('\n')).toContain(expected);
  });

  test('in an allow rule need nothing of `isSigner` or `within`', () => {
    const when = { all: [{ token: { token: 'usdc', action: 'permit', from: { isSigner: true } } }] };
    expect(() => read({ ...documentOf(allow(['typed-data'], when)), ...DEFINED })).not.toThrow();
  });
});
