import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { wipe } from '../../src/bytes.ts';
import { startClocked } from '../lifecycle/crash.ts';
import { begin, DAY, keyOf, untilState } from '../lifecycle/rotated.ts';
import {
  expectStatus,
  startService,
  until,
  type KeyAnswer,
  type RunningService,
  type SignAnswer,
} from '../service.ts';
import { present, scan, whyNotReadable } from './memory-scan.ts';
import { openSecrets, openWrapped, type Opened } from './opened.ts';

/** Longer than any destruction waits, in ms. */
const LATER = 400 * 24 * 60 * 60 * 1000;
/** Its number on x86-64, as /proc/<pid>/syscall gives it. */
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

/** So that the scans that follow can fail: the key was in the signer process, once. */
async function useAndSee(running: RunningService): Promise<Opened> {
  await signOnce(running, 'demo');
  const opened = await openSecrets(running.data);
  secrets = opened;
  const { privateKey } = opened;
  expect(present(await scan(running.signerPid, { privateKey }))).toEqual(['privateKey, bytes: 1']);
  return opened;
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
    const opened = await useAndSee(running);
    const { privateKey } = opened;

    const route = '/v1/keys/demo/versions/1';
    expectStatus(200, await running.admin.post(`${route}/disable`, reason));
    expectStatus(200, await running.admin.post(`${route}/schedule-destruction`, reason));
    await running.setClock(LATER);
    const isDestroyed = async (): Promise<boolean> =>
      expectStatus(200, await running.admin.get<KeyAnswer>('/v1/keys/demo')).versions[0]?.state ===
      'destroyed';
    expect(await until(isDestroyed, 90_000)).toBe(true);
    expect(present(await scan(running.signerPid, { privateKey }))).toEqual([]);
    expect(present(await scan(running.pid, opened))).toEqual([]);
  });

  test('that a rotation has replaced and destroyed is in neither process; its successor signs', async () => {
    const running = await startClocked();
    service = running;
    const opened = await useAndSee(running);
    const { privateKey } = opened;

    const plan = { overlap: '0s', drain: '0s', destroyAfterDays: 7 };
    const { id } = await begin(running.admin, 'demo', { plan });
    await untilState(running.admin, id, 'destroying');
    await signOnce(running, 'demo');
    await running.setClock(8 * DAY);
    // Destructions are looked for once a minute.
    await untilState(running.admin, id, 'completed', 90_000);
    expect((await keyOf(running.admin, 'demo')).versions.map(({ state }) => state)).toEqual([
      'destroyed',
      'enabled',
    ]);
    expect(present(await scan(running.signerPid, { privateKey }))).toEqual([]);
    expect(present(await scan(running.pid, opened))).toEqual([]);
    await signOnce(running, 'demo');
  });

  test('whose version gave its place to another in an emergency is in neither process; its successor signs', async () => {
    service = await startService();
    const opened = await useAndSee(service);
    const { privateKey } = opened;
    expectStatus(
      200,
      await service.admin.post('/v1/keys/demo/versions/1/compromise', { ...reason, rotate: true }),
    );
    const signs = async (): Promise<boolean> =>
      (await service!.demo.post('/v1/keys/demo/sign/message', { message: 'next' })).status === 200;
    expect(await until(signs, 30_000)).toBe(true);
    expect(present(await scan(service.signerPid, { privateKey }))).toEqual([]);
    expect(present(await scan(service.pid, opened))).toEqual([]);
  });
});

describe.skipIf(refused !== undefined || !canTrace)(
  'a process that ends leaves no secret in its memory:',
  () => {
    test.each(['signer', 'API'] as const)('the %s process', async (which) => {
      service = await startService();
      await signOnce(service, 'demo');
      secrets = await openSecrets(service.data);
      const pid = which === 'API' ? service.pid : service.signerPid;
      expect(await leftAtTheEnd(service, pid, secrets)).toEqual([]);
    });

    test.each(['signer', 'API'] as const)('the %s process under a passphrase', async (which) => {
      const text = randomBytes(24).toString('base64url');
      service = await startService({ args: ['--seal', 'passphrase'] });
      const seal = { type: 'passphrase', passphrase: text, kdf: { kdf: 'argon2id' } };
      expectStatus(201, await service.admin.post('/v1/sys/init', { seal }));
      expectStatus(201, await service.admin.post('/v1/keys', { name: 'some' }));
      const wrapped = await openWrapped(service.data, text);
      try {
        // To the API process a passphrase comes as JSON, and JavaScript text can't be wiped.
        const ofSigner = { ...wrapped, passphrase: Buffer.from(text) };
        const [pid, sought] = which === 'API' ? [service.pid, wrapped] : [service.signerPid, ofSigner];
        expect(await leftAtTheEnd(service, pid, sought)).toEqual([]);
      } finally {
        wipe(...Object.values(wrapped));
      }
    });
  },
);

/** What is in the memory of one of the service's processes as that makes its last system call, in a stop in good order. */
async function leftAtTheEnd(
  running: RunningService,
  pid: number,
  sought: { readonly [name: string]: Buffer },
): Promise<string[]> {
  const inject = ['-e', 'trace=exit_group', '-e', `inject=exit_group:delay_enter=${LAST_MS}ms`];
  strace = spawn('strace', ['-f', '-qq', '-o', '/dev/null', ...inject, '-p', String(pid)]);
  const traced = (): boolean => !/^TracerPid:\s+0$/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  expect(await until(traced, 10_000)).toBe(true);
  const stopped = running.stop();
  const ends = (): boolean => readFileSync(`/proc/${pid}/syscall`, 'utf8').startsWith(EXIT_GROUP);
  expect(await until(ends, 10_000)).toBe(true);
  const found = present(await scan(pid, sought));
  strace.kill('SIGINT');
  await stopped.catch(() => undefined);
  return found;
}
