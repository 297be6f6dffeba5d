import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setImmediate as tick } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AuditLog } from '../../src/audit/log.ts';
import { CountersignError } from '../../src/errors.ts';
import type { Charge } from '../../src/policy/decision.ts';
import {
  LimitLedger,
  USAGE_KEPT_MS,
  type Charged,
  type UsageReads,
  type UsageWrites,
} from '../../src/policy/ledger.ts';
import { openSqliteStorage, type Storage, type StorageTx } from '../../src/storage/sqlite/storage.ts';
import { SERVICE } from '../audit/memory-log.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const START = Date.UTC(2030, 0, 1);

function charge(amount: bigint, over: Partial<Charge> = {}): Charge {
  const window = { rolling: HOUR, bucket: 5 * MINUTE };
  return { limit: 'day', scope: 'all', amount, max: 100n, window, onExceed: 'deny', ...over };
}

/** Rows in an array: what SQLite does, without it. */
class Rows implements UsageReads, UsageWrites {
  readonly rows: Charged[] = [];
  reads = 0;

  usage(limit: string, scope: string, time: number): Charged[] {
    this.reads++;
    return this.rows
      .filter((row) => row.limit === limit && row.scope === scope && row.end > time)
      .toSorted((a, b) => a.end - b.end);
  }

  newestUsage(): number | undefined {
    return this.rows.length === 0 ? undefined : Math.max(...this.rows.map(({ start }) => start));
  }

  addUsage(charged: Charged): void {
    this.rows.push(charged);
  }
}

function spend(ledger: LimitLedger, tx: UsageWrites, ...charges: Charge[]): readonly Charged[] {
  const reservation = ledger.reserve(charges);
  const charged = reservation.commit(tx);
  reservation.done();
  reservation.release();
  return charged;
}

