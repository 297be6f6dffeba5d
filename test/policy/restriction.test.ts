import { expect, test } from 'vitest';
import type { JsonValue } from '../../src/jcs.ts';
import { createDecoders } from '../../src/policy/decoders.ts';
import { restrictionsOf, type Restriction } from '../../src/policy/restriction.ts';
import { ALICE, BOB, CAROL, deny, policyWith } from './fixtures.ts';

const LISTED_CAROL = '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed';
const MORE = {
  tokens: {
    usdc: { chain: 1, address: BOB, standard: 'erc20', decimals: 6 },
    punks: { chain: 1, address: LISTED_CAROL, standard: 'erc721' },
  },
  abis: { desk: ['trade((address to, uint256 amount) order, string note, bool[] flags)'] },
} satisfies { [name: string]: JsonValue };

const manyAddresses = (count: number): string[] =>
  Array.from({ length: count }, (_, i) => `0x${(0x1000 + i).toString(16).padStart(40, '0')}`);

/** `trait: what it demands`. */
function restrictions(rule: { readonly [name: string]: JsonValue | undefined }): string[] {
  const [read] = policyWith(MORE, rule).model.rules;
  return read === undefined ? [] : restrictionsOf(read, createDecoders()).map(show);
}

function show(restriction: Restriction): string {
  const { name } = restriction.trait;
  if ('values' in restriction) return `${name}: ${[...restriction.values].map(String).join(' ')}`;
  if ('excluded' in restriction) return `${name}: not ${[...restriction.excluded].map(String).join(' ')}`;
  return 'low' in restriction ? `${name}: ${restriction.low} to ${restriction.high}` : `${name}: a test`;
}

const to = (...addresses: readonly string[]): JsonValue => ({ to: { in: addresses } });
const trade = (args?: JsonValue): JsonValue => ({
  call: { abi: 'desk', fn: 'trade', ...(args === undefined ? {} : { args }) },
});
const signature = 'trade((address,uint256),string,bool[])';

test.each<[string, JsonValue, readonly string[]]>([
  ['numbers: a list', { chainId: { in: [1, 5] } }, ['chainId: 1 5']],
  ['numbers: one', { value: { eq: '7' } }, ['value: 7']],
  [
    'numbers: a range, rounded',
    { value: { gt: '1', lt: '9007199254740993' } },
    ['value: 1 to 9007199254740992'],
  ],
  ['numbers: one end', { nonce: { lte: 3 } }, ['nonce: -Infinity to 3']],
  ['numbers: what is excluded', { nonce: { notIn: [3, 5] } }, ['nonce: not 3 5']],
  ['numbers: of two, the range', { nonce: { notIn: [3], lt: 9 } }, ['nonce: -Infinity to 9']],
  ['recipients', to(ALICE, BOB), [`address: ${ALICE} ${BOB}`]],
  ['recipients: nothing', { to: { notIn: [ALICE] } }, []],
  ['recipients: a long list', to(...manyAddresses(65)), []],
  ['creations', { to: { create: true } }, []],
  [
    'a conjunction: all of them',
    { all: [to(ALICE), { value: { eq: '1' } }, to(BOB, ALICE)] },
    [`address: ${ALICE}`, 'value: 1', `address: ${BOB} ${ALICE}`],
  ],
  ['a negation: nothing', { not: to(ALICE) }, []],
  [
    'a disjunction: what all branches restrict',
    { any: [to(ALICE), { all: [{ nonce: { eq: 1 } }, to(BOB)] }] },
    [`address: ${ALICE} ${BOB}`],
  ],
  ['a disjunction: nothing that one branch leaves open', { any: [to(ALICE), { nonce: { eq: 1 } }] }, []],
  [
    'a disjunction: ranges',
    { any: [{ nonce: { lte: 3 } }, { nonce: { gte: 2, lte: 7 } }] },
    ['nonce: -Infinity to 7'],
  ],
  [
    'a disjunction: what all branches exclude',
    { any: [{ nonce: { notIn: [1, 2, 3] } }, { nonce: { notIn: [2, 3, 4] } }] },
    ['nonce: not 2 3'],
  ],
  [
    'a disjunction: nothing that all branches exclude',
    { any: [{ nonce: { notIn: [1] } }, { nonce: { notIn: [2] } }] },
    [],
  ],
  [
    'a disjunction: no range with what is excluded',
    { any: [{ nonce: { notIn: [1] } }, { nonce: { lt: 2 } }] },
    [],
  ],
  ['a disjunction: no list with a range', { any: [{ nonce: { lte: 3 } }, { nonce: { eq: 7 } }] }, []],
  ['a disjunction: a long list', { any: manyAddresses(65).map((one) => to(one)) }, []],
  [
    'a disjunction: of each branch the shortest list',
    { any: [{ all: [to(ALICE, LISTED_CAROL), to(LISTED_CAROL)] }, to(BOB)] },
    [`address: ${CAROL} ${BOB}`],
  ],
  [
    'tokens',
    { token: { token: 'usdc', action: ['transfer', 'approve'], to: { in: [ALICE] }, amount: { lte: '5' } } },
    [
      `address: ${BOB}`,
      'token action: transfer approve',
      `token to: ${ALICE}`,
      'token erc20 amount: -Infinity to 5',
    ],
  ],
  [
    'tokens: an id',
    { token: { token: 'punks', action: 'approve', spender: { notIn: [ALICE] }, tokenId: { eq: 3 } } },
    [`address: ${CAROL}`, 'token action: approve', `token spender: not ${ALICE}`, 'token erc721 tokenId: 3'],
  ],
  ['typed data', { typed: { type: 'Mail(string text)' } }, ['encodeType: Mail(string text)']],
])('%s', (_name, when, expected) => {
  const operations = 'typed' in (when as object) ? ['typed-data'] : ['transaction'];
  expect(restrictions(deny(operations, when))).toEqual(expected);
});

