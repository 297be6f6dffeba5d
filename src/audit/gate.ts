import { CountersignError } from '../errors.ts';

/** Whether the log can vouch for what is signed. Asked before a signature is made, and again before it is shown. */
export interface ReleaseGate {
  /** Throws `unavailable`, with the reason, while nothing is to be signed. */
  requireOpen(): void;
  /**
   * Resolves when the entry at this index, which is on disk, is vouched for as the settings demand. Throws `unavailable`
   * when that takes too long: the signature is in the log then, and must not be shown.
   */
  covered(index: number): Promise<void>;
  /** Whether it is vouched for now. */
  isCovered(index: number): boolean;
}

/** Something that keeps everything from being signed, in words; undefined while it does not. */
export type Hindrance = () => string | undefined;

/** Witnesses that must have seen an entry before what it tells of goes out. */
export interface Coverage {
  /** As `ReleaseGate`. */
  covered(index: number): Promise<void>;
  isCovered(index: number): boolean;
}

export class AuditGate implements ReleaseGate {
  readonly #hindrances: readonly Hindrance[];
  readonly #coverage: Coverage | undefined;

  constructor(hindrances: readonly Hindrance[], coverage?: Coverage) {
    this.#hindrances = hindrances;
    this.#coverage = coverage;
  }

  /** Why nothing is signed now; empty when it is. */
  reasons(): string[] {
    return this.#hindrances.map((hindrance) => hindrance()).filter((reason) => reason !== undefined);
  }

  requireOpen(): void {
    for (const hindrance of this.#hindrances) {
      const reason = hindrance();
      if (reason !== undefined) throw new CountersignError('unavailable', reason);
    }
  }

  async covered(index: number): Promise<void> {
    await this.#coverage?.covered(index);
  }

  isCovered(index: number): boolean {
    return this.#coverage?.isCovered(index) ?? true;
  }
}
