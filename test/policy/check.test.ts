import { describe, expect, test } from 'vitest';
import type { JsonValue } from '../../src/jcs.ts';
import {
  ALICE,
  allow,
  allowTransfers,
  BOB,
  CHAIN,
  compiling,
  deny,
  FEE,
  problemsOf,
  type Members,
} from './fixtures.ts';

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
    ['typed data with chainId', allow(['typed-data'], CHAIN), '`chainId` says nothing about typed-data'],
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
