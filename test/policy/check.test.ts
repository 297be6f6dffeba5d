import { describe, expect, test } from 'vitest';
import type { JsonValue } from '../../src/jcs.ts';
import { POLICY_OPERATIONS } from '../../src/policy/model.ts';
import { compilePolicy } from '../../src/policy/policy.ts';
import {
  ALICE,
  allow,
  allowTransfers,
  BOB,
  CAROL,
  CHAIN,
  compiling,
  deny,
  documentOf,
  FEE,
  problemsOf,
  type Members,
} from './fixtures.ts';

const HASH = `0x${'ab'.repeat(32)}`;
const DELEGATE = { authorizations: { every: { address: { in: [BOB] } } } };

describe('what an allow rule for transactions binds', () => {
  test.each<[string, JsonValue]>([
    ['in one conjunction', { all: [CHAIN, FEE] }],
    ['in nested conjunctions', { all: [{ all: [CHAIN] }, { all: [{ all: [FEE] }] }] }],
    ['by in and lt', { all: [{ chainId: { in: [1, 10] } }, { maxTotalFee: { lt: '1' } }] }],
    ['by eq', { all: [CHAIN, { maxTotalFee: { eq: '1' } }] }],
    ['in every branch of any', { any: [{ all: [CHAIN, FEE] }, { all: [{ chainId: { eq: 2 } }, FEE] }] }],
    ['around any', { all: [CHAIN, FEE, { any: [{ nonce: { eq: 1 } }, { value: { eq: '0' } }] }] }],
    ['partly inside any', { all: [FEE, { any: [CHAIN, { chainId: { eq: 5 } }] }] }],
    ['beside not', { all: [CHAIN, FEE, { not: { value: { gt: '1' } } }] }],
  ])('is enough %s', (_, when) => {
    expect(compiling(allow(['transaction'], when))).not.toThrow();
  });

  test.each<[string, JsonValue | undefined, string[]]>([
    ['no when', undefined, ['chainId', 'maxTotalFee']],
    ['chain only', CHAIN, ['maxTotalFee']],
    ['fee only', FEE, ['chainId']],
    ['chain by range', { all: [{ chainId: { lte: 5, gte: 1 } }, FEE] }, ['chainId']],
    ['chain by exclusion', { all: [{ chainId: { notIn: [5] } }, FEE] }, ['chainId']],
    ['fee by lower bound', { all: [CHAIN, { maxTotalFee: { gte: '1' } }] }, ['maxTotalFee']],
    ['fee by list', { all: [CHAIN, { maxTotalFee: { in: ['1'] } }] }, ['maxTotalFee']],
    ['fee under not', { all: [CHAIN, { not: { maxTotalFee: { gt: '1' } } }] }, ['maxTotalFee']],
    ['chain under two nots', { all: [{ not: { not: CHAIN } }, FEE] }, ['chainId']],
    [
      'one branch of any free',
      { any: [{ all: [CHAIN, FEE] }, { value: { eq: '0' } }] },
      ['chainId', 'maxTotalFee'],
    ],
    ['chain or fee', { any: [CHAIN, FEE] }, ['chainId', 'maxTotalFee']],
    [
      'the chains of authorizations',
      { all: [{ authorizations: { every: { chainId: { eq: 1 } } } }, FEE] },
      ['chainId'],
    ],
    [
      'gas price instead of fee',
      { all: [CHAIN, { gasLimit: { lte: 1 } }, { gasPrice: { lte: '1' } }] },
      ['maxTotalFee'],
    ],
  ])('is not enough with %s', (_, when, missing) => {
    const [line = '', ...others] = problemsOf(allow(['transaction'], when));
    expect(others).toEqual([]);
    expect(line).toContain('rules[0].when: an allow rule for transaction must bound');
    for (const name of ['chainId', 'maxTotalFee'])
      expect(line.includes(`{ ${name}:`)).toBe(missing.includes(name));
  });
});

