import { describe, expect, test } from 'vitest';
import type { JsonValue } from '../../src/jcs.ts';
import { compilePolicy } from '../../src/policy/policy.ts';
import {
  ALICE,
  allow,
  BOB,
  CHAIN,
  compiling,
  deny,
  documentOf,
  FEE,
  problemsOf,
  refusal,
  type Members,
} from './fixtures.ts';

const USDC = '0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48';

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

type Case = readonly [name: string, more: Members, expected: string];

const TOKEN = { chain: 1, address: USDC, standard: 'erc20', decimals: 6 };
const APPROVAL = { all: [{ role: 'approver', m: 2 }] };
const LIMIT = { meter: 'value', window: { rolling: '24h', bucket: '5m' }, max: '1 ether', onExceed: 'deny' };

const REFUSED: { readonly [section: string]: readonly Case[] } = {
  tokens: [
    ['a unit of wei', { tokens: { gwei: TOKEN } }, 'tokens.gwei: is the name of a unit of wei'],
    [
      'one contract twice',
      { tokens: { usdc: TOKEN, fiat: { ...TOKEN, address: USDC.toLowerCase(), decimals: 5 } } },
      'tokens.fiat: is the contract that "usdc" is',
    ],
    ['no chain', { tokens: { usdc: { ...TOKEN, chain: undefined } } }, 'chain: must be the id of one chain'],
    ['chain 0', { tokens: { usdc: { ...TOKEN, chain: 0 } } }, 'chain: must be the id of one chain'],
    ['a bad address', { tokens: { usdc: { ...TOKEN, address: '0x12' } } }, 'address: must be an address'],
    [
      'a bad checksum',
      { tokens: { usdc: { ...TOKEN, address: USDC.replace('A', 'a') } } },
      'address: has a wrong EIP-55 checksum',
    ],
    [
      'another standard',
      { tokens: { usdc: { ...TOKEN, standard: 'erc777' } } },
      'standard: must be one of erc20, erc721, erc1155',
    ],
    [
      'no decimals',
      { tokens: { usdc: { ...TOKEN, decimals: undefined } } },
      'decimals: must be a whole number from 0 to 36',
    ],
    ['too many decimals', { tokens: { usdc: { ...TOKEN, decimals: 37 } } }, 'from 0 to 36'],
    [
      'decimals of an NFT',
      { tokens: { usdc: { ...TOKEN, standard: 'erc721' } } },
      'tokens.usdc.decimals: an erc721 has none',
    ],
  ],
  abis: [
    ['no function', { abis: { a: [] } }, 'abis.a: is empty'],
    ['a number', { abis: { a: [1] } }, 'abis.a[0]: is not a function; write its signature'],
    ['a bare name', { abis: { a: ['transfer'] } }, "abis.a[0]: is not a function's signature"],
    ['an unknown type', { abis: { a: ['f(uint257)'] } }, 'abis.a[0]: has at character 3 a type that'],
    [
      'one function twice',
      { abis: { a: ['f(uint256)', 'f(uint256 x)'] } },
      'abis.a[1]: f(uint256) is in this ABI twice',
    ],
    [
      'two functions of one selector',
      { abis: { a: ['collate_propagate_storage(bytes16)', 'burn(uint256)'] } },
      'abis.a[1]: burn(uint256) and collate_propagate_storage(bytes16) have one selector, 0x42966c68',
    ],
    [
      'an event',
      { abis: { a: [{ type: 'event', name: 'E', inputs: [] }] } },
      'abis.a[0].type: must be function',
    ],
    [
      'a mistake inside an item',
      { abis: { a: [{ name: 'f', inputs: [{ name: 'x', type: 'uint7' }] }] } },
      'abis.a[0].inputs[0].type: has 7 bits',
    ],
  ],
  approvals: [
    ['nobody', { approvals: { a: {} } }, 'approvals.a.all: must be a list of who has to consent'],
    ['an empty list', { approvals: { a: { all: [] } } }, 'approvals.a.all: must be a list'],
    [
      'a signer',
      { approvals: { a: { all: [{ role: 'signer', m: 1 }] } } },
      'all[0].role: "signer" may not approve; write one of admin, policy-admin, approver, operator',
    ],
    ['an auditor', { approvals: { a: { all: [{ role: 'auditor', m: 1 }] } } }, '"auditor" may not approve'],
    ['no role', { approvals: { a: { all: [{ role: 'boss', m: 1 }] } } }, '"boss" is not a role'],
    [
      'm of 0',
      { approvals: { a: { all: [{ role: 'approver', m: 0 }] } } },
      'all[0].m: must be a whole number from 1 to 100',
    ],
    ['no m', { approvals: { a: { all: [{ role: 'approver' }] } } }, 'all[0].m: must be a whole number'],
    [
      'a role twice',
      { approvals: { a: { all: [...APPROVAL.all, { role: 'approver', m: 1 }] } } },
      'all[1].role: "approver" is in the list already',
    ],
    ['distinct by text', { approvals: { a: { ...APPROVAL, distinct: 'yes' } } }, 'distinct: must be true or'],
    ['a ttl of none', { approvals: { a: { ...APPROVAL, ttl: '0s' } } }, 'ttl: is not a duration'],
    ['a ttl of 31 days', { approvals: { a: { ...APPROVAL, ttl: '31d' } } }, 'ttl: is more than 30 days'],
    [
      '0 rejects',
      { approvals: { a: { ...APPROVAL, rejects: 0 } } },
      'rejects: must be a whole number from 1',
    ],
    [
      'another credential',
      { approvals: { a: { ...APPROVAL, credential: 'sms' } } },
      'credential: must be one of otp, mtls',
    ],
  ],
  limits: [
    [
      'no meter',
      { limits: { a: { ...LIMIT, meter: undefined } } },
      'meter: must be value, maxTotalFee, count',
    ],
    ['an unknown meter', { limits: { a: { ...LIMIT, meter: 'gas' } } }, 'limits.a.meter: must be value'],
    [
      'an unknown token',
      { limits: { a: { ...LIMIT, meter: { token: 'dai', include: ['transfer'] } } } },
      'meter.token: "dai" is not defined under `tokens` (there are none); define it',
    ],
    [
      'an unknown action',
      { tokens: { usdc: TOKEN }, limits: { a: { ...LIMIT, meter: { token: 'usdc', include: ['send'] } } } },
      'meter.include[0]: must be one of transfer, transferFrom, approve',
    ],
    [
      'no action',
      { tokens: { usdc: TOKEN }, limits: { a: { ...LIMIT, max: '1', meter: { token: 'usdc' } } } },
      'meter.include: must be a list',
    ],
    [
      'ether of a token',
      {
        tokens: { usdc: TOKEN },
        limits: { a: { ...LIMIT, meter: { token: 'usdc', include: ['approve'] } } },
      },
      'limits.a.max: "ether" is not a unit here; write usdc',
    ],
    [
      'a token of ether',
      { tokens: { usdc: TOKEN }, limits: { a: { ...LIMIT, max: '1 usdc' } } },
      'limits.a.max: "usdc" is not a unit here; units are wei',
    ],
    ['ether of a count', { limits: { a: { ...LIMIT, meter: 'count' } } }, 'max: is not a whole number'],
    ['no max', { limits: { a: { ...LIMIT, max: undefined } } }, 'limits.a.max: is not an amount'],
    [
      'an unknown scope',
      { limits: { a: { ...LIMIT, per: ['rule'] } } },
      'per[0]: must be one of key, keyGroup',
    ],
    ['a scope twice', { limits: { a: { ...LIMIT, per: ['key', 'key'] } } }, 'per[1]: is in the list twice'],
    ['an empty scope', { limits: { a: { ...LIMIT, per: [] } } }, 'limits.a.per: is empty'],
    ['no window', { limits: { a: { ...LIMIT, window: undefined } } }, 'window: must be a mapping'],
    [
      'buckets that do not divide',
      { limits: { a: { ...LIMIT, window: { rolling: '1h', bucket: '7m' } } } },
      'bucket: does not divide `rolling` into whole parts',
    ],
    [
      'a bucket that is longer',
      { limits: { a: { ...LIMIT, window: { rolling: '1h', bucket: '2h' } } } },
      'bucket: does not divide',
    ],
    [
      '1,001 buckets',
      { limits: { a: { ...LIMIT, window: { rolling: '1001s', bucket: '1s' } } } },
      'bucket: divides `rolling` into more than 1000 parts',
    ],
    ['no onExceed', { limits: { a: { ...LIMIT, onExceed: undefined } } }, 'onExceed: must be deny or'],
    [
      'an unknown approval',
      { approvals: { big: APPROVAL }, limits: { a: { ...LIMIT, onExceed: { approval: 'small' } } } },
      'onExceed.approval: "small" is not defined under `approvals` (big); define it',
    ],
    [
      'too many',
      { limits: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`l${i}`, LIMIT])) },
      'limits.l64: the document has more than 64 limits',
    ],
  ],
  change: [
    [
      'nothing',
      { change: {} },
      'change.approval: is missing; write a name that is defined under `approvals` (there are none)',
    ],
    ['another approval', { approvals: { a: APPROVAL }, change: { approval: 'b' } }, '"b" is not defined'],
    [
      'the proposer itself',
      { approvals: { a: { ...APPROVAL, excludeRequester: false } }, change: { approval: 'a' } },
      'change.approval: "a" lets one person do what takes two; use an approval with excludeRequester: true',
    ],
    [
      'one person for two',
      { approvals: { a: { ...APPROVAL, distinct: false } }, change: { approval: 'a' } },
      'change.approval: "a" lets one person do what takes two',
    ],
  ],
  breakGlass: [
    ['nothing', { breakGlass: {} }, 'breakGlass.principals: must be a mapping, not nothing'],
    [
      'a digest',
      withBreakGlass({ operations: ['digest'] }),
      'operations[0]: "digest" is not an operation here',
    ],
    ['an export', withBreakGlass({ operations: ['key.export'] }), '"key.export" is not an operation here'],
    ['every operation', withBreakGlass({ operations: ['*'] }), 'operations have no wildcard; name each'],
    ['no key', withBreakGlass({ keys: {} }), 'breakGlass.keys: names no key'],
    ['an unknown approval', withBreakGlass({ approval: 'b' }), 'breakGlass.approval: "b" is not defined'],
    [
      'the requester itself',
      { ...withBreakGlass({}), approvals: { a: { ...APPROVAL, excludeRequester: false } } },
      'breakGlass.approval: "a" lets one person do what takes two',
    ],
    ['a member of rules', withBreakGlass({ when: CHAIN }), 'breakGlass.when: `when` is not known here'],
  ],
  parent: [
    ['a number', { parent: 1 }, 'parent: must be text'],
    ['a short hash', { parent: 'abc' }, 'parent: is not valid; write the 64 lower-case hex digits'],
    ['capitals', { parent: 'A'.repeat(64) }, 'parent: is not valid'],
  ],
};

