import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, expect, test, vi } from 'vitest';
import { createLog } from '../../src/log.ts';
import { must, run, type Running } from './running.ts';

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
