import { Interface, AbiCoder } from 'ethers';
import { describe, expect, test } from 'vitest';
import type { Hex } from '../../src/bytes.ts';
import { loadPolicy } from '../../src/policy/policy.ts';
import { parseSuites, runSuite, type SuiteReport } from '../../src/policy/suite.ts';
import { refusal } from './fixtures.ts';

const BOB = '0x1111111111111111111111111111111111111111';

const POLICY = loadPolicy(
  `apiVersion: countersign/policy/v1
revision: 42
lists:
  payouts: ["${BOB}"]
tokens:
  usdc: { chain: 1, address: "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48", standard: erc20, decimals: 6 }
abis:
  any: ["submit(bytes data)", "set((address token, uint256 amount)[] items, bool on)"]
keyGroups:
  hot: { tags: [hot] }
approvals:
  big: { all: [{ role: approver, m: 2 }], ttl: 4h }
  other: { all: [{ role: operator, m: 1 }] }
limits:
  usdc-day: { meter: { token: usdc, include: [transfer, approve, permit] }, per: [keyGroup], window: { rolling: 24h, bucket: 5m }, max: "250000 usdc", onExceed: { approval: big } }
  gas-hour: { meter: maxTotalFee, per: [key, chain], window: { rolling: 1h, bucket: 1m }, max: "0.5 ether", onExceed: deny }
  calls: { meter: count, window: { rolling: 1h, bucket: 1m }, max: 3, onExceed: deny }
  people: { meter: count, per: [principal], window: { rolling: 1h, bucket: 1m }, max: 9, onExceed: deny }
rules:
  - id: pay-usdc
    effect: allow
    principals: { roles: [signer] }
    source: { cidr: [10.20.0.0/16] }
    keys: { groups: [hot] }
    operations: [transaction]
    when:
      all:
        - { chainId: { in: [1] } }
        - { token: { token: usdc, action: transfer, to: { in: $payouts }, amount: { lte: "50000 usdc" } } }
        - { value: { eq: "0" } }
        - { maxTotalFee: { lte: "0.05 ether" } }
  - id: talk
    effect: allow
    principals: { ids: [p-1] }
    keys: { names: [talker] }
    operations: [message, typed-data]
  - id: talk-too
    effect: allow
    principals: { ids: [p-1] }
    keys: { names: [talker] }
    operations: [typed-data]
  - id: hours
    effect: deny
    operations: [message]
    windows: [{ tz: UTC, days: [sun], from: "00:00", to: "24:00" }]
  - id: consent
    effect: require
    operations: [typed-data]
    approval: other
  - id: export
    effect: allow
    principals: { roles: [admin] }
    keys: { names: ["*"] }
    operations: [key.export]
  - id: export-consent
    effect: require
    operations: [key.export]
    approval: big
breakGlass: { approval: other, principals: { ids: [p-1] }, keys: { names: [talker] }, operations: [message] }
`,
  'policy.yaml',
);

/** The example of the specification, word for word. */
const SPECIFIED = `suite: pay-usdc
now: 2026-11-20T10:00:00Z
state: { usdc-day: { hot: "249999 usdc" } }
tests:
  - name: over the daily cap needs two approvers
    as: { roles: [signer], ip: 10.20.1.1 }
    key: { name: payroll, tags: [hot] }
    transaction: { type: 2, chainId: 1, nonce: 0, to: usdc, value: "0", gasLimit: "60000", maxFeePerGas: "30 gwei", maxPriorityFeePerGas: "1 gwei", call: { fn: "transfer(address,uint256)", args: ["${BOB}", "2000000"] } }
    expect: { effect: require, approval: big }
`;

function run(text: string): SuiteReport {
  return runSuite(POLICY, parseSuites(text, 'suite.yaml'));
}

/** One test, of which the members are given. */
function suiteOf(members: string, head = ''): string {
  const lines = members.trim().split('\n');
  return `suite: s\nnow: 2026-11-20T10:00:00Z\n${head}tests:\n  - name: t\n${lines.map((line) => `    ${line}\n`).join('')}`;
}

function only(members: string, head = ''): SuiteReport['tests'][number] {
  const [report] = run(suiteOf(members, head)).tests;
  return report!;
}

