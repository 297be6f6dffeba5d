/** Refusals that each signature earns: as long as less than five times as much is asked as can be signed, nobody is held back. */
const FOR_EACH_SIGNED = 4;
/** What the time earns, in any case. */
const FOR_EACH_MS = 1;
/** The most that is earned ahead: of a pause in which requests came together and nothing was signed. */
const MOST_EARNED = 2_000;
/** What `Retry-After` says. */
const LONGEST_MS = 1_000;
/** Each takes some kilobytes; more than these are refused at once. */
const MOST_HELD = 4_096;
const TICK_MS = 5;

interface Held {
  readonly since: number;
  readonly release: () => void;
}

/**
 * Holds answers to those back who are refused for overload, where there are many: callers that ask again at once, whatever
 * `Retry-After` says, would otherwise be refused as fast as this process can, and hardly anything be signed meanwhile.
 */
export class RefusalPace {
  readonly #signed: () => number;
  readonly #held: Held[] = [];
  #earned = MOST_EARNED;
  #lookedAt = performance.now();
  #signedBefore = 0;

  /** @param signed how many signatures were made so far */
  constructor(signed: () => number) {
    this.#signed = signed;
  }

  /** Resolves when it is this one's turn to be refused: in order, unless too many wait, and after a second at the latest. */
  async turn(): Promise<void> {
    this.#earn();
    if (this.#held.length === 0 && this.#earned >= 1) {
      this.#earned--;
      return;
    }
    if (this.#held.length >= MOST_HELD) return;
    await new Promise<void>((release) => {
      this.#held.push({ since: this.#lookedAt, release });
      if (this.#held.length === 1) setTimeout(() => this.#tick(), TICK_MS);
    });
  }

  #tick(): void {
    this.#earn();
    const overdue = this.#lookedAt - LONGEST_MS;
    const kept = this.#held.findIndex(({ since }, index) => index + 1 > this.#earned && since > overdue);
    const freed = kept === -1 ? this.#held.length : kept;
    this.#earned = Math.max(0, this.#earned - freed);
    for (const { release } of this.#held.splice(0, freed)) release();
    if (this.#held.length > 0) setTimeout(() => this.#tick(), TICK_MS);
  }

  #earn(): void {
    const now = performance.now();
    const signed = this.#signed();
    const more = FOR_EACH_SIGNED * (signed - this.#signedBefore) + FOR_EACH_MS * (now - this.#lookedAt);
    this.#earned = Math.min(MOST_EARNED, this.#earned + more);
    this.#signedBefore = signed;
    this.#lookedAt = now;
  }
}
