import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { Unauthenticated } from '../../src/access/credentials.ts';
import { Recent } from '../../src/access/recent.ts';
import { Buckets, Locked, RateLimited, Throttle } from '../../src/access/throttle.ts';

let clock: number;
beforeEach(() => {
  clock = 5_000;
});
const now = (): number => clock;

test('a bucket never gives more than its burst and what was filled since', () => {
  const limit = fc.record({
    burst: fc.integer({ min: 1, max: 20 }),
    perSecond: fc.double({ min: 0.01, max: 50 }),
  });
  const steps = fc.array(fc.record({ wait: fc.nat(3_000), takes: fc.nat(10) }), { maxLength: 40 });
  fc.assert(
    fc.property(limit, steps, ({ burst, perSecond }, given) => {
      fc.pre(Number.isFinite(perSecond));
      const buckets = new Buckets({ burst, perSecond }, now);
      const began = clock;
      let taken = 0;
      for (const { wait, takes } of given) {
        clock += wait;
        for (let i = 0; i < takes; i++) {
          const waitMs = buckets.take('a');
          if (waitMs === 0) taken++;
          expect(waitMs).toBeLessThanOrEqual(1_000 / perSecond + 1);
        }
        expect(taken).toBeLessThanOrEqual(burst + ((clock - began) / 1_000) * perSecond + 1e-6);
      }
    }),
  );
});

test('whoever waits as long as it was told gets what it waited for, and no bucket empties another', () => {
  const buckets = new Buckets({ burst: 2, perSecond: 3 }, now);
  expect([buckets.take('a'), buckets.take('a')]).toEqual([0, 0]);
  const waitMs = buckets.take('a');
  expect(waitMs).toBeGreaterThan(0);
  expect(buckets.take('b')).toBe(0);
  clock += Math.ceil(waitMs);
  expect(buckets.take('a')).toBe(0);
  expect(buckets.take('a')).toBeGreaterThan(0);
});

describe('a throttle', () => {
  const wrong = (id = 'c'): Unauthenticated => new Unauthenticated('wrong secret', id);
  const isLocked = (throttle: Throttle, id: string, address: string): boolean => {
    try {
      throttle.refuseLocked(id, address);
      return false;
    } catch (error) {
      expect(error).toBeInstanceOf(Locked);
      return true;
    }
  };

  test('locks at the tenth guess of five minutes and for five minutes, whenever they are made', () => {
    const minute = 60_000;
    fc.assert(
      fc.property(fc.array(fc.nat(2 * minute), { maxLength: 60 }), (waits) => {
        const throttle = new Throttle({}, now);
        let lockedUntil = -1;
        let guesses: number[] = [];
        for (const wait of waits) {
          clock += wait;
          const locked = clock < lockedUntil;
          expect(isLocked(throttle, 'c', '192.0.2.1')).toBe(locked);
          if (locked) continue;
          guesses = [...guesses.filter((at) => at > clock - 5 * minute), clock];
          const { locks } = throttle.countFailure(wrong(), '192.0.2.1');
          expect(locks).toBe(guesses.length === 10);
          if (!locks) continue;
          lockedUntil = clock + 5 * minute;
          guesses = [];
        }
      }),
      { numRuns: 300 },
    );
  });

  test('counts only wrong secrets as guesses', () => {
    const throttle = new Throttle({}, now);
    const reasons = ['unknown credential', 'expired credential', 'wrong signature', 'no credential'];
    for (let i = 0; i < 40; i++) {
      const error = new Unauthenticated(reasons[i % reasons.length]!, 'c');
      expect(throttle.countFailure(error, '192.0.2.1').locks).toBe(false);
    }
    expect(isLocked(throttle, 'c', '192.0.2.1')).toBe(false);
  });

  test('forgets those that it has not seen for the longest time, and never has more than it may', () => {
    const throttle = new Throttle({}, now);
    for (let i = 0; i < 10; i++) throttle.countFailure(wrong('first'), '192.0.2.1');
    for (let i = 0; i < 9_999; i++) {
      throttle.countFailure(wrong(`c${i}`), `10.0.${i >> 8}.${i & 255}`);
    }
    expect(isLocked(throttle, 'first', '192.0.2.1')).toBe(true);
    for (let i = 0; i < 10_000; i++) throttle.countFailure(wrong(`d${i}`), '192.0.2.2');
    expect(isLocked(throttle, 'first', '192.0.2.1')).toBe(false);
  });

  test('says when to try again in whole seconds, one at least', () => {
    expect(new RateLimited('x', 0.1).retryAfter).toBe(1);
    expect(new RateLimited('x', 1_000).retryAfter).toBe(1);
    expect(new RateLimited('x', 1_001).retryAfter).toBe(2);
    expect(new RateLimited('x', 1_001)).toMatchObject({
      code: 'rate_limited',
      message: 'x; try again in 2 s',
    });
  });
});

test('a map of recent values is a map of those that were used last', () => {
  const step = fc.record({
    name: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
    what: fc.constantFrom('get', 'set', 'delete'),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const recent = new Recent<number>(3);
      let model: [string, number][] = [];
      for (const [i, { name, what }] of steps.entries()) {
        const found = model.find(([known]) => known === name);
        const rest = model.filter(([known]) => known !== name);
        let [given, expected]: (number | undefined)[] = [];
        if (what === 'get') {
          [given, expected] = [recent.get(name), found?.[1]];
          if (found !== undefined) model = [...rest, found];
        } else if (what === 'set') {
          const next: [string, number][] = [...rest, [name, i]];
          [given, expected] = [recent.set(name, i), next.length > 3 ? next[0]![1] : undefined];
          model = next.slice(-3);
        } else {
          recent.delete(name);
          model = rest;
        }
        expect(given).toBe(expected);
        expect(recent.size).toBe(model.length);
        expect([...recent.values()]).toEqual(model.map(([, value]) => value));
      }
    }),
  );
});
