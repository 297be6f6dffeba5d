import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fill, nameOf } from './fill.ts';
import { applyLoad } from './load.ts';

/**
 * What many keys cost: `node bench/keys.ts [keys] [more keys]`. Ten thousand are made, listed, moved to a new root key,
 * and there after a restart, each through the door of the real service. Then others are written beside them, which no
 * service could open, and at a hundred thousand the time from a request to its signature is measured in turn with that
 * of a service that has ten.
 */

const KEYS = Number(process.argv[2] ?? 10_000);
const MORE_KEYS = Number(process.argv[3] ?? 100_000);
const FEW = 10;
const ROUNDS = 81;
const ROUND_MS = 250;
const CONNECTIONS = 32;
const PAGE = 1_000;

const POLICY = `
apiVersion: countersign/policy/v1
revision: 1
rules:
  - id: messages
    effect: allow
    principals: { roles: [signer] }
    keys: { names: ["*"] }
    operations: [message]
`;

const ROOT = path.resolve(import.meta.dirname, '..');

interface Running {
  readonly child: ChildProcess;
  readonly port: number;
  /** From its start until it could sign. */
  readonly readyMs: number;
}

interface Page {
  readonly items: readonly unknown[];
  readonly nextCursor: string | null;
}

interface Job {
  readonly state: string;
  readonly done: number;
  readonly failed: number;
}

interface Memory {
  readonly api: number;
  readonly signer: number;
}

const data = { many: makeData(), few: makeData() };
let running: Running[] = [];
try {
  let many = await start(data.many);
  const before = await memoryOf(many);
  await makeKeys(many, data.many, 0, KEYS);
  const after = await memoryOf(many);
  await listKeys(many, data.many, KEYS);
  await rewrap(many, data.many);
  await stop(many);

  many = await start(data.many);
  console.log(`restart with ${KEYS} keys: ready to sign after ${many.readyMs.toFixed(0)} ms`);
  const started = await memoryOf(many);
  await signWithEach(many, data.many, 'first');
  const opened = await memoryOf(many);
  await signWithEach(many, data.many, 'second');
  console.log(
    `memory a key, API process and signer process: made ${perKey(before, after)}; after a restart and one signature with each ${perKey(started, opened)} more`,
  );

  await stop(many);
  await fill(data.many, KEYS, { keys: MORE_KEYS, entries: 0 });
  many = await start(data.many);
  console.log(`restart with ${MORE_KEYS} keys: ready to sign after ${many.readyMs.toFixed(0)} ms`);
  const { api, signer } = await memoryOf(many);
  console.log(`memory with ${MORE_KEYS} keys: ${api.toFixed(0)} MB and ${signer.toFixed(0)} MB`);
  await listKeys(many, data.many, MORE_KEYS);

  const few = await start(data.few);
  await makeKeys(few, data.few, 0, FEW);
  await compare(few, many);
} finally {
  for (const { child } of running) child.kill('SIGKILL');
  for (const directory of Object.values(data)) rmSync(directory, { recursive: true, force: true });
}

function makeData(): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'bench-keys-'));
  writeFileSync(path.join(directory, 'policy.yaml'), POLICY);
  return directory;
}

async function start(directory: string): Promise<Running> {
  const from = performance.now();
  const child = spawn(
    path.join(ROOT, 'bin/countersign'),
    ['start', '--data', directory, '--listen', '127.0.0.1:0', '--log-level', 'error'],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const port = await new Promise<number>((resolve, reject) => {
    let text = '';
    child.once('exit', () => reject(new Error('the service ended at start')));
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      const match = /listens on http:\/\/127\.0\.0\.1:(\d+)\nready to sign/.exec(text);
      if (match?.[1] !== undefined) resolve(Number(match[1]));
    });
  });
  const started = { child, port, readyMs: performance.now() - from };
  running.push(started);
  return started;
}

async function stop(service: Running): Promise<void> {
  running = running.filter((each) => each !== service);
  service.child.removeAllListeners('exit');
  const ended = once(service.child, 'exit');
  service.child.kill('SIGTERM');
  await ended;
}

function tokenOf(directory: string, who: 'admin' | 'demo'): string {
  return readFileSync(path.join(directory, `${who}.token`), 'utf8').trim();
}

/** Runs `work` for each of [from, to), so many at a time. */
async function forEach(from: number, to: number, work: (i: number) => Promise<void>): Promise<void> {
  let next = from;
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      while (next < to) await work(next++);
    }),
  );
}

