import { connect } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
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

const stateOf = (answer: Answered): readonly [number, string] => [
  answer.status,
  answer.status === 200 ? answer.body.status : answer.body.code,
];
const signatures = async (id: string): Promise<number> =>
  (await service.entries({ kind: 'sign' })).filter(
    ({ detail, signature }) => signature && detail?.request === id,
  ).length;
/** Another token of the same principal. */
const another = async ({ id }: { readonly id: string }): Promise<Client> =>
  service.client(must(await service.admin.post(`/v1/principals/${id}/credentials`, {})).body.token);

describe('one human', () => {
  test('counts once, by whichever credential, also at the same time', async () => {
    const id = await ask();
    const second = await another(ann);
    const tries = await Promise.all([
      vote(ann, id),
      vote(second, id),
      vote(ann, id),
      vote(second, id, 'reject'),
    ]);
    expect(tries.filter(({ status }) => status === 200)).toHaveLength(1);
    expect((await show(id)).votes).toHaveLength(1);
    expect(await signatures(id)).toBe(0);
  });

  test('approves nothing that it asked for, by whichever credential, nor after its roles have changed', async () => {
    const both = await service.principal(['signer', 'approver']);
    const id = await ask(both);
    expect(stateOf(await vote(both, id))).toEqual([403, 'forbidden']);
    expect(stateOf(await vote(await another(both), id))).toEqual([403, 'forbidden']);
    must(await service.admin.patch(`/v1/principals/${both.id}`, { roles: ['approver'] }));
    expect(stateOf(await vote(both, id))).toEqual([403, 'forbidden']);
    must(await vote(ann, id));
    // It asked as a signer, and is none any more.
    expect(stateOf(await vote(bob, id))).toEqual([200, 'failed']);
    expect(await signatures(id)).toBe(0);
  });

  test('cannot come back under the name of another', async () => {
    const first = await service.principal(['approver']);
    const { name } = must(await first.get('/v1/me')).body;
    const id = await ask();
    must(await vote(first, id));
    must(await service.admin.patch(`/v1/principals/${first.id}`, { state: 'disabled' }));
    expect((await service.admin.post('/v1/principals', { name, roles: ['approver'] })).body.code).toBe(
      'conflict',
    );
    expect((await service.admin.patch(`/v1/principals/${first.id}`, { name: 'x' })).status).toBe(400);
    // The vote of whoever is disabled does not count.
    expect(stateOf(await vote(bob, id))).toEqual([200, 'pending']);
    expect(await signatures(id)).toBe(0);
  });

  test('does not vote with a credential that was revoked while its vote was on the way', async () => {
    const eve = await service.principal(['approver']);
    const credential = eve.token!.split('_')[1];
    const id = await ask();
    const { hostname, port } = new URL(service.url);
    const socket = connect(Number(port), hostname);
    const answered = new Promise<string>((resolve) => {
      let text = '';
      socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
      socket.on('close', () => resolve(text));
    });
    socket.write(
      `POST /v1/requests/${id}/approve HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer ${eve.token}\r\n` +
        'Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{',
    );
    must(await eve.get('/v1/me'));
    must(await service.admin.post(`/v1/principals/${eve.id}/credentials/${credential}/revoke`, {}));
    socket.write('}');
    expect(await answered).toMatch(/^HTTP\/1\.1 401 /);
    expect((await show(id)).votes).toEqual([]);
  });
});

