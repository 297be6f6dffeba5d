import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll } from 'vitest';
import type { Entry } from '../src/audit/entry.ts';
import type { StoredEntry } from '../src/audit/stored-entry.ts';
import type { LogSource } from '../src/audit/verify/log.ts';
import { auditReads, readHead } from '../src/storage/sqlite/audit.ts';
import { openForReading } from '../src/storage/sqlite/database.ts';

/** The real service as a child process, for tests that go through its front door. */
export interface RunningService {
  readonly url: string;
  readonly data: string;
  readonly pid: number;
  /** The signer process as it is now: it has another id after a restart. */
  readonly signerPid: number;
  /** Of the first start; empty where it made none. */
  readonly adminToken: string;
  readonly demoToken: string;
  /** A client with this token; with none it is a caller without credential. */
  client(token?: string): Client;
  readonly admin: Client;
  readonly demo: Client;
  /** Everything that the service wrote to standard error so far. */
  stderr(): string;
  /** How it ended, once it has: `exit code 0` or `signal SIGKILL`. */
  readonly ended: Promise<string>;
  /** Sends a message to a `program` that listens, and waits for its answer. */
  tell(message: object): Promise<void>;
  /** SIGTERM, and waits until both processes are gone. Throws when it takes over 15 s or does not end well. Does nothing after `kill`. */
  stop(): Promise<void>;
  /** SIGKILL to the API process only. Resolves when it is gone; its signer process is on its own then. */
  kill(): Promise<void>;
}

export interface StartOptions {
  /** A data directory; a new one, removed after the last test of the file, when absent. */
  readonly data?: string;
  /** Written as policy.yaml before the start. */
  readonly policy?: string;
  readonly logLevel?: 'info' | 'warn' | 'error' | 'silent';
  /** Further arguments of `countersign start`. */
  readonly args?: readonly string[];
  /** What is run instead of `countersign start`, with the same arguments. */
  readonly program?: readonly [string, ...string[]];
}

/** The command, as a person runs it. */
export const LAUNCHER = path.resolve(import.meta.dirname, '../bin/countersign');
const LISTENS = /^countersign listens on (http:\/\/\S+)$/m;
const START_MS = 30_000;
const STOP_MS = 15_000;

const running = new Set<ChildProcess>();
const directories = new Set<string>();
// Registered first and so run last: a test that fails leaves neither processes nor directories. A signer process
// ends with its service.
afterAll(() => {
  for (const child of running) child.kill('SIGKILL');
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

/** An empty directory that is removed after the last test of the file. */
export function makeDirectory(): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'countersign-test-'));
  directories.add(directory);
  return directory;
}