describe('what other allow rules bind', () => {
  test.each<[string, Members]>([
    ['messages without when', allow(['message', 'typed-data'])],
    ['a digest purpose by eq', allow(['digest'], { digest: { purpose: { eq: 'login' } } })],
    [
      'a digest purpose of 200 characters',
      allow(['digest'], { digest: { purpose: { eq: 'x'.repeat(200) } } }),
    ],
    ['a digest purpose by prefix', allow(['digest'], { digest: { purpose: { prefix: 'login:' } } })],
    ['an authorization by chainId', allow(['authorization'], { all: [CHAIN, DELEGATE] })],
    [
      'an authorization by its own list',
      allow(['authorization'], { authorizations: { every: { address: { eq: BOB }, chainId: { in: [1] } } } }),
    ],
    [
      'transactions that bound their authorizations',
      allowTransfers({ authorizations: { max: 1, every: { chainId: { eq: 1 } } } }),
    ],
    ['a creation of its own', allowTransfers({ to: { create: true } })],
    ['denials of several operations', deny(['transaction', 'authorization'], CHAIN)],
    ['a denial of chain 0', deny(['authorization'], { chainId: { eq: 0 } })],
    ['a creation by its code', allowTransfers({ create: { initcodeHash: { eq: HASH } } })],
    ['typed data of a chain', allow(['typed-data'], CHAIN)],
    ['an export without when', allow(['key.export'])],
    ['a denial without principals and keys', { id: 'd', effect: 'deny', operations: ['digest'] }],
  ])('accepts %s', (_, rule) => {
    expect(compiling(rule)).not.toThrow();
  });

  test.each<[string, Members, string]>([
    ['a digest without purpose', allow(['digest']), 'when: an allow rule for digest must bound'],
    [
      'a digest purpose under not',
      allow(['digest'], { not: { digest: { purpose: { eq: 'a' } } } }),
      'must bound',
    ],
    ['an authorization without delegate', allow(['authorization'], CHAIN), 'the delegate by eq or in'],
    ['an authorization without chain', allow(['authorization'], DELEGATE), 'the chain by eq or in'],
    [
      'an authorization with excluded delegates',
      allow(['authorization'], {
        all: [CHAIN, { authorizations: { every: { address: { notIn: [BOB] } } } }],
      }),
      'the delegate by eq or in',
    ],
    [
      'chain 0 by eq',
      allow(['authorization'], { all: [{ chainId: { eq: 0 } }, DELEGATE] }),
      'chain id 0 stands for every chain',
    ],
    [
      'chain 0 in a list of authorizations',
      allowTransfers({ authorizations: { max: 1, every: { chainId: { in: [0, 1] } } } }),
      'every.chainId: chain id 0 stands for every chain',
    ],
    [
      'no principals',
      { ...allow(['message']), principals: undefined },
      'principals: an allow rule names its principals',
    ],
    ['no keys', { ...allow(['message']), keys: undefined }, 'keys: an allow rule names its keys'],
    [
      'message with value',
      allow(['message'], { value: { eq: '0' } }),
      'value: `value` says nothing about message',
    ],
    [
      'typed data with gas',
      allow(['typed-data'], { gasLimit: { lt: 1 } }),
      '`gasLimit` says nothing about typed-data',
    ],
    ['an export with a condition', deny(['key.export'], CHAIN), '`chainId` says nothing about key.export'],
    [
      'a creation by its code on one path',
      allowTransfers({ any: [{ create: { initcodeHash: { eq: HASH } } }, { to: { in: [BOB] } }] }),
      'create: allows a contract creation on some paths only',
    ],
    ['digest with to', deny(['digest'], { to: { in: [BOB] } }), '`to` says nothing about digest'],
    [
      'transactions with a purpose',
      deny(['transaction'], { digest: { purpose: { eq: 'a' } } }),
      '`digest` says nothing about transaction',
    ],
    [
      'authorizations with value',
      deny(['transaction', 'authorization'], { value: { eq: '1' } }),
      '`value` says nothing about authorization',
    ],
    [
      'mixed operations',
      allow(['transaction', 'message'], { all: [CHAIN, FEE] }),
      '`chainId` says nothing about message',
    ],
    [
      'transactions and authorizations together',
      allow(['transaction', 'authorization'], { all: [CHAIN, DELEGATE] }),
      'an allow rule for transaction must bound',
    ],
    [
      'a creation on one path',
      allowTransfers({ any: [{ to: { create: true } }, { to: { in: [BOB] } }] }),
      'create: allows a contract creation on some paths only',
    ],
    [
      'a creation under not',
      allowTransfers({ not: { to: { create: true } } }),
      'create: allows a contract creation on some paths only',
    ],
  ])('refuses %s', (_, rule, expected) => {
    expect(problemsOf(rule)).toContainEqual(expect.stringContaining(expected));
  });
});

