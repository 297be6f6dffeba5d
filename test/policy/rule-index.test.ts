import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Hex } from '../../src/bytes.ts';
import { parseIntent } from '../../src/intent/schema.ts';
import type { JsonValue } from '../../src/jcs.ts';
import { applies, compileRules, selectsKey, type CompiledRule } from '../../src/policy/compiled-rule.ts';
import type { PolicyRequest } from '../../src/policy/decision.ts';
import { compilePolicy } from '../../src/policy/policy.ts';
import { createRuleIndex, type RuleIndex } from '../../src/policy/rule-index.ts';
import { subjectOf } from '../../src/policy/subject.ts';
import { KEY } from '../../src/policy/trait.ts';
import { calldata } from '../effects/intents.ts';
import { compilable, document } from './arbitraries.ts';
import { policyRequest } from './arbitrary-requests.ts';
import {
  ALICE,
  allowTransfers,
  BOB,
  CAROL,
  deny,
  policyWith,
  request,
  SIGNER,
  TRANSFER,
} from './fixtures.ts';
import { DEFINITIONS, REQUESTS, RULES } from './rule-pool.ts';

/** What is wrong with what the index gives: rules that apply and are missing, lists out of order. */
function faultsOf(rules: readonly CompiledRule[], index: RuleIndex, asked: PolicyRequest): string[] {
  const question = { request: asked, subject: subjectOf(asked) };
  return asked.effects.effects.flatMap((effect) => {
    const lists = index.of(question, effect);
    const found = new Set(lists.flat());
    const missing = rules.filter((rule) => !found.has(rule) && applies(rule, question, effect));
    const isUnordered = lists.some((list) =>
      list.some(({ order }, i) => i > 0 && order <= (list[i - 1]?.order ?? 0)),
    );
    return [...missing.map(({ rule }) => `misses ${rule.id}`), ...(isUnordered ? ['is out of order'] : [])];
  });
}

