import { describe, expect, test } from 'vitest';
import type { Transaction } from '../../src/intent/intent.ts';
import type { JsonValue } from '../../src/jcs.ts';
import type { PolicyRequest } from '../../src/policy/decision.ts';
import {
  ALICE,
  allowTransfers,
  authorization,
  BLOB,
  BOB,
  ETHER,
  OWNER,
  policyOf,
  request,
  SET_CODE,
  TRANSFER,
} from './fixtures.ts';

const DENY = { id: 'no', effect: 'deny', operations: ['transaction'] };

describe('a decision', () => {
  test('names rule, revision and hash', () => {
    const policy = policyOf(allowTransfers());
    expect(policy.evaluate(request(TRANSFER))).toEqual({
      effect: 'allow',
      rule: 'pay',
      policyRevision: 1,
      policyHash: policy.hash,
      reason: 'rule "pay" allows this transaction',
    });
  });

  test('is deny when any deny rule matches, wherever it stands', () => {
    for (const rules of [
      [allowTransfers(), DENY],
      [DENY, allowTransfers()],
    ]) {
      expect(policyOf(...rules).evaluate(request(TRANSFER))).toMatchObject({
        effect: 'deny',
        rule: 'no',
        reason: 'rule "no" denies this transaction',
      });
    }
  });

  test('names the first of several rules that match, whatever they are indexed by', () => {
    const rules = [
      { ...allowTransfers({ nonce: { eq: 99 } }), id: 'never' },
      { ...allowTransfers({ to: { in: [ALICE] } }), id: 'by-recipient' },
      { ...allowTransfers(), id: 'by-name', keys: { names: ['treasury'] } },
      { ...allowTransfers(), id: 'by-tag', keys: { tags: ['hot'] } },
      { ...allowTransfers(), id: 'any' },
    ];
    for (let i = 1; i < rules.length; i++) {
      const order = [rules[0]!, rules[i]!, ...rules.slice(1).filter((_, j) => j !== i - 1)];
      expect(policyOf(...order).evaluate(request(TRANSFER)).rule).toBe(rules[i]!.id);
    }
  });

  test('without any rule is deny, with a reason', () => {
    const decision = policyOf().evaluate(request(TRANSFER));
    expect(decision.reason).toBe(
      'no rule allows this principal to sign this transaction with key "treasury"',
    );
    expect(decision).not.toHaveProperty('rule');
    expect(decision).not.toHaveProperty('failed');
  });

  test('by default lists the rules that came close, each with its first failing predicate', () => {
    const policy = policyOf(
      { ...allowTransfers({ value: { lte: '1 ether' } }, { to: { in: [BOB] } }), id: 'small' },
      { ...allowTransfers({ to: { in: [BOB] } }), id: 'to-bob' },
      { ...allowTransfers(), id: 'other-key', keys: { names: ['payroll'] } },
      { ...allowTransfers(), id: 'other-role', principals: { roles: ['operator'] } },
      {
        id: 'other-operation',
        effect: 'allow',
        principals: { roles: ['signer'] },
        keys: { names: ['*'] },
        operations: ['message'],
      },
      { ...DENY, id: 'not-allow', when: { nonce: { eq: 8 } } },
    );
    const decision = policy.evaluate(request({ ...TRANSFER, value: 2n * ETHER }));
    expect(decision.failed).toEqual([
      { rule: 'small', predicate: 'value: 2000000000000000000 is not lte 1000000000000000000' },
      { rule: 'to-bob', predicate: `to: ${ALICE} is not in [${BOB}]` },
    ]);
    expect(decision.reason).toBe(
      'no rule allows this transaction; the closest, "small", fails at value: 2000000000000000000 is not lte 1000000000000000000',
    );
  });

  test('lists rules of other chains too, five at most, in document order', () => {
    const rules = Array.from({ length: 7 }, (_, i) => ({
      ...allowTransfers(),
      id: `r${i}`,
      when: { all: [{ chainId: { eq: i + 1 } }, { maxTotalFee: { lte: '1 ether' } }] },
    }));
    const { failed } = policyOf(...rules).evaluate(request(TRANSFER));
    expect(failed?.map(({ rule }) => rule)).toEqual(['r0', 'r1', 'r2', 'r3', 'r4']);
    expect(failed?.[0]?.predicate).toBe('chainId: 31337 is not eq 1');
  });

  test.each<[JsonValue, string]>([
    [{ nonce: { in: [1, 2, 3, 4, 5, 6, 8] } }, 'nonce: 7 is not in [1, 2, 3, 4, 5, … 2 more]'],
    [{ nonce: { notIn: [7] } }, 'nonce: 7 is in [7]'],
    [{ nonce: { gt: 3, lt: 5 } }, 'nonce: 7 is not lt 5'],
    [{ gasPrice: { lte: '1' } }, 'gasPrice: this request has none'],
    [{ to: { notIn: [ALICE] } }, `to: ${ALICE} is in [${ALICE}]`],
    [{ to: { create: true } }, 'to: the transaction creates no contract'],
    [{ not: { nonce: { gte: 7 } } }, 'not: nonce gte 7 holds'],
    [
      { not: { all: [{ nonce: { in: [7] } }, { to: { in: [ALICE] } }] } },
      'not: all of (nonce in [7], to) holds',
    ],
    [
      { any: [{ nonce: { eq: 1 } }, { value: { eq: '5' } }] },
      'any: nonce: 7 is not eq 1; value: 1 is not eq 5',
    ],
    [{ all: [{ nonce: { eq: 7 } }, { value: { eq: '5' } }] }, 'value: 1 is not eq 5'],
  ])('explains %j', (condition, predicate) => {
    const { failed } = policyOf(allowTransfers(condition)).evaluate(request(TRANSFER));
    expect(failed).toEqual([{ rule: 'pay', predicate }]);
  });

  test('explains lists', () => {
    const explain = (condition: JsonValue, transaction: Transaction): string | undefined =>
      policyOf(allowTransfers(condition)).evaluate(request(transaction)).failed?.[0]?.predicate;
    expect(explain({ blobs: { max: 0 } }, BLOB)).toBe('blobs: 1 is more than max 0');
    expect(explain({ authorizations: { max: 0 } }, SET_CODE)).toBe('authorizations: 1 is more than max 0');
    const two = { ...SET_CODE, authorizationList: [authorization(31337n, BOB), authorization(1n, ALICE)] };
    const every = { address: { in: [BOB, ALICE] }, chainId: { eq: 31337 } };
    expect(explain({ authorizations: { every } }, two)).toBe('authorizations[1].chainId: 1 is not eq 31337');
    expect(explain({ authorizations: { every: { ...every, address: { in: [BOB] } } } }, two)).toBe(
      `authorizations[1].address: ${ALICE} is not in [${BOB}]`,
    );
  });

  test('explains a purpose without letting the caller fill the log', () => {
    const rule = {
      ...allowTransfers(),
      operations: ['digest'],
      when: { digest: { purpose: { prefix: 'login:' } } },
    };
    const purpose = `"\n${'x'.repeat(10_000)}`;
    const { failed } = policyOf(rule).evaluate(
      request({ operation: 'digest', digest: `0x${'00'.repeat(32)}`, purpose }),
    );
    expect(failed?.[0]?.predicate).toMatch(/^digest\.purpose: "\\"\\nx{300,}… does not start with "login:"$/);
    expect(failed?.[0]?.predicate.length).toBeLessThan(500);
  });
});