describe('contradictions', () => {
  test.each<[string, JsonValue]>([
    ['a range without values', { value: { gt: '5', lt: '6' } }],
    ['below zero', { nonce: { lt: 0 } }],
    ['two chains at once', { chainId: { eq: 5 } }],
    ['a list outside its bounds', { value: { in: ['1', '2'], gt: '2' } }],
    ['a list and its exclusion', { value: { in: ['1'], notIn: ['1'] } }],
    ['a single value excluded', { value: { gte: '1', lte: '1', notIn: ['1'] } }],
    ['creating and sending', { to: { create: true, in: [BOB] } }],
    ['creating and not creating', { all: [{ to: { create: true } }, { to: { create: false } }] }],
    [
      'creating in one place and sending in another',
      { all: [{ to: { create: true } }, { all: [{ to: { notIn: [BOB] } }] }] },
    ],
    ['two recipients', { all: [{ to: { in: [BOB] } }, { to: { in: [ALICE] } }] }],
    ['a recipient and its exclusion', { to: { in: [BOB], notIn: [BOB] } }],
    ['delegates', { authorizations: { every: { address: { in: [BOB], notIn: [BOB] } } } }],
    ['inside any', { any: [{ value: { eq: '1', gt: '1' } }, { nonce: { eq: 1 } }] }],
    ['inside not', { not: { value: { eq: '1', gt: '1' } } }],
  ])('are refused: %s', (_, condition) => {
    expect(problemsOf(deny(['transaction'], { all: [CHAIN, condition] })).join('\n')).toContain(
      'can never hold',
    );
  });

  test('are refused between a purpose and its prefix', () => {
    expect(problemsOf(deny(['digest'], { digest: { purpose: { eq: 'a', prefix: 'b' } } })).join()).toContain(
      'can never hold',
    );
  });

  test('are not seen where a value passes', () => {
    expect(
      compiling(
        deny(['transaction'], {
          all: [{ value: { gte: '1', lte: '1' } }, { nonce: { in: [1, 2], gt: 1, notIn: [1] } }],
        }),
      ),
    ).not.toThrow();
    expect(compiling(deny(['transaction'], { value: { notIn: ['0'] } }))).not.toThrow();
    expect(compiling(deny(['transaction'], { any: [CHAIN, { chainId: { eq: 2 } }] }))).not.toThrow();
    expect(
      compiling(
        deny(['transaction'], {
          all: [{ to: { in: [ALICE, BOB] } }, { to: { notIn: [BOB], create: false } }],
        }),
      ),
    ).not.toThrow();
  });
});

const MORE = {
  tokens: {
    usdc: { chain: 1, address: ALICE, standard: 'erc20', decimals: 6 },
    dai: { chain: 1, address: BOB, standard: 'erc20', decimals: 18 },
    punks: { chain: 1, address: CAROL, standard: 'erc721' },
  },
  abis: {
    a: ['f(address[] to, (uint256 amount, bool[] flags)[] legs)', 'g(uint256 x, string s, bytes b, int8 i)'],
  },
};

const MAIL = 'Mail(address[] to,string text)';

