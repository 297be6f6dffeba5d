import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Charge, Decision, Verdict } from '../../src/policy/decision.ts';
import { NOTHING_USED, settle } from '../../src/policy/settle.ts';

const IDENTITY = { policyRevision: 3, policyHash: 'ab' };
const ALLOW: Decision = { effect: 'allow', rule: 'pay', reason: 'rule "pay" allows it', ...IDENTITY };
const REQUIRE: Decision = {
  effect: 'require',
  rule: 'pay',
  approvals: ['big'],
  reason: 'rule "ask" requires it',
  ...IDENTITY,
};
const DENY: Decision = { effect: 'deny', rule: 'no', reason: 'rule "no" denies it', ...IDENTITY };

function charge(limit: string, amount: bigint, onExceed: Charge['onExceed'] = 'deny', max = 10n): Charge {
  return { limit, scope: 'hot', amount, max, window: { rolling: 60_000, bucket: 1_000 }, onExceed };
}

const used = (before: bigint) => (): bigint => before;

describe('a verdict without limits', () => {
  test.each([ALLOW, REQUIRE, DENY])('is the decision: $effect', (decision) => {
    expect(settle({ decision, charges: [] }, NOTHING_USED)).toEqual(decision);
  });

  test('that denies stays so, and asks for no usage', () => {
    const usage = (): bigint => {
      throw new Error('asked');
    };
    expect(settle({ decision: DENY, charges: [charge('a', 1n)] }, usage)).toEqual(DENY);
  });
});

describe('limits', () => {
  test('that are not exceeded are listed, up to the last unit', () => {
    expect(settle({ decision: ALLOW, charges: [charge('a', 4n)] }, used(6n))).toEqual({
      ...ALLOW,
      limits: [{ limit: 'a', scope: 'hot', amount: 4n, before: 6n, max: 10n }],
    });
  });

  test('that are exceeded deny, in the place of the rule', () => {
    const shadow = [{ rule: 's', effect: 'deny' }] as const;
    const verdict = { decision: { ...ALLOW, rules: ['pay', 'call'], shadow }, charges: [charge('a', 5n)] };
    expect(settle(verdict, used(6n))).toEqual({
      effect: 'deny',
      limit: 'a',
      shadow,
      ...IDENTITY,
      reason: 'limit "a" for hot is exceeded: 6 used and 5 asked for are more than 10',
      limits: [{ limit: 'a', scope: 'hot', amount: 5n, before: 6n, max: 10n }],
    });
  });

  test('ask for their approvals beside those of the rules, each once', () => {
    const charges = [
      charge('a', 5n, { approval: 'legal' }),
      charge('b', 1n, { approval: 'glass' }),
      charge('c', 5n, { approval: 'big' }),
    ];
    const decision = settle({ decision: REQUIRE, charges }, used(6n));
    expect(decision).toMatchObject({
      effect: 'require',
      rule: 'pay',
      limit: 'a',
      approvals: ['big', 'legal'],
    });
    expect(decision.reason).toBe(
      'rule "ask" requires it; limit "a" for hot is exceeded: 6 used and 5 asked for are more than 10, so it needs approval "legal"',
    );
    const allowed = settle({ decision: ALLOW, charges }, used(6n));
    expect(allowed).toMatchObject({ effect: 'require', limit: 'a', approvals: ['legal', 'big'] });
    expect(allowed).not.toHaveProperty('rule');
    expect(allowed.limits).toHaveLength(3);
  });

  test('that deny beat those that ask', () => {
    const charges = [charge('a', 5n, { approval: 'legal' }), charge('b', 5n)];
    const decision = settle({ decision: REQUIRE, charges }, used(6n));
    expect(decision).toMatchObject({ effect: 'deny', limit: 'b' });
    expect(decision).not.toHaveProperty('approvals');
  });

  test('are asked for each by itself', () => {
    const charges = [charge('a', 5n), charge('b', 5n)];
    const usage = ({ limit }: Charge): bigint => (limit === 'b' ? 6n : 0n);
    expect(settle({ decision: ALLOW, charges }, usage)).toMatchObject({ effect: 'deny', limit: 'b' });
  });

  test('do not wrap', () => {
    const most = 2n ** 256n - 1n;
    const verdict = { decision: ALLOW, charges: [charge('a', most, 'deny', most)] };
    expect(settle(verdict, used(0n)).effect).toBe('allow');
    expect(settle(verdict, used(1n)).effect).toBe('deny');
  });
});

