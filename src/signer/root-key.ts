import type { Act, Answer } from '../audit/act.ts';
import { CountersignError } from '../errors.ts';
import type { SealReads, SealWrites } from './seal.ts';
import type { SealCustody } from './seal-custody.ts';
import type { SealLock } from './seal-lock.ts';
import { FIRST_ENCRYPTIONS, type RootTerm, type TermUse, type TermWrites } from './term-use.ts';

export interface OldTermReads {
  /** Of everything that is sealed: what is under a term before this one. */
  countSealedBefore(term: number): number;
}

export interface RootKeyStatus extends RootTerm {
  /** Secrets that are still sealed under a term before the newest. */
  readonly oldTermKeys: number;
}

/** When a term has done enough. */
export interface RootKeyLimits {
  readonly maxEncryptions: number;
  readonly maxAgeDays: number;
}

export interface RootKeyParts {
  readonly reads: SealReads & OldTermReads;
  readonly custody: SealCustody;
  readonly lock: SealLock;
  readonly use: TermUse;
  readonly limits: RootKeyLimits;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

const DAY_MS = 24 * 60 * 60 * 1000;
/** Counting reads every key. */
const COUNT_KEPT_MS = 5_000;

/** The root keyring's terms: a new one when somebody asks, and when the newest has done enough. */
export class RootKey {
  readonly #parts: RootKeyParts;
  #counted: { readonly term: number; readonly at: number; readonly keys: number } | undefined;

  constructor(parts: RootKeyParts) {
    this.#parts = parts;
  }

  /** Undefined before the service is initialized. */
  status(): RootKeyStatus | undefined {
    const newest = this.#parts.use.newest;
    return newest === undefined ? undefined : { ...newest, oldTermKeys: this.#oldTermKeys(newest.term) };
  }

  /**
   * Adds a term, which seals everything from then on. What is sealed stays under its own term until it is rewrapped, and
   * old terms are kept: backups open with them. Throws `sealed`.
   */
  async rotate(
    act: Act<SealWrites & TermWrites>,
    reason: 'asked' | 'encryptions' | 'age' = 'asked',
    answer: (made: RootTerm) => Answer = () => ({}),
  ): Promise<RootTerm> {
    const { reads, custody, lock, use, now } = this.#parts;
    return await lock.alone(async () => {
      const seal = reads.seal();
      if (seal === undefined) throw new CountersignError('sealed', 'the service is not initialized');
      const { term, keyring } = await custody.prepareTerm();
      const made = { term, createdAt: new Date(now()).toISOString(), encryptions: FIRST_ENCRYPTIONS };
      await act.commit({ kind: 'seal.root_rotated', outcome: 'done', detail: { term, reason } }, (tx) => {
        tx.replaceSeal(seal.keyring, { config: seal.config, keyring });
        tx.insertTerm(made);
        return answer(made);
      });
      use.begin(made);
      // Sealed or lost meanwhile: then the next unsealing opens what is stored, which has the term.
      await custody.useTerm().catch(() => undefined);
      return made;
    });
  }

  /** What is under which term was changed. */
  recount(): void {
    this.#counted = undefined;
  }

  /** Adds a term when it is time. @returns whether it was. */
  async tick(act: Act<SealWrites & TermWrites>): Promise<boolean> {
    const reason = this.#due();
    if (reason === undefined) return false;
    await this.rotate(act, reason);
    return true;
  }

  #due(): 'encryptions' | 'age' | undefined {
    const { use, limits, now } = this.#parts;
    const { newest } = use;
    if (newest === undefined) return undefined;
    if (newest.encryptions >= limits.maxEncryptions) return 'encryptions';
    return now() - Date.parse(newest.createdAt) >= limits.maxAgeDays * DAY_MS ? 'age' : undefined;
  }

  #oldTermKeys(term: number): number {
    if (term === 1) return 0;
    const { reads, now } = this.#parts;
    const known = this.#counted;
    if (known?.term === term && Math.abs(now() - known.at) < COUNT_KEPT_MS) return known.keys;
    const keys = reads.countSealedBefore(term);
    this.#counted = { term, at: now(), keys };
    return keys;
  }
}