const PREDICATES: readonly (readonly [name: string, condition: JsonValue, operations: readonly string[]])[] =
  [
    ['chainId', CHAIN, ['transaction', 'typed-data', 'authorization']],
    ['value', { value: { eq: '1' } }, ['transaction', 'typed-data']],
    ['nonce', { nonce: { eq: 1 } }, ['transaction', 'authorization']],
    ['txType', { txType: { eq: 1 } }, ['transaction']],
    ['gasLimit', { gasLimit: { eq: 1 } }, ['transaction']],
    ['gasPrice', { gasPrice: { eq: '1' } }, ['transaction']],
    ['maxFeePerGas', { maxFeePerGas: { eq: '1' } }, ['transaction']],
    ['maxPriorityFeePerGas', { maxPriorityFeePerGas: { eq: '1' } }, ['transaction']],
    ['maxFeePerBlobGas', { maxFeePerBlobGas: { eq: '1' } }, ['transaction']],
    ['maxTotalFee', FEE, ['transaction']],
    ['to', { to: { in: [BOB] } }, ['transaction', 'typed-data']],
    ['accessList', { accessList: { max: 1 } }, ['transaction']],
    ['blobs', { blobs: { max: 1 } }, ['transaction']],
    ['authorizations', { authorizations: { max: 1 } }, ['transaction', 'authorization']],
    ['create', { create: { initcodeHash: { eq: HASH } } }, ['transaction']],
    ['call', { call: { abi: 'a', fn: 'g' } }, ['transaction', 'typed-data']],
    ['token', { token: { token: 'usdc', action: 'permit' } }, ['transaction', 'typed-data']],
    ['typed', { typed: { type: MAIL } }, ['typed-data']],
    ['message', { message: { re2: 'a' } }, ['message']],
    ['digest', { digest: { purpose: { eq: 'a' } } }, ['digest']],
  ];

function check(rule: Members, more: Members = MORE): string[] {
  try {
    compilePolicy({ ...documentOf(rule), ...more });
    return [];
  } catch {
    return problemsOf(rule, more);
  }
}

describe('a predicate', () => {
  test.each(PREDICATES)('`%s` stands where it says something', (name, condition, operations) => {
    for (const operation of POLICY_OPERATIONS) {
      expect(check(deny([operation], condition))).toEqual(
        operations.includes(operation)
          ? []
          : [
              `rules[0].when.${name}: \`${name}\` says nothing about ${operation}; give that operation a rule of its own`,
            ],
      );
    }
  });
});

describe('lists in an allow rule', () => {
  const call = (args: JsonValue): JsonValue => ({ call: { abi: 'a', fn: 'f', args } });
  const typed = (message: JsonValue): JsonValue => ({ typed: { type: MAIL, message } });
  const not = (condition: JsonValue): JsonValue => ({ not: condition });
  const EVERY = { to: { every: { in: [BOB] } } };
  const SOME = { to: { some: { in: [BOB] } } };
  const INNER = { legs: { every: { flags: { some: { eq: true } } } } };

  test.each<[string, JsonValue, string]>([
    [
      'some',
      call(SOME),
      'when.all[2].call.args.to.some: is not for allow rules: the other entries would pass',
    ],
    ['some beside every', call({ to: { ...EVERY.to, ...SOME.to } }), 'args.to.some: is not for allow rules'],
    ['some inside every', call(INNER), 'args.legs.every.flags.some: is not for allow rules'],
    ['some in one alternative', { any: [call(EVERY), call(SOME)] }, 'any[1].call.args.to.some: is not for'],
    ['some under not', not(call(SOME)), 'not.call.args.to.some: is not for allow rules'],
    [
      'every under not',
      not(call(EVERY)),
      'not.call.args.to.every: stands under not, so one entry can hold it',
    ],
    ['every under not and all', not({ all: [CHAIN, call(EVERY)] }), 'to.every: stands under not'],
    ['every under three nots', not(not(not(call(EVERY)))), 'to.every: stands under not'],
    [
      'the delegates under not',
      not({ authorizations: { every: { address: { in: [BOB] } } } }),
      'not.authorizations.every: stands under not',
    ],
  ])('may not be tested by %s', (_, condition, expected) => {
    expect(check(allowTransfers(condition)).join('\n')).toContain(expected);
    const when = { all: [condition] };
    expect(check(deny(['transaction'], when))).toEqual([]);
    expect(
      check({ id: 'r', effect: 'require', approval: 'a', operations: ['transaction'], when }, ASKED),
    ).toEqual([]);
  });

  test.each<[string, JsonValue]>([
    ['every', call(EVERY)],
    ['every under two nots', not(not(call(EVERY)))],
    ['len', call({ to: { len: { lte: 1 } } })],
    ['len under not', not(call({ to: { len: { gt: 1 } } }))],
    ['max under not', not({ authorizations: { max: 1 } })],
  ])('may be tested by %s', (_, condition) => {
    expect(check(allowTransfers(condition))).toEqual([]);
  });

  test('of messages are no exception', () => {
    expect(check(allow(['typed-data'], typed(EVERY)))).toEqual([]);
    expect(check(allow(['typed-data'], typed(SOME))).join()).toContain(
      'message.to.some: is not for allow rules',
    );
    expect(check(allow(['typed-data'], not(typed(EVERY)))).join()).toContain('to.every: stands under not');
  });
});

