import assert from 'node:assert/strict';
import { Interface } from 'ethers';
import type { Hex } from '../src/bytes.ts';
import { decodeEffects } from '../src/effects/decode.ts';
import type { JsonValue } from '../src/jcs.ts';
import type { PolicyRequest } from '../src/policy/decision.ts';
import type { CompiledPolicy } from '../src/policy/policy.ts';
import {
  ALICE,
  allowTransfers,
  BOB,
  policyOf,
  policyWith,
  request,
  TRANSFER,
} from '../test/policy/fixtures.ts';

/**
 * Median time of one decision against 500 rules, from the parsed intent on: decoding its effects, rules and limits.
 * `node bench/policy.ts`. Asserts what is decided, not how fast.
 */
const RULES = 500;
const SAMPLES = 400;
const PER_SAMPLE = 250;

/** Only the last rule allows the transfer. */
function policy(chainOf: (i: number) => number, keyOf: (i: number) => string, rules = RULES): CompiledPolicy {
  return policyOf(
    ...Array.from({ length: rules }, (_, i) => ({
      id: `rule-${i}`,
      effect: 'allow',
      principals: { roles: ['signer'] },
      keys: { names: [keyOf(i)] },
      operations: ['transaction'],
      when: {
        all: [
          { chainId: { in: [chainOf(i)] } },
          { to: { in: [i === rules - 1 ? ALICE : addressOf(i)] } },
          { value: { lte: '1 ether' } },
          { maxTotalFee: { lte: '0.05 ether' } },
        ],
      },
    })),
  );
}

function addressOf(i: number): Hex {
  return `0x${(0x1000 + i).toString(16).padStart(40, '0')}`;
}

/** No recipient and the same key and chain: nothing to index by, so that every rule is tried. */
function alike(): CompiledPolicy {
  return policyOf(
    ...Array.from({ length: RULES }, (_, i) => ({
      ...allowTransfers({ value: { eq: String(RULES - i) } }),
      id: `rule-${i}`,
    })),
  );
}

const DESK = new Interface([
  'function multicall(bytes[] data)',
  'function transfer(address to, uint256 value)',
  'function trade((address to, uint256 amount) order, string note)',
]);
const encode = (name: string, ...args: readonly unknown[]): Hex => DESK.encodeFunctionData(name, args) as Hex;

/** Each rule for calls of its own contract; the last two are for the batch, token transfers and trades. */
function desks(contractOf: (i: number) => Hex): CompiledPolicy {
  const call = (i: number, fn: string, args?: JsonValue): JsonValue => ({
    ...allowTransfers({
      call: { to: { eq: contractOf(i) }, abi: 'desk', fn, ...(args === undefined ? {} : { args }) },
    }),
    id: `rule-${i}`,
  });
  return policyWith(
    {
      tokens: { coin: { chain: 31337, address: BOB, standard: 'erc20', decimals: 6 } },
      abis: {
        desk: ['multicall(bytes[] data)', 'trade((address to, uint256 amount) order, string note)'],
      },
      limits: {
        day: {
          meter: { token: 'coin', include: ['transfer'] },
          per: ['key'],
          max: '1000 coin',
          window: { rolling: '24h', bucket: '5m' },
          onExceed: 'deny',
        },
      },
    },
    ...Array.from({ length: RULES - 3 }, (_, i) => call(i, 'trade', { 'order.amount': { lte: String(i) } })),
    call(RULES - 2, 'multicall'),
    call(RULES - 1, 'trade', { 'order.to': { in: [ALICE] } }),
    {
      ...allowTransfers({ token: { token: 'coin', action: 'transfer', to: { in: [ALICE] } } }),
      id: 'coins',
    },
  );
}

const trade = encode('trade', [ALICE, 10n ** 9n], 'rent');
const pay = encode('transfer', ALICE, 1_000_000n);
const BATCH = { ...TRANSFER, to: BOB, value: 0n, data: encode('multicall', [pay, trade, pay, trade, pay]) };

function medianMicroseconds(work: () => unknown): number {
  const samples: number[] = [];
  for (let sample = 0; sample < SAMPLES; sample++) {
    const start = process.hrtime.bigint();
    for (let i = 0; i < PER_SAMPLE; i++) work();
    samples.push(Number(process.hrtime.bigint() - start) / 1000 / PER_SAMPLE);
  }
  return samples.toSorted((a, b) => a - b)[SAMPLES / 2] ?? Number.NaN;
}

const dev = (): number => 31337;
const treasury = (): string => 'treasury';
const transfer = request(TRANSFER);
const dear = request({ ...TRANSFER, value: 2n * 10n ** 18n });
const batch = request(BATCH);
const cases: readonly (readonly [string, CompiledPolicy, PolicyRequest, 'allow' | 'deny'])[] = [
  ['transfer, 1 rule', policy(dev, treasury, 1), transfer, 'allow'],
  [
    'transfer, 500 rules, 50 on this chain',
    policy((i) => (i % 10 === 9 ? 31337 : i + 1), treasury),
    transfer,
    'allow',
  ],
  [
    'transfer, 500 rules on this chain, each for its own key',
    policy(dev, (i) => (i === RULES - 1 ? 'treasury' : `key-${i}`)),
    transfer,
    'allow',
  ],
  ['transfer, 500 rules on this chain and key', policy(dev, treasury), transfer, 'allow'],
  ['transfer, 500 rules that differ in value only', alike(), transfer, 'allow'],
  ['transfer, default deny, 500 rules on this chain and key', policy(dev, treasury), dear, 'deny'],
  [
    'five-call multicall, 500 rules, each for its own contract',
    desks((i) => (i < RULES - 3 ? addressOf(i) : BOB)),
    batch,
    'allow',
  ],
  ['five-call multicall, 500 rules for this contract', desks(() => BOB), batch, 'allow'],
];

for (const [name, compiled, asked, effect] of cases) {
  const decide = (): string =>
    compiled.evaluate({ ...asked, effects: decodeEffects(asked.intent, asked.key.address) }).effect;
  assert.equal(decide(), effect);
  console.log(`${medianMicroseconds(decide).toFixed(2).padStart(7)} µs  ${name}`);
}
