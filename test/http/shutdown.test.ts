import { connect } from 'node:net';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { raw, run } from './running.ts';

test('what is under way when the service stops is answered; then the port is closed', async () => {
  const service = await run();
  const { hostname, port } = new URL(service.url);
  const body = '{"message":"the last one"}';
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  let answer = '';
  socket.on('data', (chunk) => (answer += chunk.toString()));
  socket.on('error', () => undefined);
  const closed = once(socket, 'close');
  // Kept alive, and with the end of its body still to come.
  socket.write(
    `POST /v1/keys/demo/sign/message HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${service.signer.token}\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body.slice(0, 9)}`,
  );
  // Connections that are kept alive: some idle when the service stops, some with a request that it has not read yet.
  const ask = (i: number): Promise<{ status: number }> =>
    service.signer.post('/v1/keys/demo/sign/message', { message: `${i}` });
  await Promise.all(Array.from({ length: 40 }, (_, i) => ask(i)));
  const pending = Promise.all(Array.from({ length: 20 }, (_, i) => ask(i)));

  const start = Date.now();
  const stopping = service.stop();
  await new Promise((resolve) => setTimeout(resolve, 50));
  await expect(raw(service.url, 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n')).rejects.toThrow('ECONNREFUSED');
  socket.write(body.slice(9));
  await stopping;
  await closed;

  expect(answer).toMatch(/^connection: close\r$/im);
  expect(answer).toMatch(/^HTTP\/1\.1 200 /);
  expect(answer).toContain('"signature":"0x');
  expect((await pending).map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
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
