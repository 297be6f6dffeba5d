import { CountersignError } from '../errors.ts';

const INTERVAL_MS = 50;
/** Nobody waits, and for so long nobody has asked: what was before is over. */
const IDLE_MS = 2 * INTERVAL_MS;
/** Without any signature for so many times the target, what is under way waits too long, whatever it waits for. */
const STALLED = 25;
/** So many may always be under way: with fewer, the signer would wait for requests, and commits be small. */
const LEAST = 40;

/** More is asked than can be done. Nothing was decided. */
export class Overloaded extends CountersignError {
  constructor() {
    super('unavailable', 'more is asked than can be signed in time: nothing was decided; try again later');
  }
}

/** There are thousands a second, and to note where an error was made would be a good part of what a refusal costs. */
const OVERLOADED = new Overloaded();

export interface LoadSettings {
  /** That a signature may wait for its turn while more is asked than can be done. */
  readonly targetWaitMs: number;
  /** The most that may wait for theirs at any time, however suddenly they come. */
  readonly burst: number;
}

/** One request's place among those that wait for a signature. */
export interface Turn {
  /** Its signature is there, or will not be. */
  made(): void;
  /** It is answered, with a signature or without. To be called in any case. */
  end(): void;
}

/**
 * Refuses what could not be signed in time anyway, so that the rest can be. As CoDel (RFC 8289) it goes by the best moment of
 * an interval: where even then more were under way than are signed within the target (Little's law), there is a queue that does
 * not drain. Then no more are let in than those, until an interval has passed in which nothing had to be refused.
 */
export class SigningLoad {
  readonly #settings: LoadSettings;
  readonly #now: () => number;
  #underWay = 0;
  #limit: number;
  #refused = 0;
  #signed = 0;
  /** Of the interval. */
  #since: number;
  #signedBefore = 0;
  #fewest = 0;
  #refusedBefore = 0;

  /** @param now in milliseconds, of a clock that does not step */
  constructor(settings: LoadSettings, now: () => number = () => performance.now()) {
    this.#settings = settings;
    this.#limit = settings.burst;
    this.#now = now;
    this.#since = now();
  }

  /** How often `requireRoom` has thrown. */
  get refused(): number {
    return this.#refused;
  }

  /** How many signatures were made. */
  get signed(): number {
    return this.#signed;
  }

  /** Throws `Overloaded` while there is no room for one more. */
  requireRoom(): void {
    this.#look(this.#now());
    if (this.#underWay < this.#limit) return;
    this.#refused++;
    throw OVERLOADED;
  }

  /** Takes a place. Throws `Overloaded`. */
  enter(): Turn {
    this.requireRoom();
    this.#underWay++;
    let waits = true;
    const leave = (): void => {
      waits = false;
      this.#underWay--;
      this.#fewest = Math.min(this.#fewest, this.#underWay);
    };
    return {
      made: () => {
        if (!waits) return;
        leave();
        this.#signed++;
        this.#look(this.#now());
      },
      end: () => {
        if (waits) leave();
      },
    };
  }

  #look(now: number): void {
    const { targetWaitMs, burst } = this.#settings;
    const elapsed = now - this.#since;
    if (this.#underWay === 0 && elapsed > IDLE_MS) {
      this.#limit = burst;
      this.#start(now);
      return;
    }
    const signed = this.#signed - this.#signedBefore;
    if (elapsed < (signed === 0 ? STALLED * targetWaitMs : INTERVAL_MS)) return;
    const inTime = Math.min(burst, Math.max(LEAST, (signed / elapsed) * targetWaitMs));
    const refuses = this.#limit < burst && this.#refused > this.#refusedBefore;
    this.#limit = this.#fewest > inTime || refuses ? inTime : burst;
    this.#start(now);
  }

  #start(now: number): void {
    this.#since = now;
    this.#signedBefore = this.#signed;
    this.#fewest = this.#underWay;
    this.#refusedBefore = this.#refused;
  }
}
