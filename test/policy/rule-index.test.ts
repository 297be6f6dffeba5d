import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { applies, compileRules } from '../../src/policy/compiled-rule.ts';
import { createRuleIndex } from '../../src/policy/rule-index.ts';
import { subjectOf } from '../../src/policy/subject.ts';
import { policyWith } from './fixtures.ts';
import { DEFINITIONS, REQUESTS, RULES } from './rule-pool.ts';

test('the index leaves out only rules that do not apply, errors included', () => {
  const rules = compileRules(policyWith(DEFINITIONS, ...RULES).model.rules);
  const index = createRuleIndex(rules);
  let applied = 0;
  let listed = 0;
  for (const request of REQUESTS) {
    const question = { request, subject: subjectOf(request) };
    for (const effect of request.effects.effects) {
      const found = new Set(index.of(question, effect).flat());
      const applying = rules.filter((rule) => applies(rule, question, effect));
      expect(applying.filter((rule) => !found.has(rule)).map(({ rule }) => rule.id)).toEqual([]);
      applied += applying.length;
      listed += found.size;
    }
  }
  // Otherwise nothing was compared, or nothing was left out.
  expect(applied).toBeGreaterThan(1000);
  expect(listed).toBeLessThan(rules.length * REQUESTS.length);
});

test('lists are in document order', () => {
  const some = fc.shuffledSubarray([...RULES], { minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(some, fc.constantFrom(...REQUESTS), (documents, request) => {
      const index = createRuleIndex(compileRules(policyWith(DEFINITIONS, ...documents).model.rules));
      const question = { request, subject: subjectOf(request) };
      for (const effect of request.effects.effects) {
        for (const rules of index.of(question, effect)) {
          const orders = rules.map(({ order }) => order);
          expect(orders).toEqual(orders.toSorted((a, b) => a - b));
        }
      }
    }),
    { numRuns: 100 },
  );
});