describe('the ledger of the limits', () => {
  let now = START;
  let rows: Rows;
  let ledger: LimitLedger;

  beforeEach(() => {
    now = START;
    rows = new Rows();
    ledger = new LimitLedger(rows, '', () => now);
  });

  it('counts a reservation at once, and what was written ever after', () => {
    const reservation = ledger.reserve([charge(60n)]);
    expect(ledger.usageOf(charge(1n))).toBe(60n);
    reservation.commit(rows);
    expect(ledger.usageOf(charge(1n))).toBe(60n);
    reservation.done();
    reservation.release();
    expect(ledger.usageOf(charge(1n))).toBe(60n);
    expect(new LimitLedger(rows, '', () => now).usageOf(charge(1n))).toBe(60n);
  });

  it('gives back what was released, once', () => {
    const first = ledger.reserve([charge(60n)]);
    ledger.reserve([charge(7n)]);
    first.release();
    first.release();
    first.done();
    expect(ledger.usageOf(charge(1n))).toBe(7n);
    expect(rows.rows).toEqual([]);
  });

  it('gives back what was written in a commit that failed, whatever is said after that', () => {
    const reservation = ledger.reserve([charge(60n)]);
    reservation.commit({ addUsage: () => undefined });
    reservation.release();
    reservation.done();
    expect(ledger.usageOf(charge(1n))).toBe(0n);
  });

  it('writes no charge twice', () => {
    const reservation = ledger.reserve([charge(60n)]);
    reservation.commit(rows);
    expect(() => reservation.commit(rows)).toThrow(CountersignError);
    reservation.release();
    expect(() => reservation.commit(rows)).toThrow(CountersignError);
    expect(rows.rows).toHaveLength(1);
  });

  it('keeps limits and scopes apart', () => {
    const other = charge(5n, { scope: 'hot/1' });
    spend(ledger, rows, charge(60n), other, charge(7n, { limit: 'hour' }));
    expect(ledger.usageOf(charge(1n))).toBe(60n);
    expect(ledger.usageOf(other)).toBe(5n);
    expect(ledger.usageOf(charge(1n, { limit: 'hour' }))).toBe(7n);
    expect(ledger.usageOf(charge(1n, { limit: 'renamed' }))).toBe(0n);
  });

  it('counts a bucket whole until its end has left the window', () => {
    now = START + 4 * MINUTE;
    spend(ledger, rows, charge(60n));
    now = START + HOUR + 5 * MINUTE - 1;
    expect(ledger.usageOf(charge(1n))).toBe(60n);
    now++;
    expect(ledger.usageOf(charge(1n))).toBe(0n);
  });

  it('opens nothing when the clock steps back, nor when it then goes on', () => {
    spend(ledger, rows, charge(60n));
    now = START - 10 * HOUR;
    expect(ledger.usageOf(charge(1n))).toBe(60n);
    expect(spend(ledger, rows, charge(30n))[0]).toMatchObject({ start: START });
    now = START + 30 * MINUTE;
    expect(ledger.usageOf(charge(1n))).toBe(90n);
    expect(ledger.time()).toBe(now);
  });

  it('goes on from the time of the newest entry or usage after a restart', () => {
    spend(ledger, rows, charge(60n));
    now = START - 10 * HOUR;
    const time = new Date(START + 1).toISOString();
    expect(new LimitLedger(new Rows(), time, () => now).time()).toBe(START + 1);
    const next = new LimitLedger(rows, '', () => now);
    expect(next.time()).toBe(START);
    expect(next.usageOf(charge(1n))).toBe(60n);
  });

  it('counts what lies in the future', () => {
    rows.addUsage({ limit: 'day', scope: 'all', start: START + HOUR, end: START + 2 * HOUR, amount: 9n });
    expect(new LimitLedger(rows, '', () => now).usageOf(charge(1n))).toBe(9n);
    expect(ledger.usageOf(charge(1n))).toBe(9n);
  });

  it('counts buckets of every size, and takes a new window from storage', () => {
    now = START + 4 * MINUTE;
    spend(ledger, rows, charge(1n));
    spend(ledger, rows, charge(2n, { window: { rolling: HOUR, bucket: MINUTE } }));
    spend(ledger, rows, charge(4n, { window: { rolling: 2 * HOUR, bucket: HOUR } }));
    expect(ledger.usageOf(charge(1n))).toBe(7n);
    now = START + HOUR + 5 * MINUTE;
    // Only the bucket of an hour still has its end in the window.
    expect(ledger.usageOf(charge(1n))).toBe(4n);
    expect(ledger.usageOf(charge(1n, { window: { rolling: 2 * HOUR, bucket: HOUR } }))).toBe(7n);
  });

  it('does not count twice what a window read that was loaded between the commit and its end', () => {
    const reservation = ledger.reserve([charge(60n)]);
    reservation.commit(rows);
    ledger.usageOf(charge(1n));
    reservation.done();
    expect(ledger.usageOf(charge(1n))).toBe(60n);
    // And follows the next one, which it has not read.
    spend(ledger, rows, charge(5n));
    expect(ledger.usageOf(charge(1n))).toBe(65n);
  });

  it('reads a window once, and keeps no more of them than it may', () => {
    const small = new LimitLedger(rows, '', () => now, 8);
    for (let i = 0; i < 20; i++) small.usageOf(charge(1n));
    expect(rows.reads).toBe(1);
    for (let i = 0; i < 20; i++) spend(small, rows, charge(1n, { scope: `s${i}` }));
    const read = rows.reads;
    for (let i = 0; i < 20; i++) expect(small.usageOf(charge(1n, { scope: `s${i}` }))).toBe(1n);
    expect(rows.reads).toBe(read + 20);
    // The last ones used are still there.
    expect(small.usageOf(charge(1n, { scope: 's19' }))).toBe(1n);
    expect(rows.reads).toBe(read + 20);
  });

  it('keeps what is in use while there is room, however often it is used', () => {
    const scopes = ['a', 'b', 'c'];
    const small = new LimitLedger(rows, '', () => now, 9);
    for (let i = 0; i < 50; i++) {
      for (const scope of scopes) spend(small, rows, charge(1n, { scope }));
      for (const scope of scopes) small.usageOf(charge(1n, { scope }));
    }
    expect(rows.reads).toBe(3);
  });

  it('refuses a window that is longer than usage is kept', () => {
    const window = { rolling: USAGE_KEPT_MS + HOUR, bucket: HOUR };
    expect(() => ledger.usageOf(charge(1n, { window }))).toThrow(/longer than usage is kept/);
  });
});

