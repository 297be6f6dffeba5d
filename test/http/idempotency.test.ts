import { DatabaseSync } from 'node:sqlite';
import path from 'node:path';
import { createHash } from 'node:crypto';
import { Wallet } from 'ethers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { must, run, statuses, transfer, type Client, type Running } from './running.ts';

let service: Running;
let admin: Client;
let signer: Client;
let keys = 0;

beforeAll(async () => {
  service = await run();
  ({ admin, signer } = service);
});
afterAll(() => service.end());

const fresh = (): { 'idempotency-key': string } => ({ 'idempotency-key': `test-${keys++}` });
const MESSAGE = '/v1/keys/demo/sign/message';

describe('a repeat', () => {
  test('gets the same answer, marked, and is not logged again', async () => {
    const headers = fresh();
    const first = must(await signer.post('/v1/keys/demo/sign/transaction', transfer(0), headers));
    expect(first.headers.get('idempotent-replayed')).toBeNull();
    const size = await service.size();
    const again = must(await signer.post('/v1/keys/demo/sign/transaction', transfer(0), headers));
    expect(again.status).toBe(first.status);
    expect(again.body).toEqual(first.body);
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    expect(await service.size()).toBe(size);
  });

  test('keeps the status of what was made', async () => {
    const headers = fresh();
    const first = must(await admin.post('/v1/keys', { name: 'made-once', tags: ['a'] }, headers));
    const again = await admin.post('/v1/keys', { name: 'made-once', tags: ['a'] }, headers);
    expect([first.status, again.status]).toEqual([201, 201]);
    expect(again.body).toEqual(first.body);
    expect((await admin.post('/v1/keys', { name: 'made-once' }, fresh())).status).toBe(409);
  });

  test.each<[string, () => Promise<[string, object]>]>([
    ['a principal', () => Promise.resolve(['/v1/principals', { name: 'once', roles: ['signer'] }])],
    ['a disable', () => Promise.resolve(['/v1/keys/demo/versions/1/disable', { reason: 'x' }])],
    ['an enable', () => Promise.resolve(['/v1/keys/demo/versions/1/enable', { reason: 'x' }])],
    ['an import', () => Promise.resolve(['/v1/keys/import', imported('once')])],
    [
      'a revocation',
      async () => {
        const { id } = must(await admin.post('/v1/principals', { name: 'revoked', roles: ['signer'] })).body;
        const credential = must(await admin.post(`/v1/principals/${id}/credentials`, {})).body.id;
        return [`/v1/principals/${id}/credentials/${credential}/revoke`, {}];
      },
    ],
  ])('of %s is answered and not done', async (_, call) => {
    const [target, body] = await call();
    const headers = fresh();
    const first = must(await admin.post(target, body, headers));
    const size = await service.size();
    const again = must(await admin.post(target, body, headers));
    expect(again.body).toEqual(first.body);
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    expect(await service.size()).toBe(size);
  });

  test('of sealing and unsealing gives the state as it was then', async () => {
    for (const verb of ['seal', 'unseal']) {
      const headers = fresh();
      const first = must(await admin.post(`/v1/sys/${verb}`, {}, headers));
      const again = must(await admin.post(`/v1/sys/${verb}`, {}, headers));
      expect(again.headers.get('idempotent-replayed')).toBe('true');
      expect(again.body.sealed).toBe(first.body.sealed);
      expect(again.body.sealed).toBe(verb === 'seal');
    }
  });
});

test('an answer that was changed where it is kept is not given again', async () => {
  const headers = fresh();
  const { signature } = must(await signer.post(MESSAGE, { message: 'kept' }, headers)).body;
  const changed = `${signature.slice(0, 20)}${signature[20] === '0' ? '1' : '0'}${signature.slice(21)}`;
  const db = new DatabaseSync(path.join(service.data, 'countersign.db'));
  db.prepare('UPDATE idempotency SET answer = replace(answer, ?, ?) WHERE name = ?').run(
    signature,
    changed,
    headers['idempotency-key'],
  );
  db.close();
  const size = await service.size();
  const again = await signer.post(MESSAGE, { message: 'kept' }, headers);
  expect(again).toMatchObject({ status: 500, body: { code: 'internal' } });
  expect(JSON.stringify(again.body)).not.toContain(changed.slice(2));
  expect(await service.size()).toBe(size);
});