/** Starts the service and waits until it says where it listens; it may still be sealed. */
export async function startService(options: StartOptions = {}): Promise<RunningService> {
  const { data = makeDirectory(), logLevel = 'error', args = [] } = options;
  if (options.policy !== undefined)
    writeFileSync(path.join(data, 'policy.yaml'), options.policy, { mode: 0o600 });
  const { child, outcome, ended, stderr } = launch(
    ['--data', data, '--log-level', logLevel, ...args],
    options.program,
  );
  let killed = false;
  const url = await outcome;
  if (typeof url !== 'string') throw new Error(`the service did not start: ${url.reason}: ${stderr()}`);

  const client = (token?: string): Client => createClient(url, token);
  const adminToken = readToken(data, 'admin.token');
  const demoToken = readToken(data, 'demo.token');
  const pid = child.pid!;
  return {
    url,
    data,
    pid,
    get signerPid() {
      const signer = childrenOf(pid).find(isRunning);
      if (signer === undefined) throw new Error('the service has no signer process now');
      return signer;
    },
    adminToken,
    demoToken,
    client,
    admin: client(adminToken),
    demo: client(demoToken),
    stderr,
    ended,
    tell: async (message) => {
      const answered = once(child, 'message');
      child.send(message);
      await answered;
    },
    stop: async () => {
      if (killed) return;
      const processes = [pid, ...childrenOf(pid)];
      child.kill('SIGTERM');
      const gone = await Promise.all(processes.map(async (each) => await untilGone(each, STOP_MS)));
      if (gone.includes(false)) {
        for (const each of processes) if (isRunning(each)) process.kill(each, 'SIGKILL');
        throw new Error(`the service did not stop within ${STOP_MS} ms: ${stderr()}`);
      }
      const ending = await ended;
      if (ending !== 'exit code 0') throw new Error(`the service ended with ${ending}: ${stderr()}`);
    },
    kill: async () => {
      killed = true;
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** A start that is expected to be refused: what it says, and its exit code. */
export async function refusedStart(
  args: readonly string[],
): Promise<{ readonly code: number | null; readonly stderr: string }> {
  const { child, outcome, stderr } = launch(args);
  const url = await outcome;
  if (typeof url === 'string') {
    child.kill('SIGKILL');
    throw new Error('the service started');
  }
  return { code: child.exitCode, stderr: stderr() };
}

interface Launched {
  readonly child: ChildProcess;
  /** Its URL, or why there is none. */
  readonly outcome: Promise<string | { readonly reason: string }>;
  /** `exit code 0` or `signal SIGKILL`, once it has. */
  readonly ended: Promise<string>;
  readonly stderr: () => string;
}

function launch(args: readonly string[], program?: StartOptions['program']): Launched {
  const [command, ...leading] = program ?? [LAUNCHER, 'start'];
  const child = spawn(command, [...leading, '--listen', '127.0.0.1:0', ...args], {
    env: { PATH: process.env['PATH'] },
    stdio: ['ignore', 'pipe', 'pipe', ...(program === undefined ? [] : (['ipc'] as const))],
  });
  running.add(child);
  const ended = new Promise<string>((resolve) => {
    child.once('exit', (code, signal) => {
      running.delete(child);
      resolve(signal === null ? `exit code ${code}` : `signal ${signal}`);
    });
  });
  let errors = '';
  let output = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (errors += text));
  const outcome = new Promise<string | { reason: string }>((resolve) => {
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      const url = LISTENS.exec(output)?.[1];
      if (url === undefined) return;
      clearTimeout(tooLate);
      resolve(url);
    });
    child.once('error', (error) => resolve({ reason: error.message }));
    // 'close' and not 'exit': by then all that it said has been read.
    child.once('close', () => {
      clearTimeout(tooLate);
      void ended.then((reason) => resolve({ reason }));
    });
    const tooLate = setTimeout(() => {
      child.kill('SIGKILL');
      resolve({ reason: `no address after ${START_MS} ms` });
    }, START_MS);
  });
  return { child, outcome, ended, stderr: () => errors };
}

function readToken(data: string, file: string): string {
  const name = path.join(data, file);
  return existsSync(name) ? readFileSync(name, 'utf8').trim() : '';
}

/** The children of a process, from /proc. */
export function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((candidate) => statOf(candidate)?.parent === pid);
}

/** Whether the process exists and is not a zombie that nobody has collected. */
export function isRunning(pid: number): boolean {
  const state = statOf(pid)?.state;
  return state !== undefined && state !== 'Z' && state !== 'X';
}

function statOf(pid: number): { readonly state: string; readonly parent: number } | undefined {
  try {
    // pid (name) state parent …; the name may hold anything, and is the last thing in parentheses.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state = '', parent = ''] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { state, parent: Number(parent) };
  } catch {
    return undefined;
  }
}

/** False when the process still runs after `limitMs`. */
export async function untilGone(pid: number, limitMs: number): Promise<boolean> {
  return await until(() => !isRunning(pid), limitMs);
}

/** Asks again and again until it is so; false when it is not after `limitMs`. */
export async function until(isSo: () => boolean | Promise<boolean>, limitMs: number): Promise<boolean> {
  const end = Date.now() + limitMs;
  for (;;) {
    if (await isSo()) return true;
    if (Date.now() > end) return false;
    await sleep(20);
  }
}

export interface Answer<T> {
  readonly status: number;
  readonly headers: Headers;
  /** Parsed when it is JSON, else the text. */
  readonly body: T;
}