const ASKED = { ...MORE, approvals: { a: { all: [{ role: 'approver', m: 1 }] } } };

describe('logging in by an allow rule', () => {
  const siwe = (test: JsonValue): JsonValue => ({ message: { siwe: test } });
  test.each<[string, JsonValue]>([
    ['a prefix of the domain', { domain: { prefix: 'app' } }],
    ['other domains', { domain: { notIn: ['evil.example'] } }],
    ['the address of a page', { uri: { eq: 'https://app.example/' } }],
    ['a time', { expiresWithin: '15m' }],
  ])('is not bound by %s', (_, test) => {
    expect(check(allow(['message'], siwe(test))).join()).toContain(
      'message.siwe: allows to log in anywhere; an allow rule binds the domain by eq or in',
    );
    expect(check(deny(['message'], siwe(test)))).toEqual([]);
  });

  test('is bound by the domain', () => {
    expect(check(allow(['message'], siwe({ domain: { eq: 'app.example' } })))).toEqual([]);
    expect(check(allow(['message'], siwe({ domain: { in: ['a.example', 'b.example'] } })))).toEqual([]);
  });

  test.each([
    'https://app.example',
    'https://app.example:443',
    'https:',
    'https:///x',
    'app.example/',
    'https://',
  ])('of URIs that begin with %s is refused, since other hosts’ do', (prefix) => {
    const uri = siwe({ domain: { eq: 'app.example' }, uri: { prefix } });
    expect(check(allow(['message'], uri)).join()).toContain(
      'message.siwe.uri.prefix: begins URIs of other hosts, too',
    );
    expect(check(deny(['message'], uri))).toEqual([]);
  });

  test.each(['https://app.example/', 'https://app.example:443/a', 'https://app.example?x'])(
    'of URIs that begin with %s is taken',
    (prefix) => {
      expect(check(allow(['message'], siwe({ domain: { eq: 'app.example' }, uri: { prefix } })))).toEqual([]);
    },
  );
});

describe('a require rule', () => {
  test('binds nothing: it allows nothing', () => {
    for (const operation of POLICY_OPERATIONS) {
      expect(check({ id: 'r', effect: 'require', approval: 'a', operations: [operation] }, ASKED)).toEqual(
        [],
      );
    }
  });
});