describe('an idempotency key', () => {
  test('makes one request of many that ask, and one vote of many', async () => {
    const once = { 'idempotency-key': `ask-${key}` };
    const ids = await Promise.all(Array.from({ length: 5 }, () => ask(service.signer, once)));
    expect(new Set(ids).size).toBe(1);
    const [id = ''] = ids;
    const votes = await Promise.all(
      Array.from({ length: 5 }, () => vote(ann, id, 'approve', { 'idempotency-key': id })),
    );
    expect(votes.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    expect((await show(id)).votes).toHaveLength(1);
    // With the same key, another request or another body is none of its repeats.
    const other = await ask();
    expect(stateOf(await vote(ann, other, 'approve', { 'idempotency-key': id }))).toEqual([409, 'conflict']);
    expect((await show(other)).votes).toEqual([]);
  });

  test('of one principal says nothing to another', async () => {
    const id = await ask();
    must(await vote(ann, id, 'approve', { 'idempotency-key': 'mine' }));
    const answer = await vote(bob, id, 'approve', { 'idempotency-key': 'mine' });
    expect(answer.headers.get('idempotent-replayed')).toBeNull();
    expect(stateOf(answer)).toEqual([200, 'signed']);
  });

  test('signs once, however often and however the execution is asked for', async () => {
    const id = await ask();
    must(await vote(ann, id));
    must(await service.admin.post('/v1/sys/seal', {}));
    must(await vote(bob, id));
    must(await service.admin.post('/v1/sys/unseal', {}));
    const headers = [
      {},
      {},
      { 'idempotency-key': `x-${id}` },
      { 'idempotency-key': `x-${id}` },
      { 'idempotency-key': `y-${id}` },
    ];
    const answers = await Promise.all([
      ...headers.map((each) => vote(service.signer, id, 'execute', each)),
      vote(service.signer, id, 'cancel'),
    ]);
    const { status } = await show(id);
    expect(['signed', 'cancelled']).toContain(status);
    expect(await signatures(id)).toBe(status === 'signed' ? 1 : 0);
    const given = answers.flatMap(({ body }) => body.result?.signature ?? []);
    expect(new Set(given).size).toBeLessThanOrEqual(1);
  });
});

describe('break-glass', () => {
  const pay = (over: object, to = '0x1111111111111111111111111111111111111111'): Promise<Answered> =>
    service.signer.post(`/v1/keys/${key}/sign/transaction`, { ...transfer(0, { to }), ...over });

  test('takes a reason, the consent of two people of two roles, and is in the log as what it is', async () => {
    expect(stateOf(await pay({}))).toEqual([403, 'policy_denied']);
    expect((await pay({ breakGlass: '' })).status).toBe(400);
    const asked = await pay({ breakGlass: 'the payout is late' });
    expect(asked.status).toBe(202);
    const { id } = asked.body.request;
    expect(await show(id, ann)).toMatchObject({
      breakGlass: 'the payout is late',
      reason: expect.stringContaining('overrides'),
    });

    const both = await service.principal(['approver', 'operator']);
    expect(stateOf(await vote(both, id))).toEqual([200, 'pending']);
    expect(stateOf(await vote(await another(both), id))).toEqual([409, 'conflict']);
    const operator = await service.principal(['operator']);
    expect(stateOf(await vote(operator, id))).toEqual([200, 'signed']);
    const glass = (await service.entries({ kind: 'break_glass' })).find(
      ({ detail }) => detail.request === id,
    );
    expect(glass).toMatchObject({ outcome: 'pending', detail: { breakGlass: 'the payout is late' } });
    const made = (await service.entries({ kind: 'sign' })).find(
      ({ detail, signature }) => signature && detail?.request === id,
    );
    expect(made).toMatchObject({
      decision: { overrides: { reason: expect.any(String) } },
      detail: { breakGlass: 'the payout is late' },
    });
  });

  test('overrides no hard denial, and opens neither digests nor another principal’s way', async () => {
    expect(stateOf(await pay({ breakGlass: 'please' }, `0x${'22'.repeat(20)}`))).toEqual([
      403,
      'policy_denied',
    ]);
    const digest = { digest: `0x${'5a'.repeat(32)}`, purpose: 'test', breakGlass: 'please' };
    const answer = await service.signer.post(`/v1/keys/${key}/sign/digest`, digest);
    expect(stateOf(answer)).toEqual([403, 'policy_denied']);
    expect(
      (await ann.post(`/v1/keys/${key}/sign/transaction`, { ...transfer(0), breakGlass: 'x' })).status,
    ).toBe(403);
  });

  test('does not lighten what has to be consented to anyway', async () => {
    const body = { message: 'pay', breakGlass: 'please' };
    const { body: answer } = await service.signer.post(`/v1/keys/${key}/sign/message`, body);
    expect(answer.request.approval.names).toContain('two');
  });
});

test('what people see is what is signed: the digest and intent that were shown are those of the entry', async () => {
  const id = await ask();
  const shown = await show(id, ann);
  must(await vote(ann, id));
  must(await vote(bob, id));
  const made = (await service.entries({ kind: 'sign' })).find(
    ({ detail, signature }) => signature && detail?.request === id,
  );
  expect(made).toMatchObject({
    digest: shown.digest,
    intent: shown.intent,
    key: { name: key, address: shown.key.address },
  });
  const votes = (await service.entries({ kind: 'request.approved' })).filter(
    ({ detail }) => detail.request === id,
  );
  expect(votes.map(({ detail }) => detail.intentHash)).toEqual([shown.intentHash, shown.intentHash]);
});