const PAYROLL = `as: { roles: [signer], ip: 10.20.1.1 }
key: { name: payroll, tags: [hot] }`;
const TALKER = `as: { id: p-1, roles: [signer] }
key: { name: talker }`;
const FEES =
  'type: 2, chainId: 1, nonce: 0, gasLimit: 60000, maxFeePerGas: 30 gwei, maxPriorityFeePerGas: 1 gwei';

function paying(amount: string, more = ''): string {
  return `${PAYROLL}\ntransaction: { ${FEES}, to: usdc, call: { fn: transfer, args: ["${BOB}", ${amount}] } }${more}`;
}

describe('a suite', () => {
  test('as in the specification passes', () => {
    expect(run(SPECIFIED)).toMatchObject({
      suite: 'pay-usdc',
      file: 'suite.yaml',
      passed: 1,
      failed: 0,
      tests: [
        {
          name: 'over the daily cap needs two approvers',
          passed: true,
          expected: { effect: 'require', approvals: ['big'] },
          got: { effect: 'require', approvals: ['big'], limit: 'usdc-day' },
        },
      ],
    });
  });

  test('is the same every time, and is JSON', () => {
    const suite = parseSuites(SPECIFIED, 'suite.yaml');
    const report = runSuite(POLICY, suite);
    expect(runSuite(POLICY, suite)).toEqual(report);
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
  });

  test('counts what passes and what fails', () => {
    const two = `${suiteOf(`${paying('1 usdc')}\nexpect: { effect: allow }`)}  - name: u\n${paying('1 usdc', '\nexpect: { effect: deny }').replaceAll(/^/gm, '    ')}\n`;
    expect(run(two)).toMatchObject({ passed: 1, failed: 1 });
  });
});

describe('what is expected', () => {
  test.each<[string, string, string]>([
    [
      'another effect',
      'effect: deny',
      'expected effect deny, got allow. rule "pay-usdc" allows this transaction',
    ],
    ['another rule', 'effect: allow, rule: talk', 'expected rule talk, got pay-usdc.'],
    ['a rule that asks', 'effect: allow, rule: consent', 'expected rule consent, got pay-usdc.'],
    ['an approval', 'effect: allow, approval: big', 'expected approvals big, got none.'],
    ['a limit', 'effect: allow, limit: calls', 'expected limit calls, got none.'],
    ['another reason', 'effect: allow, reason: because', 'expected "because" in the reason.'],
    [
      'all of it',
      'effect: require, rule: talk, approvals: [other, big], limit: calls',
      'expected effect require, got allow; expected rule talk, got pay-usdc; expected approvals big, other, got none; expected limit calls, got none.',
    ],
  ])('and does not come out: %s', (_, expected, why) => {
    const report = only(`${paying('1 usdc')}\nexpect: { ${expected} }`);
    expect(report.passed).toBe(false);
    expect(report.why).toContain(why);
  });

  test('may be any of the rules that decided, also one that asks for approval', () => {
    const typed = `${TALKER}
typedData: { domain: { name: x }, types: { A: [{ name: b, type: string }] }, primaryType: A, message: { b: c } }`;
    expect(only(`${typed}\nexpect: { effect: require, rule: talk, approval: other }`).passed).toBe(true);
    expect(only(`${typed}\nexpect: { effect: require, rule: consent, approval: other }`).passed).toBe(true);
    expect(only(`${typed}\nexpect: { effect: require, rule: export-consent }`).passed).toBe(false);
    expect(only(`${typed}\nexpect: { effect: require, rule: talk-too }`).passed).toBe(false);
  });

  test('may be what break-glass overrides', () => {
    const sunday = `${TALKER}\nmessage: hello\nnow: 2026-11-22T10:00:00Z`;
    expect(only(`${sunday}\nexpect: { effect: deny, rule: hours }`).passed).toBe(true);
    expect(
      only(`${sunday}\nbreakGlass: fire\nexpect: { effect: require, rule: hours, approvals: [other] }`)
        .passed,
    ).toBe(true);
  });

  test('may be the reason of a rule that came close', () => {
    const denied = only(
      `${paying('60000 usdc')}\nexpect: { effect: deny, reason: "pay-usdc: token.amount" }`,
    );
    expect(denied).toMatchObject({ passed: true, got: { effect: 'deny', failed: [{ rule: 'pay-usdc' }] } });
  });
});

