import { describe, expect, test } from 'vitest';
import type { JsonValue } from '../../src/jcs.ts';
import { ALICE, allow, BOB, CHAIN, compiling, deny, FEE, problemsOf, type Members } from './fixtures.ts';

describe('references and names', () => {
  const base = allow(['message']);
  test.each<[string, Members, Members, string]>([
    ['two rules with one id', base, { rules: [base, base] }, 'rules[1].id: "a" is the id of an earlier rule'],
    [
      'an unknown list',
      deny(['transaction'], { to: { in: '$nobody' } }),
      {},
      'to.in: is neither a list of addresses nor a list under `lists`',
    ],
    [
      'a list without $',
      deny(['transaction'], { to: { in: 'payouts' } }),
      { lists: { payouts: [BOB] } },
      '($payouts); write ["0x…"] or $name',
    ],
    [
      'an unknown group',
      { ...base, keys: { groups: ['hot'] } },
      {},
      'keys.groups: there is no "hot" under `keyGroups`',
    ],
    ['an empty list', base, { lists: { a: [] } }, 'lists.a: is empty'],
    ['an empty in', deny(['transaction'], { chainId: { in: [] } }), {}, 'chainId.in: is empty'],
    ['an empty notIn', deny(['transaction'], { to: { notIn: [] } }), {}, 'to.notIn: is empty'],
    [
      'a value twice',
      deny(['transaction'], { value: { in: ['1 gwei', '1000000000'] } }),
      {},
      'value.in[1]: is in the list twice',
    ],
    [
      'an address twice',
      base,
      { lists: { a: [BOB, BOB.toUpperCase().replace('X', 'x')] } },
      'lists.a[1]: is in the list twice',
    ],
    ['an empty group', base, { keyGroups: { hot: {} } }, 'keyGroups.hot: is empty'],
    ['a bad list name', base, { lists: { Payouts: [BOB] } }, 'lists.Payouts: is not a valid name'],
    ['a bad id', { ...base, id: 'A b' }, {}, 'id: is not valid; use 1 to 63 of a-z'],
    ['a Unicode id', { ...base, id: 'раy' }, {}, 'id: is not valid'],
    ['no id', { ...base, id: undefined }, {}, 'id: must be text, not nothing'],
    [
      'a bad role',
      { ...base, principals: { roles: ['Signer'] } },
      {},
      'roles[0]: "Signer" is not a role; roles are',
    ],
    [
      'a wildcard principal',
      { ...base, principals: { ids: ['*'] } },
      {},
      'ids[0]: is not valid; write the id of a principal',
    ],
    ['empty principals', { ...base, principals: {} }, {}, 'principals: names nobody'],
    ['empty roles', { ...base, principals: { roles: [] } }, {}, 'roles: is empty'],
    ['empty keys', { ...base, keys: {} }, {}, 'keys: names no key'],
    ['a wildcard beside names', { ...base, keys: { names: ['*', 'a'] } }, {}, '"*" is every key'],
    ['a wildcard beside tags', { ...base, keys: { names: ['*'], tags: ['a'] } }, {}, '"*" is every key'],
    ['a wildcard tag', { ...base, keys: { tags: ['*'] } }, {}, 'tags[0]: is not valid'],
    ['no operations', { ...base, operations: [] }, {}, 'operations: is empty'],
    ['a wildcard operation', { ...base, operations: ['*'] }, {}, 'operations have no wildcard'],
    ['rules that are no list', base, { rules: {} }, 'rules: must be a list of rules'],
    ['a revision of 0', base, { revision: 0 }, 'revision: must be a whole number from 1'],
    [
      'another apiVersion',
      base,
      { apiVersion: 'countersign/policy/v2' },
      'apiVersion: must be countersign/policy/v1',
    ],
  ])('refuses %s', (_, rule, more, expected) => {
    expect(problemsOf(rule, more).join('\n')).toContain(expected);
  });
});

