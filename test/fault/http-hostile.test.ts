import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { raw } from '../http/running.ts';
import { expectStatus, LAUNCHER, startService, until, type RunningService } from '../service.ts';

/** As many as the server takes, less some for others; fewer where this machine allows fewer open files. */
const CONNECTIONS = Number(process.env['HOSTILE_CONNECTIONS'] ?? Math.min(9_900, openFiles() - 500));
const SLOW = 200;
const RSS_SPARE_KIB = 80 * 1024;
const SETTLED_MS = 60_000;
const SIGNATURES = 200;
/** Ten times what it is without them, and a stall of the machine. */
const P99_TIMES = 10;
const P99_SPARE_MS = 100;
/** MB: about four times what it uses when nothing is asked. */
const HEAP_MB = 192;
const FLOODS = 6;

let service: RunningService;
beforeAll(async () => {
  service = await startService({
    logLevel: 'error',
    program: ['env', `NODE_OPTIONS=--max-old-space-size=${HEAP_MB}`, LAUNCHER, 'start'],
  });
});
afterAll(async () => await service.stop());

/** How many files this process may have open (proc(5)). */
function openFiles(): number {
  const limits = readFileSync('/proc/self/limits', 'utf8');
  return Number(/^Max open files +(\d+)/m.exec(limits)?.[1] ?? 1_024);
}

const handles = (): number => readdirSync(`/proc/${service.pid}/fd`).length;
const rss = (): number =>
  Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${service.pid}/status`, 'utf8'))?.[1]);

async function opened(count: number): Promise<Socket[]> {
  const { hostname, port } = new URL(service.url);
  const sockets: Socket[] = [];
  for (let left = count; left > 0; left -= 200) {
    const some = Array.from({ length: Math.min(left, 200) }, () => connect(Number(port), hostname));
    for (const socket of some) socket.on('error', () => undefined);
    await Promise.all(some.map(async (socket) => await once(socket, 'connect')));
    sockets.push(...some);
  }
  return sockets;
}

/** Others are served while it is so. */
async function othersAreServed(): Promise<void> {
  expectStatus(200, await service.client().get('/healthz'));
  expectStatus(200, await service.admin.get('/v1/me'));
  expectStatus(200, await service.demo.post('/v1/keys/demo/sign/message', { message: 'meanwhile' }));
}

const head = (headers: string): string =>
  `POST /v1/keys HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${service.adminToken}\r\nContent-Type: application/json\r\n${headers}\r\n`;

/** The time of each of so many signatures, one after the other, in ascending order. */
async function signingTimes(count: number): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < count; i += 1) {
    const start = performance.now();
    expectStatus(200, await service.demo.post('/v1/keys/demo/sign/message', { message: `${i}` }));
    times.push(performance.now() - start);
  }
  return times.toSorted((a, b) => a - b);
}

const p99 = (times: readonly number[]): number => times[Math.floor(times.length * 0.99)] ?? NaN;

/** Opens them, half of them with headers that never end, and ends them. @returns the 99th percentile of signing meanwhile. */
async function flood(): Promise<number> {
  const before = handles();
  const sockets = await opened(CONNECTIONS);
  expect(await until(() => handles() >= before + CONNECTIONS, 20_000)).toBe(true);
  const slow = sockets.slice(CONNECTIONS / 2);
  const answers: string[] = [];
  for (const socket of slow) {
    socket.on('data', (bytes) => answers.push(String(bytes)));
    socket.write('GET /v1/me HTTP/1.1\r\nX: ');
  }
  const dripping = setInterval(() => {
    for (const socket of slow) if (socket.writable) socket.write('a');
  }, 2_000);
  const among = p99(await signingTimes(SIGNATURES));
  await othersAreServed();
  clearInterval(dripping);
  for (const socket of sockets) socket.destroy();
  expect(await until(() => handles() <= before + 20, SETTLED_MS)).toBe(true);
  // Ours would be a 5xx; what is told to those that were too slow is a 4xx.
  expect(answers.filter((answer) => answer.startsWith('HTTP/1.1 5'))).toEqual([]);
  return among;
}

test(`${CONNECTIONS} connections, half of them slow and half that say nothing: others sign as before, and nothing is left of them`, async () => {
  await signingTimes(SIGNATURES);
  const alone = p99(await signingTimes(SIGNATURES));
  const before = { handles: handles(), rss: rss() };
  const among: number[] = [];
  // Together they need more than the whole heap: what one leaves has to be collected before the last one comes.
  const resident: number[] = [];
  for (let i = 0; i < FLOODS; i += 1) {
    among.push(await flood());
    resident.push(rss());
  }
  console.log(
    `${FLOODS} times ${CONNECTIONS} connections: p99 of signing ${alone.toFixed(1)} ms without, ${among.map((ms) => ms.toFixed(1)).join(', ')} ms with them; ` +
      `${before.handles} handles before, ${handles()} after; resident ${before.rss} kB before, ${resident.join(', ')} kB after each`,
  );
  expect(handles()).toBeLessThanOrEqual(before.handles + 20);
  // What the first half has taken from the machine, the process may keep; the second half finds it enough.
  expect(resident.at(-1)).toBeLessThan(resident[FLOODS / 2]! + RSS_SPARE_KIB);
  for (const ms of among) expect(ms).toBeLessThan(alone * P99_TIMES + P99_SPARE_MS);
  await othersAreServed();
});

describe.each([
  ['headers', () => 'GET /v1/me HTTP/1.1\r\nHost: x\r\n', 'X'],
  ['bodies', () => `${head('Content-Length: 5000\r\n')}{"name":"`, 'a'],
  ['chunks', () => head('Transfer-Encoding: chunked\r\n'), '1\r\na\r\n'],
])('slow %s', (_, start, drip) => {
  test(`of ${SLOW} connections are ended within their time, and others are served`, async () => {
    const before = handles();
    const sockets = await opened(SLOW);
    let ended = 0;
    for (const socket of sockets) {
      socket.resume().once('close', () => (ended += 1));
      socket.write(start());
    }
    const dripping = setInterval(() => {
      for (const socket of sockets) if (socket.writable) socket.write(drip);
    }, 1_000);
    await sleep(500);
    await othersAreServed();
    expect(await until(() => ended === SLOW, SETTLED_MS)).toBe(true);
    clearInterval(dripping);
    expect(await until(() => handles() <= before + 20, SETTLED_MS)).toBe(true);
  });
});

