/** A checkpoint that enough witnesses have cosigned. */
export interface Hold {
  /** Entries that it covers; 0 before there is one. */
  readonly size: number;
  /** When the last of them did, by its clock, RFC 3339; absent before there is one. */
  readonly time?: string;
}

/** Checkpoints with too few cosignatures that are remembered: those that nobody will come back to are forgotten. */
const MAX_OPEN = 1_000;

/** Who has cosigned what: enough of them on one checkpoint hold it. */
export class Held<Witness> {
  readonly #quorum: number;
  readonly #tally = new Map<number, Map<Witness, bigint>>();
  #newest: Hold = { size: 0 };

  constructor(quorum: number) {
    this.#quorum = quorum;
  }

  get newest(): Hold {
    return this.#newest;
  }

  /**
   * @param timestamp POSIX seconds.
   * @returns whether a newer checkpoint is held now.
   */
  add(size: number, witness: Witness, timestamp: bigint): boolean {
    if (size <= this.#newest.size) return false;
    const cosigned = this.#tally.get(size) ?? new Map<Witness, bigint>();
    this.#tally.set(size, cosigned.set(witness, timestamp));
    if (cosigned.size < this.#quorum) {
      const [oldest] = this.#tally.keys();
      if (oldest !== undefined && this.#tally.size > MAX_OPEN) this.#tally.delete(oldest);
      return false;
    }
    this.#newest = { size, ...timeOf([...cosigned.values()]) };
    for (const older of this.#tally.keys()) if (older <= size) this.#tally.delete(older);
    return true;
  }
}

/** Nothing for a clock that is beyond what a date can be. */
function timeOf(timestamps: readonly bigint[]): Pick<Hold, 'time'> {
  const latest = timestamps.reduce((a, b) => (a > b ? a : b));
  const date = new Date(Number(latest) * 1_000);
  return Number.isNaN(date.getTime()) ? {} : { time: date.toISOString() };
}
