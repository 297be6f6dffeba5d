import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { createLog } from '../../src/log.ts';
import { must, run, type Running } from './running.ts';

const EXPORTS = `
apiVersion: countersign/policy/v1
revision: 1
approvals:
  two: { all: [{ role: approver, m: 2 }] }
rules:
  - { id: out, effect: allow, principals: { roles: [admin] }, keys: { names: ["*"] }, operations: [key.export] }
  - { id: ask, effect: require, keys: { names: ["*"] }, operations: [key.export], approval: two }
`;

let service: Running | undefined;
afterEach(async () => {
  vi.restoreAllMocks();
  await service?.end();
});

function execute({ data }: Running, sql: string): void {
  const db = new DatabaseSync(path.join(data, 'countersign.db'));
  db.exec(`PRAGMA busy_timeout = 5000; ${sql}`);
  db.close();
}

/** The answers to a request to sign and to the readiness probe. */
async function stateOf(running: Running): Promise<object> {
  const signing = await running.signer.post('/v1/keys/demo/sign/message', { message: 'after' });
  const ready = await running.client(undefined).get('/readyz');
  return { signing: [signing.status, signing.body.code], ready: ready.status, why: ready.text };
}

function stopped(why: string): object {
  return { signing: [503, 'unavailable'], ready: 503, why: expect.stringContaining(why) as string };
}

test('a clean-up that fails stops signing, and not the process', async () => {
  const intervals = vi.spyOn(globalThis, 'setInterval');
  const lines: string[] = [];
  service = await run(createLog('info', { write: (line) => void lines.push(line) }));
  const cleanUp = intervals.mock.calls.find(([, ms]) => ms === 600_000)?.[0] as () => void;
  cleanUp();
  must(await service.signer.post('/v1/keys/demo/sign/message', { message: 'before' }));
  execute(service, 'DROP TABLE idempotency');
  cleanUp();
  expect(lines.filter((line) => line.includes('housekeeping.failed'))).toHaveLength(1);
  expect(await stateOf(service)).toEqual(stopped('no such table: idempotency'));
});

test('a checkpoint that cannot be written is the last write', async () => {
  service = await run();
  execute(
    service,
    'CREATE TRIGGER broken BEFORE INSERT ON checkpoints BEGIN INSERT INTO nowhere VALUES (1); END',
  );
  must(await service.signer.post('/v1/keys/demo/sign/message', { message: 'before' }));
  // Asks for one of the log as it is now.
  await service.admin.get('/v1/audit/checkpoint');
  expect(await stateOf(service)).toEqual(stopped('no such table: main.nowhere'));
});

describe('an entry that cannot be written', () => {
  const refuse = (running: Running): void =>
    execute(
      running,
      "CREATE TRIGGER refused BEFORE INSERT ON audit_entries BEGIN SELECT RAISE(ABORT, 'no room for an entry'); END",
    );

  test('no signature leaves, alone or in a batch', async () => {
    service = await run();
    refuse(service);
    const alone = await service.signer.post('/v1/keys/demo/sign/message', { message: 'lost' });
    const items = [{ key: 'demo', operation: 'message', message: 'lost, too' }];
    const batch = await service.signer.post('/v1/sign/batch', { items });
    expect([alone.status, batch.body.items[0].status]).toEqual([503, 503]);
    for (const { text } of [alone, batch]) expect(text).not.toContain('"signature"');
    expect(await stateOf(service)).toEqual(stopped('no room for an entry'));
  });

  test('no private key leaves that others consented to', async () => {
    service = await run(undefined, { policy: EXPORTS });
    const { admin } = service;
    must(await admin.post('/v1/keys', { name: 'vault', exportable: true }));
    const asked = await admin.post('/v1/keys/vault/export', {});
    const { id } = asked.body.request;
    for (const by of [await service.principal(['approver']), await service.principal(['approver'])])
      must(await by.post(`/v1/requests/${id}/approve`, {}));
    refuse(service);
    const order = { request: id, password: 'correct horse battery staple' };
    const { status, text } = await admin.post('/v1/keys/vault/export', order);
    expect(status).toBe(503);
    expect(text).not.toMatch(/crypto|ciphertext/);
    expect(await stateOf(service)).toEqual(stopped('no room for an entry'));
  });
});
