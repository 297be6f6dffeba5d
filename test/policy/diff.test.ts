import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonicalize, type JsonValue } from '../../src/jcs.ts';
import { CountersignError } from '../../src/errors.ts';
import { diffPolicies, type Change } from '../../src/policy/diff.ts';
import { compilePolicy, loadPolicy, type CompiledPolicy } from '../../src/policy/policy.ts';

const ONE = '0x1111111111111111111111111111111111111111';
const TWO = '0x2222222222222222222222222222222222222222';
const THREE = '0x3333333333333333333333333333333333333333';

const BASE = `apiVersion: countersign/policy/v1
revision: 41
lists:
  payouts: ["${ONE}"]
  banned: ["${ONE}", "${TWO}"]
  both: ["${ONE}"]
  spare: ["${ONE}"]
tokens:
  usdc: { chain: 1, address: "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48", standard: erc20, decimals: 6 }
abis:
  router: ["swap(uint256 amountIn, address to)"]
keyGroups:
  hot: { tags: [hot] }
approvals:
  big: { all: [{ role: approver, m: 2 }, { role: operator, m: 1 }], distinct: true, excludeRequester: true, ttl: 4h, rejects: 1 }
  other: { all: [{ role: approver, m: 1 }] }
limits:
  usdc-day: { meter: { token: usdc, include: [transfer, approve] }, per: [principal], window: { rolling: 24h, bucket: 5m }, max: "250000 usdc", onExceed: { approval: big } }
  gas-hour: { meter: maxTotalFee, per: [key, chain], window: { rolling: 1h, bucket: 1m }, max: "0.5 ether", onExceed: deny }
rules:
  - id: pay-usdc
    effect: allow
    principals: { roles: [signer] }
    keys: { groups: [hot], names: [payroll] }
    operations: [transaction]
    when:
      all:
        - { chainId: { in: [1] } }
        - { token: { token: usdc, action: transfer, to: { in: $payouts }, amount: { lte: "50000 usdc" } } }
        - { value: { eq: "0" } }
        - { maxTotalFee: { lte: "0.05 ether" } }
    windows: [{ tz: Europe/Zurich, days: [mon, tue], from: "07:00", to: "19:00" }]
  - id: swap
    effect: allow
    principals: { roles: [signer] }
    keys: { names: ["*"] }
    operations: [transaction]
    validity: { from: "2026-01-01T00:00:00Z", until: "2027-01-01T00:00:00Z" }
    when:
      all:
        - { chainId: { in: [1] } }
        - { call: { to: { in: ["${TWO}"] }, abi: router, fn: swap, args: { amountIn: { lte: "1000" }, to: { isSigner: true } } } }
        - { maxTotalFee: { lte: "0.05 ether" } }
        - { nonce: { lt: 100 } }
        - { not: { any: [{ to: { in: ["${ONE}"] } }, { to: { in: ["${THREE}"] } }] } }
  - id: banned
    effect: deny
    hard: true
    operations: [transaction]
    when: { to: { in: $banned } }
  - id: not-both
    effect: deny
    operations: [transaction]
    when: { all: [{ not: { to: { in: $both } } }, { value: { gt: "3 ether" } }] }
  - id: two-people
    effect: require
    operations: [transaction]
    source: { cidr: ["10.0.0.0/8"] }
    when: { value: { gte: "1 ether" } }
    approval: big
  - id: login
    effect: allow
    principals: { roles: [signer] }
    keys: { tags: [login] }
    operations: [message]
    when: { any: [{ message: { siwe: { domain: { eq: app.example }, expiresWithin: 1h } } }, { message: { re2: "ok" } }] }
breakGlass: { approval: big, principals: { roles: [signer] }, keys: { groups: [hot] }, operations: [transaction] }
change: { approval: big }
`;

const base = loadPolicy(BASE, 'policy.yaml');

/** What comes of replacing text in the base; each has to be there. */
function edited(...edits: readonly (readonly [from: string, to: string])[]): CompiledPolicy {
  let text = BASE;
  for (const [from, to] of edits) {
    expect(text, from).toContain(from);
    text = text.replace(from, to);
  }
  return loadPolicy(text, 'policy.yaml');
}

