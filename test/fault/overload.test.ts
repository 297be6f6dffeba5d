import { execFile } from 'node:child_process';
import { Agent, request } from 'node:http';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { entryOf, expectStatus, logOf, startService, type RunningService } from '../service.ts';

/** More than may be under way at once, however fast the machine. */
const CONNECTIONS = 1_400;
/** Before a connection asks again: half of the time that it is told to wait. */
const PAUSE_MS = 500;
const FEW = 32;
/** Until nothing is compiled any more. */
const WARM_MS = 3_000;
const LOAD_MS = 8_000;
/** That ask again at once, whatever they are told. */
const EAGER = 400;
const EAGER_MS = 4_000;
/** Fewer than lock a credential out. */
const THEFTS = 8;
/** Ten times the aim, for machines that do other things meanwhile. */
const OTHERS_MS = 1_000;

let service: RunningService;
/** Of a credential that exists to be stolen. */
let bait: { readonly id: string; readonly token: string };
beforeAll(async () => {
  service = await startService({ logLevel: 'warn' });
  const { admin } = service;
  const owner = expectStatus(
    201,
    await admin.post<Bait>('/v1/principals', { name: 'bait', roles: ['signer'] }),
  );
  bait = expectStatus(
    201,
    await admin.post<Bait>(`/v1/principals/${owner.id}/credentials`, { canary: true }),
  );
});
afterAll(async () => await service.stop());

type Bait = typeof bait;

interface Answered {
  readonly status: number;
  readonly retryAfter: string | undefined;
}

async function sign(agent: Agent, message: string, token = service.demoToken): Promise<Answered> {
  return await new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const url = `${service.url}/v1/keys/demo/sign/message`;
    const asked = request(url, { method: 'POST', agent, headers }, (res) => {
      const answered = { status: res.statusCode ?? 0, retryAfter: res.headers['retry-after'] };
      res.resume().once('end', () => resolve(answered));
    });
    asked.once('error', reject);
    asked.end(JSON.stringify({ message }));
  });
}

async function metric(name: string): Promise<number> {
  const text = expectStatus(200, await service.client().get<string>('/metrics'));
  return text
    .split('\n')
    .filter((line) => line.startsWith(name))
    .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

/** Uses the canary again and again, on connections of its own. @returns the statuses of the answers. */
async function steal(milliseconds: number): Promise<number[]> {
  const agent = new Agent({ keepAlive: true });
  const statuses: number[] = [];
  for (let i = 0; i < THEFTS; i += 1) {
    statuses.push((await sign(agent, `stolen ${i}`, bait.token)).status);
    await sleep(milliseconds / THEFTS);
  }
  agent.destroy();
  return statuses;
}

/** In a process of its own. @returns ascending milliseconds. */
async function probe(milliseconds: number): Promise<number[]> {
  const program = path.join(import.meta.dirname, 'probe.ts');
  const args = [program, service.url, service.adminToken, String(milliseconds)];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return JSON.parse(stdout) as number[];
}

test(`${CONNECTIONS} connections that all ask at once: some are turned away, others signed and logged, and all are served right after`, async () => {
  const agent = new Agent({ keepAlive: true });
  const waits = new Set<string | undefined>();
  const counts = new Map<number, number>();
  let end = Date.now() + WARM_MS;
  const drive = async (connection: string): Promise<void> => {
    for (let i = 0; Date.now() < end; i += 1) {
      const { status, retryAfter } = await sign(agent, `${connection}-${i}`);
      counts.set(status, (counts.get(status) ?? 0) + 1);
      if (status !== 503) continue;
      waits.add(retryAfter);
      await sleep(PAUSE_MS);
    }
  };
  const driven = async (name: string, connections: number): Promise<unknown> =>
    await Promise.all(Array.from({ length: connections }, async (_, each) => await drive(`${name} ${each}`)));
  await driven('few', FEW);
  end = Date.now() + LOAD_MS;
  const driving = driven('many', CONNECTIONS);
  await sleep(1_500);
  const [others, thefts] = await Promise.all([probe(LOAD_MS - 3_000), steal(LOAD_MS - 3_000)]);
  await driving;
  // As an unknown credential is refused, and never for the load.
  expect(thefts).toEqual(Array.from({ length: THEFTS }, () => 401));

  const [signed = 0, shed = 0] = [counts.get(200), counts.get(503)];
  console.log(
    `${signed} signed, ${shed} turned away; health and an admin route: median ${others[others.length >> 1]?.toFixed(0)} ms, longest ${others.at(-1)?.toFixed(0)} ms`,
  );
  expect([...counts.keys()].toSorted((a, b) => a - b)).toEqual([200, 503]);
  expect([...waits]).toEqual(['1']);
  expect(signed).toBeGreaterThan(shed / 100);
  expect(others[others.length >> 1]).toBeLessThan(OTHERS_MS);
  expect(await metric('countersign_shed_requests_total')).toBe(shed);

  const after = await Promise.all(
    Array.from({ length: FEW }, async (_, each) => (await sign(agent, `after ${each}`)).status),
  );
  expect(after).toEqual(Array.from({ length: FEW }, () => 200));
  agent.destroy();
  const log = logOf(service.data);
  const done = log.all().filter((stored) => {
    const { kind, outcome } = entryOf(stored);
    return kind === 'sign' && outcome === 'done';
  });
  const alarms = log.all().filter((stored) => entryOf(stored).kind === 'alert.canary_credential_used');
  log.close();
  expect(done).toHaveLength(signed + FEW);
  expect(new Set(alarms.map((stored) => entryOf(stored).actor?.credential))).toEqual(new Set([bait.id]));
  expect(alarms).toHaveLength(THEFTS);
});

test(`${EAGER} connections that do not heed Retry-After keep nobody from signing: they are refused no faster than others are signed allows`, async () => {
  const agent = new Agent({ keepAlive: true });
  const counts = new Map<number, number>();
  const begun = performance.now();
  await Promise.all(
    Array.from({ length: EAGER }, async (_, connection) => {
      for (let i = 0; performance.now() < begun + EAGER_MS; i += 1) {
        const { status } = await sign(agent, `eager ${connection}-${i}`);
        counts.set(status, (counts.get(status) ?? 0) + 1);
      }
    }),
  );
  const elapsed = performance.now() - begun;
  agent.destroy();
  const [signed = 0, refused = 0] = [counts.get(200), counts.get(503)];
  console.log(`${signed} signed, ${refused} refused in ${elapsed.toFixed(0)} ms`);
  expect([...counts.keys()].toSorted((a, b) => a - b)).toEqual([200, 503]);
  // What is earned by signatures, by time and ahead; and once at most each connection has waited for a second.
  expect(refused).toBeLessThan(4 * signed + elapsed + 2_000 + EAGER);
});

test('a flood without a credential turns nobody away', async () => {
  const flood = new Agent({ keepAlive: true });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const end = Date.now() + 3_000;
  const flooding = Promise.all(
    Array.from({ length: 600 }, async () => {
      while (Date.now() < end) expect([401, 429]).toContain((await sign(flood, 'x', 'nonsense')).status);
    }),
  );
  let signed = 0;
  for (; Date.now() < end - 500; signed += 1) expect((await sign(agent, `${signed}`)).status).toBe(200);
  expect(signed).toBeGreaterThan(0);
  await flooding;
  flood.destroy();
  agent.destroy();
});