test.each<[string, JsonValue, string]>([
  ['a list', { 'order.to': { in: [ALICE] } }, `0.0: ${ALICE}`],
  ['a number', { 'order.amount': { gte: '5' } }, '0.1: 5 to Infinity'],
  ['a number that is excluded', { 'order.amount': { notIn: ['5'] } }, '0.1: not 5'],
  ['an address that is tested', { 'order.to': { isSigner: true } }, '0.0: a test'],
  ['a text', { note: { eq: 'rent' } }, '1: rent'],
  ['a beginning', { note: { prefix: 're' } }, '1, first 2: re'],
  ['a length', { note: { len: { eq: 2 } } }, '1, length: 2'],
  ['what is excluded', { note: { notIn: ['x'] } }, '1: not x'],
  ['what is excluded, of a length', { note: { notIn: ['x'], len: { gt: 1 } } }, '1, length: 1 to Infinity'],
  ['a count of values', { flags: { len: { lte: 2 } } }, '2, length: -Infinity to 2'],
  ['each of the values', { flags: { every: { eq: true } } }, '2, first : true'],
  ['some of the values', { flags: { some: { eq: true } } }, '2: a test'],
])('arguments: %s', (_name, args, expected) => {
  const [first, second, ...others] = restrictions(deny(['transaction'], trade(args)));
  expect([first, second]).toEqual([expect.stringMatching(/^selector: 0x/), `${signature} ${expected}`]);
  expect(others).toEqual([]);
});

test('who and with which key, but not if any key will do', () => {
  const who = { principals: { roles: ['signer'], ids: ['p-1'] } };
  const when = to(ALICE);
  const keys = (names: JsonValue): string[] =>
    restrictions({ ...deny(['transaction'], when), ...who, keys: names });
  expect(keys({ names: ['a'], tags: ['hot'] })).toEqual([
    'principal: p-1 signer',
    'key: a hot',
    `address: ${ALICE}`,
  ]);
  expect(keys({ names: ['*'] })).toEqual(['principal: p-1 signer', `address: ${ALICE}`]);
});
