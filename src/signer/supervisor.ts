import { spawn, type ChildProcess } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { asBuffer } from '../bytes.ts';
import { CountersignError, type ErrorCode, type FieldError } from '../errors.ts';
import { ANSWER, FrameReader, FrameWriter, MAX_FIELD_BYTES, type Frame } from './link.ts';

export type SignerState = 'starting' | 'ready' | 'stopped';

export interface SupervisorOptions {
  /** Called each time a new process has passed its self-tests; it holds no keys yet. */
  readonly onReady: () => void;
  /** Called each time a process ended that should not have. */
  readonly onLost: (reason: string) => void;
  /** Another program than the signer process's own; only tests have one. */
  readonly program?: string | undefined;
}

interface Pending {
  readonly resolve: (fields: readonly Uint8Array[]) => void;
  readonly reject: (error: Error) => void;
  /** On the monotonic clock, so that a clock that is set right kills nothing. */
  deadline: number;
}

/** A signature takes microseconds; what takes this long is a process that hangs. */
const SIGN_TIMEOUT_MS = 5_000;
/** Key derivations wait for each other and take seconds each. */
export const KDF_TIMEOUT_MS = 120_000;
const START_TIMEOUT_MS = 30_000;
const WATCH_INTERVAL_MS = 500;
/** A watch that comes later than this was held up itself, and with it the reading of answers. */
const WATCH_LATE_MS = 1_500;
const RESTART_DELAYS_MS = [0, 200, 1_000, 5_000];

/**
 * Keeps one signer process running and carries requests to it. When it dies or hangs, every request under way
 * fails with `unavailable` at once, and a new process is started, empty: whoever owns the seal decides what
 * happens next (`onReady`).
 */
