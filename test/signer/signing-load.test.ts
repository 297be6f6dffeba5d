import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { SigningLoad, type Turn } from '../../src/signer/signing-load.ts';

const unavailable = expect.objectContaining({ code: 'unavailable' }) as Error;

const SETTINGS = { targetWaitMs: 20, burst: 400 };

let now: number;
let load: SigningLoad;
beforeEach(() => {
  now = 1_000;
  load = new SigningLoad(SETTINGS, () => now);
});

/** A signer that makes one signature after the other, and callers that come at even times. */
function run(signMs: number, everyMs: number, forMs: number): { waits: number[]; refused: number } {
  const queue: { readonly came: number; readonly turn: Turn }[] = [];
  const waits: number[] = [];
  const from = now;
  let refused = 0;
  let free = now;
  let due = now;
  while (due < from + forMs || queue.length > 0) {
    const comes = due < from + forMs ? due : Infinity;
    const ends = queue.length > 0 ? free + signMs : Infinity;
    if (comes <= ends) {
      now = comes;
      due += everyMs;
      try {
        const turn = load.enter();
        if (queue.length === 0) free = now;
        queue.push({ came: now, turn });
      } catch {
        refused++;
      }
    } else {
      now = ends;
      free = now;
      const next = queue.shift()!;
      next.turn.made();
      waits.push(now - next.came);
    }
  }
  return { waits: waits.toSorted((a, b) => a - b), refused };
}

const at = (waits: readonly number[], share: number): number => waits[Math.floor(waits.length * share)]!;

describe('the load of signing', () => {
  it('is no reason to refuse anything while signatures do not wait', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.05, max: 5, noNaN: true }),
        fc.double({ min: 1.1, max: 9, noNaN: true }),
        (ms, slack) => {
          now = 0;
          load = new SigningLoad(SETTINGS, () => now);
          expect(run(ms, ms * slack, 2_000).refused).toBe(0);
        },
      ),
      { numRuns: 50 },
    );
  });

  it.each([
    [0.15, 2],
    [0.15, 10],
    [0.18, 2],
    [0.15, 1.3],
  ])(
    'at %d ms a signature and %d times what can be done, keeps waits short and the signer busy',
    (ms, times) => {
      const { waits, refused } = run(ms, ms / times, 10_000);
      expect(waits.length * ms).toBeGreaterThan(9_500);
      expect(refused / (refused + waits.length)).toBeCloseTo(1 - 1 / times, 1);
      expect(at(waits, 0.97)).toBeLessThan(50);
      expect(load.refused).toBe(refused);
    },
  );

  it('lets all in again at once when less is asked', () => {
    expect(run(0.2, 0.05, 2_000).refused).toBeGreaterThan(0);
    expect(run(0.2, 0.4, 2_000).refused).toBe(0);
  });

  it('takes a burst whole, and nothing more', () => {
    const sign = (turns: readonly Turn[]): void => {
      for (const turn of turns) {
        now += 0.1;
        turn.made();
      }
    };
    sign(Array.from({ length: SETTINGS.burst }, () => load.enter()));
    load.requireRoom();
    expect(load.refused).toBe(0);
    const turns = Array.from({ length: SETTINGS.burst }, () => load.enter());
    expect(() => load.enter()).toThrow(unavailable);
    sign(turns);
    load.requireRoom();
    expect(load.refused).toBe(1);
  });

  it('goes by the fewest of an interval: a queue that is short once does not stand', () => {
    /** Each signature takes a millisecond; what is signed makes room at once for the next. */
    const keepFull = (length: number, forMs: number, emptyEvery: number): number => {
      const turns: Turn[] = [];
      let refused = 0;
      for (let ms = 0; ms < forMs; ms++) {
        now += 1;
        turns.shift()?.made();
        if (ms % emptyEvery === 0) for (const turn of turns.splice(0)) turn.made();
        try {
          while (turns.length < length) turns.push(load.enter());
        } catch {
          refused++;
        }
      }
      for (const turn of turns) turn.end();
      return refused;
    };
    expect(keepFull(300, 1_000, 40)).toBe(0);
    now += 10_000;
    expect(keepFull(300, 1_000, 2_000)).toBeGreaterThan(500);
  });

  it('takes a burst again when it has stood idle after an overload, wherever that ended', () => {
    fc.assert(
      fc.property(fc.integer({ min: 500, max: 2_500 }), fc.integer({ min: 101, max: 5_000 }), (ms, idle) => {
        now = 0;
        load = new SigningLoad(SETTINGS, () => now);
        const { refused } = run(0.2, 0.05, ms);
        now += idle;
        for (let i = 0; i < SETTINGS.burst; i++) load.enter();
        expect(load.refused).toBe(refused);
      }),
      { numRuns: 100 },
    );
  });

  it('refuses while nothing is signed at all, and no longer', () => {
    const turns = Array.from({ length: 100 }, () => load.enter());
    now += 500;
    load.requireRoom();
    now += 499;
    load.requireRoom();
    now += 1;
    expect(() => load.requireRoom()).toThrow(unavailable);
    expect(() => load.enter()).toThrow(unavailable);
    for (const turn of turns) turn.made();
    load.requireRoom();
    expect(load.refused).toBe(2);
  });

  it('gives back a place once, whether a signature was made in it or not', () => {
    const turns = Array.from({ length: SETTINGS.burst }, () => load.enter());
    expect(() => load.enter()).toThrow(unavailable);
    for (const turn of turns.slice(0, 200)) turn.made();
    for (const turn of turns) turn.end();
    for (const turn of turns) turn.made();
    for (let i = 0; i < SETTINGS.burst; i++) load.enter();
    expect(() => load.enter()).toThrow(unavailable);
  });
});
