import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Caller } from '../../src/access/credentials.ts';
import { loadPolicy } from '../../src/policy/policy.ts';
import { code, HOUR, message, openDesk, POLICY, START, transaction, type Desk } from './desk.ts';

let desk: Desk;
let app: Caller;
let asked = 0;

beforeEach(async () => {
  desk = openDesk();
  app = await desk.principal('app', ['signer']);
});
afterEach(() => desk.end());

const ask = (by = app): Promise<string> => desk.ask(by, message(`message ${asked++}`));
const many = (count: number, by = app): Promise<PromiseSettledResult<string>[]> =>
  Promise.allSettled(Array.from({ length: count }, () => ask(by)));

describe('a request that is made', () => {
  it('holds what was asked and decided, and is an entry beside the decision', async () => {
    const id = await ask();
    const request = desk.request(id);
    expect(request).toMatchObject({
      status: 'pending',
      requester: { id: app.principal.id, name: 'app' },
      key: { id: 'id-treasury', name: 'treasury', version: 1 },
      policyHash: desk.policy.hash,
      policyRevision: 1,
      approvals: [{ name: 'two' }],
      createdAt: new Date(START).toISOString(),
      expiresAt: new Date(START + 4 * HOUR).toISOString(),
    });
    expect(desk.entries('sign', 'request.created')).toMatchObject([
      { kind: 'sign', outcome: 'pending', decision: { effect: 'require' } },
      { kind: 'request.created', detail: { request: id, intentHash: request.intentHash } },
    ]);
    expect(desk.signed()).toEqual([]);
  });

  it('lives as long as the shortest of its approvals', async () => {
    // The message’s rule and the hour’s limit, which lasts an hour.
    desk.end();
    desk = openDesk(
      POLICY.replace(
        'operations: [message]\n    approval',
        'operations: [message, transaction]\n    approval',
      ),
    );
    app = await desk.principal('app', ['signer']);
    const request = desk.request(await desk.ask(app, transaction(0)));
    expect(request.approvals.map(({ name }) => name)).toEqual(['two', 'one']);
    expect(request.expiresAt).toBe(new Date(START + HOUR).toISOString());
  });

  it('is not made under a policy that was replaced since it was decided', async () => {
    const asking = ask();
    desk.policy.use(loadPolicy(POLICY.replace('revision: 1', 'revision: 2'), 'policy.yaml'));
    await expect(asking).rejects.toThrow(code('unavailable'));
    expect(desk.storage.reads.openRequests()).toBe(0);
  });
});

describe('requests that wait', () => {
  it('are a hundred of one requester at most, also at the same time, and no bar to another', async () => {
    const all = await many(110);
    expect(all.filter(({ status }) => status === 'fulfilled')).toHaveLength(100);
    expect(all.flatMap((each) => (each.status === 'rejected' ? [each.reason as unknown] : []))).toEqual(
      Array.from({ length: 10 }, () => code('limit_exceeded')),
    );
    expect(desk.storage.reads.openRequests(app.principal.id)).toBe(100);
    await ask(await desk.principal('other', ['signer']));
  });

  it('make room when they are over, whoever has looked or not', async () => {
    await many(100);
    await expect(ask()).rejects.toThrow(code('limit_exceeded'));
    desk.now += 4 * HOUR;
    const id = await ask();
    expect(desk.storage.reads.openRequests()).toBe(1);
    const stored = desk.storage.reads.requests({ limit: 200 }).map(({ status }) => status);
    expect(stored.filter((status) => status === 'expired')).toHaveLength(100);
    await desk.approvals.cancel(desk.act, app, id);
    expect(desk.storage.reads.openRequests()).toBe(0);
  });
});
