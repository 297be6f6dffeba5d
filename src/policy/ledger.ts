import { CountersignError } from '../errors.ts';
import { Generations } from '../generations.ts';
import type { Charge, UsageOf } from './decision.ts';

/** What was taken from a limit within one stretch of time. */
export interface UsageBucket {
  /** Milliseconds since 1970: `start` inclusive, `end` exclusive. */
  readonly start: number;
  readonly end: number;
  readonly amount: bigint;
}

/**
 * What one signature took from a limit. Limits are known by their names: one that is renamed starts empty, and one
 * that measures something else under the same name goes on from where it was.
 */
export interface Charged extends UsageBucket {
  readonly limit: string;
  readonly scope: string;
}

export interface UsageReads {
  /** The buckets that end after `time`, in the order of their ends. */
  usage(limit: string, scope: string, time: number): readonly UsageBucket[];
  /** The latest `start` of all; undefined where nothing was charged yet. */
  newestUsage(): number | undefined;
}

export interface UsageWrites {
  /** Adds to what is in the bucket already. */
  addUsage(charged: Charged): void;
}

/** A charge that counts from the moment it is made, and lasts from the commit of its audit entry. */
export interface ChargeReservation {
  /**
   * Inside the commit of the audit entry, once. What it returns was charged, in the buckets of the moment.
   */
  commit(tx: UsageWrites): readonly Charged[];
  /** When the commit is durable: the charge stays. */
  done(): void;
  /** Always, in the end: undoes what was not `done`. */
  release(): void;
}

/**
 * How long usage is kept at least. An entry of the audit log takes more room than the usage that comes with it, so that
 * a long time costs little. Rolling windows must not be longer.
 */
export const USAGE_KEPT_MS = 400 * 24 * 60 * 60 * 1000;

/** Some 35 MB. Half of it, those that were used last, is sure to stay. */
const MAX_BUCKETS = 200_000;

/**
 * What every limit's windows hold: read from storage when first asked for, followed from then on. A sum may be too
 * high, and never too low:
 *
 * - a bucket counts whole until its end has left the window, and whatever bucket size it was made with;
 * - what is being signed counts from its reservation on;
 * - time never goes back: after a clock that does, it stands still, and what was charged ahead of it counts.
 *
 * Asking and reserving is exact as long as nothing is awaited between the two.
 */
export class LimitLedger {
  readonly #reads: UsageReads;
  readonly #now: () => number;
  readonly #maxBuckets: number;
  #latest: number;
  readonly #windows = new Generations<Window>();
  readonly #reserved = new Map<string, bigint>();
  /** Of the windows that were used since the last turn. */
  #size = 0;
  #commits = 0;

  /** @param logTime RFC 3339: the newest time that is known to have been; the empty string for none. */
  constructor(
    reads: UsageReads,
    logTime: string,
    now: () => number = Date.now,
    maxBuckets: number = MAX_BUCKETS,
  ) {
    this.#reads = reads;
    this.#now = now;
    this.#maxBuckets = maxBuckets;
    this.#latest = Math.max(now(), logTime === '' ? 0 : Date.parse(logTime), reads.newestUsage() ?? 0);
  }

  /** Milliseconds since 1970; never less than before, nor than what was stored before this process. */
  time(): number {
    this.#latest = Math.max(this.#latest, this.#now());
    return this.#latest;
  }

  /** What the clock says, which may be less. */
  clock(): number {
    return this.#now();
  }

  /** Throws `internal` for a window longer than usage is kept. */
  readonly usageOf: UsageOf = (charge) => {
    const name = nameOf(charge);
    return this.#window(name, charge).total + (this.#reserved.get(name) ?? 0n);
  };

  /**
   * What is left to charge for a signature that takes the place of others, which were charged already. What has left
   * the window by now is charged anew.
   */
  discount(charges: readonly Charge[], already: readonly Charged[]): readonly Charge[] {
    if (already.length === 0) return charges;
    const time = this.time();
    const pool = [...already];
    return charges.flatMap((charge) => {
      let { amount } = charge;
      for (const [index, past] of pool.entries()) {
        if (nameOf(past) !== nameOf(charge) || past.end <= time - charge.window.rolling) continue;
        amount -= past.amount;
        // Nothing is taken off twice.
        pool[index] = { ...past, amount: 0n };
      }
      return amount > 0n ? [{ ...charge, amount }] : [];
    });
  }