describe('contradictions of calls, tokens and messages', () => {
  const token = (more: JsonValue): JsonValue => ({
    token: { token: 'usdc', action: 'transfer', ...(more as Members) },
  });
  const g = (args: JsonValue): JsonValue => ({ call: { abi: 'a', fn: 'g', args } });
  const typed = (more: JsonValue): JsonValue => ({ typed: more });
  const siwe = (more: JsonValue): JsonValue => ({ message: { siwe: more } });

  test.each<[string, string, JsonValue]>([
    ['two functions', 'transaction', [{ call: { abi: 'a', fn: 'f' } }, { call: { abi: 'a', fn: 'g' } }]],
    [
      'two contracts',
      'transaction',
      [{ to: { in: [BOB] } }, { call: { abi: 'a', fn: 'g', to: { eq: ALICE } } }],
    ],
    ['one argument', 'transaction', [g({ x: { lt: 5 } }), g({ '0': { gt: 5 } })]],
    ['an argument alone', 'transaction', [g({ x: { in: [1, 2], gt: 2 } })]],
    ['texts', 'transaction', [g({ s: { prefix: 'ab' } }), g({ s: { prefix: 'ac' } })]],
    ['a text and its prefix', 'transaction', [g({ s: { eq: 'ab' } }), g({ s: { prefix: 'b' } })]],
    ['a text and its length', 'transaction', [g({ s: { in: ['a', 'bc'], len: { gt: 2 } } })]],
    ['a prefix and the length', 'transaction', [g({ s: { prefix: 'abc', len: { lt: 3 } } })]],
    ['bytes and their length', 'transaction', [g({ b: { eq: '0x1234', len: { gt: 2 } } })]],
    ['below every int', 'transaction', [g({ i: { lt: -5, gt: -6 } })]],
    [
      'bools inside a list',
      'transaction',
      [{ call: { abi: 'a', fn: 'f', args: { legs: { some: { amount: { lt: 1, gt: 1 } } } } } }],
    ],
    [
      'the length of a list',
      'transaction',
      [{ call: { abi: 'a', fn: 'f', args: { to: { len: { lt: 1, gt: 1 } } } } }],
    ],
    [
      'signer and not',
      'transaction',
      [token({ to: { isSigner: true } }), token({ to: { isSigner: false } })],
    ],
    ['two tokens', 'transaction', [token({}), token({ token: 'dai' })]],
    ['two actions', 'transaction', [token({ action: ['transfer', 'permit'] }), token({ action: 'approve' })]],
    ['amounts', 'transaction', [token({ amount: { lt: '1 usdc' } }), token({ amount: { gte: '1000000' } })]],
    ['token ids', 'transaction', [token({ token: 'punks', tokenId: { eq: 1, notIn: [1] } })]],
    ['recipients of a token', 'transaction', [token({ to: { in: [BOB] } }), token({ to: { notIn: [BOB] } })]],
    ['a token of another chain', 'transaction', [{ chainId: { in: [5, 10] } }, token({})]],
    ['a creation that calls', 'transaction', [{ to: { create: true } }, g({ x: { eq: 1 } })]],
    ['a creation that pays', 'transaction', [{ create: { initcodeHash: { eq: HASH } } }, token({})]],
    [
      'a creation with recipient',
      'transaction',
      [{ create: { initcodeHash: { eq: HASH } } }, { to: { notIn: [BOB] } }],
    ],
    [
      'two codes',
      'transaction',
      [
        { create: { initcodeHash: { eq: HASH } } },
        { create: { initcodeHash: { eq: `0x${'cd'.repeat(32)}` } } },
      ],
    ],
    ['two types', 'typed-data', [typed({ type: MAIL }), typed({ type: 'Mail(string text)' })]],
    ['two domains', 'typed-data', [typed({ domain: { name: 'a' } }), typed({ domain: { name: 'b' } })]],
    ['two chains', 'typed-data', [typed({ domain: { chainId: { lt: 5, gt: 9 } } })]],
    ['two contracts', 'typed-data', [typed({ domain: { verifyingContract: { in: [BOB], notIn: [BOB] } } })]],
    ['a member', 'typed-data', [typed({ type: MAIL, message: { text: { eq: 'a', notIn: ['a'] } } })]],
    ['two hosts', 'message', [siwe({ domain: { eq: 'a' } }), siwe({ domain: { eq: 'b' } })]],
    ['two chains to log in', 'message', [siwe({ chainId: { eq: 1 } }), siwe({ chainId: { eq: 2 } })]],
  ])('are refused: %s', (_, operation, all) => {
    expect(check(deny([operation], { all })).join()).toContain('can never hold');
  });

  test.each<[string, string, JsonValue]>([
    ['the same function', 'transaction', [g({ x: { gt: 5 } }), g({ x: { lt: 7 } })]],
    [
      'other arguments',
      'transaction',
      [g({ x: { eq: 5 }, i: { eq: -5 } }), g({ s: { prefix: 'a', len: { eq: 1 } } })],
    ],
    ['prefixes of each other', 'transaction', [g({ s: { prefix: 'a' } }), g({ s: { prefix: 'ab' } })]],
    [
      'every of nothing',
      'transaction',
      [{ call: { abi: 'a', fn: 'f', args: { legs: { every: { amount: { lt: 1, gt: 1 } } } } } }],
    ],
    ['a token and its call', 'transaction', [token({}), g({ x: { eq: 1 } }), { to: { in: [ALICE] } }]],
    [
      'two sets of actions',
      'transaction',
      [token({ action: ['transfer', 'permit'] }), token({ action: ['permit', 'approve'] })],
    ],
    ['a token of this chain', 'transaction', [CHAIN, token({})]],
    ['a pattern and a log-in', 'message', [{ message: { re2: '.*' } }, siwe({ domain: { eq: 'a' } })]],
  ])('are not seen in %s', (_, operation, all) => {
    expect(check(deny([operation], { all }))).toEqual([]);
  });
});
