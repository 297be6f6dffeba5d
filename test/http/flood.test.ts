import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { must, raw, run, type Json, type Running } from './running.ts';

let service: Running;

beforeAll(async () => {
  service = await run();
});
afterAll(() => service.end());

const ask = (path: string, headers = ''): string => `GET ${path} HTTP/1.1\r\nHost: x\r\n${headers}\r\n`;

/** How many failed authentications entries tell of. */
const counted = (entries: readonly Json[]): number =>
  entries.reduce((sum, { detail }) => sum + (detail.count ?? 1), 0);

/** A connection that sends and never reads; resolves when the service has ended it. */
async function unread(bytes: string): Promise<Socket> {
  const { hostname, port } = new URL(service.url);
  const socket = connect(Number(port), hostname).pause();
  socket.on('error', () => undefined);
  const closed = once(socket, 'close');
  socket.write(bytes);
  socket.resume();
  await closed;
  return socket;
}

test('32 requests of one connection wait for their answers; one more ends it, and only it', async () => {
  const answers = (text: string): number => text.match(/HTTP\/1\.1 200 /g)?.length ?? 0;
  const me = ask('/v1/me', `Authorization: Bearer ${service.admin.token}\r\n`);
  expect(answers(await raw(service.url, me.repeat(32)))).toBe(32);
  expect(answers(await raw(service.url, me.repeat(33)))).toBeLessThan(33);
  await unread(ask('/healthz').repeat(1_000));
  must(await service.admin.get('/v1/me'));
});

test('a flood without credential makes few entries, tells of all, and lets others sign', async () => {
  const from = await service.size();
  const burst = ask('/v1/me').repeat(2_000);
  const flood = Promise.all(Array.from({ length: 50 }, () => unread(burst)));
  const signed = await service.signer.post('/v1/keys/demo/sign/message', { message: 'meanwhile' });
  expect(signed.status).toBe(200);
  await flood;
  await sleep(1_200);
  const entries = await service.entries({ from, kind: 'access.unauthenticated' });
  expect(entries.length).toBeLessThan(300);
  // No more than 32 of each connection were let in.
  expect(counted(entries)).toBeGreaterThan(100);
  expect(counted(entries)).toBeLessThanOrEqual(50 * 32);
});

test('none is uncounted, and those of the last second are written at the stop', async () => {
  const from = await service.size();
  const answered = await Promise.all(
    Array.from({ length: 400 }, () => service.client(undefined).get('/v1/me')),
  );
  expect(answered.every(({ status }) => status === 401)).toBe(true);
  await service.restart();
  const entries = await service.entries({ from, kind: 'access.unauthenticated' });
  expect(counted(entries)).toBe(400);
  const summary = entries.findLast(({ detail }) => detail.count !== undefined);
  expect(summary).toMatchObject({ outcome: 'denied', detail: { since: expect.stringMatching(/Z$/) } });
  expect(Object.keys(summary.detail).toSorted()).toEqual(['count', 'since']);
});
