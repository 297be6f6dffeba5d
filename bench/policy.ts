import assert from 'node:assert/strict';
import { Interface } from 'ethers';
import type { Hex } from '../src/bytes.ts';
import { decodeEffects } from '../src/effects/decode.ts';
import type { JsonValue } from '../src/jcs.ts';
import type { Decision, PolicyRequest } from '../src/policy/decision.ts';
import type { CompiledPolicy } from '../src/policy/policy.ts';
import {
  ALICE,
  allowTransfers,
  BOB,
  policyWith,
  request,
  TRANSFER,
  type Members,
} from '../test/policy/fixtures.ts';

/**
 * Median time and CPU time of one decision against 500 rules, from the parsed intent on: decoding its effects, rules and limits.
 * `node bench/policy.ts`. Asserts what is decided, not how fast. Requests come in turn, so that nothing that is
 * remembered of one serves the next.
 */
const RULES = 500;
const SAMPLES = 300;
const PER_SAMPLE = 160;
const REQUESTS = 16;

interface Case {
  readonly name: string;
  readonly policy: CompiledPolicy;
  readonly requests: readonly PolicyRequest[];
  readonly effect: Decision['effect'];
}

/** `RULES` of them, or fewer: the last allows what is asked. */
function rulesOf(ruleAt: (i: number, isLast: boolean) => Members, rules = RULES): Members[] {
  return Array.from({ length: rules }, (_, i) => ({ ...ruleAt(i, i === rules - 1), id: `rule-${i}` }));
}

function addressOf(i: number): Hex {
  return `0x${(0x1000 + i).toString(16).padStart(40, '0')}`;
}

function requestsOf(requestAt: (i: number) => PolicyRequest): readonly PolicyRequest[] {
  return Array.from({ length: REQUESTS }, (_, i) => requestAt(i));
}

/** Of `value` wei more than none. */
const transfers = (value = 0n): readonly PolicyRequest[] =>
  requestsOf((i) => request({ ...TRANSFER, value: value + BigInt(i) + 1n }));

interface Varied {
  readonly chain?: (i: number) => number;
  readonly key?: (i: number) => string;
  readonly principal?: (i: number) => string;
  readonly rules?: number;
}

/** Each rule with its own recipient, and whatever else varies. */
function payments({ chain, key, principal, rules }: Varied = {}): CompiledPolicy {
  const rule = (i: number, isLast: boolean): Members => ({
    ...allowTransfers({ to: { in: [isLast ? ALICE : addressOf(i)] } }, { value: { lte: '1 ether' } }),
    keys: { names: [key?.(i) ?? 'treasury'] },
    ...(principal === undefined ? {} : { principals: { ids: [isLast ? 'p-1' : principal(i)] } }),
  });
  const withChain = (i: number, isLast: boolean): Members => {
    const made = rule(i, isLast);
    const [, ...others] = (made['when'] as { all: JsonValue[] }).all;
    return { ...made, when: { all: [{ chainId: { eq: chain?.(i) ?? 31337 } }, ...others] } };
  };
  return policyWith({}, ...(rulesOf(withChain, rules) as JsonValue[]));
}

const FUNCTIONS = Array.from({ length: RULES }, (_, i) => `act${i}(address to, uint256 amount)`);
const TRADE = 'trade((address to, uint256 amount) order, string note)';
const PAYROLL = 'payroll(address[] to, uint256 amount)';
const MULTICALL = 'multicall(bytes[] data)';
const CONTRACT = new Interface(
  [...FUNCTIONS, TRADE, PAYROLL, MULTICALL, 'transfer(address to, uint256 value)'].map(
    (text) => `function ${text}`,
  ),
);
const encode = (name: string, ...args: readonly unknown[]): Hex =>
  CONTRACT.encodeFunctionData(name, args) as Hex;

type Call = (n: number) => Hex;
const pay: Call = (n) => encode('transfer', ALICE, 1_000_000 + n);
const trade: Call = (n) => encode('trade', [ALICE, 10 ** 9 + n], `rent ${n}`);
const payroll: Call = (n) => encode('payroll', [ALICE, BOB], n);
const act: Call = (n) => encode(`act${n % RULES}`, ALICE, n);

