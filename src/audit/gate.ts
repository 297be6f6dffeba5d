import { CountersignError } from '../errors.ts';

/** Whether the log can vouch for what is signed. Asked before a signature is made, and again before it is shown. */
export interface ReleaseGate {
  /** Throws `unavailable`, with the reason, while nothing is to be signed. */
  requireOpen(): void;
  /**
   * Resolves when the entry at this index is vouched for as the settings demand. Throws `unavailable` when it is not on
   * disk, and when that takes too long: the signature must not be shown then.
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
  readonly #log: { readonly size: number };
  readonly #hindrances: readonly Hindrance[];
  readonly #coverage: Coverage | undefined;

  /** @param log as it stands on disk. */
  constructor(log: { readonly size: number }, hindrances: readonly Hindrance[], coverage?: Coverage) {
    this.#log = log;
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

  /** Throws `unavailable`. */
  requireOnDisk(index: number): void {
    if (index >= this.#log.size)
      throw new CountersignError('unavailable', `its entry in the audit log (${index}) is not on disk`);
  }

  async covered(index: number): Promise<void> {
    this.requireOnDisk(index);
    await this.#coverage?.covered(index);
  }

  isCovered(index: number): boolean {
    return index < this.#log.size && (this.#coverage?.isCovered(index) ?? true);
  }
}