describe('conditions that do not read', () => {
  const deep = (levels: number): JsonValue => (levels === 0 ? CHAIN : { not: deep(levels - 1) });
  test.each<[string, JsonValue, string]>([
    ['a list', [CHAIN], 'when: is a list; write { all: […] }'],
    ['nothing', null, 'when: must be a mapping, not nothing'],
    ['an empty mapping', {}, 'when: is empty; write one condition'],
    [
      'two conditions',
      { ...CHAIN, ...FEE },
      'when: holds several conditions (chainId, maxTotalFee); write { all:',
    ],
    ['an empty all', { all: [] }, 'when.all: must be a list with at least one condition'],
    ['an empty any', { any: [] }, 'when.any: must be a list with at least one condition'],
    ['any of a mapping', { any: CHAIN }, 'when.any: must be a list'],
    ['a bare value', { chainId: 1 }, 'when.chainId: must be a mapping, not a number'],
    ['no comparison', { value: {} }, 'when.value: compares with nothing'],
    [
      'an unknown comparison',
      { value: { max: '1' } },
      'when.value.max: `max` is not known here; use one of: eq, lt',
    ],
    ['an unknown predicate', { data: { eq: '0x' } }, 'when.data: `data` is not known here'],
    [
      'a number as an amount',
      { value: { lte: 1 } },
      'when.value.lte: an amount is a quoted text with or without a unit; write "1" for wei',
    ],
    ['an amount as a chain', { chainId: { eq: '1 ether' } }, 'when.chainId.eq: is not a whole number'],
    ['a type that is not', { txType: { eq: 5 } }, 'when.txType.eq: there is no transaction type 5'],
    ['a to without test', { to: {} }, 'when.to: compares with nothing'],
    ['a create that is no boolean', { to: { create: 'yes' } }, 'when.to.create: must be true or false'],
    ['a to by eq', { to: { eq: BOB } }, 'when.to.eq: `eq` is not known here; use one of: in, notIn, create'],
    [
      'a bad checksum',
      { to: { in: ['0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed'] } },
      'when.to.in[0]: has a wrong EIP-55 checksum',
    ],
    ['blobs without max', { blobs: {} }, 'when.blobs.max: must be a whole number'],
    ['a negative max', { accessList: { max: -1 } }, 'when.accessList.max: must be a whole number'],
    ['authorizations without limit', { authorizations: {} }, 'when.authorizations: restricts nothing'],
    ['every of nothing', { authorizations: { every: {} } }, 'when.authorizations.every: restricts nothing'],
    [
      'eq beside in',
      { authorizations: { every: { address: { eq: BOB, in: [ALICE] } } } },
      'says what `in` says',
    ],
    ['a digest without purpose', { digest: {} }, 'when.digest.purpose: must be a mapping, not nothing'],
    ['an empty prefix', { digest: { purpose: { prefix: '' } } }, 'when.digest.purpose.prefix: is not valid'],
    [
      'a purpose that is not ASCII',
      { digest: { purpose: { eq: 'lоgin' } } },
      'when.digest.purpose.eq: is not valid',
    ],
    [
      'a purpose that is longer than any request can have',
      { digest: { purpose: { eq: 'x'.repeat(201) } } },
      'when.digest.purpose.eq: is not valid; a purpose is 1 to 200',
    ],
    ['too many levels', deep(16), 'conditions are nested more than 16 levels deep'],
  ])('are refused: %s', (_, when, expected) => {
    expect(problemsOf(deny(['transaction'], when)).join('\n')).toContain(expected);
  });

  test('may have 16 levels', () => {
    expect(compiling(deny(['transaction'], deep(15)))).not.toThrow();
  });
});

describe('what this version does not have', () => {
  const base = allow(['message']);
  test.each(['tokens', 'abis', 'approvals', 'limits', 'breakGlass', 'change'])(
    'refuses %s, even empty',
    (name) => {
      expect(problemsOf(base, { [name]: {} })).toEqual([
        `${name}: \`${name}\` is not supported by this version; remove it`,
      ]);
    },
  );

  test.each(['hard', 'mode', 'source', 'draining', 'validity', 'windows', 'approval'])(
    'refuses %s in a rule',
    (name) => {
      expect(problemsOf({ ...base, [name]: false })).toEqual([
        `rules[0].${name}: \`${name}\` is not supported by this version; remove it`,
      ]);
    },
  );

  test.each(['create', 'call', 'token', 'typed', 'message'])('refuses the predicate %s', (name) => {
    expect(problemsOf(deny(['transaction'], { all: [CHAIN, { [name]: {} }] }))).toEqual([
      `rules[0].when.all[1].${name}: \`${name}\` is not supported by this version; remove it`,
    ]);
  });

  test.each(['within', 'len', 'isSigner', 'every', 'some'])('refuses the comparison %s', (name) => {
    expect(problemsOf(deny(['transaction'], { chainId: { eq: 1, [name]: 1 } }))).toEqual([
      `rules[0].when.chainId.${name}: \`${name}\` is not supported by this version; remove it`,
    ]);
  });

  test('refuses the effect require, other operations and token amounts', () => {
    expect(problemsOf({ ...base, effect: 'require' }).join()).toContain(
      '`require` is not supported by this version',
    );
    expect(problemsOf({ ...base, operations: ['key.export'] }).join()).toContain(
      '"key.export" is not supported by this version',
    );
    expect(problemsOf(deny(['transaction'], { value: { gt: '1 usdc' } })).join()).toContain(
      'tokens are not supported by this version',
    );
  });
});