async function call<T = unknown>(
  service: Running,
  token: string,
  method: string,
  route: string,
  body?: object,
): Promise<T> {
  const response = await fetch(`http://127.0.0.1:${service.port}${route}`, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${route}: ${response.status} ${text}`);
  return JSON.parse(text) as T;
}

async function makeKeys(service: Running, directory: string, from: number, to: number): Promise<void> {
  const token = tokenOf(directory, 'admin');
  const begun = performance.now();
  await forEach(from, to, async (i) => {
    await call(service, token, 'POST', '/v1/keys', { name: nameOf(i) });
  });
  const perKeyUs = ((performance.now() - begun) * 1_000) / (to - from);
  if (to > FEW) console.log(`create ${to} keys, ${CONNECTIONS} connections: ${perKeyUs.toFixed(0)} us a key`);
}

async function listKeys(service: Running, directory: string, expected: number): Promise<void> {
  const token = tokenOf(directory, 'admin');
  const times: number[] = [];
  let count = 0;
  for (let cursor: string | null = ''; cursor !== null;) {
    const begun = performance.now();
    const page: Page = await call<Page>(service, token, 'GET', `/v1/keys?limit=${PAGE}&cursor=${cursor}`);
    times.push(performance.now() - begun);
    count += page.items.length;
    cursor = page.nextCursor;
  }
  if (count < expected) throw new Error(`${count} keys were listed`);
  const all = times.reduce((sum, each) => sum + each, 0);
  console.log(
    `list ${count} keys, ${PAGE} a page: ${((all * 1_000) / count).toFixed(1)} us a key, a page ${median(times).toFixed(1)} ms`,
  );
}

async function rewrap(service: Running, directory: string): Promise<void> {
  const admin = tokenOf(directory, 'admin');
  const { id } = await call<{ id: string }>(service, admin, 'POST', '/v1/principals', {
    name: 'ops',
    roles: ['operator'],
  });
  const { token } = await call<{ token: string }>(
    service,
    admin,
    'POST',
    `/v1/principals/${id}/credentials`,
    {},
  );
  await call(service, token, 'POST', '/v1/sys/rotate-root', {});
  const begun = performance.now();
  await call(service, token, 'POST', '/v1/sys/rewrap', {});
  const seen: number[] = [];
  for (;;) {
    const { job } = await call<{ job: Job }>(service, token, 'GET', '/v1/sys/rewrap');
    seen.push(job.done);
    if (job.state === 'done') {
      if (job.failed > 0) throw new Error(`${job.failed} did not open`);
      const us = ((performance.now() - begun) * 1_000) / job.done;
      console.log(
        `rewrap ${job.done} secrets: ${us.toFixed(0)} us each; progress was seen at ${new Set(seen).size} places`,
      );
      return;
    }
    await sleep(20);
  }
}

async function signWithEach(service: Running, directory: string, which: string): Promise<void> {
  const token = tokenOf(directory, 'demo');
  const begun = performance.now();
  await forEach(0, KEYS, async (i) => {
    await call(service, token, 'POST', `/v1/keys/${nameOf(i)}/sign/message`, { message: which });
  });
  const us = ((performance.now() - begun) * 1_000) / KEYS;
  console.log(`${which} signature with each key, ${CONNECTIONS} connections: ${us.toFixed(0)} us`);
}

/** One connection, one request after the other, with ten keys that are opened already: nothing but latency. */
async function compare(few: Running, many: Running): Promise<void> {
  const sides = [
    { service: few, token: tokenOf(data.few, 'demo'), p50: [] as number[], p99: [] as number[] },
    { service: many, token: tokenOf(data.many, 'demo'), p50: [] as number[], p99: [] as number[] },
  ] as const;
  let count = 0;
  for (let round = -1; round < ROUNDS; round++) {
    for (const side of round % 2 === 0 ? sides : sides.toReversed()) {
      const { p50, p99, failures } = await applyLoad({
        host: '127.0.0.1',
        port: side.service.port,
        token: side.token,
        connections: 1,
        milliseconds: ROUND_MS,
        next: () => ({
          path: `/v1/keys/${nameOf(count++ % FEW)}/sign/message`,
          body: JSON.stringify({ message: `message ${count}` }),
        }),
      });
      if (failures > 0) throw new Error(`${failures} requests failed`);
      // The first round only warms up.
      if (round < 0) continue;
      side.p50.push(p50);
      side.p99.push(p99);
    }
  }
  const [small, large] = sides.map(({ p50, p99 }) => ({ p50: median(p50), p99: median(p99) }));
  if (small === undefined || large === undefined) return;
  console.log(
    `signature, one connection, medians of ${ROUNDS} rounds each: ${small.p50.toFixed(3)} ms (p99 ${small.p99.toFixed(3)}) at ${FEW} keys, ` +
      `${large.p50.toFixed(3)} ms (p99 ${large.p99.toFixed(3)}) at ${MORE_KEYS}: ratio ${(large.p50 / small.p50).toFixed(3)}`,
  );
}

/** Resident, MB. */
async function memoryOf({ child }: Running): Promise<Memory> {
  await sleep(500);
  const signer = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim().split(' ')[0];
  return { api: resident(Number(child.pid)), signer: resident(Number(signer)) };
}

function resident(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kilobytes) / 1024;
}

function perKey(before: Memory, after: Memory): string {
  const kilobytes = (megabytes: number): string => `${((megabytes * 1024) / KEYS).toFixed(2)} kB`;
  return `${kilobytes(after.api - before.api)} and ${kilobytes(after.signer - before.signer)}`;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}
