import { RateLimited } from '../access/throttle.ts';

/** So many wrong codes within this time lock the second factor for the same time. */
const MOST = 5;
const WINDOW_MS = 15 * 60 * 1000;

/** One try of a code. It counts as wrong from the start. */
export interface Attempt {
  /** It was not wrong, or never tried. */
  forgive(): void;
  /** When it was the one that locked, until when; milliseconds since 1970. */
  lockedUntil(): number | undefined;
}

/**
 * Wrong codes by principal, in memory: a restart forgets them, and nobody restarts the service often enough to guess
 * one of a million codes. A right code forgives itself only, so that whoever guesses can't hide between right ones.
 */
export class Attempts {
  readonly #now: () => number;
  /** Times of wrong codes, and of those that are under way. */
  readonly #times = new Map<string, number[]>();
  readonly #locks = new Map<string, number>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Throws `RateLimited` while it is locked. */
  begin(id: string): Attempt {
    const now = this.#now();
    const until = this.#locks.get(id) ?? 0;
    const times = (this.#times.get(id) ?? []).filter((time) => time > now - WINDOW_MS);
    if (until > now || times.length >= MOST) {
      const wait = Math.max(until, (times[0] ?? now) + WINDOW_MS) - now;
      throw new RateLimited('too many wrong one-time codes: the second factor is locked', wait);
    }
    this.#times.set(id, [...times, now]);
    let forgiven = false;
    return {
      forgive: () => {
        if (forgiven) return;
        forgiven = true;
        const rest = [...(this.#times.get(id) ?? [])];
        const mine = rest.indexOf(now);
        if (mine !== -1) rest.splice(mine, 1);
        if (rest.length === 0) this.#times.delete(id);
        else this.#times.set(id, rest);
      },
      lockedUntil: () => {
        const few = (this.#times.get(id)?.length ?? 0) < MOST;
        if (forgiven || few || (this.#locks.get(id) ?? 0) > now) return undefined;
        const until = this.#now() + WINDOW_MS;
        this.#locks.set(id, until);
        // From then on it is the lock that counts.
        this.#times.delete(id);
        return until;
      },
    };
  }
}