test('answers that nobody reads hold up nobody, and are gone with their connections', async () => {
  const before = { handles: handles(), rss: rss() };
  const sockets = await opened(SLOW);
  for (const socket of sockets) {
    socket.pause();
    socket.write('GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(20));
  }
  await sleep(2_000);
  await othersAreServed();
  for (const socket of sockets) socket.destroy();
  expect(await until(() => handles() <= before.handles + 20, SETTLED_MS)).toBe(true);
  expect(await until(() => rss() <= before.rss + RSS_SPARE_KIB, SETTLED_MS)).toBe(true);
});

describe('many bodies at once', () => {
  const MIB = 1024 * 1024;
  const filled = (unit: string): string => unit.repeat(Math.floor((MIB - 100) / unit.length));
  test.each([
    ['deep', () => filled('{"a":')],
    ['a million elements', () => `[${'0,'.repeat(500_000)}0]`],
    ['a million keys', () => `{${Array.from({ length: 90_000 }, (_, i) => `"k${i}":0`).join(',')}}`],
    ['one key again and again', () => `{${'"a":1,'.repeat(150_000)}"a":1}`],
    ['escapes of __proto__', () => `{"name":"x","\\u005f_proto__":{"roles":["admin"]}}`],
    ['constructor.prototype', () => `{"name":"x","tags":[{"constructor":{"prototype":{"canary":true}}}]}`],
  ])('%s: each refused, and others are served', async (_, make) => {
    const body = make();
    const answers = Promise.all(
      Array.from({ length: 20 }, async () => (await service.admin.post('/v1/keys', body)).status),
    );
    await othersAreServed();
    for (const status of await answers) expect([400, 413]).toContain(status);
  });

  test('one that never ends is refused at the limit', async () => {
    const [socket] = await opened(1);
    const answer: string[] = [];
    socket!.on('data', (bytes) => answer.push(String(bytes)));
    socket!.write(head('Transfer-Encoding: chunked\r\n'));
    const chunk = `10000\r\n${'a'.repeat(65_536)}\r\n`;
    for (let i = 0; i < 64 && socket!.writable && answer.length === 0; i += 1) {
      socket!.write(chunk);
      await sleep(5);
    }
    expect(await until(() => answer.length > 0, 5_000)).toBe(true);
    expect(answer.join('')).toMatch(/^HTTP\/1\.1 413 /);
    socket!.destroy();
    await othersAreServed();
  });
});

describe('smuggling', () => {
  const behind = 'GET /v1/me HTTP/1.1\r\nHost: smuggled\r\n\r\n';
  test.each([
    ['a tab before the encoding', 'Transfer-Encoding:\tchunked\r\nContent-Length: 4\r\n'],
    ['an encoding twice', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n'],
    ['chunked twice and a length', 'Transfer-Encoding: chunked, chunked\r\nContent-Length: 4\r\n'],
    ['a vertical tab', 'Transfer-Encoding: \u000bchunked\r\n'],
    ['a bare line feed', 'X: y\nTransfer-Encoding: chunked\nContent-Length: 4\r\n'],
    ['a bare carriage return', 'X: y\rTransfer-Encoding: chunked\r\n'],
    ['a length of too many digits', `Content-Length: ${'9'.repeat(40)}\r\n`],
    ['a length with an underscore', 'Content-Length: 1_0\r\n'],
    ['a length in quotes', 'Content-Length: "4"\r\n'],
    ['two hosts', 'Host: y\r\nContent-Length: 5000\r\nTransfer-Encoding: chunked\r\n'],
  ])('%s: no second answer, and no good one', async (_, headers) => {
    const answer = await raw(service.url, `${head(headers)}0\r\n\r\n${behind}`, 1_000);
    expect(answer).not.toMatch(/^HTTP\/1\.1 [25]/m);
    expect(answer.match(/^HTTP\/1\.1 /gm)?.length ?? 0).toBeLessThanOrEqual(1);
  });
});

describe('targets', () => {
  test.each([
    ['a double encoding', '/v1/%252e%252e/me'],
    ['an overlong slash', '/v1%c0%afme'],
    ['an encoded NUL', '/v1/keys/demo%00.json'],
    ['15 KiB of steps', `/v1${'/a'.repeat(7_500)}`],
    ['15 KiB of dots', `/${'.'.repeat(15_000)}`],
    ['a query of 15 KiB', `/v1/keys?${'a=1&'.repeat(3_700)}`],
    ['credentials in it', 'http://admin:x@127.0.0.1/v1/me'],
    ['another scheme', 'file:///etc/passwd'],
    ['no path', '?'],
    ['an asterisk', '*'],
  ])('%s: refused', async (_, target) => {
    const answer = await raw(
      service.url,
      `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
      2_000,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 4/);
  });
});

test('no route is open that should not be: without a credential each says 401, by every method that it has', async () => {
  interface Operation {
    readonly security?: readonly object[];
  }
  const { body } = await service
    .client()
    .get<{ readonly paths: Record<string, Record<string, Operation>> }>('/openapi.json');
  const open: string[] = [];
  const wrong: string[] = [];
  for (const [path, item] of Object.entries(body.paths)) {
    for (const method of ['get', 'post', 'put', 'patch', 'delete', 'options', 'head']) {
      const known = item[method === 'head' ? 'get' : method];
      const { status, headers } = await fetch(service.url + path.replaceAll(/\{\w+\}/g, 'x'), {
        method: method.toUpperCase(),
      });
      const isPublic = known !== undefined && known.security === undefined;
      const isNoMethod = known === undefined && status === 405 && headers.has('allow');
      if (isPublic) open.push(`${method} ${path}`);
      // A fixed path may also fit the template of another, which has the method.
      else if (!isNoMethod && status !== 401) wrong.push(`${method} ${path}: ${status}`);
    }
  }
  expect(wrong).toEqual([]);
  expect(open.filter((name) => name.startsWith('get')).toSorted()).toEqual(
    ['/docs', '/healthz', '/metrics', '/openapi.json', '/readyz'].map((path) => `get ${path}`),
  );
  expect(open.filter((name) => !/^(?:get|head) /.test(name))).toEqual([]);
});
