import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import type { Transaction } from '../../src/intent/intent.ts';
import type { JsonValue } from '../../src/jcs.ts';
import { compilePolicy, loadPolicy } from '../../src/policy/policy.ts';
import { compilable, document, ROLES, TAGS } from './arbitraries.ts';
import { BOB } from './fixtures.ts';
import { NOW, policyRequest, transaction } from './arbitrary-requests.ts';
import { decodeEffects } from '../../src/effects/decode.ts';
import type { PolicyIntent } from '../../src/effects/effect.ts';
import { decideByReference, pathsOf, type Verdict } from './reference.ts';

const SEED = 20_261_124;
/** Each with ten requests; `npm run test:policy` asks for more. */
const DOCUMENTS = Number(process.env['POLICY_CASES'] ?? 20_000) / 10;
const REQUESTS_EACH = 10;

function show(value: unknown): string {
  return JSON.stringify(value, (_, one: unknown) => (typeof one === 'bigint' ? `${one}n` : one));
}

describe('random policies', () => {
  test('are decided as the reference interpreter decides them', () => {
    const seen = {
      allow: 0,
      deny: 0,
      default: 0,
      require: 0,
      charged: 0,
      shadowed: 0,
      limited: 0,
      brokenGlass: 0,
    };
    let cases = 0;
    const requests = fc.array(fc.tuple(policyRequest, fc.constantFrom(0n, 0n, 1n, 10n ** 18n)), {
      minLength: REQUESTS_EACH,
      maxLength: REQUESTS_EACH,
    });
    fc.assert(
      fc.property(document, requests, (whole, all) => {
        const json = compilable(whole);
        const policy = compilePolicy(json);
        for (const [one, used] of all) {
          const expected = decideByReference(json, one, () => used);
          const decision = policy.evaluate(one, () => used);
          const { charges } = policy.judge(one);
          const found: Verdict = {
            effect: decision.effect,
            rule: decision.rule,
            approvals: [...(decision.approvals ?? [])].toSorted((a, b) => (a < b ? -1 : 1)),
            shadow: (decision.shadow ?? []).map(({ rule }) => rule),
            charges: Object.fromEntries(
              charges.map(({ limit, scope, amount }) => [`${limit}/${scope}`, amount]),
            ),
          };
          // Of a denial by a limit, the reference knows the charges up to that limit only.
          const { charges: expectedCharges, ...rest } = expected;
          const about = show({ json, one, decision, expected });
          expect({ ...found, charges: undefined }, about).toEqual({ ...rest, charges: undefined });
          const known =
            expected.effect === 'deny' ? { ...found.charges, ...expectedCharges } : expectedCharges;
          expect(found.charges, about).toEqual(known);
          cases++;
          seen[decision.rule === undefined && decision.effect === 'deny' ? 'default' : decision.effect]++;
          if (charges.length > 0) seen.charged++;
          if (found.shadow.length > 0) seen.shadowed++;
          if (decision.limit !== undefined) seen.limited++;
          if (decision.overrides !== undefined) seen.brokenGlass++;
        }
      }),
      { numRuns: DOCUMENTS, seed: SEED },
    );
    expect(cases).toBe(DOCUMENTS * REQUESTS_EACH);
    expect(cases).toBeGreaterThanOrEqual(20_000);
    // Otherwise the comparison would be about requests that nothing decides.
    expect(Math.min(...Object.values(seen)), JSON.stringify(seen)).toBeGreaterThan(cases / 100);
  });

  test('never allow a chain they do not name, nor an unbounded fee', () => {
    fc.assert(
      fc.property(document, transaction, fc.boolean(), (whole, value, dear) => {
        const policy = compilePolicy(compilable(whole));
        const signer = { id: 'p-1', name: 'service', roles: ROLES };
        const key = { name: 'payroll', tags: TAGS, address: BOB, draining: false };
        const bent: Transaction = dear ? { ...value, gasLimit: 2n ** 200n } : { ...value, chainId: 424_242n };
        const intent: PolicyIntent = { operation: 'transaction', transaction: bent };
        const decision = policy.evaluate({
          principal: signer,
          key,
          intent,
          effects: decodeEffects(intent, BOB),
          source: { address: '10.20.1.1', mtls: true },
          now: NOW,
        });
        expect(decision.effect).toBe('deny');
      }),
      { numRuns: 3000, seed: SEED },
    );
  });

  test('that compile bind chain and fee on every path of every allow rule for transactions', () => {
    fc.assert(
      fc.property(document, (whole) => {
        const { rules } = compilable(whole) as {
          rules: { effect: string; operations: string[]; when: never }[];
        };
        for (const one of rules) {
          if (one.effect !== 'allow' || !one.operations.includes('transaction')) continue;
          for (const path of pathsOf(one.when)) {
            expect(path.some(({ chainId: cmp }) => cmp && ('eq' in cmp || 'in' in cmp))).toBe(true);
            expect(
              path.some(({ maxTotalFee: cmp }) => cmp && ('eq' in cmp || 'lt' in cmp || 'lte' in cmp)),
            ).toBe(true);
          }
        }
      }),
      { numRuns: 1000, seed: SEED },
    );
  });

  test('decide with the same effect whatever the order of their rules', () => {
    fc.assert(
      fc.property(document, policyRequest, (whole, one) => {
        const json = compilable(whole);
        const reversed = { ...json, rules: [...(json['rules'] as JsonValue[])].toReversed() };
        expect(compilePolicy(reversed).evaluate(one).effect).toBe(compilePolicy(json).evaluate(one).effect);
      }),
      { numRuns: 1000, seed: SEED },
    );
  });

  test('mean the same written as YAML and as JSON', () => {
    fc.assert(
      fc.property(document, (whole) => {
        const json = compilable(whole);
        const policy = loadPolicy(
          stringify(json, { version: '1.2', aliasDuplicateObjects: false }),
          'policy.yaml',
        );
        expect(policy.hash).toBe(compilePolicy(json).hash);
        expect(policy.document).toEqual(json);
      }),
      { numRuns: 300, seed: SEED },
    );
  });
});
