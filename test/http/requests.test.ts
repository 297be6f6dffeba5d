import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { must, run, SILENT, type Answered, type Client, type Json, type Running } from './running.ts';

/** Messages take two approvers; `glass` transactions are denied, and break-glass takes both of two roles. */
const POLICY = `
apiVersion: countersign/policy/v1
revision: 1
approvals:
  two: { all: [{ role: approver, m: 2 }] }
  emergency: { all: [{ role: approver, m: 1 }, { role: operator, m: 1 }] }
rules:
  - id: talk
    effect: allow
    principals: { roles: [signer] }
    keys: { names: ["*"] }
    operations: [message]
  - id: consent
    effect: require
    operations: [message]
    approval: two
  - id: never
    effect: deny
    hard: true
    operations: [transaction]
    when: { to: { in: ["0x2222222222222222222222222222222222222222"] } }
breakGlass: { approval: emergency, principals: { roles: [signer] }, keys: { names: ["*"] }, operations: [transaction] }
`;

let service: Running;
let ann: Client & { readonly id: string };
let bob: Client & { readonly id: string };
let key: string;
let keys = 0;

beforeAll(async () => {
  service = await run(SILENT, { policy: POLICY });
  ann = await service.principal(['approver']);
  bob = await service.principal(['approver']);
});
afterAll(() => service.end());
beforeEach(async () => {
  key = `key-${keys++}`;
  must(await service.admin.post('/v1/keys', { name: key }));
});

async function ask(by: Client = service.signer, headers = {}): Promise<string> {
  const answer = await by.post(`/v1/keys/${key}/sign/message`, { message: 'pay' }, headers);
  expect(answer.status, answer.text).toBe(202);
  return answer.body.request.id;
}

const vote = (by: Client, id: string, verb = 'approve', headers = {}): Promise<Answered> =>
  by.post(`/v1/requests/${id}/${verb}`, {}, headers);
const show = async (id: string, by: Client = service.signer): Promise<Json> =>
  must(await by.get(`/v1/requests/${id}`)).body;
const setKey = async (to: 'disable' | 'enable'): Promise<void> => {
  must(await service.admin.post(`/v1/keys/${key}/versions/1/${to}`, { reason: 'test' }));
};

async function signed(): Promise<string> {
  const id = await ask();
  must(await vote(ann, id));
  must(await vote(bob, id));
  expect((await show(id)).result.signature).toMatch(/^0x/);
  return id;
}

describe('a signature that was approved', () => {
  test('does not go out behind the answer that its key is disabled', async () => {
    const id = await signed();
    await setKey('disable');
    expect(await show(id)).toMatchObject({
      status: 'signed',
      note: expect.stringMatching(/held back: .* is disabled/),
    });
    expect((await show(id)).result).toBeUndefined();
    const { items } = must(await service.signer.get('/v1/requests?status=signed')).body;
    const listed = items.find((item: Json) => item.id === id);
    expect(listed.result).toBeUndefined();
    await setKey('enable');
    expect((await show(id)).result.signature).toMatch(/^0x/);
  });

  test('does not go out while the service is sealed', async () => {
    const id = await signed();
    must(await service.admin.post('/v1/sys/seal', {}));
    expect((await show(id)).result).toBeUndefined();
    expect((await show(id)).note).toMatch(/held back: the service is sealed/);
    must(await service.admin.post('/v1/sys/unseal', {}));
    expect((await show(id)).result.signature).toMatch(/^0x/);
  });

  test('does not go out as the repeat of its execution, either', async () => {
    const id = await ask();
    must(await vote(ann, id));
    must(await service.admin.post('/v1/sys/seal', {}));
    must(await vote(bob, id));
    must(await service.admin.post('/v1/sys/unseal', {}));
    const once = { 'idempotency-key': `run-${id}` };
    const first = must(await vote(service.signer, id, 'execute', once));
    expect(first.body).toMatchObject({ status: 'signed', result: { operation: 'message' } });
    expect((await vote(service.signer, id, 'execute', once)).body).toEqual(first.body);
    await setKey('disable');
    const repeat = await vote(service.signer, id, 'execute', once);
    expect([repeat.status, repeat.body.code]).toEqual([409, 'key_state']);
    expect(repeat.text).not.toContain(first.body.result.signature);
  });

  test('is nobody’s but the requester’s', async () => {
    const id = await signed();
    const other = await service.principal(['signer']);
    const admin = await service.principal(['admin']);
    expect((await other.get(`/v1/requests/${id}`)).status).toBe(404);
    for (const by of [ann, bob, admin, service.admin]) expect((await show(id, by)).result).toBeUndefined();
    for (const verb of ['execute', 'cancel']) expect((await vote(other, id, verb)).status).toBe(404);
  });
});
