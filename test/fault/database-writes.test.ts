import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { verifyLog } from '../../src/audit/verify/log.ts';
import {
  expectStatus,
  logOf,
  refusedStart,
  startService,
  until,
  type Answer,
  type Problem,
  type RunningService,
  type SignAnswer,
} from '../service.ts';

const canMount = process.getuid?.() === 0;
const canTrace = spawnSync('strace', ['-V']).status === 0;
const canLimit = spawnSync('prlimit', ['-V']).status === 0;
const canTurn =
  canMount && isWritable('/dev/loop-control') && isWritable('/sys/fs/ext4') && hasProgram('mkfs.ext4');
const WRITES = 'write,pwrite64,writev,pwritev';

let service: RunningService | undefined;
afterEach(async () => await service?.kill());

function isWritable(name: string): boolean {
  try {
    accessSync(name, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function hasProgram(name: string): boolean {
  return spawnSync(name, ['-V']).status === 0;
}

interface Ready {
  readonly reasons: readonly string[];
}

const walOf = (data: string): string => path.join(data, 'countersign.db-wal');

/** From when it resolves on, system calls of the service end as `inject` says. What it resolves with ends that. */
async function tamper(running: RunningService, ...rules: readonly string[]): Promise<() => Promise<void>> {
  const strace = spawn('strace', ['-f', '-o', '/dev/null', ...rules, '-p', String(running.pid)]);
  const ended = once(strace, 'close');
  await once(strace.stderr, 'data');
  return async () => {
    strace.kill('SIGINT');
    await ended;
  };
}

async function sign(running: RunningService, message: string): Promise<Answer<SignAnswer & Problem>> {
  return await running.demo.post<SignAnswer & Problem>('/v1/keys/demo/sign/message', { message });
}

/** Signs until it is refused; the signatures that went out. */
async function signUntilRefused(running: RunningService): Promise<SignAnswer[]> {
  const released: SignAnswer[] = [];
  for (let i = 0; i < 10_000; i++) {
    const answer = await sign(running, `${i} ${'x'.repeat(500)}`);
    if (answer.status !== 200) {
      expectStatus(503, answer);
      return released;
    }
    released.push(answer.body);
  }
  throw new Error('nothing was refused');
}

/** Signing has ended for good with this reason; the next start has all that went out, and is ready by itself. `repair` comes between. */
async function expectEndedAndWhole(
  running: RunningService,
  released: readonly SignAnswer[],
  repair: () => void = () => undefined,
): Promise<void> {
  const { data } = running;
  const { status, body } = await running.client().get<Ready>('/readyz');
  expect(status).toBe(503);
  expect(body.reasons.join()).toMatch(/the audit log cannot be written .*restart the service/);
  expect(await sign(running, 'again')).toMatchObject({ status: 503, body: { code: 'unavailable' } });
  await running.kill();
  repair();

  service = await startService({ data });
  expectStatus(200, await service.client().get('/readyz'));
  const vkey = expectStatus(200, await service.admin.get<string>('/v1/audit/key')).trimEnd();
  expectStatus(200, await sign(service, 'after the restart'));
  await service.stop();
  const log = logOf(data);
  try {
    expect(await verifyLog(log, { vkey })).toMatchObject({ ok: true });
    const leaves = log.all().map(({ leafHash }) => Buffer.from(leafHash).toString('hex'));
    for (const { receipt } of released) expect(leaves[receipt.index]).toBe(receipt.leafHash);
  } finally {
    log.close();
  }
}

describe.runIf(canTrace)('a write to the database', () => {
  it.each([
    ['fails with EIO', 'error=EIO'],
    ['finds the file system read-only (EROFS)', 'error=EROFS'],
    ['writes nothing at all', 'retval=0'],
  ])('that %s ends signing for good, says so, and loses nothing that went out', async (_, outcome) => {
    service = await startService();
    const stop = await tamper(
      service,
      '-P',
      walOf(service.data),
      '-e',
      `trace=${WRITES}`,
      '-e',
      `inject=${WRITES}:${outcome}:when=100+`,
    );
    const released = await signUntilRefused(service);
    expect(released.length).toBeGreaterThan(0);
    await stop();
    await expectEndedAndWhole(service, released);
  });
});

describe.runIf(canTrace)('an fdatasync that takes its time', () => {
  it('holds back every answer that it is to vouch for, and nothing else', async () => {
    const delayMs = 3_000;
    service = await startService();
    const stop = await tamper(
      service,
      '-e',
      'trace=fdatasync',
      '-e',
      `inject=fdatasync:delay_exit=${delayMs * 1_000}`,
    );
    const started = Date.now();
    let answered = 0;
    const signing = Promise.all(
      ['one', 'two', 'three'].map(async (message) => {
        expectStatus(200, await sign(service!, message));
        answered++;
        // Not a measure of speed: before this the flush, which began after the request, had not returned.
        expect(Date.now() - started).toBeGreaterThanOrEqual(delayMs);
      }),
    );
    await sleep(500);
    for (let i = 0; i < 5; i++) expectStatus(200, await service.client().get('/healthz'));
    expect(answered).toBe(0);
    expect(Date.now() - started, 'healthz waited for the flush').toBeLessThan(delayMs);
    await signing;
    await stop();
  });
});

describe.runIf(canLimit)('a write to the database that is cut short', () => {
  it('ends signing for good, says so, and loses nothing that went out', async () => {
    service = await startService();
    expectStatus(200, await sign(service, 'before'));
    // Half a frame fits: the kernel writes what fits, and nothing of the next.
    const limit = statSync(walOf(service.data)).size + 50_001;
    execFileSync('prlimit', ['--pid', String(service.pid), `--fsize=${limit}`]);
    const released = await signUntilRefused(service);
    expect(released.length).toBeGreaterThan(0);
    expect(statSync(walOf(service.data)).size).toBe(limit);
    await expectEndedAndWhole(service, released);
  });
});

describe.runIf(canMount)('a file system that is read-only', () => {
  const mounted = mkdtempSync(path.join(tmpdir(), 'countersign-read-only-'));
  afterAll(() => {
    spawnSync('umount', [mounted]);
    rmSync(mounted, { recursive: true, force: true });
  });

  it('refuses the start with a reason, and starts once it can be written again', async () => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', mounted]);
    const data = path.join(mounted, 'data');
    service = await startService({ data });
    const released = [expectStatus(200, await sign(service, 'before'))];
    await service.kill();
    execFileSync('mount', ['-o', 'remount,ro', mounted]);
    const { code, stderr } = await refusedStart(['--data', data]);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/cannot be (written|opened)/);
    execFileSync('mount', ['-o', 'remount,rw', mounted]);
    service = await startService({ data });
    expectStatus(200, await service.client().get('/readyz'));
    const log = logOf(data);
    const leaves = log.all().map(({ leafHash }) => Buffer.from(leafHash).toString('hex'));
    log.close();
    for (const { receipt } of released) expect(leaves[receipt.index]).toBe(receipt.leafHash);
    await service.stop();
  });
});

/**
 * `mount -o remount,ro` is refused while a file is open for writing (EBUSY). What turns a file system read-only under
 * a running service is the kernel, after an error of the disk: ext4 mounted with `errors=remount-ro`, whose error the
 * kernel makes itself when asked to (Documentation/ABI/testing/sysfs-fs-ext4).
 */
describe.runIf(canTurn)('a file system that turns read-only while the service signs', () => {
  const base = mkdtempSync(path.join(tmpdir(), 'countersign-turning-'));
  const image = path.join(base, 'image');
  const mounted = mkdtempSync(path.join(base, 'mounted-'));
  const mount = (): void => {
    execFileSync('mount', ['-o', 'loop,errors=remount-ro', image, mounted]);
  };
  afterAll(() => {
    spawnSync('umount', [mounted]);
    rmSync(base, { recursive: true, force: true });
  });

  it('ends signing for good, says so, and loses nothing that went out; repaired, it starts', async () => {
    writeFileSync(image, '');
    truncateSync(image, 64 * 1024 * 1024);
    execFileSync('mkfs.ext4', ['-q', image]);
    mount();
    const source = execFileSync('findmnt', ['-no', 'SOURCE', mounted], { encoding: 'utf8' }).trim();
    // Nothing but this image may be harmed.
    const [, device = ''] = /^\/dev\/(loop\d+)$/.exec(source) ?? [];
    expect(device).not.toBe('');

    const data = path.join(mounted, 'data');
    service = await startService({ data });
    const { size } = statSync(walOf(data));
    const signing = Promise.all(['a', 'b', 'c', 'd'].map(async () => await signUntilRefused(service!)));
    expect(await until(() => statSync(walOf(data)).size > size + 200_000, 30_000)).toBe(true);
    writeFileSync(`/sys/fs/ext4/${device}/trigger_fs_error`, 'read-only from now on');
    const released = (await signing).flat();
    expect(released.length).toBeGreaterThan(0);
    expect(() => writeFileSync(path.join(mounted, 'other'), '')).toThrow(/EROFS/);

    await expectEndedAndWhole(service, released, () => {
      // The kernel does not let it be written again as it is: e2fsck(8), 1 being "errors corrected".
      execFileSync('umount', [mounted]);
      expect(spawnSync('fsck.ext4', ['-f', '-y', image]).status).toBeLessThanOrEqual(1);
      mount();
    });
  });
});

it('has the tools that the tests above need', () => {
  // In CI nothing of this may be left out without a word.
  const required = process.env['CI'] !== undefined;
  expect([canMount, canTrace, canLimit].map((can) => can || !required)).toEqual([true, true, true]);
});