/** JSON in, JSON out. An answer of any status is an answer; what throws is a broken connection. */
export interface Client {
  get<T = Problem>(path: string, headers?: Readonly<Record<string, string>>): Promise<Answer<T>>;
  post<T = Problem>(
    path: string,
    body: unknown,
    headers?: Readonly<Record<string, string>>,
  ): Promise<Answer<T>>;
  patch<T = Problem>(
    path: string,
    body: unknown,
    headers?: Readonly<Record<string, string>>,
  ): Promise<Answer<T>>;
}

/** The fields of `application/problem+json` that tests look at. */
export interface Problem {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly requestId: string;
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
  readonly decision?: { readonly effect: string; readonly rule?: string; readonly reason: string };
}

export interface KeyAnswer {
  readonly name: string;
  readonly primary: number;
  readonly versions: readonly {
    readonly version: number;
    readonly address: string;
    readonly publicKey: string;
    readonly state: string;
  }[];
}

export interface SignAnswer {
  readonly requestId: string;
  readonly key: { readonly name: string; readonly version: number; readonly address: string };
  readonly operation: string;
  readonly digest: string;
  readonly signature: string;
  readonly r: string;
  readonly s: string;
  readonly yParity: 0 | 1;
  readonly rawTransaction?: string;
  readonly transactionHash?: string;
  readonly decision: { readonly effect: string; readonly rule?: string; readonly policyRevision: number };
  readonly receipt: { readonly index: number; readonly leafHash: string };
}

/** The body of an answer that must have this status; otherwise throws with what the service said. */
export function expectStatus<T>(status: number, answer: Answer<T>): T {
  if (answer.status === status) return answer.body;
  throw new Error(`expected ${status}, got ${answer.status}: ${JSON.stringify(answer.body)}`);
}

function createClient(url: string, token: string | undefined): Client {
  const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const call = async <T>(method: string, route: string, body: unknown, headers = {}): Promise<Answer<T>> => {
    const response = await fetch(url + route, {
      method,
      headers: {
        ...authorization,
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = /\bjson\b/.test(response.headers.get('content-type') ?? '');
    return {
      status: response.status,
      headers: response.headers,
      body: (isJson ? JSON.parse(text) : text) as T,
    };
  };
  return {
    get: async (route, headers) => await call('GET', route, undefined, headers),
    post: async (route, body, headers) => await call('POST', route, body, headers),
    patch: async (route, body, headers) => await call('PATCH', route, body, headers),
  };
}

/** A principal made by the admin, with a credential; the client that it calls with. */
export async function addPrincipal(
  service: RunningService,
  name: string,
  roles: readonly string[],
): Promise<{ readonly id: string; readonly token: string; readonly client: Client }> {
  const { id } = expectStatus(
    201,
    await service.admin.post<{ id: string }>('/v1/principals', { name, roles }),
  );
  const made = await service.admin.post<{ token: string }>(`/v1/principals/${id}/credentials`, {});
  const { token } = expectStatus(201, made);
  return { id, token, client: service.client(token) };
}

/** The log in a data directory, from its database, running service or not; nothing of it is believed. */
export function logOf(data: string): LogSource & { all(): StoredEntry[]; close(): void } {
  const { db, close } = openForReading(data);
  const reads = auditReads(db);
  const all = (): StoredEntry[] => reads.entries({ from: 0, limit: -1 });
  // One snapshot for all that is read, so that a log that grows does not look cut.
  db.exec('BEGIN');
  return {
    size: readHead(db).frontier.size,
    entries: async function* (from) {
      const page = 1_000;
      for (let next = from; ; next += page) {
        const found = reads.entries({ from: next, limit: page });
        yield found;
        if (found.length < page) return;
      }
    },
    checkpoints: async function* () {
      const notes = reads.checkpointsAfter(-1, -1);
      for (const { note } of notes) yield note;
    },
    all,
    close,
  };
}

/** The members of an entry that tests look at; its bytes are what counts. */
export function entryOf({ bytes }: StoredEntry): Entry {
  return JSON.parse(Buffer.from(bytes).toString('utf8')) as Entry;
}