/** A `multicall` of five different calls. */
function batches(...[a, b, c, d, e]: readonly [Call, Call, Call, Call, Call]): readonly PolicyRequest[] {
  return requestsOf((i) => {
    const calls = [a, b, c, d, e].map((call, at) => call(5 * i + at));
    return request({ ...TRANSFER, to: BOB, value: 0n, data: encode('multicall', calls) });
  });
}

const DEFINITIONS: Members = {
  tokens: { coin: { chain: 31337, address: BOB, standard: 'erc20', decimals: 6 } },
  abis: { desk: [MULTICALL, TRADE, PAYROLL, ...FUNCTIONS] },
  approvals: { big: { all: [{ role: 'approver', m: 2 }] } },
  limits: {
    day: {
      meter: { token: 'coin', include: ['transfer'] },
      per: ['key'],
      max: '1000 coin',
      window: { rolling: '24h', bucket: '5m' },
      onExceed: 'deny',
    },
  },
};

const call = (fn: string, args?: JsonValue, to = BOB): JsonValue => ({
  call: { to: { eq: to }, abi: 'desk', fn, ...(args === undefined ? {} : { args }) },
});
const coins = (to: Hex, amount: number): JsonValue => ({
  token: { token: 'coin', action: 'transfer', to: { in: [to] }, amount: { lte: String(amount) } },
});

/** Amounts around the ones that are asked for, which are in none. */
const band = (i: number): JsonValue => ({
  gte: String((10 * i + 5) * 10 ** 6),
  lte: String((10 * i + 6) * 10 ** 6),
});

/** `RULES` of them in all: the ones given, one for the batch itself, one for transfers of coins, two for trades and payrolls. */
function desk(ruleAt: (i: number) => JsonValue | Members): CompiledPolicy {
  const last = [
    { ...allowTransfers(call('multicall')), id: 'multicall' },
    { ...allowTransfers(coins(ALICE, 10 ** 9)), id: 'coins' },
    { ...allowTransfers(call('trade', { 'order.to': { in: [ALICE] } })), id: 'trades' },
    { ...allowTransfers(call('payroll', { to: { every: { in: [ALICE, BOB] } } })), id: 'payroll' },
  ];
  const rules = rulesOf((i) => {
    const made = ruleAt(i) as Members;
    return 'effect' in made ? made : allowTransfers(made);
  }, RULES - last.length);
  return policyWith(DEFINITIONS, ...(rules as JsonValue[]), ...last);
}

/** In turn an allow, a deny and a require rule, for amounts that are not asked for. */
function mixed(i: number): Members {
  const when = call('trade', { 'order.amount': band(i) });
  const [effect = 'allow'] = ['allow', 'deny', 'require'].slice(i % 3);
  return effect === 'allow'
    ? allowTransfers(when)
    : { effect, operations: ['transaction'], when, ...(effect === 'require' ? { approval: 'big' } : {}) };
}

const alike = policyWith(
  {},
  ...(rulesOf((i) => allowTransfers({ value: { eq: String(RULES - i) } })) as JsonValue[]),
);
const mixture = batches(pay, trade, pay, trade, pay);
const trades = batches(trade, trade, trade, trade, trade);
const plain: Pick<Case, 'requests' | 'effect'> = { requests: transfers(), effect: 'allow' };
const batch: Pick<Case, 'requests' | 'effect'> = { requests: mixture, effect: 'allow' };

