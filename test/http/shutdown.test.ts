import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { raw, run, type Running } from './running.ts';

/** A connection that is open and idle. */
async function open(service: Running): Promise<Socket> {
  const { hostname, port } = new URL(service.url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

/** All that comes until the other side closes. */
async function readToEnd(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (chunk) => (text += chunk.toString()));
  await once(socket, 'close');
  return text;
}

function request(service: Running, body: string): string {
  return (
    `POST /v1/keys/demo/sign/message HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${service.signer.token}\r\n` +
    `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  );
}

test('what is under way when the service stops is answered; then the port is closed', async () => {
  const service = await run();
  const whole = request(service, '{"message":"the last one"}');

  // Kept alive: one whose body is still to come, some whose request has arrived and is not read yet, some idle.
  const slow = await open(service);
  const slowAnswer = readToEnd(slow);
  slow.write(whole.slice(0, -9));
  const quick = await Promise.all(Array.from({ length: 20 }, () => open(service)));
  const idle = await Promise.all(Array.from({ length: 20 }, () => open(service)));
  const quickAnswers = quick.map(readToEnd);
  const idleAnswers = idle.map(readToEnd);
  await service.signer.post('/v1/keys/demo/sign/message', { message: 'all of them are accepted by now' });

  const start = Date.now();
  for (const socket of quick) socket.write(whole);
  const stopping = service.stop();
  await new Promise((resolve) => setTimeout(resolve, 30));
  await expect(raw(service.url, 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n')).rejects.toThrow('ECONNREFUSED');
  slow.write(whole.slice(-9));
  await stopping;

  for (const answer of await Promise.all([slowAnswer, ...quickAnswers])) {
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(answer).toMatch(/^connection: close\r$/im);
    expect(answer).toContain('"signature":"0x');
  }
  expect(await Promise.all(idleAnswers)).toEqual(idle.map(() => ''));
  expect(Date.now() - start).toBeLessThan(5_000);
  await expect(fetch(`${service.url}/healthz`)).rejects.toThrow('fetch failed');

  await service.restart();
  const kinds = (await service.entries()).map(({ kind }) => kind);
  expect(kinds.slice(kinds.lastIndexOf('service.stopped'))).toEqual([
    'service.stopped',
    'service.started',
    'seal.unsealed',
  ]);
  await service.end();
});
