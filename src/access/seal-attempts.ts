import { Buckets, RateLimited, type RateLimit } from './throttle.ts';

/** Secrets of the seal that one credential may try at once, and how often after that. */
const OF_ONE: RateLimit = { burst: 10, perSecond: 1 / 60 };
/** The same of all together: more than one credential can use up alone. */
const OF_ALL: RateLimit = { burst: 40, perSecond: 1 / 6 };
const ALL = 'all';

/** One try of a passphrase or a share. It counts as wrong from the start. */
export interface SealAttempt {
  /** It was right, or not about the secret at all. */
  forgive(): void;
  /** After a wrong one: whether the next has to wait. */
  limits(): boolean;
}

/**
 * Bounds how often passphrases and shares of the seal are tried. A try takes from the credential's share and from that of
 * all; a right one gives back what it took. In memory: a restart forgets them.
 */
export class SealAttempts {
  readonly #ofOne: Buckets;
  readonly #ofAll: Buckets;

  /** @param now milliseconds of a clock that does not step back. */
  constructor(now: () => number = () => performance.now()) {
    this.#ofOne = new Buckets(OF_ONE, now);
    this.#ofAll = new Buckets(OF_ALL, now);
  }

  /** Throws `RateLimited`. */
  begin(credentialId: string): SealAttempt {
    const wait = this.#ofOne.take(credentialId);
    if (wait > 0) throw new RateLimited('too many wrong secrets of the seal with this credential', wait);
    const waitOfAll = this.#ofAll.take(ALL);
    if (waitOfAll > 0) {
      this.#ofOne.give(credentialId);
      throw new RateLimited('too many wrong secrets of the seal', waitOfAll);
    }
    return {
      forgive: () => {
        this.#ofOne.give(credentialId);
        this.#ofAll.give(ALL);
      },
      limits: () => this.#ofOne.isEmpty(credentialId) || this.#ofAll.isEmpty(ALL),
    };
  }
}