function shown({ text, wider }: Change): string {
  if (wider === undefined) return `? ${text}`;
  return `${wider ? '+' : '-'} ${text}`;
}

/** `+` lets more through, `-` less, `?` is not sure. */
function changes(...edits: readonly (readonly [from: string, to: string])[]): string[] {
  return diffPolicies(base, edited(...edits)).map(shown);
}

describe('changes in plain words', () => {
  test.each<[string, string, string, string]>([
    ['the revision', 'revision: 41', 'revision: 42', '? revision 41 → 42'],
    ['a raised cap', '"50000 usdc"', '"80000 usdc"', '+ pay-usdc: amount cap 50,000 → 80,000 usdc'],
    [
      'a cap in base units',
      '"50000 usdc"',
      '"40000000000"',
      '- pay-usdc: amount cap 50,000 usdc → 40,000,000,000',
    ],
    ['a cap written anew', '"50000 usdc"', '"50000.0 usdc"', '? pay-usdc: amount cap 50,000 → 50,000.0 usdc'],
    [
      'a cap in another unit',
      '{ value: { gt: "3 ether" } }',
      '{ value: { gt: "3000000001 gwei" } }',
      '+ not-both: value floor (above) 3 ether → 3,000,000,001 gwei',
    ],
    [
      'a removed cap',
      ', amount: { lte: "50000 usdc" }',
      '',
      '+ pay-usdc: amount { lte: 50,000 usdc } removed',
    ],
    ['a list', `payouts: ["${ONE}"]`, `payouts: ["${ONE}", "${TWO}"]`, `+ pay-usdc: payouts gains ${TWO}`],
    [
      'a list of a deny rule',
      `banned: ["${ONE}", "${TWO}"]`,
      `banned: ["${TWO}"]`,
      `+ banned: banned loses ${ONE}`,
    ],
    [
      'a list in another order',
      `["${ONE}", "${TWO}"]`,
      `["${TWO}", "${ONE}"]`,
      '? banned: banned in another order',
    ],
    ['a list under not', `both: ["${ONE}"]`, `both: ["${ONE}", "${TWO}"]`, `+ not-both: both gains ${TWO}`],
    ['a list without use', `spare: ["${ONE}"]`, `spare: ["${TWO}", "${ONE}"]`, `? list spare: gains ${TWO}`],
    ['a new list', '  spare:', `  more: ["${ONE}"]\n  spare:`, `? list more added: [${ONE}]`],
    ['a list in its place', 'in: $payouts', 'in: $spare', '? pay-usdc: to gains $spare'],
    ['a quorum', 'role: approver, m: 2', 'role: approver, m: 1', '+ approval big: approver m 2 → 1'],
    ['a quorum less', ', { role: operator, m: 1 }', '', '+ approval big: operator no longer asked (m 1)'],
    ['more time', 'ttl: 4h', 'ttl: 1d', '+ approval big: ttl 4h → 1d'],
    [
      'a second factor',
      'other: { all',
      'other: { credential: otp, all',
      '- approval other: credential none → otp',
    ],
    [
      'counting twice',
      'other: { all',
      'other: { distinct: false, all',
      '+ approval other: distinct none → false',
    ],
    [
      'a default written out',
      'other: { all',
      'other: { distinct: true, all',
      '? approval other: distinct none → true',
    ],
    ['a limit', '"250000 usdc"', '"300000 usdc"', '+ limit usdc-day: max 250,000 → 300,000 usdc'],
    ['a window', 'rolling: 24h', 'rolling: 12h', '+ limit usdc-day: window rolling 24h → 12h'],
    ['what is metered', '[transfer, approve]', '[transfer]', '+ limit usdc-day: meter include loses approve'],
    ['a limit for each', 'per: [principal]', 'per: [principal, key]', '+ limit usdc-day: per gains key'],
    [
      'what a limit does',
      '"0.5 ether", onExceed: deny',
      '"0.5 ether", onExceed: { approval: big }',
      '+ limit gas-hour: onExceed deny → { approval: big }',
    ],
    ['a group', 'hot: { tags: [hot] }', 'hot: { tags: [hot, warm] }', '+ key group hot: tags gains warm'],
    ['a token', 'decimals: 6', 'decimals: 7', '? token usdc: decimals 6 → 7'],
    [
      'an abi',
      '"swap(uint256 amountIn, address to)"',
      '"swap(uint256 amountIn, address to)", "f()"',
      '? abi router: gains f()',
    ],
    ['a deny rule that gives way', '    hard: true\n', '', '+ banned: hard true → none'],
    [
      'a rule in shadow',
      '  - id: banned\n',
      '  - id: banned\n    mode: shadow\n',
      '+ banned: mode none → shadow',
    ],
    [
      'a mode written out',
      '  - id: banned\n',
      '  - id: banned\n    mode: enforce\n',
      '? banned: mode none → enforce',
    ],
    [
      'a draining key',
      '  - id: swap\n',
      '  - id: swap\n    draining: true\n',
      '+ swap: draining none → true',
    ],
    [
      'principals',
      'principals: { roles: [signer] }',
      'principals: { roles: [signer, operator] }',
      '+ pay-usdc: principals roles gains operator',
    ],
    [
      'principals by id',
      'principals: { roles: [signer] }',
      'principals: { roles: [signer], ids: [a] }',
      '+ pay-usdc: principals ids gains a',
    ],
    ['fewer keys', ', names: [payroll]', '', '- pay-usdc: keys names loses payroll'],
    [
      'all keys',
      'keys: { groups: [hot], names: [payroll] }',
      'keys: { names: ["*"] }',
      '+ pay-usdc: keys { groups: [hot], names: [payroll] } → { names: [*] }',
    ],
    [
      'keys of a deny rule',
      'hard: true\n',
      'hard: true\n    keys: { tags: [hot] }\n',
      '+ banned: keys { tags: [hot] } added',
    ],
    ['a source', '["10.0.0.0/8"]', '["10.0.0.0/8", "fd00::/8"]', '- two-people: source cidr gains fd00::/8'],
    [
      'proof by certificate',
      '["10.0.0.0/8"] }',
      '["10.0.0.0/8"], mtls: true }',
      '+ two-people: source mtls true added',
    ],
    [
      'any source',
      '    source: { cidr: ["10.0.0.0/8"] }\n',
      '',
      '- two-people: source { cidr: [10.0.0.0/8] } removed',
    ],
    [
      'an end',
      '2027-01-01T00:00:00Z',
      '2028-01-01T00:00:00Z',
      '+ swap: validity until 2027-01-01T00:00:00Z → 2028-01-01T00:00:00Z',
    ],
    [
      'a beginning',
      '2026-01-01T00:00:00Z',
      '2026-02-01T00:00:00Z',
      '- swap: validity from 2026-01-01T00:00:00Z → 2026-02-01T00:00:00Z',
    ],
    [
      'a time zone',
      'tz: Europe/Zurich',
      'tz: UTC',
      '+ pay-usdc: windows gains { days: [mon, tue], from: 07:00, to: 19:00, tz: UTC }',
    ],
    ['a chain', 'chainId: { in: [1] }', 'chainId: { in: [1, 31337] }', '+ pay-usdc: chainId gains 31337'],
    ['an action', 'action: transfer,', 'action: [transfer, approve],', '+ pay-usdc: action gains approve'],
    ['an argument', 'lte: "1000"', 'lte: "2000"', '+ swap: amountIn cap 1,000 → 2,000'],
    ['who an argument is', 'isSigner: true', 'isSigner: false', '? swap: to isSigner true → false'],
    [
      'a callee',
      `to: { in: ["${TWO}"] }, abi`,
      `to: { in: ["${TWO}", "${THREE}"] }, abi`,
      `+ swap: to gains ${THREE}`,
    ],
    ['any callee', `to: { in: ["${TWO}"] }, abi`, 'abi', `? swap: to { in: [${TWO}] } removed`],
    ['delegatecalls', 'call: { to:', 'call: { delegate: true, to:', '? swap: delegate true added'],
    ['a count', 'nonce: { lt: 100 }', 'nonce: { lt: 99 }', '- swap: nonce cap (below) 100 → 99'],
    ['another comparison', 'nonce: { lt: 100 }', 'nonce: { lte: 100 }', '? swap: nonce cap 100 added'],
    [
      'a new condition',
      '        - { nonce:',
      '        - { value: { eq: "0" } }\n        - { nonce:',
      '- swap: condition added: value { eq: 0 }',
    ],
    [
      'a condition that covers',
      '        - { nonce:',
      `        - { to: { in: ["${TWO}"] } }\n        - { nonce:`,
      `? swap: condition added: to { in: [${TWO}] }`,
    ],
    [
      'a condition less',
      '        - { value: { eq: "0" } }\n',
      '',
      '+ pay-usdc: condition removed: value { eq: 0 }',
    ],
    [
      'a condition that is wrapped',
      '{ to: { in: $banned } }',
      '{ all: [{ to: { in: $banned } }] }',
      '? banned: { to: { in: $banned } } → { all: [{ to: { in: $banned } }] }',
    ],
    [
      'a condition more for a deny rule',
      '{ to: { in: $banned } }',
      '{ all: [{ to: { in: $banned } }, { value: { gt: "0" } }] }',
      '+ banned: condition added: value { gt: 0 }',
    ],
    [
      'an alternative',
      ', { message: { re2: "ok" } }',
      '',
      '? login: any condition removed: message { re2: ok }',
    ],
    [
      'a domain',
      'app.example',
      'evil.example',
      '? login: any message siwe domain app.example → evil.example',
    ],
    [
      'a session',
      'expiresWithin: 1h',
      'expiresWithin: 2h',
      '+ login: any message siwe expiresWithin 1h → 2h',
    ],
    ['a threshold', 'gte: "1 ether"', 'gte: "2 ether"', '+ two-people: value floor 1 → 2 ether'],
    [
      'whom it takes',
      'approval: big\n  - id: login',
      'approval: other\n  - id: login',
      '? two-people: approval big → other',
    ],
    [
      'break-glass',
      'groups: [hot] }, operations',
      'groups: [hot], tags: [x] }, operations',
      '+ breakGlass: keys tags gains x',
    ],
    ['how it is changed', 'change: { approval: big }\n', '', '? change { approval: big } → none'],
  ])('name %s', (_, from, to, expected) => {
    expect(changes([from, to])).toContain(expected);
  });

  test('say how rules come and go', () => {
    const rule = /  - id: banned[\s\S]*?(?=  - id: not-both)/.exec(BASE)?.[0] ?? '';
    const without = edited([rule, '']);
    expect(diffPolicies(base, without).map(shown)).toEqual(['+ rule banned removed (deny)']);
    expect(diffPolicies(without, base).map(shown)).toEqual(['- rule banned added (deny)']);
    const shadow = edited([rule, rule.replace('    effect', '    mode: shadow\n    effect')]);
    expect(diffPolicies(without, shadow).map(shown)).toEqual(['? rule banned added (deny, shadow)']);
    const allow = /  - id: swap[\s\S]*?(?=  - id: banned)/.exec(BASE)?.[0] ?? '';
    expect(changes([allow, ''])).toEqual(['- rule swap removed (allow)']);
    expect(changes([rule, ''], ['  - id: two-people', `${rule}  - id: two-people`])).toEqual([
      '? rules in another order',
    ]);
  });

  test('name an order that changes, although it has no meaning', () => {
    const [value, fee] = [
      '        - { value: { eq: "0" } }\n',
      '        - { maxTotalFee: { lte: "0.05 ether" } }\n',
    ];
    expect(changes([value + fee, fee + value])).toEqual(['? pay-usdc: conditions in another order']);
    const [one, other] = ['{ role: approver, m: 2 }', '{ role: operator, m: 1 }'];
    expect(changes([`${one}, ${other}`, `${other}, ${one}`])).toEqual([
      '? approval big: roles in another order',
    ]);
  });

  test('are not sure of a group that limits count', () => {
    const counted: [string, string] = ['per: [principal]', 'per: [keyGroup]'];
    const before = edited(counted);
    const after = edited(counted, ['hot: { tags: [hot] }', 'hot: { tags: [hot, warm] }']);
    expect(diffPolicies(before, after).map(shown)).toEqual(['? key group hot: tags gains warm']);
  });

  test('are sure of what covers nothing, under not', () => {
    const gone = `, { to: { in: ["${THREE}"] } }`;
    expect(changes([gone, ''])).toEqual([`+ swap: not any condition removed: to { in: [${THREE}] }`]);
  });

  test('weigh an effect', () => {
    const deny = '  - id: not-both\n    effect: deny';
    const require = '  - id: not-both\n    approval: big\n    effect: require';
    const asking = edited([deny, require]);
    expect(diffPolicies(base, asking).map(shown)).toEqual([
      '? not-both: approval none → big',
      '+ not-both: effect deny → require',
    ]);
    expect(diffPolicies(asking, base).map(shown)).toContain('- not-both: effect require → deny');
  });

  test('are all of a first policy', () => {
    const all = diffPolicies(undefined, base);
    expect(all.every(({ kind }) => kind === 'added')).toBe(true);
    expect(all.map(shown)).toEqual(
      expect.arrayContaining(['+ rule swap added (allow)', '- rule banned added (deny)']),
    );
  });

  test('tell one token from another where a rule has two', () => {
    const two = edited([
      '        - { value: { eq: "0" } }\n',
      '        - { value: { eq: "0" } }\n        - { token: { token: usdc, action: [transfer, approve] } }\n',
    ]);
    const raised = compilePolicy(JSON.parse(two.json.replace('"50000 usdc"', '"80000 usdc"')) as JsonValue);
    expect(diffPolicies(two, raised).map(shown)).toEqual([
      '+ pay-usdc: usdc transfer amount cap 50,000 → 80,000 usdc',
    ]);
  });

  test('are on one line, whatever is in them', () => {
    const odd = edited(['"ok"', String.raw`"a\nb\u202e\u001bc"`]);
    for (const { text } of diffPolicies(base, odd)) expect(text).toMatch(/^[^\p{Cc}\p{Cf}]*$/u);
  });

  test('know a list called constructor', () => {
    const odd = edited(['  spare:', `  constructor: ["${ONE}"]\n  spare:`]);
    expect(diffPolicies(base, odd).map(shown)).toEqual([`? list constructor added: [${ONE}]`]);
    expect(diffPolicies(odd, base).map(shown)).toEqual([`? list constructor removed: [${ONE}]`]);
  });
});