function withBreakGlass(more: Members): Members {
  const breakGlass = {
    approval: 'a',
    principals: { roles: ['signer'] },
    keys: { names: ['*'] },
    operations: ['transaction'],
  };
  return { approvals: { a: APPROVAL }, breakGlass: { ...breakGlass, ...more } };
}

describe.each(Object.entries(REFUSED))('%s', (_, cases) => {
  test.each(cases)('refuses %s', (_name, more, expected) => {
    expect(problemsOf(allow(['message']), more).join('\n')).toContain(expected);
  });
});

describe('rules', () => {
  const base = allow(['message']);
  const barred = { id: 'd', effect: 'deny', operations: ['message'] };
  const asked = { ...barred, effect: 'require', approval: 'big' };
  const approvals = { big: APPROVAL };
  const window = { tz: 'Europe/Zurich', days: ['mon'], from: '07:00', to: '19:00' };

  test.each<[string, Members]>([
    ['a hard denial', { ...barred, hard: true }],
    ['a denial that is not hard', { ...barred, hard: false }],
    ['a draining key', { ...base, draining: true }],
    ['shadow mode', { ...base, mode: 'shadow' }],
    ['enforce mode', { ...barred, mode: 'enforce' }],
    ['a require rule', asked],
    ['a require rule that binds nothing', { ...asked, operations: ['transaction', 'digest', 'key.export'] }],
    ['an export', { ...base, operations: ['key.export'] }],
    ['networks', { ...base, source: { cidr: ['10.0.0.0/8', '192.0.2.1/32', 'fd00::/8', '::1/128'] } }],
    ['client certificates', { ...base, source: { mtls: true } }],
    ['a time from which on', { ...base, validity: { from: '2026-11-20T10:00:00Z' } }],
    ['a time until', { ...base, validity: { until: '2026-11-20T10:00:00.5+13:45' } }],
    ['a window', { ...base, windows: [window] }],
    ['a night', { ...base, windows: [{ ...window, from: '22:00', to: '06:00' }] }],
    ['a whole day', { ...base, windows: [{ ...window, from: '00:00', to: '24:00' }] }],
  ])('may have %s', (_, rule) => {
    expect(() => compilePolicy({ ...documentOf(rule), approvals })).not.toThrow();
  });

  const windowed = (more: Members): Members => ({ ...base, windows: [{ ...window, ...more }] });
  test.each<[string, Members, string]>([
    ['another effect', { ...base, effect: 'permit' }, 'effect: must be one of allow, deny, require'],
    ['a hard permission', { ...base, hard: false }, 'hard: only deny rules can be `hard`; remove it'],
    ['a hard demand', { ...asked, hard: true }, 'hard: only deny rules can be `hard`'],
    ['a draining denial', { ...barred, draining: true }, 'draining: only allow rules can be `draining`'],
    ['hard by text', { ...barred, hard: 'yes' }, 'hard: must be true or false'],
    ['another mode', { ...base, mode: 'dry-run' }, 'mode: must be one of enforce, shadow'],
    [
      'a permission with approval',
      { ...base, approval: 'big' },
      'approval: an allow rule asks for no approval; write a require rule for it',
    ],
    ['a denial with approval', { ...barred, approval: 'big' }, 'approval: a deny rule asks for no approval'],
    [
      'a demand without approval',
      { ...asked, approval: undefined },
      'approval: is missing; write a name that is defined under `approvals` (big)',
    ],
    ['an unknown approval', { ...asked, approval: 'small' }, 'approval: "small" is not defined'],
    ['an unknown operation', { ...base, operations: ['export'] }, '"export" is not an operation here'],
    ['an empty source', { ...base, source: {} }, 'source: restricts nothing'],
    ['an empty network list', { ...base, source: { cidr: [] } }, 'source.cidr: is empty'],
    [
      'an address for a network',
      { ...base, source: { cidr: ['192.0.2.1'] } },
      'source.cidr[0]: must be a network such as 10.0.0.0/8 or fd00::/8; for one host write 192.0.2.1/32',
    ],
    ['too long a network', { ...base, source: { cidr: ['10.0.0.0/33'] } }, 'cidr[0]: must be a network'],
    ['a short network', { ...base, source: { cidr: ['10.0.0/8'] } }, 'cidr[0]: must be a network'],
    ['a padded length', { ...base, source: { cidr: ['10.0.0.0/08'] } }, 'cidr[0]: must be a network'],
    ['a zone', { ...base, source: { cidr: ['fe80::1%eth0/64'] } }, 'cidr[0]: must be a network'],
    ['mtls by text', { ...base, source: { mtls: 'yes' } }, 'source.mtls: must be true or false'],
    ['an empty validity', { ...base, validity: {} }, 'validity: restricts nothing'],
    ['a time without zone', { ...base, validity: { from: '2026-11-20T10:00:00' } }, 'from: is not a time'],
    [
      'a date',
      { ...base, validity: { until: '2026-11-20' } },
      'validity.until: is not a time; write a date and',
    ],
    ['the 30th of February', { ...base, validity: { from: '2026-02-30T10:00:00Z' } }, 'from: is not a time'],
    ['24 o’clock', { ...base, validity: { from: '2026-02-20T24:00:00Z' } }, 'from: is not a time'],
    [
      'a zone of 24 hours',
      { ...base, validity: { from: '2026-02-20T00:00:00+24:00' } },
      'from: is not a time',
    ],
    ['a number for a time', { ...base, validity: { from: 1763632800 } }, 'from: is not a time'],
    [
      'an end before the beginning',
      { ...base, validity: { from: '2026-11-20T10:00:00+01:00', until: '2026-11-20T09:00:00Z' } },
      'validity.until: is not after `from`',
    ],
    ['no windows', { ...base, windows: [] }, 'windows: is empty'],
    ['one window for a list', { ...base, windows: window }, 'windows: must be a list'],
    [
      'an unknown zone',
      windowed({ tz: 'Mars/Base' }),
      'tz: "Mars/Base" is not a time zone; write an IANA name',
    ],
    ['an offset', windowed({ tz: '+01:00' }), 'tz: "+01:00" is not a time zone'],
    ['no zone', windowed({ tz: undefined }), 'tz: nothing is not a time zone'],
    ['no days', windowed({ days: undefined }), 'days: must be a list'],
    ['an unknown day', windowed({ days: ['monday'] }), 'days[0]: must be one of mon, tue'],
    ['an hour without zero', windowed({ from: '7:00' }), 'from: is not a time of day'],
    ['a start at 24:00', windowed({ from: '24:00' }), 'from "00:00" to "23:59"'],
    [
      '24:01',
      windowed({ to: '24:01' }),
      'to: is not a time of day; write hours and minutes from "00:00" to "24:00"',
    ],
    ['60 minutes', windowed({ to: '18:60' }), 'to: is not a time of day'],
    ['no length', windowed({ to: '07:00' }), 'windows[0].to: is `from`: nothing, or a whole day?'],
  ])('may not have %s', (_, rule, expected) => {
    expect(problemsOf(rule, { approvals }).join('\n')).toContain(expected);
  });
});

