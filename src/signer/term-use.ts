import { CountersignError } from '../errors.ts';

/** A term of the root keyring: one key that encrypts keys. */
export interface RootTerm {
  /** From 1. */
  readonly term: number;
  /** RFC 3339. */
  readonly createdAt: string;
  /** So many encryptions under it at most. */
  readonly encryptions: number;
}

export interface TermReads {
  newestTerm(): RootTerm | undefined;
}

export interface TermWrites {
  insertTerm(term: RootTerm): void;
}

/** Beside the log: it is how often, not what. */
export interface TermCounts {
  saveEncryptions(term: number, encryptions: number): void;
}

/** What is written down ahead: a start loses at most so many, and counts them as made. */
const BLOCK = 1_024;
/** NIST SP 800-38D, section 8.3: with random nonces, a key makes at most so many encryptions. */
const MOST_ENCRYPTIONS = 2 ** 32;

/** What a new term begins with, so that its first encryptions are on the safe side of what is on disk. */
export const FIRST_ENCRYPTIONS = BLOCK;

/** Counts the encryptions under the newest term, and never too few: what is about to be made is on disk first. */
export class TermUse {
  readonly #counts: TermCounts;
  #term: RootTerm | undefined;
  /** What is on disk. */
  #written = 0;
  #made = 0;

  constructor(reads: TermReads, counts: TermCounts) {
    this.#counts = counts;
    this.#term = reads.newestTerm();
    this.#written = this.#made = this.#term?.encryptions ?? 0;
  }

  /** The newest term; undefined before the service is initialized. */
  get newest(): RootTerm | undefined {
    return this.#term === undefined ? undefined : { ...this.#term, encryptions: this.#made };
  }

  /** Before `count` encryptions. Throws `unavailable` where the term has had its share, or the log can't write. */
  take(count: number): void {
    if (this.#made + count > MOST_ENCRYPTIONS) {
      throw new CountersignError(
        'unavailable',
        'the newest term of the root key has made 2^32 encryptions: nothing is sealed before countersign rotate-root',
      );
    }
    // The first keyring is being made.
    if (this.#term !== undefined && this.#made + count > this.#written) {
      const written = this.#made + count + BLOCK;
      this.#counts.saveEncryptions(this.#term.term, written);
      this.#written = written;
    }
    this.#made += count;
  }

  /** A new term was stored, with {@link FIRST_ENCRYPTIONS}. */
  begin(term: RootTerm): void {
    // What was made before there was any term is under the first.
    if (this.#term !== undefined) this.#made = 0;
    this.#term = term;
    this.#written = term.encryptions;
  }
}