type Steps = readonly (string | number)[];

/** The places of a document, containers too. */
function placesOf(value: JsonValue, steps: Steps = []): Steps[] {
  if (typeof value !== 'object' || value === null) return [steps];
  return [steps, ...Object.entries(value).flatMap(([name, member]) => placesOf(member!, [...steps, name]))];
}

type Container = { [name: string]: JsonValue };

function at(root: JsonValue, steps: Steps): JsonValue {
  return steps.reduce<JsonValue>((value, step) => (value as Container)[step]!, root);
}

const TEXTS =
  '1,2,7 wei,1 gwei,12 usdc,1h,2h,hot,big,other,signer,operator,deny,allow,shadow,enforce,transfer,message,$payouts,$spare,10.1.0.0/16,UTC';
const REPLACEMENTS: readonly JsonValue[] = [1, 2, 3, 31337, true, false, ONE, THREE, ...TEXTS.split(',')];

/** The place goes away, comes twice, is turned round, or gets another value. */
const mutation = fc.record({
  place: fc.nat(),
  how: fc.constantFrom('replace', 'replace', 'remove', 'reverse', 'copy', 'swap'),
  value: fc.constantFrom(...REPLACEMENTS),
  other: fc.nat(),
});
type Mutation = typeof mutation extends fc.Arbitrary<infer T> ? T : never;