describe('what takes the place of something that was charged', () => {
  let now = START;
  const rows = new Rows();
  const ledger = new LimitLedger(rows, '', () => now);
  const already = spend(ledger, rows, charge(60n));

  it('charges what it has more, and never less than nothing', () => {
    expect(ledger.discount([charge(75n)], already)).toEqual([charge(15n)]);
    expect(ledger.discount([charge(60n)], already)).toEqual([]);
    expect(ledger.discount([charge(1n)], already)).toEqual([]);
    expect(ledger.discount([charge(75n)], [])).toEqual([charge(75n)]);
  });

  it('takes off nothing of another limit or scope, and nothing twice', () => {
    expect(ledger.discount([charge(75n, { limit: 'hour' })], already)).toHaveLength(1);
    expect(ledger.discount([charge(75n, { scope: 'hot' })], already)).toEqual([
      charge(75n, { scope: 'hot' }),
    ]);
    expect(ledger.discount([charge(75n), charge(75n)], already)).toEqual([charge(15n), charge(75n)]);
  });

  it('charges anew what has left the window', () => {
    now = START + HOUR + 5 * MINUTE - 1;
    expect(ledger.discount([charge(75n)], already)).toEqual([charge(15n)]);
    now++;
    expect(ledger.discount([charge(75n)], already)).toEqual([charge(75n)]);
  });
});

type Step =
  | { readonly kind: 'clock'; readonly by: number }
  | { readonly kind: 'charge'; readonly amount: bigint; readonly window: number; readonly end: string }
  | { readonly kind: 'settle'; readonly which: number; readonly as: 'done' | 'released' }
  | { readonly kind: 'look'; readonly window: number }
  | { readonly kind: 'restart' };

const WINDOWS = [
  { rolling: HOUR, bucket: 5 * MINUTE },
  { rolling: HOUR, bucket: 20 * MINUTE },
  { rolling: 30 * MINUTE, bucket: MINUTE },
  { rolling: 3 * HOUR, bucket: 30 * MINUTE },
] as const;

const steps = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ kind: fc.constant('clock'), by: fc.integer({ min: -2 * HOUR, max: HOUR }) }),
    },
    {
      weight: 8,
      arbitrary: fc.record({
        kind: fc.constant('charge'),
        amount: fc.bigInt({ min: 1n, max: 1_000n }),
        window: fc.nat(WINDOWS.length - 1),
        end: fc.constantFrom('done', 'released', 'later'),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('settle'),
        which: fc.nat(),
        as: fc.constantFrom('done', 'released'),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant('look'), window: fc.nat(WINDOWS.length - 1) }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart') }) },
  ),
  { maxLength: 60 },
) as fc.Arbitrary<Step[]>;

/** The ledger, driven by steps, beside a list of all that was ever charged. */
class Both {
  readonly rows = new Rows();
  readonly maxBuckets: number;
  ledger: LimitLedger;
  clock = START;
  latest = START;
  window: Charge['window'] = WINDOWS[0];
  /** By when, and in which bucket. */
  readonly charged: { time: number; end: number; amount: bigint }[] = [];
  open: { reservation: ReturnType<LimitLedger['reserve']>; amount: bigint; bucket: number }[] = [];

  constructor(maxBuckets: number) {
    this.maxBuckets = maxBuckets;
    this.ledger = this.start();
  }

  start(): LimitLedger {
    return new LimitLedger(this.rows, new Date(this.latest).toISOString(), () => this.clock, this.maxBuckets);
  }

  take(step: Step): void {
    if (step.kind === 'clock') {
      this.clock += step.by;
      this.latest = Math.max(this.latest, this.clock);
    } else if (step.kind === 'charge') {
      const window = WINDOWS[step.window] ?? WINDOWS[0];
      const reservation = this.ledger.reserve([charge(step.amount, { window })]);
      const made = { reservation, amount: step.amount, bucket: window.bucket };
      if (step.end === 'later') this.open.push(made);
      else this.finish(made, step.end);
    } else if (step.kind === 'settle') {
      const which = this.open[step.which % Math.max(this.open.length, 1)];
      this.open = this.open.filter((each) => each !== which);
      if (which !== undefined) this.finish(which, step.as);
    } else if (step.kind === 'look') {
      this.window = WINDOWS[step.window] ?? WINDOWS[0];
    } else {
      // What was in flight is lost with the process.
      this.open = [];
      this.ledger = this.start();
    }
  }

