import { copyFileSync } from 'node:fs';
import { connect as connectTcp, type Socket } from 'node:net';
import path from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { startServer } from '../../src/http/server.ts';
import type { TlsFiles } from '../../src/http/tls.ts';
import { runAccess, type AccessHarness } from './access-service.ts';
import { makePki, type Issued, type Pki } from './pki.ts';

let pki: Pki;
let servers: Issued;
let oldClients: Issued;
let newClients: Issued;
/** Of the CA that is taken away. */
let client: Issued;
let service: AccessHarness;
let files: TlsFiles & { readonly clientCa: string };

beforeAll(() => {
  pki = makePki();
  servers = pki.authority('servers');
  oldClients = pki.authority('old');
  newClients = pki.authority('new');
  client = pki.issue(oldClients, 'client', 'subjectAltName=DNS:backend.test');
});
afterAll(() => pki.remove());

beforeEach(async () => {
  const { cert, key } = pki.issue(servers, 'server', 'subjectAltName=IP:127.0.0.1,DNS:localhost');
  const clientCa = path.join(pki.directory, 'now.ca');
  copyFileSync(oldClients.cert, clientCa);
  files = { cert, key, clientCa, minVersion: 'TLSv1.3' };
  service = await runAccess({ tls: files });
  const asAdmin = async (at: string, body: object): Promise<{ id: string }> => {
    const tls = { ca: servers.pem.cert };
    return (await service.call('POST', at, { token: service.adminToken, body, tls })).body;
  };
  const { id } = await asAdmin('/v1/principals', { name: 'backend', roles: ['signer'] });
  await asAdmin(`/v1/principals/${id}/certificates`, { dns: 'backend.test' });
});
afterEach(() => service.end());

function takeAway(): void {
  copyFileSync(newClients.cert, files.clientCa);
  service.server.reload();
}

/** What comes on a connection, and its end. */
function listen(socket: Socket): {
  text(): string;
  until(pattern: RegExp): Promise<void>;
  readonly closed: Promise<void>;
} {
  let text = '';
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.on('error', () => undefined);
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
  return {
    text: () => text,
    until: (pattern) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (pattern.test(text)) resolve();
        };
        socket.on('data', look);
        socket.once('close', () => reject(new Error(`closed after ${JSON.stringify(text)}`)));
        look();
      }),
    closed,
  };
}

function open(raw?: Socket, url = service.url): Promise<TLSSocket> {
  const to = raw === undefined ? { host: '127.0.0.1', port: Number(new URL(url).port) } : { socket: raw };
  return new Promise((resolve, reject) => {
    const socket = connect({ ...to, ca: servers.pem.cert, servername: 'localhost', ...client.pem }, () =>
      resolve(socket),
    );
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed')));
  });
}

const GET = 'GET /v1/me HTTP/1.1\r\nHost: x\r\n\r\n';

test('a connection that waits for its next request is closed', async () => {
  const socket = await open();
  const heard = listen(socket);
  socket.write(GET);
  await heard.until(/"mtls":true/);
  takeAway();
  await heard.closed;
  expect(heard.text().match(/HTTP\/1\.1 200/g)).toHaveLength(1);
});

test('a connection that has not asked for anything yet is closed', async () => {
  const socket = await open();
  const heard = listen(socket);
  takeAway();
  socket.write(GET);
  await heard.closed;
  expect(heard.text()).toBe('');
});

test('a connection that is busy gets its answer, and is closed: it asks for nothing more', async () => {
  const socket = await open();
  const heard = listen(socket);
  socket.write(
    'POST /v1/x HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{',
  );
  // It has arrived when a later one on another connection is answered.
  await service.call('GET', '/v1/me', { token: service.adminToken, tls: { ca: servers.pem.cert } });
  takeAway();
  socket.write(`}${GET}`);
  await heard.closed;
  expect(heard.text()).toMatch(/^HTTP\/1\.1 200 [\s\S]*connection: close[\s\S]*"signed":true/i);
  expect(heard.text().match(/HTTP\/1\.1/g)).toHaveLength(1);
});

test('an answer without end is cut', async () => {
  const live = await startServer(
    (_req, res) => void res.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n'),
    { host: '127.0.0.1', port: 0 },
    files,
  );
  const socket = await open(undefined, live.url);
  const heard = listen(socket);
  socket.write(GET);
  await heard.until(/data: 1/);
  copyFileSync(newClients.cert, files.clientCa);
  live.reload();
  await heard.closed;
  await live.close(0);
  expect(heard.text()).toContain('data: 1');
});

test('a handshake that began before is not finished with the CA that was taken away', async () => {
  const raw = connectTcp(Number(new URL(service.url).port), '127.0.0.1');
  await new Promise((resolve) => raw.once('connect', resolve));
  await service.call('GET', '/v1/me', { token: service.adminToken, tls: { ca: servers.pem.cert } });
  takeAway();
  const heard = listen(raw);
  const ask = async (): Promise<string> => {
    const socket = await open(raw);
    const answer = listen(socket);
    socket.write(GET);
    await answer.until(/\r\n\r\n/);
    return answer.text();
  };
  await expect(ask()).rejects.toThrow(/closed|disconnected|ECONNRESET|EPIPE/);
  await heard.closed;
});
