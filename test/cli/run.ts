import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { LAUNCHER } from '../service.ts';

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  readonly cwd?: string;
}

/** Runs the command to its end, with standard streams that are no terminal. */
export async function runCli(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const child = spawn(LAUNCHER, args, {
    env: { PATH: process.env['PATH'], ...options.env },
    stdio: 'pipe',
    ...(options.cwd !== undefined && { cwd: options.cwd }),
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  // Most commands do not read it, and may be gone before it is written.
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.stdin ?? '');
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}

export type Cli = (args: string, options?: RunOptions) => Promise<Ran>;

/** Runs commands written as one text (split at spaces; no quoting) against one service with one credential. */
export function cliFor(url: string, tokenFile: string): Cli {
  const env = { COUNTERSIGN_URL: url, COUNTERSIGN_TOKEN_FILE: tokenFile };
  return async (args, options = {}) =>
    await runCli(args.split(' '), { ...options, env: { ...env, ...options.env } });
}

/** What a command printed with --json; throws when it did not end well. */
export function jsonOf({ code, stdout, stderr }: Ran): unknown {
  if (code !== 0) throw new Error(`exit code ${code}: ${stderr}`);
  return JSON.parse(stdout);
}

/** A port where nothing listens. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** The value beside a name in output made of names and values. */
export function valueOf({ stdout }: Ran, name: string): string | undefined {
  const line = stdout.split('\n').find((line) => line.startsWith(`${name}  `));
  return line?.slice(name.length).trim();
}
