import { CountersignError } from '../errors.ts';

/** A wait that lasts for less is a burst, and no reason to refuse anything. */
const INTERVAL_MS = 50;
/** Without any signature for so many times the target, what is under way waits too long, whatever it waits for. */
const STALLED = 12;
/** So many may always be under way: below it, the rate is not known well enough to go by. */
const LEAST = 96;
/** And never more than these, however suddenly they come. */
const MOST = 1_000;

/** More is asked than can be done. Nothing was decided. */
export class Overloaded extends CountersignError {
  constructor() {
    super('unavailable', 'more is asked than can be signed in time: nothing was decided; try again later');
  }
}

/** One request's place among those that wait for a signature. */
export interface Turn {
  /** Its signature is there, or will not be. */
  made(): void;
  /** It is answered, with a signature or without. To be called in any case. */
  end(): void;
}

/**
 * Refuses what could not be signed in time anyway, so that the rest can be. As CoDel (RFC 8289) it goes by the shortest
 * wait of an interval: where even that one is too long, there is a queue that does not drain. Then no more are let in than
 * are signed within the target (Little's law), until an interval has passed in which nothing had to be refused.
 */
export class SigningLoad {
  readonly #targetMs: number;
  readonly #now: () => number;
  #underWay = 0;
  #since: number;
  #signed = 0;
  #shortest = Infinity;
  #limit = MOST;
  #refused = 0;
  #refusedBefore = 0;

  /**
   * @param targetMs that a signature may wait for its turn while more is asked than can be done
   * @param now in milliseconds, of a clock that does not step
   */
  constructor(targetMs: number, now: () => number = () => performance.now()) {
    this.#targetMs = targetMs;
    this.#now = now;
    this.#since = now();
  }

  /** How often `requireRoom` has thrown. */
  get refused(): number {
    return this.#refused;
  }

  /** Throws `Overloaded` while there is no room for one more. */
  requireRoom(): void {
    this.#look(this.#now());
    if (this.#underWay < this.#limit) return;
    this.#refused++;
    throw new Overloaded();
  }

  /** Takes a place. Throws `Overloaded`. */
  enter(): Turn {
    this.requireRoom();
    const begun = this.#now();
    if (this.#underWay++ === 0) this.#start(begun);
    let waits = true;
    return {
      made: () => {
        if (!waits) return;
        waits = false;
        this.#underWay--;
        const now = this.#now();
        this.#signed++;
        this.#shortest = Math.min(this.#shortest, now - begun);
        this.#look(now);
      },
      end: () => {
        if (waits) this.#underWay--;
        waits = false;
      },
    };
  }

  #look(now: number): void {
    const elapsed = now - this.#since;
    const idle = this.#underWay === 0;
    if (!idle && elapsed < (this.#signed === 0 ? STALLED * this.#targetMs : INTERVAL_MS)) return;
    if (idle) this.#limit = MOST;
    else if (this.#signed === 0) this.#limit = LEAST;
    else if (this.#shortest > this.#targetMs || (this.#limit < MOST && this.#refused > this.#refusedBefore))
      this.#limit = Math.min(MOST, Math.max(LEAST, (this.#signed / elapsed) * this.#targetMs));
    else this.#limit = MOST;
    this.#start(now);
  }

  #start(now: number): void {
    this.#since = now;
    this.#signed = 0;
    this.#shortest = Infinity;
    this.#refusedBefore = this.#refused;
  }
}