export class SignerSupervisor {
  readonly #options: SupervisorOptions;
  readonly #pending = new Map<number, Pending>();
  #state: SignerState = 'starting';
  /** The process is being killed for what it did; what follows from that is done. */
  #condemned = false;
  #child: ChildProcess | undefined;
  #writer: FrameWriter | undefined;
  #nextId = 1;
  #losses = 0;
  #watch: NodeJS.Timeout | undefined;
  #watchedAt = performance.now();
  #retired = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  get state(): SignerState {
    return this.#state;
  }

  /** The operating system's id of the process, for status and tests. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Resolves when the first process has passed its self-tests. */
  async start(): Promise<void> {
    await this.#spawn();
    this.#watch = setInterval(() => this.#killIfHung(), WATCH_INTERVAL_MS);
    this.#watch.unref();
  }

  /** From now on an end is nothing to mend: the service is shutting down. */
  retire(): void {
    this.#retired = true;
  }

  /** Ends the process, which wipes what it holds; resolves when it is gone. */
  async stop(): Promise<void> {
    this.#state = 'stopped';
    this.#retired = true;
    clearInterval(this.#watch);
    const child = this.#child;
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), 2_000);
    await gone;
    clearTimeout(timer);
  }

  /**
   * It did what it must never do: it is not asked again, what is under way fails, and another process takes its place after its
   * self-tests. Nothing happens where it was replaced already.
   */
  condemn(pid: number | undefined, reason: string): void {
    const child = this.#child;
    if (pid === undefined || child?.pid !== pid || this.#state !== 'ready') return;
    this.#condemned = true;
    child.kill('SIGKILL');
    this.#failPending('the signer process is being replaced: it could not be trusted any more');
    this.#giveUp(reason);
  }

  /** Sends one request; the answer's fields, or the error that the signer process gave. */
  request(
    kind: number,
    fields: readonly Uint8Array[],
    timeoutMs = SIGN_TIMEOUT_MS,
  ): Promise<readonly Uint8Array[]> {
    const writer = this.#writer;
    if (this.#state !== 'ready' || writer === undefined) {
      return Promise.reject(
        new CountersignError('unavailable', 'the signer process is not running; it is being restarted'),
      );
    }
    const size = fields.reduce((sum, field) => sum + field.length, 0);
    if (size > MAX_FIELD_BYTES) {
      return Promise.reject(
        new CountersignError('payload_too_large', 'this is more than the signer process takes'),
      );
    }
    const id = this.#nextId;
    this.#nextId = (this.#nextId % 0xffff_ffff) + 1;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject, deadline: performance.now() + timeoutMs });
      writer.send({ kind, id, fields });
    });
  }

  async #spawn(): Promise<void> {
    this.#state = 'starting';
    const child = spawnSigner(this.#options.program);
    this.#child = child;
    const ready = Promise.withResolvers<void>();
    child.once('error', (error) => ready.reject(error));
    // Absent when there was no file descriptor left for it; the error says so.
    const socket = child.stdio?.[3] as Socket | undefined;
    if (socket === undefined) return await ready.promise;
    const reader = new FrameReader();
    const writer = new FrameWriter(socket);

    socket.on('data', (chunk: Buffer) => {
      try {
        for (const frame of reader.push(chunk)) {
          if (frame.kind === ANSWER.ready) becomeReady(frame);
          else this.#settle(frame);
        }
      } catch {
        child.kill('SIGKILL');
      }
    });
    // A broken link and an ended process are one event; 'exit' below is where it is handled.
    socket.on('error', () => child.kill('SIGKILL'));
    const becomeReady = (frame: Frame): void => {
      const { failed } = JSON.parse(asBuffer(frame.fields[0] ?? Buffer.from('{}')).toString()) as {
        failed?: string[];
      };
      if (failed?.length === 0) {
        this.#writer = writer;
        this.#state = 'ready';
        ready.resolve();
      } else {
        ready.reject(
          new CountersignError('internal', `the signer's self-tests failed: ${failed?.join(', ')}`),
        );
        child.kill('SIGKILL');
      }
    };
    child.once('exit', (code, signal) => {
      const reason = signal === null ? `exit code ${code}` : `signal ${signal}`;
      ready.reject(new CountersignError('unavailable', `the signer process ended at start (${reason})`));
      if (this.#child === child) this.#lose(reason);
    });

    const timer = setTimeout(() => child.kill('SIGKILL'), START_TIMEOUT_MS);
    try {
      await ready.promise;
    } finally {
      clearTimeout(timer);
    }
  }

  #settle(frame: Frame): void {
    const pending = this.#pending.get(frame.id);
    if (pending === undefined) throw new Error('link: an answer to nothing');
    this.#pending.delete(frame.id);
    if (frame.kind === ANSWER.ok) pending.resolve(frame.fields);
    else pending.reject(errorOf(frame));
  }

  #lose(reason: string): void {
    this.#failPending('the signer process ended before it answered');
    const condemned = this.#condemned;
    this.#condemned = false;
    // An end at start is an error of start(), or of the restart that is already under way.
    if (this.#state !== 'ready' && !condemned) return;
    if (!condemned) this.#giveUp(reason);
    if (!this.#retired) void this.#restart();
  }

  #giveUp(reason: string): void {
    this.#writer = undefined;
    if (this.#retired) return;
    this.#state = 'starting';
    this.#options.onLost(reason);
  }

  #failPending(message: string): void {
    for (const { reject } of this.#pending.values()) reject(new CountersignError('unavailable', message));
    this.#pending.clear();
  }

  async #restart(): Promise<void> {
    for (;;) {
      const delay = RESTART_DELAYS_MS[Math.min(this.#losses++, RESTART_DELAYS_MS.length - 1)];
      await sleep(delay, undefined, { ref: false });
      // A process that started now would outlive the service, and keep it from ending.
      if (this.#retired) return;
      try {
        await this.#spawn();
        this.#options.onReady();
        // Only a process that lasts makes the next restart quick again.
        setTimeout(() => (this.#losses = 0), 60_000).unref();
        return;
      } catch {
        // Said by readyz, which reports the state; the next try follows after the delay.
      }
    }
  }

  #killIfHung(): void {
    const now = performance.now();
    const late = now - this.#watchedAt - WATCH_INTERVAL_MS;
    this.#watchedAt = now;
    for (const pending of this.#pending.values()) {
      // This process stood still, and what was answered meanwhile is not read yet.
      if (late > WATCH_LATE_MS) pending.deadline += late;
      else if (pending.deadline < now) {
        this.#child?.kill('SIGKILL');
        return;
      }
    }
  }
}

/**
 * The process gets no environment, no core dumps, no inspector, and reads no file but the program. (On Node 24 the
 * permission model has no switch for the network; production adds that from outside, see docs/operations.md.)
 */
function spawnSigner(program?: string): ChildProcess {
  const here = fileURLToPath(import.meta.url);
  const entry = program ?? path.join(path.dirname(here), 'process', `main${path.extname(here)}`);
  const sources = path.join(path.dirname(here), '..');
  const root = path.join(sources, '..');
  const addon = realpathSync(createRequire(here).resolve('secp256k1/package.json'));
  const modules = path.join(path.dirname(addon), '..');
  const flags = [
    '--disable-sigusr1',
    '--expose-gc',
    // It makes little garbage and holds much that stays: measured, this halves its memory and costs no time.
    '--max-semi-space-size=1',
    '--v8-pool-size=1',
    '--optimize-for-size',
    '--permission',
    '--allow-addons',
    '--allow-worker',
    `--allow-fs-read=${sources}/`,
    ...(program === undefined ? [] : [`--allow-fs-read=${program}`]),
    `--allow-fs-read=${path.join(root, 'package.json')}`,
    `--allow-fs-read=${modules}/`,
    // The addon loader looks here to tell musl from glibc.
    '--allow-fs-read=/etc/alpine-release',
    '--disable-warning=SecurityWarning',
    '--disable-warning=ExperimentalWarning',
  ];
  const script = 'ulimit -c 0; exec env -i "$0" "$@"';
  return spawn('/bin/sh', ['-c', script, process.execPath, ...flags, entry], {
    cwd: root,
    env: { PATH: '/usr/local/bin:/usr/bin:/bin' },
    // Its own process group: a Ctrl-C, or a signal to the whole group, is for the API process to act on.
    detached: true,
    stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
  });
}

function errorOf(frame: Frame): CountersignError {
  const { code, message, errors } = JSON.parse(asBuffer(frame.fields[0] ?? Buffer.from('{}')).toString()) as {
    code: ErrorCode;
    message: string;
    errors: FieldError[];
  };
  return new CountersignError(code, message, errors);
}