describe('the same key for something else is 409', () => {
  test('another body, another path, another white space', async () => {
    const headers = fresh();
    must(await signer.post(MESSAGE, { message: 'a' }, headers));
    const size = await service.size();
    for (const [target, body] of [
      [MESSAGE, { message: 'b' }],
      [MESSAGE, '{ "message": "a" }'],
      ['/v1/keys/other/sign/message', { message: 'a' }],
      ['/v1/sign/batch', { items: [{ key: 'demo', operation: 'message', message: 'a' }] }],
    ] as const) {
      const { status, body: problem } = await signer.post(target, body, headers);
      expect([status, problem.code]).toEqual([409, 'conflict']);
    }
    expect(await service.size()).toBe(size);
  });

  test('but another principal has keys of its own', async () => {
    const headers = fresh();
    const other = await service.principal(['signer']);
    const mine = must(await signer.post(MESSAGE, { message: 'mine' }, headers));
    const theirs = must(await other.post(MESSAGE, { message: 'theirs' }, headers));
    expect(theirs.headers.get('idempotent-replayed')).toBeNull();
    expect(theirs.body.digest).not.toBe(mine.body.digest);
  });

  test('another credential of the same principal shares them', async () => {
    const headers = fresh();
    const me = must(await signer.get('/v1/me')).body;
    const { token } = must(await admin.post(`/v1/principals/${me.id}/credentials`, {})).body;
    const first = must(await signer.post(MESSAGE, { message: 'shared' }, headers));
    const again = must(await service.client(token).post(MESSAGE, { message: 'shared' }, headers));
    expect(again.body).toEqual(first.body);
  });
});

test('at the same time: one execution, the same answer for all', async () => {
  const headers = fresh();
  const from = await service.size();
  const answers = await Promise.all(
    Array.from({ length: 25 }, () => admin.post('/v1/keys', { name: 'raced' }, headers)),
  );
  expect(new Set(answers.map((answered) => must(answered).text.length)).size).toBe(1);
  for (const { body } of answers) expect(body).toEqual(answers[0]!.body);
  expect(answers.filter((answered) => answered.headers.get('idempotent-replayed') === null)).toHaveLength(1);
  expect((await service.entries({ from })).map(({ kind }) => kind)).toEqual(['key.created']);
});

test('at the same time, with different bodies: one execution, 409 for the rest', async () => {
  const headers = fresh();
  const from = await service.size();
  const answers = await Promise.all(
    Array.from({ length: 10 }, (_, i) => admin.post('/v1/keys', { name: `racer-${i}` }, headers)),
  );
  expect(statuses(answers)).toEqual([201, ...Array.from({ length: 9 }, () => 409)]);
  expect((await service.entries({ from })).map(({ kind }) => kind)).toEqual(['key.created']);
});

test('a failure is not kept: the repeat is done', async () => {
  const headers = fresh();
  expect((await signer.post('/v1/keys/later/sign/message', { message: 'a' }, headers)).status).toBe(404);
  must(await admin.post('/v1/keys', { name: 'later' }));
  must(await signer.post('/v1/keys/later/sign/message', { message: 'a' }, headers));

  const denied = fresh();
  const tooMuch = transfer(10, { value: '2000000000000000000' });
  for (const _ of [1, 2]) {
    const answered = await signer.post('/v1/keys/demo/sign/transaction', tooMuch, denied);
    expect(answered.status).toBe(403);
    expect(answered.headers.get('idempotent-replayed')).toBeNull();
  }
  must(await signer.post('/v1/keys/demo/sign/transaction', transfer(10), denied));
});

