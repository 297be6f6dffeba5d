import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { wipe } from '../../src/bytes.ts';
import { startClocked } from '../lifecycle/crash.ts';
import {
  expectStatus,
  startService,
  until,
  type KeyAnswer,
  type RunningService,
  type SignAnswer,
} from '../service.ts';
import { present, scan, whyNotReadable } from './memory-scan.ts';
import { openSecrets, type Opened } from './opened.ts';

/** Longer than any destruction waits, in ms. */
const LATER = 400 * 24 * 60 * 60 * 1000;
const EXIT_GROUP = '231';
/** A process that ends stands still this long, at its last system call. */
const LAST_MS = 20_000;

const refused = await whyNot();
const canTrace = spawnSync('strace', ['-V']).status === 0;

let service: RunningService | undefined;
let secrets: Opened | undefined;
let strace: ChildProcess | undefined;
afterEach(async () => {
  strace?.kill('SIGINT');
  if (secrets !== undefined) wipe(...Object.values(secrets));
  await service?.kill();
  service = undefined;
});

async function signOnce({ demo, admin }: RunningService, key: string): Promise<void> {
  if (key !== 'demo') expectStatus(201, await admin.post('/v1/keys', { name: key }));
  expectStatus(200, await demo.post<SignAnswer>(`/v1/keys/${key}/sign/message`, { message: 'once' }));
}

async function whyNot(): Promise<string | undefined> {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  try {
    return await whyNotReadable(child.pid!);
  } finally {
    child.kill('SIGKILL');
  }
}

const reason = { reason: 'no longer needed' };

test.runIf(process.env['CI'] === 'true')('memory can be read here, and calls can be held up', () => {
  expect([refused, canTrace]).toEqual([undefined, true]);
});

describe.skipIf(refused !== undefined)('a private key', () => {
  test('that was destroyed is in neither process, however long it was there before', async () => {
    const running = await startClocked();
    service = running;
    await signOnce(running, 'demo');
    secrets = await openSecrets(running.data);
    const { privateKey } = secrets;
    expect(present(await scan(running.signerPid, { privateKey }))).toEqual(['privateKey, bytes: 1']);

    const route = '/v1/keys/demo/versions/1';
    expectStatus(200, await running.admin.post(`${route}/disable`, reason));
    expectStatus(200, await running.admin.post(`${route}/schedule-destruction`, reason));
    await running.setClock(LATER);
    const isDestroyed = async (): Promise<boolean> =>
      expectStatus(200, await running.admin.get<KeyAnswer>('/v1/keys/demo')).versions[0]?.state ===
      'destroyed';
    expect(await until(isDestroyed, 90_000)).toBe(true);
    expect(present(await scan(running.signerPid, { privateKey }))).toEqual([]);
    expect(present(await scan(running.pid, secrets))).toEqual([]);
  });

  test('whose version gave its place to another in an emergency is in neither process; its successor signs', async () => {
    service = await startService();
    await signOnce(service, 'demo');
    secrets = await openSecrets(service.data);
    const { privateKey } = secrets;
    expect(present(await scan(service.signerPid, { privateKey }))).toEqual(['privateKey, bytes: 1']);
    expectStatus(
      200,
      await service.admin.post('/v1/keys/demo/versions/1/compromise', { ...reason, rotate: true }),
    );
    const signs = async (): Promise<boolean> =>
      (await service!.demo.post('/v1/keys/demo/sign/message', { message: 'next' })).status === 200;
    expect(await until(signs, 30_000)).toBe(true);
    expect(present(await scan(service.signerPid, { privateKey }))).toEqual([]);
    expect(present(await scan(service.pid, secrets))).toEqual([]);
  });
});

describe.skipIf(refused !== undefined || !canTrace)('a process that ends', () => {
  test.each(['signer', 'API'] as const)('leaves no secret in its memory: the %s process', async (which) => {
    service = await startService();
    await signOnce(service, 'demo');
    secrets = await openSecrets(service.data);
    const pid = which === 'API' ? service.pid : service.signerPid;
    const inject = ['-e', 'trace=exit_group', '-e', `inject=exit_group:delay_enter=${LAST_MS}ms`];
    strace = spawn('strace', ['-f', '-qq', '-o', '/dev/null', ...inject, '-p', String(pid)]);
    const traced = (): Promise<boolean> =>
      Promise.resolve(!/^TracerPid:\s+0$/m.test(readFileSync(`/proc/${pid}/status`, 'utf8')));
    expect(await until(traced, 10_000)).toBe(true);
    const stopped = service.stop();
    const ends = (): Promise<boolean> =>
      Promise.resolve(readFileSync(`/proc/${pid}/syscall`, 'utf8').startsWith(EXIT_GROUP));
    expect(await until(ends, 10_000)).toBe(true);
    const found = present(await scan(pid, secrets));
    strace.kill('SIGINT');
    await stopped.catch(() => undefined);
    expect(found).toEqual([]);
  });
});
