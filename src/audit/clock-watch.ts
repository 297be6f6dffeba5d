import type { Act } from './act.ts';

/** Both in milliseconds: the clock on the wall, and one that nobody sets. */
export interface Clocks {
  wall(): number;
  steady(): number;
}

const SYSTEM_CLOCKS: Clocks = { wall: () => Date.now(), steady: () => performance.now() };

const LOOK_MS = 1_000;
/** A clock that is disciplined drifts by less than this between two looks; more is a step. */
const STEP_MS = 1_000;

/**
 * Writes an entry when the clock was set, forwards or back: times in the log are only as good as it. Entries themselves
 * never go back; they keep the newest time until the clock has caught up.
 */
export class ClockWatch {
  readonly #act: Act<unknown>;
  readonly #clocks: Clocks;
  #offset: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(act: Act<unknown>, clocks: Clocks = SYSTEM_CLOCKS) {
    this.#act = act;
    this.#clocks = clocks;
    this.#offset = clocks.wall() - clocks.steady();
  }

  /** @param logTime of the newest entry, RFC 3339; a clock behind it has stepped while the service was down. */
  start(logTime: string): void {
    const behind = logTime === '' ? 0 : this.#clocks.wall() - Date.parse(logTime);
    if (behind < -STEP_MS) this.#record(behind);
    this.#timer = setInterval(() => this.look(), LOOK_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  look(): void {
    const offset = this.#clocks.wall() - this.#clocks.steady();
    const step = offset - this.#offset;
    if (Math.abs(step) < STEP_MS) return;
    this.#offset = offset;
    this.#record(step);
  }

  #record(stepMs: number): void {
    const detail = { stepMs: Math.round(stepMs), clock: new Date(this.#clocks.wall()).toISOString() };
    // A log that can't be written says so itself.
    this.#act.record({ kind: 'clock.stepped', outcome: 'done', detail }).catch(() => undefined);
  }
}
