import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectStatus, isRunning, startService, type RunningService } from '../service.ts';

let service: RunningService;
beforeAll(async () => {
  service = await startService();
  // The key is loaded by now, and every part of both processes has been used.
  expectStatus(200, await service.demo.post('/v1/keys/demo/sign/message', { message: 'hello' }));
});
afterAll(async () => await service?.stop());

describe.each([
  ['the API process', () => service.pid],
  ['the signer process', () => service.signerPid],
])('%s', (_name, pidOf) => {
  test('leaves no core dump', () => {
    expect(readFileSync(`/proc/${pidOf()}/limits`, 'utf8')).toMatch(/^Max core file size +0 +0 /m);
  });

  test('opens no inspector on SIGUSR1', async () => {
    const pid = pidOf();
    const before = listening(pid);
    process.kill(pid, 'SIGUSR1');
    await sleep(500);
    expect(isRunning(pid)).toBe(true);
    expect(listening(pid)).toEqual(before);
    expect(threadsOf(pid).filter((name) => /inspector|SignalInspector/i.test(name))).toEqual([]);
    expectStatus(200, await service.demo.post('/v1/keys/demo/sign/message', { message: 'still there' }));
  });

  test('was given no secret in its arguments', () => {
    const line = readFileSync(`/proc/${pidOf()}/cmdline`, 'utf8');
    expect(line).not.toContain(service.adminToken);
    expect(line).not.toMatch(/[0-9a-fA-F]{64}/);
  });
});

test('the API process listens on its one address only', () => {
  expect(listening(service.pid)).toEqual([Number(new URL(service.url).port)]);
});

describe('the signer process', () => {
  test('has no environment', () => {
    expect(readFileSync(`/proc/${service.signerPid}/environ`)).toHaveLength(0);
  });

  test('has no network, and no socket but its link (and standard error, when that is one)', () => {
    const pid = service.signerPid;
    const sockets = socketsOf(pid);
    expect(sockets.map(({ fd }) => fd)).toEqual(expect.arrayContaining([3]));
    expect(sockets.filter(({ fd }) => fd !== 2 && fd !== 3)).toEqual([]);
    const unix = new Set(readFileSync(`/proc/${pid}/net/unix`, 'utf8').split(/\s+/));
    expect(sockets.filter(({ inode }) => !unix.has(inode))).toEqual([]);
  });

  test('has no file of the data directory open', () => {
    expect(linksOf(service.signerPid).filter(({ target }) => target.startsWith(service.data))).toEqual([]);
  });

  test('is in a session of its own, so that no terminal signals it', () => {
    const stat = readFileSync(`/proc/${service.signerPid}/stat`, 'utf8');
    const [, , , session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    expect(Number(session)).toBe(service.signerPid);
  });
});

interface Link {
  readonly fd: number;
  readonly target: string;
}

function linksOf(pid: number): Link[] {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).map((fd) => ({ fd: Number(fd), target: readlinkSync(`${folder}/${fd}`) }));
}

function socketsOf(pid: number): { readonly fd: number; readonly inode: string }[] {
  return linksOf(pid).flatMap(({ fd, target }) => {
    const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
    return inode === undefined ? [] : [{ fd, inode }];
  });
}

/** The TCP ports that a process listens on. */
function listening(pid: number): number[] {
  const own = new Set(socketsOf(pid).map(({ inode }) => inode));
  return ['tcp', 'tcp6'].flatMap((table) =>
    readFileSync(`/proc/${pid}/net/${table}`, 'utf8')
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      // Columns of proc_net_tcp(5): local address, state (0A: listening), inode.
      .filter((columns) => columns[3] === '0A' && own.has(columns[9] ?? ''))
      .map((columns) => Number.parseInt(columns[1]!.split(':')[1]!, 16)),
  );
}

function threadsOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/task`).map((task) =>
    readFileSync(`/proc/${pid}/task/${task}/comm`, 'utf8').trim(),
  );
}
