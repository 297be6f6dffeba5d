import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { must, run, SILENT, statuses, transfer, type Answered, type Running } from './running.ts';

/** 100 wei a key and day; 10 signatures an hour for the key `counted`. */
const POLICY = `
apiVersion: countersign/policy/v1
revision: 1
approvals:
  two: { all: [{ role: approver, m: 2 }] }
limits:
  day: { meter: value, per: [key], window: { rolling: 24h, bucket: 5m }, max: "100", onExceed: deny }
rules:
  - id: transfers
    effect: allow
    principals: { roles: [signer] }
    keys: { names: ["*"] }
    operations: [transaction]
    when:
      all:
        - chainId: { eq: 31337 }
        - maxTotalFee: { lte: "1 ether" }
`;

let service: Running;
beforeAll(async () => {
  service = await run(SILENT, { policy: POLICY });
});
afterAll(() => service.end());

async function newKey(name: string): Promise<(nonce: number, change?: object) => Promise<Answered>> {
  must(await service.admin.post('/v1/keys', { name }));
  return (nonce, change = {}) =>
    service.signer.post(`/v1/keys/${name}/sign/transaction`, transfer(nonce, change));
}

async function charged(key: string): Promise<bigint> {
  const { body } = must(
    await service.signer.post('/v1/policy/evaluate', { key, operation: 'transaction', ...transfer(9_999) }),
  );
  return BigInt(body.explanation.limits[0].before);
}

describe('limits', () => {
  test('two requests of 60 at once against 100: exactly one signature', async () => {
    const sign = await newKey('sixty');
    const answers = await Promise.all([sign(0, { value: '60' }), sign(1, { value: '60' })]);
    expect(statuses(answers)).toEqual([200, 403]);
    const denied = answers.find(({ status }) => status === 403)?.body;
    expect(denied).toMatchObject({ code: 'policy_denied', decision: { effect: 'deny', limit: 'day' } });
    expect(await charged('sixty')).toBe(60n);
  });

  test('200 requests of 1 at once against 100: exactly 100 signatures', async () => {
    const sign = await newKey('ones');
    const answers = await Promise.all(Array.from({ length: 200 }, (_, nonce) => sign(nonce)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(100);
    expect(answers.filter(({ status }) => status === 403)).toHaveLength(100);
    expect(await charged('ones')).toBe(100n);
    const entries = await service.entries({ kind: 'sign' });
    const signed = entries.filter(({ key, outcome }) => key.name === 'ones' && outcome === 'done');
    expect(signed).toHaveLength(100);
  });

  test('each item of a batch is charged on its own, and no more fit than by themselves', async () => {
    await newKey('batch');
    const items = Array.from({ length: 15 }, (_, nonce) => ({
      key: 'batch',
      operation: 'transaction',
      ...transfer(nonce, { value: '10' }),
    }));
    const { body } = must(await service.signer.post('/v1/sign/batch', { items }));
    expect(body.items.filter(({ status }: { status: number }) => status === 200)).toHaveLength(10);
    expect(await charged('batch')).toBe(100n);
  });

  test('a repeat by its idempotency key is charged once', async () => {
    await newKey('repeated');
    const path = '/v1/keys/repeated/sign/transaction';
    const body = transfer(0, { value: '70' });
    const once = { 'idempotency-key': 'pay-1' };
    const answers = await Promise.all(Array.from({ length: 5 }, () => service.signer.post(path, body, once)));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    for (const { body: answer } of answers) expect(answer).toEqual(answers[0]?.body);
    expect(await charged('repeated')).toBe(70n);
  });

  test('a replacement of the same nonce charges the larger of the two', async () => {
    const sign = await newKey('replaced');
    must(await sign(0, { value: '80' }));
    must(await sign(0, { value: '80', maxFeePerGas: '4000000000', maxPriorityFeePerGas: '2000000000' }));
    expect(await charged('replaced')).toBe(80n);
    // The first one may still be mined: the cancel takes nothing back.
    const { address } = must(await service.admin.get('/v1/keys/replaced')).body.versions[0];
    must(await sign(0, { to: address, value: '0' }));
    expect(await charged('replaced')).toBe(80n);
    expect((await sign(1, { value: '21' })).status).toBe(403);
    must(await sign(1, { value: '20' }));
  });

  test('what a request that is refused later had reserved is given back', async () => {
    const sign = await newKey('given');
    must(await sign(0, { value: '50' }));
    const conflict = await sign(0, { value: '50', to: `0x${'22'.repeat(20)}` });
    expect(conflict.body.code).toBe('nonce_conflict');
    expect(await charged('given')).toBe(50n);
    must(await sign(1, { value: '50' }));
  });

  test('what was charged is in the log, and is still charged after a restart', async () => {
    const sign = await newKey('kept');
    must(await sign(0, { value: '60' }));
    const entries = await service.entries({ kind: 'sign' });
    expect(entries.at(-1).decision.limits).toEqual([
      { limit: 'day', scope: 'kept', amount: '60', before: '0', after: '60', max: '100' },
    ]);
    await service.restart();
    expect(await charged('kept')).toBe(60n);
    expect((await sign(1, { value: '60' })).status).toBe(403);
  });
});
