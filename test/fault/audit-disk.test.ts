import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { verifyLog } from '../../src/audit/verify/log.ts';
import {
  expectStatus,
  logOf,
  startService,
  until,
  type RunningService,
  type SignAnswer,
} from '../service.ts';

const canMount = process.getuid?.() === 0;
const canTrace = spawnSync('strace', ['-V']).status === 0;

let service: RunningService | undefined;
afterEach(async () => await service?.kill());

/** Signs until an answer is not a signature; the receipts of those that were, and the answer that was not. */
async function signUntilRefused(
  running: RunningService,
): Promise<{ readonly released: SignAnswer[]; readonly code: string }> {
  const released: SignAnswer[] = [];
  for (let i = 0; i < 100_000; i++) {
    const { status, body } = await running.demo.post<SignAnswer & { readonly code: string }>(
      '/v1/keys/demo/sign/message',
      { message: `${i} ${'x'.repeat(4_000)}` },
    );
    if (status !== 200) return { released, code: body.code };
    released.push(body);
  }
  throw new Error('nothing was refused');
}

interface Ready {
  readonly ready: boolean;
  readonly reasons: readonly string[];
}

/** What is on disk verifies, and has every signature that went out. */
async function expectWhole(data: string, vkey: string, released: readonly SignAnswer[]): Promise<void> {
  const log = logOf(data);
  try {
    expect(await verifyLog(log, { vkey })).toMatchObject({ ok: true });
    const leaves = new Map(
      log.all().map(({ index, leafHash }) => [index, Buffer.from(leafHash).toString('hex')]),
    );
    for (const { receipt } of released) expect(leaves.get(receipt.index)).toBe(receipt.leafHash);
  } finally {
    log.close();
  }
}

async function vkeyOf(running: RunningService): Promise<string> {
  return expectStatus(200, await running.admin.get<string>('/v1/audit/key')).trimEnd();
}

describe.runIf(canTrace)('an fsync that fails with EIO', () => {
  it('ends signing for good, says so, and loses nothing that went out', async () => {
    service = await startService();
    const { data } = service;
    const vkey = await vkeyOf(service);
    const inject = ['-e', 'trace=fsync,fdatasync', '-e', 'inject=fsync,fdatasync:error=EIO:when=20+'];
    const strace = spawn('strace', ['-f', '-qq', '-o', '/dev/null', ...inject, '-p', String(service.pid)]);
    const ended = once(strace, 'close');
    const { released, code } = await signUntilRefused(service);
    expect(released.length).toBeGreaterThan(0);
    expect(code).toBe('unavailable');

    const { status, body } = await service.client().get<Ready>('/readyz');
    expect(status).toBe(503);
    expect(body.reasons.join()).toMatch(/the audit log cannot be written .*restart the service/);
    // The disk is well again; what the failed fsync lost is not known, so it is not tried again.
    strace.kill('SIGINT');
    await ended;
    const again = await service.demo.post('/v1/keys/demo/sign/message', { message: 'again' });
    expect(again).toMatchObject({ status: 503, body: { code: 'unavailable' } });

    await service.kill();
    service = await startService({ data });
    expectStatus(200, await service.client(service.demoToken).get('/readyz'));
    await service.kill();
    await expectWhole(data, vkey, released);
  });
});

describe.runIf(canMount)('a disk that is full', () => {
  const mounted = mkdtempSync(path.join(tmpdir(), 'countersign-full-'));
  afterAll(() => {
    spawnSync('umount', [mounted]);
    rmSync(mounted, { recursive: true, force: true });
  });

  it('ends signing, says so, and after room was made goes on with every entry that was vouched for', async () => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=12m', 'tmpfs', mounted]);
    const data = path.join(mounted, 'data');
    service = await startService({ data });
    const vkey = await vkeyOf(service);
    const { released, code } = await signUntilRefused(service);
    expect(released.length).toBeGreaterThan(10);
    expect(code).toBe('unavailable');
    const { body } = await service.client().get<Ready>('/readyz');
    expect(body.reasons.join()).toMatch(/full/);

    await service.kill();
    execFileSync('mount', ['-o', 'remount,size=64m', mounted]);
    service = await startService({ data });
    expect(await until(async () => (await service!.client().get('/readyz')).status === 200, 10_000)).toBe(
      true,
    );
    await service.kill();
    await expectWhole(data, vkey, released);
  });

  it('at the start is a reason, and no half-made directory is taken for a good one', async () => {
    const full = path.join(mounted, 'other');
    writeFileSync(path.join(mounted, 'filler'), Buffer.alloc(1));
    execFileSync('sh', [
      '-c',
      'dd if=/dev/zero of="$0" bs=1M 2>/dev/null || true',
      path.join(mounted, 'filler'),
    ]);
    await expect(startService({ data: full })).rejects.toThrow(/did not start/);
    rmSync(path.join(mounted, 'filler'));
    service = await startService({ data: full });
    expectStatus(200, await service.client().get('/readyz'));
  });
});

it('has the tools that the tests above need', () => {
  // In CI nothing of this may be left out without a word.
  const required = process.env['CI'] !== undefined;
  expect({ canMount: canMount || !required, canTrace: canTrace || !required }).toEqual({
    canMount: true,
    canTrace: true,
  });
});