describe('errors', () => {
  const broken = (part: object): PolicyRequest => ({ ...request(TRANSFER), ...part });
  const hostile = {
    principal: {
      id: 'p-1',
      name: 'payroll',
      get roles(): string[] {
        throw new Error('unreadable');
      },
    },
  };

  test('inside a deny rule deny', () => {
    const policy = policyOf(allowTransfers(), { ...DENY, principals: { roles: ['approver'] } });
    expect(policy.evaluate(request(TRANSFER)).effect).toBe('allow');
    expect(policy.evaluate(broken(hostile))).toMatchObject({
      effect: 'deny',
      rule: 'no',
      reason: 'deny rule "no" could not be evaluated, so it denies this transaction',
    });
  });

  test('inside an allow rule do not match, and do not hide another rule', () => {
    const byId = { ...allowTransfers(), id: 'by-id', principals: { ids: ['p-1'] } };
    expect(policyOf(allowTransfers()).evaluate(broken(hostile)).effect).toBe('deny');
    expect(
      policyOf({ ...allowTransfers(), principals: { roles: ['approver'] } }, byId).evaluate(broken(hostile)),
    ).toMatchObject({
      effect: 'allow',
      rule: 'by-id',
    });
  });

  test.each<[string, object]>([
    ['no intent', { intent: undefined }],
    ['an unknown operation', { intent: { operation: 'export' } }],
    ['a transaction without numbers', { intent: { operation: 'transaction', transaction: { type: 2 } } }],
    [
      'numbers of another kind',
      { intent: { operation: 'transaction', transaction: { ...TRANSFER, gasLimit: 21000 } } },
    ],
    ['no key', { key: undefined }],
    ['no principal', { principal: undefined }],
  ])('do not escape: %s', (_, part) => {
    expect(policyOf(allowTransfers()).evaluate(broken(part)).effect).toBe('deny');
  });

  test('leave no trace: the same request gets the same decision again', () => {
    const policy = policyOf(allowTransfers());
    const before = policy.evaluate(request(TRANSFER));
    policy.evaluate(broken(hostile));
    expect(policy.evaluate(request(TRANSFER))).toEqual(before);
    expect(before.effect).toBe('allow');
    expect(OWNER.principal.roles).toEqual(['signer']);
  });
});