const CASES: readonly Case[] = [
  { ...plain, name: 'transfer, 1 rule', policy: payments({ rules: 1 }) },
  {
    ...plain,
    name: 'transfer, 50 rules on this chain',
    policy: payments({ chain: (i) => (i % 10 === 9 ? 31337 : i + 1) }),
  },
  {
    ...plain,
    name: 'transfer, each rule for its own key',
    policy: payments({ key: (i) => (i === RULES - 1 ? 'treasury' : `key-${i}`) }),
  },
  {
    ...plain,
    name: 'transfer, each rule for its own caller',
    policy: payments({ principal: (i) => `p-x${i}` }),
  },
  { ...plain, name: 'transfer, each rule for its own recipient', policy: payments() },
  { ...plain, name: 'transfer, rules that differ in value only', policy: alike },
  {
    name: 'transfer, default deny, rules for this key',
    policy: payments(),
    requests: transfers(2n * 10n ** 18n),
    effect: 'deny',
  },
  {
    name: 'transfer, default deny, rules for other callers',
    policy: payments({ principal: (i) => `p-x${i}` }),
    requests: transfers(2n * 10n ** 18n),
    effect: 'deny',
  },
  {
    ...batch,
    name: 'five-call multicall, each rule for its own contract',
    policy: desk((i) => call('trade', undefined, addressOf(i))),
  },
  {
    name: 'five-call multicall, one contract, each rule for its own function',
    policy: desk((i) => call(`act${i}`)),
    requests: batches(act, act, act, act, act),
    effect: 'allow',
  },
  {
    name: 'five-call multicall, one function, rules that differ in an amount',
    policy: desk((i) => call('trade', { 'order.amount': band(i) })),
    requests: trades,
    effect: 'allow',
  },
  {
    name: 'five-call multicall, one function, rules that differ in a recipient',
    policy: desk((i) => call('trade', { 'order.to': { in: [addressOf(i)] } })),
    requests: trades,
    effect: 'allow',
  },
  {
    ...batch,
    name: 'five-call multicall, one token, rules that differ in recipient and amount',
    policy: desk((i) => coins(addressOf(i), 10 ** 6 * i)),
  },
  {
    name: 'five-call multicall, one function, deny, require and allow rules in turn',
    policy: desk(mixed),
    requests: trades,
    effect: 'allow',
  },
  {
    name: 'five-call multicall, one function, rules that differ in a prefix',
    policy: desk((i) => call('trade', { note: { prefix: `loan ${i}` } })),
    requests: trades,
    effect: 'allow',
  },
  {
    name: 'five-call multicall, one function, rules that differ in a length',
    policy: desk((i) => call('trade', { note: { len: { gte: 100 + i } } })),
    requests: trades,
    effect: 'allow',
  },
  {
    name: 'five-call multicall, one function, rules that differ in the items of a list',
    policy: desk((i) => call('payroll', { to: { every: { in: [addressOf(i), BOB] } } })),
    requests: batches(payroll, payroll, payroll, payroll, payroll),
    effect: 'allow',
  },
  {
    name: 'five-call multicall, one function, rules that differ in what they exclude',
    policy: desk((i) => call('trade', { 'order.to': { notIn: [addressOf(i), ALICE] } })),
    requests: trades,
    effect: 'allow',
  },
];

/** Microseconds; `cpu` is of all threads, so that the collector's are in it and what else the machine does is not. */
function measure(work: (i: number) => unknown): { readonly wall: number; readonly cpu: number } {
  const wall: number[] = [];
  const cpu: number[] = [];
  for (let sample = 0; sample < SAMPLES; sample++) {
    const used = process.cpuUsage();
    const start = process.hrtime.bigint();
    for (let i = 0; i < PER_SAMPLE; i++) work(i);
    wall.push(Number(process.hrtime.bigint() - start) / 1000 / PER_SAMPLE);
    const { user, system } = process.cpuUsage(used);
    cpu.push((user + system) / PER_SAMPLE);
  }
  return { wall: median(wall), cpu: median(cpu) };
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}

for (const { name, policy, requests, effect } of CASES) {
  const decide = (i: number): string | undefined => {
    const asked = requests[i % REQUESTS];
    return (
      asked && policy.evaluate({ ...asked, effects: decodeEffects(asked.intent, asked.key.address) }).effect
    );
  };
  for (const i of requests.keys()) assert.equal(decide(i), effect);
  const { wall, cpu } = measure(decide);
  console.log(`${wall.toFixed(2).padStart(7)} µs ${cpu.toFixed(2).padStart(7)} µs CPU  ${name}`);
}