describe('an index of rules', () => {
  test('leaves out only rules that do not apply, errors included', () => {
    const rules = compileRules(policyWith(DEFINITIONS, ...RULES).model.rules);
    const index = createRuleIndex(rules);
    expect(REQUESTS.flatMap((asked) => faultsOf(rules, index, asked))).toEqual([]);
  });

  test('of any of them leaves out only rules that do not apply', () => {
    const some = fc.shuffledSubarray([...RULES], { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(some, fc.constantFrom(...REQUESTS), (documents, asked) => {
        const rules = compileRules(policyWith(DEFINITIONS, ...documents).model.rules);
        expect(faultsOf(rules, createRuleIndex(rules), asked)).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  test('of random rules leaves out only rules that do not apply', () => {
    let applied = 0;
    let listed = 0;
    let all = 0;
    const documents = fc.array(document, { minLength: 4, maxLength: 4 });
    const requests = fc.array(policyRequest, { minLength: 20, maxLength: 20 });
    fc.assert(
      fc.property(documents, requests, (several, asked) => {
        // Of all operations at once, and of several documents, so that there are many.
        const rules = compileRules(several.flatMap((one) => compilePolicy(compilable(one)).model.rules));
        const index = createRuleIndex(rules);
        for (const one of asked) {
          expect(faultsOf(rules, index, one)).toEqual([]);
          const question = { request: one, subject: subjectOf(one) };
          for (const effect of one.effects.effects) {
            applied += rules.filter((rule) => applies(rule, question, effect)).length;
            listed += new Set(index.of(question, effect).flat()).size;
            all += rules.length;
          }
        }
      }),
      { numRuns: 150 },
    );
    // Otherwise nothing was compared, or nothing was left out.
    expect(applied).toBeGreaterThan(1000);
    expect(listed).toBeLessThan(all / 2);
  });

  test('by some traits tells rules apart by these alone', () => {
    const rules = compileRules(policyWith(DEFINITIONS, ...RULES).model.rules);
    const byKey = createRuleIndex(rules, [KEY]);
    for (const asked of REQUESTS) {
      const question = { request: asked, subject: subjectOf(asked) };
      for (const effect of asked.effects.effects) {
        const left = rules.filter(({ rule }) => rule.keys === undefined || selectsKey(rule.keys, asked.key));
        expect(new Set(byKey.of(question, effect).flat())).toEqual(new Set(left));
      }
    }
  });
});

const FUNCTIONS = Array.from({ length: 500 }, (_, i) => `act${i}(address to, uint256 amount)`);
const NOTE = 'note(bytes data)';
const PAYROLL = 'payroll(address[] to, uint256 amount)';
const TRADE = 'trade(address to, uint256 amount, string note, bytes32 tag, bool final, int64 delta)';
const TAG: Hex = `0x12${'34'.repeat(31)}`;
const MORE = {
  abis: { desk: [TRADE, PAYROLL, NOTE, ...FUNCTIONS] },
  tokens: {
    usdc: { chain: 31337, address: BOB, standard: 'erc20', decimals: 6 },
    other: { chain: 31337, address: SIGNER, standard: 'erc20', decimals: 6 },
  },
} satisfies { [name: string]: JsonValue };

const call = (fn: string, args?: JsonValue): JsonValue => ({
  call: { to: { eq: BOB }, abi: 'desk', fn, ...(args === undefined ? {} : { args }) },
});
const ALL_BUT_TWO = Array.from({ length: 500 }, (_, i) => i).filter((i) => i % 250 !== 0);
const addressOf = (i: number): Hex => `0x${(0x1000 + i).toString(16).padStart(40, '0')}`;
const trade = calldata(TRADE, [ALICE, 1000n, 'rent', TAG, true, -5n]);
const greek = calldata(TRADE, [ALICE, 1n, 'ενοί', TAG, true, 0n]);
const payroll = (...to: readonly Hex[]): Hex => calldata(PAYROLL, [to, 1n]);
const asking = (data: Hex): PolicyRequest => request({ ...TRANSFER, to: BOB, value: 0n, data });

/** Which of 500 rules are left for the outermost effect of a request. */
function leftOf(conditionAt: (i: number) => JsonValue, asked: PolicyRequest): number[] {
  const documents = Array.from({ length: 500 }, (_, i) => ({
    ...allowTransfers(conditionAt(i)),
    id: `r${i}`,
  }));
  const index = createRuleIndex(compileRules(policyWith(MORE, ...documents).model.rules));
  const question = { request: asked, subject: subjectOf(asked) };
  const [outermost] = asked.effects.effects;
  return outermost === undefined
    ? []
    : index.of(question, outermost).flatMap((rules) => rules.map(({ order }) => order));
}

describe('of 500 rules for one contract', () => {
  test.each<[string, (i: number) => JsonValue, Hex, readonly number[]]>([
    ['functions', (i) => call(`act${i}`), calldata(FUNCTIONS[7]!, [ALICE, 1n]), [7]],
    ['an address', (i) => call('trade', { to: { in: [i === 7 ? ALICE : addressOf(i)] } }), trade, [7]],
    ['an exact amount', (i) => call('trade', { amount: { eq: String(993 + i) } }), trade, [7]],
    ['a largest amount', (i) => call('trade', { amount: { lte: String(i + 502) } }), trade, [498, 499]],
    [
      'an amount that must be larger',
      (i) => call('trade', { amount: { gt: String(999 + i) } }),
      trade,
      [0, 1],
    ],
    [
      'nothing that doubles can tell',
      (i) => call('trade', { amount: { lt: String(2n ** 255n + BigInt(i)) } }),
      calldata(TRADE, [ALICE, 2n ** 255n + 250n, 'rent', TAG, true, -5n]),
      Array.from({ length: 500 }, (_, i) => i),
    ],
    ['a negative number', (i) => call('trade', { delta: { gte: String(i - 6) } }), trade, [0, 1]],
    ['a beginning', (i) => call('trade', { note: { prefix: i === 7 ? 'ren' : `loan ${i}` } }), trade, [7]],
    [
      'first bytes',
      (i) => call('trade', { tag: { prefix: i === 7 ? '0x1234' : `0x${2000 + i}` } }),
      trade,
      [7],
    ],
    ['a length', (i) => call('trade', { note: { len: { gte: i } } }), trade, [0, 1, 2, 3, 4]],
    [
      'a length in bytes',
      (i) => call('note', { data: { len: { eq: i } } }),
      calldata(NOTE, ['0x010203']),
      [3],
    ],
    ['the length of a text in UTF-16 units', (i) => call('trade', { note: { len: { eq: i } } }), greek, [4]],
    ['a length of a list', (i) => call('payroll', { to: { len: { eq: i } } }), payroll(ALICE, BOB), [2]],
    [
      'what is excluded',
      (i) => call('trade', { note: { notIn: i === 7 ? ['x'] : ['rent', `${i}`] } }),
      trade,
      [7],
    ],
    [
      'a number that is excluded',
      (i) => call('trade', { delta: { notIn: ['-5', `${i - 520}`] } }),
      trade,
      [],
    ],
    ['a number that few exclude', (i) => ({ value: { notIn: [`${i % 250}`] } }), '0x', ALL_BUT_TWO],
    [
      'an address, where all list another',
      (i) => call('trade', { to: { in: [i === 7 ? ALICE : addressOf(i), CAROL] } }),
      trade,
      [7],
    ],
    [
      'an amount, where all list the address',
      (i) => call('trade', { to: { in: [addressOf(i), ALICE] }, amount: { gte: String(i + 502) } }),
      trade,
      Array.from({ length: 499 }, (_, i) => i),
    ],
    [
      'the first item',
      (i) => call('payroll', { to: { every: { in: [i === 7 ? ALICE : addressOf(i), BOB] } } }),
      payroll(ALICE, CAROL),
      [7],
    ],
    [
      'no item of an empty list',
      (i) => call('payroll', { to: { every: { in: [addressOf(i)] } } }),
      payroll(),
      Array.from({ length: 500 }, (_, i) => i),
    ],
    [
      'a token’s recipient',
      (i) => ({ token: { token: 'usdc', action: 'transfer', to: { in: [i === 7 ? ALICE : addressOf(i)] } } }),
      calldata('transfer(address,uint256)', [ALICE, 5n]),
      [7],
    ],
    [
      'the token that another contract spends',
      (i) => (i === 7 ? { token: { token: 'other', action: 'permit' } } : { to: { in: [addressOf(i)] } }),
      calldata('approve(address,address,uint160,uint48)', [SIGNER, ALICE, 5n, 1n]),
      [7],
    ],
    [
      'the contract that spends another token',
      (i) => ({ to: { in: [i === 7 ? BOB : addressOf(i)] } }),
      calldata('approve(address,address,uint160,uint48)', [SIGNER, ALICE, 5n, 1n]),
      [7],
    ],
    [
      'no argument of another function',
      (i) => call('trade', { amount: { lte: String(i + 502) } }),
      calldata(FUNCTIONS[7]!, [ALICE, 1n]),
      [],
    ],
    [
      'a token’s amount',
      (i) => ({ token: { token: 'usdc', action: 'transfer', amount: { lte: String(i) } } }),
      calldata('transfer(address,uint256)', [ALICE, 497n]),
      [497, 498, 499],
    ],
    ['the value', (i) => ({ value: { eq: String(i) } }), '0x', [0]],
    [
      'one branch of a disjunction and the other',
      (i) => ({ any: [call('trade', { amount: { eq: String(993 + i) } }), call(`act${i}`)] }),
      trade,
      Array.from({ length: 500 }, (_, i) => i),
    ],
    [
      'both branches of a disjunction',
      (i) => ({
        any: [
          call('trade', { amount: { eq: String(993 + i) } }),
          call('trade', { amount: { eq: String(10_000 + i) } }),
        ],
      }),
      trade,
      [7],
    ],
  ])('those are left that agree in %s', (_name, conditionAt, data, expected) => {
    const left = leftOf(conditionAt, asking(data));
    expect(left).toEqual(expected);
  });

  test.each<[string, (i: number) => JsonValue]>([
    ['an address', (i) => call('trade', { to: { in: [addressOf(i)] } })],
    ['a largest amount', (i) => call('trade', { amount: { lte: String(i) } })],
    ['a beginning', (i) => call('trade', { note: { prefix: `loan ${i}` } })],
    ['a length', (i) => call('trade', { note: { len: { gte: 100 + i } } })],
  ])('all are left that differ in %s, where the arguments cannot be decoded', (_name, conditionAt) => {
    expect(leftOf(conditionAt, asking(trade))).toEqual([]);
    expect(leftOf(conditionAt, asking(`${trade}00`))).toHaveLength(500);
  });

  test('all are left that differ in the chain, of typed data that names none', () => {
    const documents = Array.from({ length: 20 }, (_, i) => ({
      ...deny(['typed-data'], { chainId: { eq: i + 1 } }),
      id: `r${i}`,
    }));
    const rules = compileRules(policyWith({}, ...documents).model.rules);
    const asked = (domain: JsonValue): PolicyRequest =>
      request(
        parseIntent('typed-data', {
          types: { Note: [{ name: 'text', type: 'string' }] },
          primaryType: 'Note',
          domain,
          message: { text: 'a' },
        }),
      );
    const left = (one: PolicyRequest): number => {
      const [effect] = one.effects.effects;
      if (effect === undefined) return Number.NaN;
      return createRuleIndex(rules)
        .of({ request: one, subject: subjectOf(one) }, effect)
        .flat().length;
    };
    expect(left(asked({ name: 'x', chainId: 7 }))).toBe(1);
    expect(left(asked({ name: 'x' }))).toBe(20);
  });

  test('a deny rule whose arguments cannot be decoded denies, whatever it is about', () => {
    const documents = Array.from({ length: 20 }, (_, i) => ({
      id: `r${i}`,
      effect: 'deny',
      operations: ['transaction'],
      when: call('trade', { to: { in: [addressOf(i)] } }),
    }));
    const policy = policyWith(MORE, ...documents);
    expect(policy.evaluate(asking(trade)).rule).toBeUndefined();
    expect(policy.evaluate(asking(`${trade}00`))).toMatchObject({ effect: 'deny', rule: 'r0' });
  });
});
