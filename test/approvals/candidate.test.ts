import { describe, expect, it } from 'vitest';
import { changeApproval, examine, readDocument, type Base } from '../../src/approvals/candidate.ts';
import { loadPolicy, type CompiledPolicy } from '../../src/policy/policy.ts';
import { code, POLICY } from './desk.ts';

const HEAD = 'suite: pay\nnow: 2030-01-07T12:00:00Z\ntests:\n';
const BOB = `as: { roles: [signer] }, key: { name: treasury }`;
/** That messages take consent, and that strangers' chains are denied. */
const CONSENT = `  - { name: talk, ${BOB}, message: hi, expect: { effect: require, approval: two } }\n`;
const CHAIN = `  - { name: other chain, ${BOB}, transaction: { type: 2, chainId: 5, nonce: 0, to: "0x1111111111111111111111111111111111111111", value: "1", gasLimit: 21000, maxFeePerGas: "60", maxPriorityFeePerGas: "1" }, expect: { effect: deny } }\n`;

const policy = (revision: number, change = (text: string): string => text): CompiledPolicy =>
  loadPolicy(change(POLICY.replace('revision: 1', `revision: ${revision}`)), 'policy.yaml');
const suite = (name: string, ...tests: string[]): { name: string; text: string } => ({
  name,
  text: HEAD + tests.join(''),
});

const IN_FORCE = policy(7);
const BASE: Base = {
  policy: IN_FORCE,
  hash: IN_FORCE.hash,
  revision: 7,
  suites: [suite('pay.yaml', CONSENT, CHAIN)],
};
const NO_CONSENT = (text: string): string =>
  text.replace('effect: require', 'effect: require\n    mode: shadow');

describe('what may follow', () => {
  it('has a higher revision, by however little or much there is room for', () => {
    for (const revision of [1, 6, 7]) {
      expect(() => examine(policy(revision), [], BASE)).toThrow(/must be higher than 7/);
    }
    for (const revision of [8, 20_300_107, 1_900_000_000]) {
      expect(examine(policy(revision), [], BASE).policy.revision).toBe(revision);
    }
    // Nothing could follow the last number there is.
    for (const revision of [Number.MAX_SAFE_INTEGER, 2 ** 50]) {
      expect(() => examine(policy(revision), [], BASE)).toThrow(/revision: is so high/);
    }
  });

  it('says that it follows what is in force, or says nothing', () => {
    const following = (hash: string): CompiledPolicy =>
      policy(8, (text) => text.replace('rules:', `parent: "${hash}"\nrules:`));
    expect(examine(following(BASE.hash), [], BASE).tests).toBe(2);
    expect(() => examine(following('ab'.repeat(32)), [], BASE)).toThrow(/parent: is not the policy in force/);
    // An older document, signed at its time, does not come back.
    expect(() => examine(following(policy(6).hash), [], BASE)).toThrow(code('unprocessable'));
  });

  it('is the same as text and as JSON', () => {
    const text = POLICY.replace('revision: 1', 'revision: 8');
    expect(readDocument(text).hash).toBe(readDocument(policy(8).document).hash);
    expect(() => readDocument('rules: [')).toThrow(code('invalid_request'));
    expect(() => readDocument({ rules: [] })).toThrow(code('invalid_request'));
  });
});

describe('the tests of a policy', () => {
  it('stay with it: what broke a test that came with an earlier one is refused', () => {
    expect(examine(policy(8), [], BASE).suites).toEqual(BASE.suites);
    expect(() => examine(policy(8, NO_CONSENT), [], BASE)).toThrow(
      expect.objectContaining({
        code: 'unprocessable',
        errors: [{ path: 'pay.yaml: talk', message: expect.any(String) as string }],
      }) as Error,
    );
    // A suite of another name comes beside it, not in its place.
    const other = suite('other.yaml', CHAIN);
    expect(() => examine(policy(8, NO_CONSENT), [other], BASE)).toThrow(code('unprocessable'));
    expect(examine(policy(8), [other], BASE)).toMatchObject({
      tests: 3,
      suites: [{ name: 'pay.yaml' }, other],
    });
  });

  it('that were replaced are reported, with what they would say of this policy', () => {
    const changes = (text: typeof NO_CONSENT | undefined, ...tests: string[]): readonly string[] =>
      examine(policy(8, text), [suite('pay.yaml', ...tests)], BASE).changes;
    expect(changes(NO_CONSENT, CHAIN)).toContain(
      'test suite "pay.yaml": replaced; of its tests as they were, 1 of 2 would fail: "talk"',
    );
    expect(changes(undefined, CHAIN)).toContain(
      'test suite "pay.yaml": replaced; its tests as they were, 2, would pass',
    );
    expect(changes(undefined, CONSENT, CHAIN).join()).not.toContain('suite');
    // A test of the same name that asks for something else.
    const renamed = CHAIN.replace('other chain', 'talk');
    expect(changes(NO_CONSENT, renamed).join()).toContain('1 of 2 would fail: "talk"');
  });

  it('that cannot be run any more are reported, too', () => {
    const gone = {
      ...BASE,
      suites: [suite('pay.yaml', CONSENT.replace('message: hi', 'state: { year: { all: 1 } }, message: hi'))],
    };
    const { changes } = examine(policy(8), [suite('pay.yaml', CHAIN)], gone);
    expect(changes.join()).toMatch(/pay\.yaml": replaced; as it was it could not be run: .*year/);
  });

  it('have one suite of a name, few suites, and readable text', () => {
    const twice = [suite('a', CHAIN), suite('a', CONSENT)];
    expect(() => examine(policy(8), twice, BASE)).toThrow(/two suites have the same name/);
    const many = Array.from({ length: 64 }, (_, i) => suite(`${i}`, CHAIN));
    expect(() => examine(policy(8), many, BASE)).toThrow(/more than 64/);
    expect(() => examine(policy(8), [{ name: '\ud800', text: HEAD }], BASE)).toThrow(code('invalid_request'));
    expect(() => examine(policy(8), [{ name: 'a', text: 'suite: x' }], BASE)).toThrow(
      code('invalid_request'),
    );
    expect(() => examine(policy(8), [{ name: 'a', text: 'suite: x\ntests: []' }], BASE)).toThrow(/1 to/);
  });

  it('of a first policy are only its own', () => {
    const none: Base = { policy: undefined, hash: '', revision: 0, suites: [] };
    expect(examine(policy(1), [suite('a', CHAIN)], none)).toMatchObject({ tests: 1 });
    expect(() => examine(policy(1, NO_CONSENT), [suite('a', CONSENT)], none)).toThrow(code('unprocessable'));
  });
});

describe('the approval of a change', () => {
  it('is what the policy in force names, else one other policy-admin within a week', () => {
    const named = policy(8, (text) => `${text}change: { approval: two }\n`);
    expect(changeApproval(named)).toMatchObject({ name: 'two', all: [{ role: 'approver', m: 2 }] });
    for (const none of [undefined, IN_FORCE]) {
      expect(changeApproval(none)).toMatchObject({
        all: [{ role: 'policy-admin', m: 1 }],
        distinct: true,
        excludeRequester: true,
        rejects: 1,
      });
    }
  });
});
