import { CountersignError } from '../errors.ts';
import { NO_CREDENTIAL, WRONG_SECRET, type Unauthenticated } from './credentials.ts';
import { originOf } from './networks.ts';
import { Recent } from './recent.ts';

/** So many at once, and so many a second after that. */
export interface RateLimit {
  readonly perSecond: number;
  readonly burst: number;
}

/** Bounds on all requests, beside those on failed ones, which always hold. */
export interface RateLimits {
  readonly credential?: RateLimit | undefined;
  readonly address?: RateLimit | undefined;
}

/** Wrong secrets for one credential from one origin, within the time, that lock it there, and for how long. */
const LOCK_FAILURES = 10;
const LOCK_WINDOW_MS = 5 * 60_000;
const LOCKED_MS = 5 * 60_000;
/** Failures of one origin that are answered as what they are. */
const FAILURES: RateLimit = { burst: 20, perSecond: 1 };
/** Of each thing that is counted, so many names. */
const MAX_COUNTED = 10_000;

/** Too many requests, or too many wrong ones. */
export class RateLimited extends CountersignError {
  /** Whole seconds until it is worth another try. */
  readonly retryAfter: number;

  constructor(message: string, waitMs: number) {
    const seconds = Math.max(1, Math.ceil(waitMs / 1_000));
    super('rate_limited', `${message}; try again in ${seconds} s`);
    this.retryAfter = seconds;
  }
}

/** A credential that is not looked at from here, right or wrong, until its lock is over. */
export class Locked extends RateLimited {
  readonly credentialId: string;

  constructor(credentialId: string, waitMs: number) {
    super('too many failed attempts', waitMs);
    this.credentialId = credentialId;
  }
}

interface Guesses {
  /** When each was made, those within the window. */
  readonly at: number[];
  lockedUntil: number;
}

/**
 * Counts requests, and failed ones, by credential and by origin: an IPv4 address or an IPv6 /64. The counts are this
 * process's own and begin anew with it.
 */
export class Throttle {
  readonly #now: () => number;
  readonly #failures: Buckets;
  readonly #credentials: Buckets | undefined;
  readonly #addresses: Buckets | undefined;
  readonly #guesses = new Recent<Guesses>(MAX_COUNTED);

  /** @param now milliseconds of a clock that does not step back. */
  constructor({ credential, address }: RateLimits = {}, now: () => number = () => performance.now()) {
    this.#now = now;
    this.#failures = new Buckets(FAILURES, now);
    if (credential !== undefined) this.#credentials = new Buckets(credential, now);
    if (address !== undefined) this.#addresses = new Buckets(address, now);
  }

  /** For every request, before anything else of it is looked at. Throws `RateLimited`. */
  countRequest(address: string): void {
    const waitMs = this.#addresses?.take(originOf(address)) ?? 0;
    if (waitMs > 0) throw new RateLimited('too many requests from this address', waitMs);
  }

  /** For every request whose caller is known. Throws `RateLimited`. */
  countCall(principalId: string, credentialId: string): void {
    const waitMs = this.#credentials?.take(`${principalId} ${credentialId}`) ?? 0;
    if (waitMs > 0) throw new RateLimited('too many requests with this credential', waitMs);
  }

  /** Throws `Locked`. To be asked before the secret is compared, with no waiting between the two. */
  refuseLocked(credentialId: string, address: string): void {
    if (this.#guesses.size === 0) return;
    const lockedUntil = this.#guesses.get(`${credentialId} ${originOf(address)}`)?.lockedUntil ?? 0;
    const waitMs = lockedUntil - this.#now();
    if (waitMs > 0) throw new Locked(credentialId, waitMs);
  }

  /**
   * Counts a failed authentication. Wrong secrets lock: what proves the secret and is refused for another reason is no
   * guess, and an id that nobody has leads to nothing.
   *
   * @returns what to answer, and whether this one has locked the credential.
   */
  countFailure(
    error: Unauthenticated,
    address: string,
  ): { readonly answer: CountersignError; readonly locks: boolean } {
    // Who shows no credential guesses nothing, and has to be told that one is needed.
    if (error.reason === NO_CREDENTIAL) return { answer: error, locks: false };
    const origin = originOf(address);
    const waitMs = this.#failures.take(origin);
    const answer = waitMs > 0 ? new RateLimited('too many failed attempts from this address', waitMs) : error;
    const isGuess = error.reason === WRONG_SECRET && error.credentialId !== undefined;
    return { answer, locks: isGuess && this.#countGuess(`${error.credentialId} ${origin}`) };
  }

  #countGuess(key: string): boolean {
    const now = this.#now();
    const before = this.#guesses.get(key);
    const recent = before?.at.filter((time) => time > now - LOCK_WINDOW_MS) ?? [];
    const at = [...recent, now];
    const locks = at.length >= LOCK_FAILURES;
    this.#guesses.set(key, locks ? { at: [], lockedUntil: now + LOCKED_MS } : { at, lockedUntil: 0 });
    return locks;
  }
}

/** Token buckets by name. */
export class Buckets {
  readonly #limit: RateLimit;
  readonly #now: () => number;
  readonly #buckets = new Recent<{ readonly tokens: number; readonly at: number }>(MAX_COUNTED);

  constructor(limit: RateLimit, now: () => number) {
    this.#limit = limit;
    this.#now = now;
  }

  /** Takes a token. 0 when there was one, else the milliseconds until there is. */
  take(name: string): number {
    const { burst, perSecond } = this.#limit;
    const now = this.#now();
    const { tokens, at } = this.#buckets.get(name) ?? { tokens: burst, at: now };
    const filled = Math.min(burst, tokens + ((now - at) / 1_000) * perSecond);
    const taken = filled >= 1;
    this.#buckets.set(name, { tokens: taken ? filled - 1 : filled, at: now });
    return taken ? 0 : Math.max(1, ((1 - filled) / perSecond) * 1_000);
  }

  /** Whether the next one would have to wait. */
  isEmpty(name: string): boolean {
    const { burst, perSecond } = this.#limit;
    const { tokens, at } = this.#buckets.get(name) ?? { tokens: burst, at: this.#now() };
    return tokens + ((this.#now() - at) / 1_000) * perSecond < 1;
  }

  /** Puts back a token that was taken. */
  give(name: string): void {
    const bucket = this.#buckets.get(name);
    if (bucket === undefined) return;
    this.#buckets.set(name, { ...bucket, tokens: Math.min(this.#limit.burst, bucket.tokens + 1) });
  }
}
