import assert from 'node:assert/strict';
import type { CompiledPolicy } from '../src/policy/policy.ts';
import { allowTransfers, policyOf, request, TRANSFER } from '../test/policy/fixtures.ts';

/** Median time of one decision against 500 rules: `node bench/policy.ts`. Asserts what is decided, not how fast. */
const RULES = 500;
const SAMPLES = 400;
const PER_SAMPLE = 250;

/** Only the last rule allows the transfer. */
function policy(chainOf: (i: number) => number, keyOf: (i: number) => string, rules = RULES): CompiledPolicy {
  const recipient = (i: number): string =>
    `0x${(i === rules - 1 ? 0x22 : 0x1000 + i).toString(16).padStart(40, '0')}`;
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
          { to: { in: [recipient(i)] } },
          { value: { lte: '1 ether' } },
          { maxTotalFee: { lte: '0.05 ether' } },
        ],
      },
    })),
  );
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
const cases: readonly (readonly [string, CompiledPolicy, 'allow' | 'deny'])[] = [
  ['1 rule', policy(dev, treasury, 1), 'allow'],
  ['500 rules, 50 on this chain', policy((i) => (i % 10 === 9 ? 31337 : i + 1), treasury), 'allow'],
  [
    '500 rules on this chain, each for its own key',
    policy(dev, (i) => (i === RULES - 1 ? 'treasury' : `key-${i}`)),
    'allow',
  ],
  ['500 rules on this chain and key', policy(dev, treasury), 'allow'],
  ['500 rules that differ in value only', alike(), 'allow'],
  ['default deny, 500 rules on this chain and key', policy(dev, treasury), 'deny'],
];

for (const [name, compiled, effect] of cases) {
  const transfer = request(effect === 'allow' ? TRANSFER : { ...TRANSFER, value: 2n * 10n ** 18n });
  assert.equal(compiled.evaluate(transfer).effect, effect);
  console.log(
    `${medianMicroseconds(() => compiled.evaluate(transfer))
      .toFixed(2)
      .padStart(7)} µs  ${name}`,
  );
}