describe('a document', () => {
  test('may define what nothing refers to', () => {
    const more = {
      tokens: { usdc: TOKEN },
      abis: { a: ['f()'] },
      approvals: { a: APPROVAL },
      lists: { a: [BOB] },
    };
    expect(() => compilePolicy({ ...documentOf(), ...more })).not.toThrow();
  });

  test('may be 5,000 rules long, and 20,000 conditions', () => {
    const rules = (count: number, when: JsonValue) =>
      Array.from({ length: count }, (_, i) => ({ ...deny(['transaction'], when), id: `r${i}` }));
    expect(refusal(() => compilePolicy(documentOf(...rules(5001, CHAIN)))).lines).toEqual([
      'rules[5000]: the document has more than 5000 rules; remove some, or merge rules',
    ]);
    const wide = { any: Array.from({ length: 999 }, (_, i) => ({ nonce: { eq: i } })) };
    expect(() => compilePolicy(documentOf(...rules(20, wide)))).not.toThrow();
    expect(refusal(() => compilePolicy(documentOf(...rules(21, wide)))).lines).toEqual([
      'rules[20].when: the document has more than 20000 conditions; remove some, or merge rules',
    ]);
  });

  test('counts a list wherever it is used', () => {
    const addresses = Array.from({ length: 10_000 }, (_, i) => `0x${i.toString(16).padStart(40, '0')}`);
    const used = (times: number): JsonValue => ({
      ...documentOf(
        deny(['transaction'], { all: Array.from({ length: times }, () => ({ to: { in: '$a' } })) }),
      ),
      lists: { a: addresses },
    });
    expect(() => compilePolicy(used(100))).not.toThrow();
    expect(refusal(() => compilePolicy(used(101))).lines.join()).toContain(
      'the document has more than 1000000 items in comparisons and selectors',
    );
  });

  test('counts functions and the length of patterns', () => {
    const abis = { a: Array.from({ length: 2001 }, (_, i) => `f${i}()`) };
    expect(problemsOf(allow(['message']), { abis }).join()).toContain('more than 2000 functions in abis');
    const patterns = Array.from({ length: 17 }, () => ({ message: { re2: 'x'.repeat(490) } }));
    expect(problemsOf(deny(['message'], { any: patterns })).join()).toContain('characters of patterns (re2)');
  });
});