describe('what a limit held', () => {
  test('is in its unit, and by its scopes', () => {
    const held = (state: string): string =>
      only(`${paying('1 usdc')}\nstate: { ${state} }\nexpect: { effect: allow }`).got.limit ?? '';
    expect(held('usdc-day: { hot: "249999 usdc" }')).toBe('');
    expect(held('usdc-day: { hot: "249999000001" }')).toBe('usdc-day');
    expect(held('usdc-day: { "-": "250000 usdc" }')).toBe('');
    expect(held('gas-hour: { payroll/1: "0.4982 ether" }')).toBe('');
    expect(held('gas-hour: { payroll/1: "0.498200000000000001 ether" }')).toBe('gas-hour');
    expect(held('gas-hour: { payroll/10: "0.5 ether" }')).toBe('');
    expect(held('calls: { all: 2 }')).toBe('');
    expect(held('calls: { all: 3 }')).toBe('calls');
    expect(held('people: { test: "9" }')).toBe('people');
  });

  test('is the suite’s, but for the limits that a test names', () => {
    const head = 'state: { calls: { all: 3 }, usdc-day: { hot: "250000 usdc" } }\n';
    expect(only(`${paying('1 usdc')}\nexpect: { effect: deny, limit: calls }`, head).passed).toBe(true);
    const own = 'state: { calls: { all: 0 } }';
    expect(
      only(`${paying('1 usdc')}\n${own}\nexpect: { effect: require, limit: usdc-day }`, head).passed,
    ).toBe(true);
  });
});

describe('what is asked for', () => {
  test.each<[string, string, string]>([
    ['a message', `${TALKER}\nmessage: hello`, 'effect: allow, rule: talk'],
    ['bytes', `${TALKER}\ndata: "0xff"`, 'effect: allow, rule: talk'],
    [
      'of another id',
      'as: { id: p-2, roles: [signer] }\nkey: { name: talker }\nmessage: hello',
      'effect: deny',
    ],
    [
      'with a draining key',
      'as: { id: p-1, roles: [signer] }\nkey: { name: talker, draining: true }\nmessage: hello',
      'effect: deny, reason: draining',
    ],
    [
      'an authorization',
      `${TALKER}\nauthorization: { chainId: 1, address: "${BOB}", nonce: 0 }`,
      'effect: deny',
    ],
    ['a digest', `${TALKER}\ndigest: { digest: "0x${'00'.repeat(32)}", purpose: any }`, 'effect: deny'],
    [
      'an export',
      'as: { roles: [admin] }\nkey: { name: x }\nexport: true',
      'effect: require, rule: export-consent',
    ],
    ['at another time', `${TALKER}\nmessage: hello\nnow: 2026-11-22T23:59:59Z`, 'effect: deny, rule: hours'],
    ['in another zone', `${TALKER}\nmessage: hello\nnow: 2026-11-22T23:59:59-01:00`, 'effect: allow'],
    ['from elsewhere', paying('1 usdc').replace('10.20', '10.21'), 'effect: deny, reason: source'],
  ])('%s', (_, asked, expected) => {
    expect(only(`${asked}\nexpect: { ${expected} }`)).toMatchObject({ passed: true });
  });

  test('is decoded: an amount that is written with a unit is in base units', () => {
    expect(only(`${paying('50000 usdc')}\nexpect: { effect: allow }`).passed).toBe(true);
    expect(only(`${paying('50000.000001 usdc')}\nexpect: { effect: deny }`).passed).toBe(true);
    expect(only(`${paying('"50000000001"')}\nexpect: { effect: deny }`).passed).toBe(true);
    const value = paying('1 usdc').replace('to: usdc', 'to: usdc, value: 0.1 ether');
    expect(only(`${value}\nexpect: { effect: deny, reason: "100000000000000000" }`).passed).toBe(true);
  });

  /** A policy that tells which calldata it was asked about. */
  function allowing(fn: string, data: string, to: string = BOB): boolean {
    const head = POLICY.json.slice(0, -1);
    const rules = JSON.parse(POLICY.json) as { rules: unknown[] };
    const rule = {
      id: 'exact',
      effect: 'allow',
      principals: { roles: ['signer'] },
      keys: { names: ['*'] },
      operations: ['transaction'],
      when: {
        all: [
          { chainId: { eq: 1 } },
          { maxTotalFee: { lte: '1 ether' } },
          { call: { to: { eq: to }, abi: 'any', fn: 'submit', args: { data: { eq: data } } } },
        ],
      },
    };
    expect(head).toContain('submit');
    const policy = loadPolicy(JSON.stringify({ ...rules, rules: [rule] }), 'policy.yaml');
    const suite = suiteOf(`${PAYROLL}
transaction: { ${FEES}, to: "${to}", call: { fn: "submit(bytes)", args: [${fn}] } }
expect: { effect: allow, rule: exact }`);
    const [report] = runSuite(policy, parseSuites(suite, 'suite.yaml')).tests;
    return report!.passed;
  }

  test('may have calls inside, with the data that ethers makes of them', () => {
    const contract = new Interface(['function set((address token, uint256 amount)[] items, bool on)']);
    const usdc = '0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48';
    const data = contract.encodeFunctionData('set', [
      [
        { token: usdc, amount: 2_500_000n },
        { token: BOB, amount: 10n ** 18n },
      ],
      true,
    ]) as Hex;
    const byName =
      '[{ token: usdc, amount: 2.5 usdc }, { amount: 1 ether, token: "0x1111111111111111111111111111111111111111" }]';
    const byPlace = '[[usdc, 2.5 usdc], ["0x1111111111111111111111111111111111111111", 1 ether]]';
    const named = 'set((address token, uint256 amount)[] items, bool on)';
    expect(allowing(`{ fn: "${named}", args: [${byName}, true] }`, data)).toBe(true);
    expect(allowing(`{ fn: "set((address,uint256)[],bool)", args: [${byPlace}, true] }`, data)).toBe(true);
    expect(allowing(`{ fn: "set((address,uint256)[],bool)", args: [${byPlace}, false] }`, data)).toBe(false);
    expect(
      allowing(`"${AbiCoder.defaultAbiCoder().encode(['uint256'], [7])}"`, `0x${'07'.padStart(64, '0')}`),
    ).toBe(true);
  });
});

