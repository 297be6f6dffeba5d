import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { expectStatus, LAUNCHER, logOf, startService, until, type RunningService } from '../service.ts';

const FEW = 256;
const NO_PRLIMIT = spawnSync('prlimit', ['--version']).error !== undefined;
const LIMIT_MS = 30_000;

let service: RunningService;
beforeAll(async () => {
  if (NO_PRLIMIT) return;
  service = await startService({
    logLevel: 'warn',
    program: ['prlimit', `--nofile=${FEW}:${FEW}`, LAUNCHER, 'start'],
  });
});
afterAll(async () => await service?.stop());

test.skipIf(NO_PRLIMIT)(
  `of ${FEW} descriptors connections take no more than leaves the service its own`,
  async () => {
    const kept = new Agent({ keepAlive: true, maxSockets: 1 });
    await sign(kept, 0);
    const before = handles();
    const { hostname, port } = new URL(service.url);
    const sockets: Socket[] = Array.from({ length: FEW * 3 }, () => connect(Number(port), hostname));
    let ended = 0;
    for (const socket of sockets) socket.on('error', () => undefined).on('close', () => (ended += 1));
    expect(await until(() => ended > FEW, LIMIT_MS)).toBe(true);
    expect(handles()).toBeLessThan(FEW - 20);

    // On a connection that was there before, everything goes on: signing, the log, its files.
    for (let i = 1; i <= 50; i += 1) await sign(kept, i);
    for (const socket of sockets) socket.destroy();
    expect(await until(() => handles() <= before + 5, LIMIT_MS)).toBe(true);
    expectStatus(200, await service.client().get('/readyz'));
    expectStatus(200, await service.demo.post('/v1/keys/demo/sign/message', { message: 'afterwards' }));
    const log = logOf(service.data);
    expect(log.all().filter(({ bytes }) => Buffer.from(bytes).includes('"kind":"sign"'))).toHaveLength(52);
    log.close();
    kept.destroy();
  },
);

test.skipIf(NO_PRLIMIT)(
  'when none are left at all, kept connections sign, and it recovers by itself',
  async () => {
    const kept = new Agent({ keepAlive: true, maxSockets: 1 });
    await sign(kept, 0);
    // Fewer than it has open now: whatever it opens next fails (EMFILE), accepting too.
    const { status } = spawnSync('prlimit', [`--pid=${service.pid}`, '--nofile=20:256']);
    expect(status).toBe(0);
    const { hostname, port } = new URL(service.url);
    const sockets = Array.from({ length: 50 }, () => connect(Number(port), hostname));
    for (const socket of sockets) socket.on('error', () => undefined);
    for (let i = 1; i <= 50; i += 1) await sign(kept, i);
    for (const socket of sockets) socket.destroy();
    spawnSync('prlimit', [`--pid=${service.pid}`, '--nofile=256:256']);
    const served = async (): Promise<boolean> =>
      await service.demo.post('/v1/keys/demo/sign/message', { message: 'afterwards' }).then(
        ({ status }) => status === 200,
        () => false,
      );
    expect(await until(served, LIMIT_MS)).toBe(true);
    expectStatus(200, await service.client().get('/readyz'));
    kept.destroy();
  },
);

const handles = (): number => readdirSync(`/proc/${service.pid}/fd`).length;

/** Over one connection, which stays. */
async function sign(agent: Agent, message: number): Promise<void> {
  const status = await new Promise<number | undefined>((resolve, reject) => {
    const asked = request(
      `${service.url}/v1/keys/demo/sign/message`,
      {
        method: 'POST',
        agent,
        headers: {
          authorization: `Bearer ${service.demoToken}`,
          'content-type': 'application/json',
        },
      },
      (res) => void res.resume().once('end', () => resolve(res.statusCode)),
    );
    asked.once('error', reject);
    asked.end(JSON.stringify({ message: `${message}` }));
  });
  expect(status).toBe(200);
}
