import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Decision, PolicyRequest } from '../../src/policy/decision.ts';
import { policyWith } from './fixtures.ts';
import { DEFINITIONS, REQUESTS, RULES } from './rule-pool.ts';

type Document = (typeof RULES)[number];

const RUNS = 600;
const some = fc.shuffledSubarray([...RULES], { maxLength: 24 });
const requests = fc.shuffledSubarray([...REQUESTS], { minLength: 12, maxLength: 12 });
const isAllow = ({ effect }: Document): boolean => effect === 'allow';

/** One use is left of the limit, or none: `often` then asks for an approval. */
const usage = fc.constantFrom(0n, 1n);

function decideAll(rules: readonly Document[], all: readonly PolicyRequest[], used: bigint): Decision[] {
  const policy = policyWith(DEFINITIONS, ...rules);
  return all.map((request) => policy.evaluate(request, () => used));
}

test('the order of the rules never matters', () => {
  const effects = { allow: 0, require: 0, deny: 0 };
  fc.assert(
    fc.property(some, requests, usage, (rules, all, used) => {
      const one = decideAll(rules, all, used);
      const other = decideAll(rules.toReversed(), all, used);
      for (const [i, decision] of one.entries()) {
        const { effect, approvals = [], limits, limit } = decision;
        expect({ effect, limits, limit }).toEqual({
          effect: other[i]?.effect,
          limits: other[i]?.limits,
          limit: other[i]?.limit,
        });
        expect(new Set(approvals)).toEqual(new Set(other[i]?.approvals));
        effects[effect]++;
      }
    }),
    { numRuns: RUNS },
  );
  expect(Math.min(...Object.values(effects))).toBeGreaterThan(RUNS / 10);
});

test('another deny or require rule never turns a decision into allow', () => {
  const stricter = fc.constantFrom(...RULES.filter((rule) => !isAllow(rule)));
  fc.assert(
    fc.property(some, stricter, requests, usage, (rules, more, all, used) => {
      const before = decideAll(rules, all, used);
      const after = decideAll([{ ...more, id: 'more' }, ...rules], all, used);
      for (const [i, { effect }] of after.entries()) {
        if (before[i]?.effect !== 'allow') expect(effect).not.toBe('allow');
      }
    }),
    { numRuns: RUNS },
  );
});

test('another deny rule never turns a denial into anything else', () => {
  const denying = fc.constantFrom(...RULES.filter(({ effect }) => effect === 'deny'));
  fc.assert(
    fc.property(some, denying, requests, usage, (rules, more, all, used) => {
      const before = decideAll(rules, all, used);
      const after = decideAll([{ ...more, id: 'more' }, ...rules], all, used);
      for (const [i, { effect }] of after.entries()) if (before[i]?.effect === 'deny') expect(effect).toBe('deny');
    }),
    { numRuns: RUNS },
  );
});

test('another allow rule never makes a decision stricter, nor allows what is denied by a rule', () => {
  const allowing = fc.constantFrom(...RULES.filter(isAllow));
  fc.assert(
    fc.property(some, allowing, requests, usage, (rules, more, all, used) => {
      const before = decideAll(rules, all, used);
      const after = decideAll([{ ...more, id: 'more' }, ...rules], all, used);
      for (const [i, { effect }] of after.entries()) {
        const was = before[i];
        if (was?.effect === 'allow') expect(effect).toBe('allow');
        if (was?.effect === 'require') expect(effect).not.toBe('deny');
        if (was?.effect === 'deny' && was.rule !== undefined) expect(effect).toBe('deny');
      }
    }),
    { numRuns: RUNS },
  );
});

test('a decision is made again in the same way', () => {
  fc.assert(
    fc.property(some, requests, (rules, all) => {
      const policy = policyWith(DEFINITIONS, ...rules);
      const first = all.map((request) => policy.judge(request));
      expect(all.toReversed().map((request) => policy.judge(request))).toEqual(first.toReversed());
    }),
    { numRuns: RUNS / 2 },
  );
});
