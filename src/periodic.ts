import type { Log } from './log.ts';

/** What the service does again and again of its own accord. It keeps no process alive; what fails is tried at the next turn. */
export class Periodic {
  readonly #log: Log;
  readonly #onFailure: (error: unknown) => void;
  readonly #timers: NodeJS.Timeout[] = [];

  /** @param onFailure is told of every error. */
  constructor(log: Log, onFailure: (error: unknown) => void) {
    this.#log = log;
    this.#onFailure = onFailure;
  }

  /** @param failed the event of the log that says that `work` failed. */
  every(milliseconds: number, failed: string, work: () => void | Promise<void>): void {
    const timer = setInterval(() => void this.once(failed, work), milliseconds);
    timer.unref();
    this.#timers.push(timer);
  }

  /** Now, and as its turns are: never rejects. */
  async once(failed: string, work: () => void | Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#onFailure(error);
      this.#log.error(failed, { reason: error instanceof Error ? error.message : 'unknown' });
    }
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }
}