  reserve(charges: readonly Charge[]): ChargeReservation {
    const reserved = charges.map((charge) => ({ charge, name: nameOf(charge) }));
    for (const { charge, name } of reserved) this.#reserve(name, charge.amount);
    let state: 'reserved' | 'written' | 'over' = 'reserved';
    let written: readonly { readonly charged: Charged; readonly name: string }[] = [];
    let commit = 0;
    const end = (): void => {
      state = 'over';
      for (const { charge, name } of reserved) this.#reserve(name, -charge.amount);
    };
    return {
      commit: (tx) => {
        if (state !== 'reserved') throw new CountersignError('internal', 'a charge is written once');
        state = 'written';
        const time = this.time();
        written = reserved.map(({ charge, name }) => ({ charged: chargedAt(charge, time), name }));
        const charged = written.map((each) => each.charged);
        for (const each of charged) tx.addUsage(each);
        commit = ++this.#commits;
        return charged;
      },
      done: () => {
        if (state !== 'written') return;
        end();
        for (const { charged, name } of written) this.#follow(name, charged, commit);
      },
      release: () => {
        if (state !== 'over') end();
      },
    };
  }

  #reserve(name: string, amount: bigint): void {
    const sum = (this.#reserved.get(name) ?? 0n) + amount;
    if (sum === 0n) this.#reserved.delete(name);
    else this.#reserved.set(name, sum);
  }

  #window(name: string, { limit, scope, window: { rolling } }: Charge): Window {
    const after = this.time() - rolling;
    const known = this.#windows.get(name);
    const window =
      known?.rolling === rolling
        ? known
        : new Window(rolling, this.#commits, this.#load(limit, scope, rolling, after));
    this.#size -= this.#windows.getYoung(name)?.size ?? 0;
    this.#windows.set(name, window);
    window.expire(after);
    this.#size += window.size;
    this.#forgetOld();
    return window;
  }

  #load(limit: string, scope: string, rolling: number, after: number): readonly UsageBucket[] {
    if (rolling > USAGE_KEPT_MS) {
      throw new CountersignError('internal', `the window of limit ${limit} is longer than usage is kept`);
    }
    return this.#reads.usage(limit, scope, after);
  }

  /** A window that was loaded after the commit has read it. */
  #follow(name: string, charged: Charged, commit: number): void {
    const window = this.#windows.get(name);
    if (window === undefined || window.loadedAfter >= commit) return;
    const before = window.size;
    window.add(charged);
    if (this.#windows.getYoung(name) !== undefined) this.#size += window.size - before;
  }

  #forgetOld(): void {
    if (this.#size <= this.#maxBuckets / 2) return;
    this.#windows.turn();
    this.#size = 0;
  }
}

/** The buckets of one limit and scope, in the order of their ends, and their sum. */
class Window {
  readonly rolling: number;
  /** How many commits had been made when it was read. */
  readonly loadedAfter: number;
  total = 0n;
  #buckets: UsageBucket[];
  #first = 0;

  constructor(rolling: number, loadedAfter: number, buckets: readonly UsageBucket[]) {
    this.rolling = rolling;
    this.loadedAfter = loadedAfter;
    this.#buckets = [...buckets];
    for (const { amount } of buckets) this.total += amount;
  }

  /** What it takes in memory, in buckets: an empty one is not free. */
  get size(): number {
    return this.#buckets.length + 1;
  }

  /** Takes out what ends at `time` or before. Time never goes back, so that it never has to come in again. */
  expire(time: number): void {
    for (;;) {
      const bucket = this.#buckets[this.#first];
      if (bucket === undefined || bucket.end > time) break;
      this.total -= bucket.amount;
      this.#first++;
    }
    if (this.#first * 2 <= this.#buckets.length) return;
    this.#buckets = this.#buckets.slice(this.#first);
    this.#first = 0;
  }

  add(bucket: UsageBucket): void {
    this.total += bucket.amount;
    let at = this.#buckets.length;
    while (at > this.#first && (this.#buckets[at - 1]?.end ?? 0) > bucket.end) at--;
    const before = at > this.#first ? this.#buckets[at - 1] : undefined;
    // Where two buckets begin makes no difference to when they leave.
    if (before?.end === bucket.end) {
      this.#buckets[at - 1] = { ...bucket, amount: before.amount + bucket.amount };
    } else this.#buckets.splice(at, 0, bucket);
  }
}

function nameOf({ limit, scope }: { readonly limit: string; readonly scope: string }): string {
  return `${limit} ${scope}`;
}

function chargedAt({ limit, scope, amount, window: { bucket } }: Charge, time: number): Charged {
  const start = time - (time % bucket);
  return { limit, scope, start, end: start + bucket, amount };
}
