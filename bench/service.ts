import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { FIFTY_RULES } from './fifty-rules.ts';

const ROOT = path.resolve(import.meta.dirname, '..');
/** Of the clock that /proc counts CPU time by. */
const TICK_US = 10_000;

/** A service of its own. */
export interface BenchService {
  readonly host: string;
  readonly port: number;
  readonly token: string;
  readonly adminToken: string;
  readonly data: string;
  cpu(): Cpu;
  rss(): Rss;
  stop(): Promise<void>;
}

/** CPU time since the start of each process, in microseconds; of the main thread, and of all others. */
export interface Cpu {
  readonly main: number;
  readonly others: number;
  readonly signer: number;
}

/** Resident memory in MB. */
export interface Rss {
  readonly api: number;
  readonly signer: number;
}

export function makeData(policy = FIFTY_RULES): string {
  const data = path.join(mkdtempSync(path.join(tmpdir(), 'countersign-bench-')), 'data');
  mkdirSync(data, { mode: 0o700 });
  writeFileSync(path.join(data, 'policy.yaml'), policy, { mode: 0o600 });
  return data;
}

export function removeData(data: string): void {
  rmSync(path.dirname(data), { recursive: true, force: true });
}

/**
 * The package as it is installed, which runs the build: a checkout runs its sources, and then each process and thread also
 * holds what strips the types of them.
 *
 * @returns its folder, which the caller removes
 */
export function installPackage(): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'countersign-package-'));
  const run = (command: string, args: readonly string[]): string =>
    execFileSync(command, args, { cwd: ROOT, encoding: 'utf8' });
  run('node_modules/.bin/tsc', ['-p', 'tsconfig.build.json', '--outDir', path.join(folder, 'dist')]);
  const [, ...packages] = run('npm', ['ls', '--omit=dev', '--all', '--parseable']).trim().split('\n');
  const parts = packages.map((directory) => path.relative(ROOT, directory));
  // No links to outside of the folder: the signer process may read nothing there.
  for (const part of ['bin', 'package.json', 'node_modules/.bin', ...parts])
    cpSync(path.join(ROOT, part), path.join(folder, part), { recursive: true, verbatimSymlinks: true });
  return folder;
}

/** With a data directory of its own where none is given, which goes with it. */
export async function startBenchService(
  given: { readonly data?: string; readonly installed?: string } = {},
): Promise<BenchService> {
  const { data = makeData(), installed = installPackage() } = given;
  const child = spawn(
    path.join(installed, 'bin/countersign'),
    ['start', '--data', data, '--listen', '127.0.0.1:0', '--log-level', 'warn'],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const port = await listening(child);
  const read = (name: string): string => readFileSync(path.join(data, name), 'utf8').trim();
  const pid = child.pid ?? 0;
  const signer = Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0]);
  return {
    host: '127.0.0.1',
    port,
    token: read('demo.token'),
    adminToken: read('admin.token'),
    data,
    cpu: () => {
      const main = threadCpu(pid, pid);
      return { main, others: processCpu(pid) - main, signer: processCpu(signer) };
    },
    rss: () => ({ api: residentMb(pid), signer: residentMb(signer) }),
    stop: async () => {
      child.kill('SIGTERM');
      await new Promise((resolve) => child.once('exit', resolve));
      if (given.data === undefined) removeData(data);
      if (given.installed === undefined) rmSync(installed, { recursive: true });
    },
  };
}

async function listening(child: ChildProcess): Promise<number> {
  return await new Promise<number>((resolve, reject) => {
    let text = '';
    child.once('exit', () => reject(new Error('the service ended at start')));
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      const match = /listens on http:\/\/127\.0\.0\.1:(\d+)/.exec(text);
      if (match?.[1] !== undefined) resolve(Number(match[1]));
    });
  });
}

function processCpu(pid: number): number {
  return readdirSync(`/proc/${pid}/task`)
    .map((thread) => threadCpu(pid, Number(thread)))
    .reduce((sum, one) => sum + one, 0);
}

/** User and system time (proc(5), stat, fields 14 and 15); of a thread that has ended, nothing. */
function threadCpu(pid: number, thread: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) * TICK_US;
  } catch {
    return 0;
  }
}

function residentMb(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
}