function mutate(document: JsonValue, { place, how, value, other }: Mutation): JsonValue {
  const copy = structuredClone(document);
  const places = placesOf(copy).slice(1);
  const steps = places[place % places.length]!;
  const parent = at(copy, steps.slice(0, -1)) as Container;
  const last = steps.at(-1)!;
  const there = parent[last]!;
  if (how === 'reverse') {
    if (Array.isArray(there)) there.reverse();
  } else if (how === 'copy') {
    if (Array.isArray(parent)) parent.push(structuredClone(there));
  } else if (how === 'swap') {
    parent[last] = structuredClone(at(copy, places[other % places.length]!));
  } else if (how === 'replace') parent[last] = value;
  else if (Array.isArray(parent)) parent.splice(Number(last), 1);
  else delete parent[last];
  return copy;
}

function compiled(document: JsonValue): CompiledPolicy | undefined {
  try {
    return compilePolicy(document);
  } catch (error) {
    if (error instanceof CountersignError) return undefined;
    throw error;
  }
}

describe('no change is silent', () => {
  const document = JSON.parse(base.json) as JsonValue;

  test('documents differ exactly where there is a change', () => {
    let seen = 0;
    fc.assert(
      fc.property(fc.array(mutation, { minLength: 0, maxLength: 3 }), (mutations) => {
        const after = compiled(mutations.reduce(mutate, document));
        if (after === undefined) return;
        seen++;
        expect(diffPolicies(base, after).length > 0).toBe(after.json !== base.json);
        expect(diffPolicies(after, base).length > 0).toBe(after.json !== base.json);
        expect(diffPolicies(after, after)).toEqual([]);
      }),
      { numRuns: 1_500 },
    );
    expect(seen).toBeGreaterThan(150);
  });

  test('a second change shows, whatever the first', () => {
    const mutations = fc.sample(mutation, { numRuns: 2_000, seed: 7 });
    const single = mutations.flatMap((one) => {
      const after = compiled(mutate(document, one));
      return after === undefined || after.json === base.json ? [] : [after];
    });
    const raised = BASE.replace('"50000 usdc"', '"80000 usdc"')
      .replace('m: 2', 'm: 1')
      .replace('lt: 100', 'lt: 1');
    const texts = ['pay-usdc: amount cap 50,000 → 80,000 usdc', 'approval big: approver m 2 → 1'];
    const other = JSON.parse(loadPolicy(raised, 'policy.yaml').json) as JsonValue;
    expect(single.length).toBeGreaterThan(150);
    let shown = 0;
    for (const one of mutations) {
      const both = compiled(mutate(other, one));
      const alone = compiled(mutate(document, one));
      if (both === undefined || alone === undefined || alone.json === base.json) continue;
      const expected = diffPolicies(base, alone);
      const found = new Set(diffPolicies(base, both).map(({ text }) => text));
      // What else is changed in the same place may change what is said of it; elsewhere everything is said as before.
      const apart = expected.filter(
        ({ path }) => !/^(?:rules\.pay-usdc|rules\.swap|approvals\.big|rules|approvals)(?:\.|$)/.test(path),
      );
      for (const { text } of apart) expect(found).toContain(text);
      const elsewhere = apart.length === expected.length;
      expect(texts.filter((text) => elsewhere && !found.has(text))).toEqual([]);
      shown++;
    }
    expect(shown).toBeGreaterThan(150);
  });

  test('wider is never said of what is narrower, and the other way round', () => {
    const document = JSON.parse(base.json) as JsonValue;
    fc.assert(
      fc.property(mutation, (one) => {
        const after = compiled(mutate(document, one));
        if (after === undefined) return;
        const forth = diffPolicies(base, after);
        const back = diffPolicies(after, base);
        expect(back.length).toBe(forth.length);
        const sure = (list: readonly Change[], wider: boolean) =>
          list.filter((each) => each.wider === wider).length;
        expect([sure(back, true), sure(back, false)]).toEqual([sure(forth, false), sure(forth, true)]);
      }),
      { numRuns: 1_000 },
    );
  });
});

test('the canonical form decides, not the order in which members are written', () => {
  const turned = JSON.parse(base.json, (_, value: JsonValue) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).toReversed())
      : value,
  ) as JsonValue;
  expect(JSON.stringify(turned)).not.toBe(canonicalize(turned));
  expect(diffPolicies(base, compilePolicy(turned))).toEqual([]);
});
