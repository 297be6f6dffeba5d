import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  must,
  run,
  SILENT,
  transfer,
  type Answered,
  type Client,
  type Json,
  type Running,
} from './running.ts';

/** What a policy would do is asked without anything being done: none of it signs, charges, or stays. */
const policy = (revision: number, max: string): string => `
apiVersion: countersign/policy/v1
revision: ${revision}
limits:
  day: { meter: value, per: [key], window: { rolling: 24h, bucket: 5m }, max: "100", onExceed: deny }
rules:
  - id: pay
    effect: allow
    principals: { roles: [signer] }
    keys: { names: [demo] }
    operations: [transaction]
    when: { all: [{ chainId: { eq: 31337 } }, { maxTotalFee: { lte: "1 ether" } }, { value: { lte: "${max}" } }] }
`;
const suite = (effect: string): Json => ({
  name: 'pay.yaml',
  text: `suite: pay
now: 2030-01-07T12:00:00Z
tests:
  - { name: nine, as: { roles: [signer] }, key: { name: demo }, transaction: { type: 2, chainId: 31337, nonce: 0, to: "0x1111111111111111111111111111111111111111", value: "9", gasLimit: 21000, maxFeePerGas: "2", maxPriorityFeePerGas: "1" }, expect: { effect: ${effect} } }
`,
});

let service: Running;
let author: Client & { readonly id: string };
beforeAll(async () => {
  service = await run(SILENT, { policy: policy(1, '10') });
  author = await service.principal(['policy-admin']);
  must(await pay(0, '5'));
  await pay(1, '50');
});
afterAll(() => service.end());

const pay = (nonce: number, value: string): Promise<Answered> =>
  service.signer.post('/v1/keys/demo/sign/transaction', transfer(nonce, { value }));
const evaluate = (by: Client, value: string, more: object = {}): Promise<Answered> =>
  by.post('/v1/policy/evaluate', {
    key: 'demo',
    operation: 'transaction',
    ...transfer(7, { value }),
    ...more,
  });

/** The log, the limits and the policy are afterwards what they were. */
async function changingNothing(work: () => Promise<void>): Promise<void> {
  const state = async (): Promise<unknown> => {
    const { body } = must(await evaluate(service.signer, '1'));
    return [await service.size(), body.explanation.limits, must(await author.get('/v1/policy')).body.hash];
  };
  const before = await state();
  await work();
  expect(await state()).toEqual(before);
}

describe('asking what a policy would say', () => {
  test('answers as signing would, and leaves nothing behind', async () => {
    await changingNothing(async () => {
      expect(must(await evaluate(service.signer, '10')).body).toMatchObject({ effect: 'allow', rule: 'pay' });
      expect(must(await evaluate(service.signer, '11')).body).toMatchObject({ effect: 'deny' });
      for (let i = 0; i < 20; i++) must(await evaluate(service.signer, '10'));
    });
    const { limits } = must(await evaluate(service.signer, '10')).body.explanation;
    expect(limits).toMatchObject([{ limit: 'day', before: '5', amount: '10', headroom: '95' }]);
  });

  test('of a candidate is not asked of what is in force, nor puts it there', async () => {
    await changingNothing(async () => {
      const candidate = { document: policy(9, '1000') };
      expect(must(await evaluate(service.signer, '50', candidate)).body).toMatchObject({
        effect: 'allow',
        policyRevision: 9,
      });
      expect(must(await evaluate(service.signer, '50')).body).toMatchObject({
        effect: 'deny',
        policyRevision: 1,
      });
    });
    expect((await pay(2, '50')).body).toMatchObject({
      code: 'policy_denied',
      decision: { policyRevision: 1 },
    });
  });

  test('for another principal is for those who write or check policies', async () => {
    const other = await service.principal(['signer']);
    expect((await evaluate(service.signer, '1', { principal: other.id })).status).toBe(403);
    // Who may not sign is told so, whoever asks.
    expect(must(await evaluate(author, '1')).body.effect).toBe('deny');
    const auditor = await service.principal(['auditor']);
    for (const by of [author, auditor]) {
      expect(must(await evaluate(by, '1', { principal: other.id })).body.effect).toBe('allow');
    }
    expect((await evaluate(author, '1', { principal: crypto.randomUUID() })).status).toBe(404);
  });

  test('with fields that a signature could be forced with is 400', async () => {
    for (const more of [{ approved: {} }, { requester: {} }, { source: { mtls: true } }, { now: 0 }]) {
      expect((await evaluate(author, '1', more)).status, JSON.stringify(more)).toBe(400);
    }
  });
});

describe('testing, comparing and replaying a candidate', () => {
  test('runs suites against what is in force or a candidate', async () => {
    await changingNothing(async () => {
      const good = must(await author.post('/v1/policy/test', { suites: [suite('allow')] })).body;
      expect(good).toMatchObject({ passed: 1, failed: 0, suites: [{ suite: 'pay', file: 'pay.yaml' }] });
      const bad = must(
        await author.post('/v1/policy/test', { document: policy(2, '8'), suites: [suite('allow')] }),
      ).body;
      expect(bad).toMatchObject({
        passed: 0,
        failed: 1,
        suites: [{ tests: [{ name: 'nine', passed: false }] }],
      });
    });
    for (const body of [
      { suites: [] },
      { suites: [suite('allow'), suite('deny')] },
      { suites: [{ name: 'x', text: 'not a suite' }] },
      { document: 'no policy', suites: [suite('allow')] },
    ]) {
      expect((await author.post('/v1/policy/test', body)).body.code, JSON.stringify(body)).toBe(
        'invalid_request',
      );
    }
  });

  test('says in words what would change', async () => {
    await changingNothing(async () => {
      const { changes } = must(await author.post('/v1/policy/diff', { document: policy(2, '8') })).body;
      expect(changes.join('\n')).toContain('pay: value cap 10 → 8');
      expect(must(await author.post('/v1/policy/diff', { document: policy(1, '10') })).body.changes).toEqual(
        [],
      );
    });
  });

  test('names every decision in the log that would be another', async () => {
    const { body } = must(await author.post('/v1/policy/replay', { document: policy(2, '1000') }));
    const entries = await service.entries({ kind: 'sign' });
    const denied = entries.filter(({ outcome }) => outcome === 'denied').map(({ index }) => index);
    // The second of 50 would be one too many for the day: 5 and 50 went before it.
    expect(denied).toHaveLength(2);
    expect(body.changed.map(({ index }: Json) => index)).toEqual(denied.slice(0, 1));
    expect(body.changed[0]).toMatchObject({
      key: 'demo',
      before: { effect: 'deny' },
      after: { effect: 'allow' },
    });
    const same = must(await author.post('/v1/policy/replay', { document: policy(2, '10') })).body;
    expect(same.changed).toEqual([]);
    expect(same.evaluated).toBe(entries.length);
    const none = { document: policy(2, '8'), from: '2999-01-01T00:00:00Z' };
    expect(must(await author.post('/v1/policy/replay', none)).body).toMatchObject({
      evaluated: 0,
      nextCursor: null,
    });
  });
});
