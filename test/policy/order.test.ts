import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Decision, PolicyRequest } from '../../src/policy/decision.ts';
import { policyWith } from './fixtures.ts';
import { DEFINITIONS, REQUESTS, RULES } from './rule-pool.ts';

type Document = (typeof RULES)[number];
type Change = readonly [before: Decision, after: Decision];

const RUNS = 600;
const some = fc.shuffledSubarray([...RULES], { maxLength: 24 });
const requests = fc.shuffledSubarray([...REQUESTS], { minLength: 12, maxLength: 12 });

/** One use is left of the limit, or none: `often` then asks for an approval. */
const usage = fc.constantFrom(0n, 1n);

function decideAll(rules: readonly Document[], all: readonly PolicyRequest[], used: bigint): Decision[] {
  const policy = policyWith(DEFINITIONS, ...rules);
  return all.map((request) => policy.evaluate(request, () => used));
}

/** What decisions were, and what they are with one more rule that has one of these effects. */
function changesBy(effects: readonly unknown[]): Change[] {
  const changes: Change[] = [];
  const added = fc.constantFrom(...RULES.filter(({ effect }) => effects.includes(effect)));
  fc.assert(
    fc.property(some, added, requests, usage, (rules, more, all, used) => {
      const after = decideAll([{ ...more, id: 'more' }, ...rules], all, used);
      for (const [i, before] of decideAll(rules, all, used).entries()) changes.push([before, after[i]!]);
    }),
    { numRuns: RUNS },
  );
  // Otherwise the added rules would have no say.
  expect(changes.filter(([before, after]) => before.effect !== after.effect).length).toBeGreaterThan(20);
  return changes;
}

test('the order of the rules never matters', () => {
  const effects = { allow: 0, require: 0, deny: 0 };
  fc.assert(
    fc.property(some, requests, usage, (rules, all, used) => {
      const other = decideAll(rules.toReversed(), all, used);
      for (const [i, { effect, limits, limit, approvals }] of decideAll(rules, all, used).entries()) {
        const reversed = other[i]!;
        expect({ effect, limits, limit, approvals: approvals?.toSorted() }).toEqual({
          effect: reversed.effect,
          limits: reversed.limits,
          limit: reversed.limit,
          approvals: reversed.approvals?.toSorted(),
        });
        effects[effect]++;
      }
    }),
    { numRuns: RUNS },
  );
  expect(Math.min(...Object.values(effects))).toBeGreaterThan(RUNS / 10);
});

test('another deny or require rule never turns a decision into allow', () => {
  const changes = changesBy(['deny', 'require']);
  expect(changes.filter(([before, after]) => before.effect !== 'allow' && after.effect === 'allow')).toEqual(
    [],
  );
});

test('another deny rule never turns a denial into anything else', () => {
  const changes = changesBy(['deny']);
  expect(changes.filter(([before, after]) => before.effect === 'deny' && after.effect !== 'deny')).toEqual(
    [],
  );
});

test('another allow rule never makes a decision stricter, nor allows what a rule denies', () => {
  const changes = changesBy(['allow']);
  const stricter = { allow: ['require', 'deny'], require: ['deny'], deny: [] as string[] };
  expect(changes.filter(([before, after]) => stricter[before.effect].includes(after.effect))).toEqual([]);
  const denied = changes.filter(([before]) => before.effect === 'deny' && before.rule !== undefined);
  expect(denied.length).toBeGreaterThan(20);
  expect(denied.filter(([, after]) => after.effect !== 'deny')).toEqual([]);
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