describe('problems', () => {
  const typedBody = `typedData: { domain: {}, types: { A: [{ name: b, type: string }] }, primaryType: A, message: { c: d } }`;
  test.each<[string, string, string]>([
    [
      'no name',
      suiteOf(`${TALKER}\nmessage: x\nexpect: { effect: allow }`).replace('suite: s\n', ''),
      'suite: suite.yaml:1:1: must be text',
    ],
    [
      'no tests',
      'suite: s\nnow: 2026-11-20T10:00:00Z\ntests: []\n',
      'tests: suite.yaml:3:8: must be a list of 1 to 2000 tests',
    ],
    [
      'an unknown member',
      suiteOf(`${TALKER}\nmessage: x\nexpects: { effect: allow }`),
      'tests[0].expects: suite.yaml:8:5: `expects` is not known here',
    ],
    [
      'no expectation',
      suiteOf(`${TALKER}\nmessage: x`),
      'tests[0].expect: suite.yaml:4:5: must be a mapping, not nothing',
    ],
    [
      'no effect',
      suiteOf(`${TALKER}\nmessage: x\nexpect: { rule: talk }`),
      'tests[0].expect.effect: suite.yaml:8:13: must be one of allow, deny, require',
    ],
    [
      'two ways to say it',
      suiteOf(`${TALKER}\nmessage: x\nexpect: { effect: deny, approval: big, approvals: [big] }`),
      'says what `approvals` says; keep one of the two',
    ],
    [
      'nothing asked',
      suiteOf(`${TALKER}\nexpect: { effect: deny }`),
      'tests[0]: suite.yaml:4:5: asks for nothing; write one of transaction, message',
    ],
    [
      'two things asked',
      suiteOf(`${TALKER}\nmessage: x\ndata: "0x"\nexpect: { effect: deny }`),
      'tests[0]: suite.yaml:4:5: asks for message and data',
    ],
    [
      'no time',
      suiteOf(`${TALKER}\nmessage: x\nexpect: { effect: deny }`).replace(/now.*\n/, ''),
      'has no time; write now: 2026-11-20T10:00:00Z',
    ],
    [
      'a time without zone',
      suiteOf(`${TALKER}\nmessage: x\nnow: 2026-11-20T10:00:00\nexpect: { effect: deny }`),
      'tests[0].now: suite.yaml:8:10: is not a time',
    ],
    [
      'no role',
      suiteOf(`as: { roles: [] }\nkey: { name: k }\nmessage: x\nexpect: { effect: deny }`),
      'tests[0].as.roles: suite.yaml:5:18: is empty',
    ],
    [
      'an unknown role',
      suiteOf(`as: { roles: [boss] }\nkey: { name: k }\nmessage: x\nexpect: { effect: deny }`),
      'tests[0].as.roles[0]: suite.yaml:5:19: must be one of admin',
    ],
    [
      'a network',
      suiteOf(
        `as: { roles: [signer], ip: 10.0.0.0/8 }\nkey: { name: k }\nmessage: x\nexpect: { effect: deny }`,
      ),
      '"10.0.0.0/8" is not an IP address',
    ],
    [
      'a bad address',
      suiteOf(
        `as: { roles: [signer] }\nkey: { name: k, address: "0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed" }\nmessage: x\nexpect: { effect: deny }`,
      ),
      'tests[0].key.address: suite.yaml:6:30: has a wrong EIP-55 checksum',
    ],
    [
      'no key',
      suiteOf(`as: { roles: [signer] }\nmessage: x\nexpect: { effect: deny }`),
      'tests[0].key: suite.yaml:4:5: must be a mapping, not nothing',
    ],
    [
      'typed data that its types do not describe',
      suiteOf(`${TALKER}\n${typedBody}\nexpect: { effect: deny }`),
      'tests[0].typedData.message.c: suite.yaml:7:',
    ],
    [
      'an export that is none',
      suiteOf(`${TALKER}\nexport: false\nexpect: { effect: deny }`),
      'tests[0].export: suite.yaml:7:13: must be true, or absent',
    ],
    [
      'a state that is none',
      suiteOf(`${TALKER}\nmessage: x\nstate: { calls: 3 }\nexpect: { effect: deny }`),
      'tests[0].state.calls: suite.yaml:8:21: must be a mapping',
    ],
    [
      'a name twice',
      `${suiteOf(`${TALKER}\nmessage: x\nexpect: { effect: deny }`)}  - { name: t, as: { roles: [signer] }, key: { name: k }, message: x, expect: { effect: deny } }\n`,
      'tests[1].name: suite.yaml:9:13: is the name of an earlier test',
    ],
    [
      'a number that is none',
      suiteOf(`${TALKER}\nmessage: x\nstate: { calls: { all: 1.5 } }\nexpect: { effect: deny }`),
      'suite.yaml:8:28: only plain decimal integers',
    ],
    [
      'an anchor',
      suiteOf(`${TALKER}\nmessage: &a x\nexpect: { effect: deny }`),
      'suite.yaml:7:14: anchors are not supported',
    ],
  ])('show when it is read: %s', (_, text, expected) => {
    const { message, lines } = refusal(() => parseSuites(text, 'suite.yaml'));
    expect(lines.join('\n')).toContain(expected);
    expect(message).toMatch(/^the test suite is not valid: suite\.yaml:\d+:\d+: /);
  });

  const call = (text: string): string =>
    suiteOf(`${PAYROLL}\ntransaction: { ${FEES}, to: usdc, ${text} }\nexpect: { effect: deny }`);
  test.each<[string, string, string]>([
    [
      'a token that is not',
      suiteOf(`${PAYROLL}\ntransaction: { ${FEES}, to: usdt }\nexpect: { effect: deny }`),
      'tests[0].transaction.to: suite.yaml:7:',
    ],
    [
      'a field that is missing',
      suiteOf(
        `${PAYROLL}\ntransaction: { chainId: 1, nonce: 0, gasPrice: 1 gwei }\nexpect: { effect: deny }`,
      ),
      'tests[0].transaction.gasLimit: suite.yaml:7:18: is required',
    ],
    [
      'a field that is unknown',
      suiteOf(`${PAYROLL}\ntransaction: { ${FEES}, gas: 1 }\nexpect: { effect: deny }`),
      'tests[0].transaction.gas: suite.yaml:7:',
    ],
    [
      'a prototype',
      suiteOf(`${PAYROLL}\ntransaction: { ${FEES}, __proto__: { to: usdc } }\nexpect: { effect: deny }`),
      'is not a known field',
    ],
    ['a unit that is unknown', call('value: 1 usdt'), 'tests[0].transaction.value: suite.yaml:7:'],
    [
      'data and a call',
      call('data: "0x", call: { fn: transfer, args: [] }'),
      'says what `data` says; keep one of the two',
    ],
    [
      'a function that is unknown',
      call('call: { fn: frobnicate }'),
      '"frobnicate" is not a well-known function; write its signature',
    ],
    [
      'a name of several',
      call('call: { fn: approve, args: [] }'),
      'approve(address,uint256), approve(address,address,uint160,uint48)',
    ],
    [
      'a signature that is none',
      call('call: { fn: "transfer(addr)" }'),
      'tests[0].transaction.call.fn: suite.yaml:7:',
    ],
    [
      'too few arguments',
      call(`call: { fn: transfer, args: ["${BOB}"] }`),
      'tests[0].transaction.call.args: suite.yaml:7:',
    ],
    [
      'an argument of another type',
      call(`call: { fn: transfer, args: ["${BOB}", true] }`),
      'tests[0].transaction.call.args[1]: suite.yaml:7:',
    ],
    [
      'too many decimals',
      call(`call: { fn: transfer, args: ["${BOB}", 0.0000001 usdc] }`),
      'has 7 decimals and usdc has 6',
    ],
    [
      'arguments by name',
      call('call: { fn: transfer, args: { to: usdc } }'),
      'must be a list, in the order of the signature',
    ],
    [
      'a limit that is not',
      suiteOf(`${TALKER}\nmessage: x\nstate: { call: { all: 1 } }\nexpect: { effect: deny }`),
      'tests[0].state.call: suite.yaml:8:14: is not a limit of the policy (usdc-day, gas-hour, calls, people)',
    ],
    [
      'a scope where there is none',
      suiteOf(`${TALKER}\nmessage: x\nstate: { calls: { hot: 1 } }\nexpect: { effect: deny }`),
      'is no scope of calls, which has one for everything; write all',
    ],
    [
      'a scope in the place of all',
      suiteOf(`${TALKER}\nmessage: x\nstate: { gas-hour: { all: "1" } }\nexpect: { effect: deny }`),
      '"all" has 1 of 2 parts; a scope of gas-hour is key/chain',
    ],
    [
      'a group that is not',
      suiteOf(`${TALKER}\nmessage: x\nstate: { usdc-day: { hott: "1" } }\nexpect: { effect: deny }`),
      '"hott" is no key group of the policy',
    ],
    [
      'a chain that is none',
      suiteOf(
        `${TALKER}\nmessage: x\nstate: { gas-hour: { payroll/mainnet: "1" } }\nexpect: { effect: deny }`,
      ),
      '"mainnet" is no chain id in decimal',
    ],
    [
      'an amount of another unit',
      suiteOf(`${TALKER}\nmessage: x\nstate: { usdc-day: { hot: 1 ether } }\nexpect: { effect: deny }`),
      'tests[0].state.usdc-day.hot: suite.yaml:8:31: "ether" is not a unit here',
    ],
  ])('show against a policy: %s', (_, text, expected) => {
    const suite = parseSuites(text, 'suite.yaml');
    const { message, lines } = refusal(() => runSuite(POLICY, suite));
    expect(lines.join('\n')).toContain(expected);
    expect(message).toMatch(/^the test suite is not valid: suite\.yaml:\d+:\d+: /);
  });

  test('of one policy are not those of another', () => {
    const suite = parseSuites(SPECIFIED, 'suite.yaml');
    const bare = loadPolicy('apiVersion: countersign/policy/v1\nrevision: 1\nrules: []\n', 'bare.yaml');
    const { lines } = refusal(() => runSuite(bare, suite));
    expect(lines.join('\n')).toContain('state.usdc-day');
    expect(runSuite(POLICY, suite).passed).toBe(1);
  });
});
