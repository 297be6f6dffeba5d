import { setTimeout as sleep } from 'node:timers/promises';
import type { Hex } from '../../bytes.ts';
import { CountersignError } from '../../errors.ts';
import { selfTest } from './selftest.ts';
import { CheckerThread } from './thread.ts';

export interface CheckerOptions {
  /** Called each time the thread ended that should not have. */
  readonly onLost: (reason: string) => void;
  /** Called each time another one has passed its self-test. */
  readonly onReady?: () => void;
  /** Another program than the checker's own; only tests have one. */
  readonly program?: URL | undefined;
}

export type CheckerState = 'starting' | 'ready' | 'stopped';

const START_TIMEOUT_MS = 10_000;
/** A check takes microseconds. Looks are counted and not time, so that a standstill of this process ends nothing. */
const LOOK_INTERVAL_MS = 500;
const MOST_IDLE_LOOKS = 10;
const RESTART_DELAYS_MS = [0, 200, 1_000, 5_000];

/**
 * Keeps a thread running that checks every signature before it is logged or released, with public data only. While there is none
 * that has passed its self-test, nothing is checked, and so nothing is signed. One that ends, or that does nothing for five
 * seconds while there is something to do, is replaced; whatever it was to check fails with `unavailable`.
 */
export class SignatureChecker {
  readonly #options: CheckerOptions;
  #state: CheckerState = 'starting';
  #thread: CheckerThread | undefined;
  #losses = 0;
  #watch: NodeJS.Timeout | undefined;
  #retired = false;

  constructor(options: CheckerOptions) {
    this.#options = options;
  }

  get state(): CheckerState {
    return this.#state;
  }

  /** Throws `unavailable`. */
  requireReady(): void {
    if (this.#state !== 'ready')
      throw new CountersignError(
        'unavailable',
        'signatures cannot be checked now, so that none is made: the checker is being restarted',
      );
  }

  /** Resolves when the first thread has passed its self-test; throws when it has not. */
  async start(): Promise<void> {
    await this.#begin();
    this.#watch = setInterval(() => this.#endIfStuck(), LOOK_INTERVAL_MS);
    this.#watch.unref();
  }

  stop(): void {
    this.#retired = true;
    this.#state = 'stopped';
    clearInterval(this.#watch);
    this.#thread?.end('stopped');
  }

  /** See {@link CheckerThread.check}. */
  check(digest: Hex, signature: Uint8Array, publicKey: Hex): Promise<boolean> {
    this.requireReady();
    // Ready means that there is one.
    return this.#thread?.check(digest, signature, publicKey) ?? Promise.resolve(false);
  }

  async #begin(): Promise<void> {
    this.#state = 'starting';
    const thread = new CheckerThread(this.#options.program ?? ownProgram());
    this.#thread = thread;
    const timer = setTimeout(() => thread.end('its self-test takes too long'), START_TIMEOUT_MS);
    try {
      const failed = await selfTest((digest, signature, publicKey) =>
        thread.check(digest, signature, publicKey),
      );
      if (failed.length > 0)
        throw new CountersignError('internal', `the checker's self-test failed: ${failed.join(', ')}`);
    } catch (error) {
      thread.end('it did not pass its self-test');
      throw error;
    } finally {
      clearTimeout(timer);
    }
    if (this.#retired) return;
    this.#state = 'ready';
    void thread.ended.then((reason) => this.#lose(reason));
  }

  #lose(reason: string): void {
    if (this.#retired) return;
    this.#state = 'starting';
    this.#options.onLost(reason);
    void this.#restart();
  }

  async #restart(): Promise<void> {
    for (;;) {
      const delay = RESTART_DELAYS_MS[Math.min(this.#losses++, RESTART_DELAYS_MS.length - 1)];
      await sleep(delay, undefined, { ref: false });
      if (this.#retired) return;
      try {
        await this.#begin();
        this.#options.onReady?.();
        // Only a thread that lasts makes the next restart quick again.
        setTimeout(() => (this.#losses = 0), 60_000).unref();
        return;
      } catch {
        // Said by readyz, which reports the state; the next try follows after the delay.
      }
    }
  }

  #endIfStuck(): void {
    const thread = this.#thread;
    if (this.#state === 'ready' && thread !== undefined && thread.look() > MOST_IDLE_LOOKS)
      thread.end('it did nothing for five seconds');
  }
}

function ownProgram(): URL {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  return new URL(`./worker.${extension}`, import.meta.url);
}