  finish({ reservation, amount, bucket }: (typeof this.open)[number], as: string): void {
    if (as === 'done') {
      reservation.commit(this.rows);
      reservation.done();
      const time = this.latest;
      this.charged.push({ time, end: time - (time % bucket) + bucket, amount });
    }
    reservation.release();
  }

  usage(): bigint {
    return this.ledger.usageOf(charge(1n, { window: this.window }));
  }

  /** What is in flight, and what was charged at this time or later; or in buckets that end then or later. */
  sum(by: 'time' | 'end'): bigint {
    const after = this.latest - this.window.rolling;
    const counted = [...this.open, ...this.charged.filter((each) => each[by] > after)];
    return counted.reduce((sum, { amount }) => sum + amount, 0n);
  }
}

describe('the ledger beside a naive model', () => {
  it('counts what the model counts, and never less than was charged within the window', () => {
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 40 }), (all, maxBuckets) => {
        const both = new Both(maxBuckets);
        for (const step of all) {
          both.take(step);
          expect(both.usage()).toBe(both.sum('end'));
          expect(both.usage()).toBeGreaterThanOrEqual(both.sum('time'));
        }
      }),
      { numRuns: 3_000 },
    );
  });
});

describe('the ledger on the real storage and log', () => {
  let folder: string;
  let storage: Storage;
  let log: AuditLog<StorageTx>;
  let ledger: LimitLedger;

  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'ledger-'));
    storage = openSqliteStorage(folder, () => 'example.org/log');
    log = new AuditLog(storage, SERVICE);
    ledger = new LimitLedger(storage.reads, storage.head().time);
  });

  afterEach(() => {
    storage.close();
    rmSync(folder, { recursive: true });
  });

  /** As the pipeline does it: ask and reserve at once, then something that takes time, then the commit. */
  async function sign(amount: bigint, fail = false): Promise<boolean> {
    const asked = charge(amount);
    if (ledger.usageOf(asked) + amount > asked.max) return false;
    const reservation = ledger.reserve([asked]);
    try {
      await tick();
      await log.record({ kind: 'sign', outcome: 'failed' }, (tx) => {
        reservation.commit(tx);
        if (fail) throw new CountersignError('key_state', 'after the charge was written');
      });
      reservation.done();
      return true;
    } finally {
      reservation.release();
    }
  }

  const stored = (): bigint => new LimitLedger(storage.reads, '').usageOf(charge(1n));

  it('lets one of two pass that are too much together', async () => {
    const passed = await Promise.all([sign(60n), sign(60n)]);
    expect(passed.filter(Boolean)).toHaveLength(1);
    expect(stored()).toBe(60n);
  });

  it('lets exactly as many pass as there is room for', async () => {
    const passed = await Promise.all(Array.from({ length: 200 }, () => sign(1n)));
    expect(passed.filter(Boolean)).toHaveLength(100);
    expect(stored()).toBe(100n);
    expect(await sign(1n)).toBe(false);
  });

  it('charges nothing for a commit that was undone', async () => {
    await expect(sign(60n, true)).rejects.toMatchObject({ code: 'key_state' });
    expect(stored()).toBe(0n);
    expect(await sign(100n)).toBe(true);
  });

  it('loses what was reserved, and nothing that was committed, with the process', async () => {
    await sign(30n);
    ledger.reserve([charge(50n)]);
    const written = ledger.reserve([charge(20n)]);
    await log.record({ kind: 'sign', outcome: 'failed' }, (tx) => written.commit(tx));
    // Neither `done` nor `release`: the process ended here.
    storage.close();
    storage = openSqliteStorage(folder, () => 'unused');
    expect(new LimitLedger(storage.reads, storage.head().time).usageOf(charge(1n))).toBe(50n);
  });
});