describe('break-glass', () => {
  const breakGlass = { approval: 'glass' };

  test('overrides a limit that denies', () => {
    const decision = settle({ decision: ALLOW, charges: [charge('a', 5n)], breakGlass }, used(6n));
    const reason = 'limit "a" for hot is exceeded: 6 used and 5 asked for are more than 10';
    expect(decision).toMatchObject({ effect: 'require', approvals: ['glass'], limit: 'a' });
    expect(decision.overrides).toEqual({ reason });
    expect(decision.reason).toBe(`break-glass overrides a denial: ${reason}`);
    expect(decision).not.toHaveProperty('rule');
  });

  test('is not needed where no limit denies', () => {
    const within = settle({ decision: ALLOW, charges: [charge('a', 1n)], breakGlass }, used(6n));
    expect(within).toMatchObject({ effect: 'allow', rule: 'pay' });
    const asked = { decision: ALLOW, charges: [charge('a', 5n, { approval: 'legal' })], breakGlass };
    expect(settle(asked, used(6n))).toMatchObject({ effect: 'require', approvals: ['legal'] });
    expect(settle(asked, used(6n))).not.toHaveProperty('overrides');
  });

  test('keeps what it overrode already', () => {
    const overrides = { rule: 'no', reason: 'rule "no" denies it' };
    const decision: Decision = {
      effect: 'require',
      approvals: ['glass'],
      overrides,
      reason: 'break-glass overrides it',
      ...IDENTITY,
    };
    const settled = settle({ decision, charges: [charge('a', 5n)], breakGlass }, used(6n));
    expect(settled).toMatchObject({ effect: 'require', approvals: ['glass'], overrides, limit: 'a' });
  });
});

test('more usage never makes a decision milder, and no limit ever allows', () => {
  const SEVERITY = { allow: 0, require: 1, deny: 2 };
  const charges = fc.array(
    fc.record({
      limit: fc.constantFrom('a', 'b', 'c'),
      scope: fc.constant('hot'),
      amount: fc.bigInt(1n, 20n),
      max: fc.bigInt(0n, 20n),
      window: fc.constant({ rolling: 60_000, bucket: 1_000 }),
      onExceed: fc.constantFrom<Charge['onExceed']>('deny', { approval: 'big' }, { approval: 'legal' }),
    }),
    { maxLength: 4 },
  );
  const verdict: fc.Arbitrary<Verdict> = fc.record(
    {
      decision: fc.constantFrom(ALLOW, REQUIRE, DENY),
      charges,
      breakGlass: fc.constant({ approval: 'glass' }),
    },
    { requiredKeys: ['decision', 'charges'] },
  );
  fc.assert(
    fc.property(verdict, fc.bigInt(0n, 20n), fc.bigInt(0n, 20n), (one, before, more) => {
      const little = settle(one, used(before));
      const much = settle(one, used(before + more));
      expect(SEVERITY[much.effect]).toBeGreaterThanOrEqual(SEVERITY[little.effect]);
      expect(SEVERITY[little.effect]).toBeGreaterThanOrEqual(SEVERITY[one.decision.effect]);
      const isBare = much.effect === 'require' && (much.approvals ?? []).length === 0;
      const isGranted = one.breakGlass !== undefined && one.decision.effect !== 'deny';
      expect({ isBare, isRefused: isGranted && much.effect === 'deny' }).toEqual({
        isBare: false,
        isRefused: false,
      });
    }),
    { numRuns: 2000 },
  );
});