test('failures at the same time each have their try', async () => {
  const headers = fresh();
  const from = await service.size();
  const tooMuch = transfer(11, { value: '2000000000000000000' });
  const answers = await Promise.all(
    [1, 2, 3].map(() => signer.post('/v1/keys/demo/sign/transaction', tooMuch, headers)),
  );
  expect(answers.map(({ status }) => status)).toEqual([403, 403, 403]);
  expect(await service.entries({ from })).toHaveLength(3);
});

test('an answer with a secret is 409 on repeat, also at the same time', async () => {
  const { id } = must(await admin.post('/v1/principals', { name: 'secretive', roles: ['signer'] })).body;
  const headers = fresh();
  const answers = await Promise.all(
    [1, 2, 3].map(() => admin.post(`/v1/principals/${id}/credentials`, {}, headers)),
  );
  expect(statuses(answers)).toEqual([201, 409, 409]);
  const refused = answers.filter(({ status }) => status === 409);
  for (const { body } of refused) expect(body.detail).toContain('shown once');
  expect(must(await admin.get(`/v1/principals/${id}/credentials`)).body.items).toHaveLength(1);
});

test.each(['a b', 'é', 'x'.repeat(256), ''])('the key %j is 400', async (key) => {
  const { status, body } = await signer.post(MESSAGE, { message: 'a' }, { 'idempotency-key': key });
  expect([status, body.errors[0].path]).toEqual([400, 'Idempotency-Key']);
});

test('a key of 255 characters is taken', async () => {
  const headers = { 'idempotency-key': '~'.repeat(255) };
  expect((await signer.post(MESSAGE, { message: 'a' }, headers)).status).toBe(200);
});

test('a repeat does not get past the role that was taken away', async () => {
  const leaver = await service.principal(['signer']);
  const headers = fresh();
  must(await leaver.post(MESSAGE, { message: 'a' }, headers));
  must(await admin.patch(`/v1/principals/${leaver.id}`, { roles: ['approver'] }));
  expect((await leaver.post(MESSAGE, { message: 'a' }, headers)).status).toBe(403);
});

test('survives a restart', async () => {
  const [signed, made, taken] = [fresh(), fresh(), fresh()];
  const body = imported('before-restart');
  const first = must(await signer.post(MESSAGE, { message: 'durable' }, signed));
  const key = must(await admin.post('/v1/keys', { name: 'durable' }, made));
  must(await admin.post('/v1/keys/import', body, taken));
  await service.restart();
  const size = await service.size();
  const again = must(await signer.post(MESSAGE, { message: 'durable' }, signed));
  expect(again.body).toEqual(first.body);
  expect(again.headers.get('idempotent-replayed')).toBe('true');
  expect(must(await admin.post('/v1/keys', { name: 'durable' }, made)).body).toEqual(key.body);
  expect((await signer.post(MESSAGE, { message: 'other' }, signed)).status).toBe(409);
  // Its body held a secret, of which nothing was kept to know it by.
  expect((await admin.post('/v1/keys/import', body, taken)).status).toBe(409);
  expect(await service.size()).toBe(size);
});

test('of a body with a secret no plain hash is kept, that passwords could be tried against', async () => {
  const headers = fresh();
  const body = JSON.stringify(imported('not-to-be-guessed'));
  must(await admin.post('/v1/keys/import', body, headers));
  const db = new DatabaseSync(path.join(service.data, 'countersign.db'), { readOnly: true });
  const row = db
    .prepare('SELECT fingerprint FROM idempotency WHERE name = ?')
    .get(headers['idempotency-key']);
  db.close();
  expect(row).toEqual({ fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/) });
  const plain = createHash('sha256').update(`POST /v1/keys/import\n${body}`).digest('hex');
  expect(row).not.toEqual({ fingerprint: plain });
});

function imported(name: string): object {
  return { name, source: { type: 'private-key', privateKey: Wallet.createRandom().privateKey } };
}
