import { cpSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { expectStatus, makeDirectory, startService, type Client, type RunningService } from '../service.ts';
import { aroundEach, crashAt, type Point } from './crash.ts';

/** The root key gets a term, all keys are moved to it, and the service dies at every commit of that. */

interface Status {
  readonly keyring: { readonly term: number; readonly oldTermKeys: number };
}
interface Job {
  readonly job: {
    readonly state: string;
    readonly total: number;
    readonly done: number;
    readonly failed: number;
  } | null;
}

/** Three pages of them, and the key of the log after that. */
const KEYS = 300;
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

let base: string;
let names: string[];
let service: RunningService | undefined;

beforeAll(async () => {
  base = makeDirectory();
  const running = await startService({ data: base, policy: POLICY });
  names = ['demo', ...Array.from({ length: KEYS - 1 }, (_, index) => `key-${index}`)];
  for (let at = 1; at < names.length; at += 50) {
    const made = names.slice(at, at + 50).map((name) => running.admin.post('/v1/keys', { name }));
    for (const answer of await Promise.all(made)) expectStatus(201, answer);
  }
  await running.stop();
});
afterEach(async () => await service?.stop());

async function jobOf(client: Client): Promise<Job['job']> {
  return expectStatus(200, await client.get<Job>('/v1/sys/rewrap')).job;
}

async function keyringOf(client: Client): Promise<Status['keyring']> {
  return expectStatus(200, await client.get<Status>('/v1/sys/status')).keyring;
}

async function untilDone(client: Client): Promise<NonNullable<Job['job']>> {
  for (;;) {
    const job = await jobOf(client);
    if (job?.state === 'done') return job;
    await sleep(20);
  }
}

async function rotateAndRewrap({ admin }: RunningService): Promise<void> {
  expectStatus(200, await admin.post('/v1/sys/rotate-root', {}));
  expectStatus(202, await admin.post('/v1/sys/rewrap', {}));
  await untilDone(admin);
}

async function allSign(client: Client): Promise<void> {
  for (let at = 0; at < names.length; at += 50) {
    const signed = names
      .slice(at, at + 50)
      .map((name) => client.post(`/v1/keys/${name}/sign/message`, { message: 'x' }));
    for (const answer of await Promise.all(signed)) expectStatus(200, answer);
  }
}

const pages = [1, 2, 3, 4].flatMap((nth): Point[] => [
  { kind: 'seal.rewrap_progressed', when: 'before', nth },
  { kind: 'seal.rewrap_progressed', when: 'after', nth },
]);
const points = [...aroundEach(['seal.root_rotated', 'seal.rewrap_started', 'seal.rewrapped']), ...pages].map(
  ({ kind, when, nth = 1 }) => ({ kind, when, nth }),
);

describe('a service that is killed while its keys are moved to a new term', () => {
  it.each(points)('$when $kind $nth goes on by itself, and every key signs', async (point) => {
    const data = path.join(makeDirectory(), 'data');
    cpSync(base, data, { recursive: true });
    await crashAt(point, { data }, rotateAndRewrap);

    const rotated = point.kind !== 'seal.root_rotated' || point.when === 'after';
    const begun = rotated && point.kind !== 'seal.root_rotated' && !isStart(point, 'before');
    service = await startService({ data });
    const { admin, demo } = service;
    expect((await keyringOf(admin)).term).toBe(rotated ? 2 : 1);
    await allSign(demo);
    expect((await jobOf(admin)) !== null).toBe(begun);
    if (!begun) await rotateAndRewrap(service);
    expect(await untilDone(admin)).toMatchObject({ total: KEYS + 1, done: KEYS + 1, failed: 0 });
    expect((await keyringOf(admin)).oldTermKeys).toBe(0);

    // From what is stored now, and from nothing that this process remembers.
    const { data: directory } = service;
    await service.stop();
    service = await startService({ data: directory });
    await allSign(service.demo);
    expectStatus(200, await service.admin.get('/v1/audit/key'));
  });
});

function isStart({ kind, when }: Point, at: Point['when']): boolean {
  return kind === 'seal.rewrap_started' && when === at;
}
