import { describe, expect, it } from 'vitest';
import { SealAttempts } from '../../src/access/seal-attempts.ts';
import { RateLimited } from '../../src/access/throttle.ts';

function attempts(): { readonly made: SealAttempts; readonly advance: (seconds: number) => void } {
  let now = 0;
  return {
    made: new SealAttempts(() => now),
    advance: (seconds) => {
      now += seconds * 1_000;
    },
  };
}

/** How many of `count` wrong tries are let through. */
function wrong(made: SealAttempts, credential: string, count: number): number {
  let through = 0;
  for (let index = 0; index < count; index += 1) {
    try {
      made.begin(credential);
      through += 1;
    } catch (error) {
      if (!(error instanceof RateLimited)) throw error;
    }
  }
  return through;
}

describe('tries of the seal’s secret', () => {
  it('are ten wrong ones of a credential, and one a minute after that', () => {
    const { made, advance } = attempts();
    expect(wrong(made, 'a', 20)).toBe(10);
    expect(wrong(made, 'b', 1)).toBe(1);
    advance(59);
    expect(wrong(made, 'a', 5)).toBe(0);
    advance(1);
    expect(wrong(made, 'a', 5)).toBe(1);
  });

  it('are bounded for all credentials together, by more than one of them can use up', () => {
    const { made, advance } = attempts();
    const all = Array.from({ length: 10 }, (_, index) => wrong(made, `c${index}`, 10));
    expect(all.reduce((sum, each) => sum + each, 0)).toBe(40);
    advance(6);
    expect(wrong(made, 'somebody-else', 5)).toBe(1);
    const { made: one, advance: later } = attempts();
    for (let minute = 0; minute < 100; minute += 1) {
      wrong(one, 'guesser', 20);
      later(60);
    }
    expect(wrong(one, 'right', 1)).toBe(1);
  });

  it('cost nothing when they are right, however many there are', () => {
    const { made } = attempts();
    for (let index = 0; index < 1_000; index += 1) made.begin('a').forgive();
    expect(wrong(made, 'a', 20)).toBe(10);
  });

  it('count from their beginning: many at once are no way round', () => {
    const { made } = attempts();
    const under = Array.from({ length: 10 }, () => made.begin('a'));
    expect(wrong(made, 'a', 1)).toBe(0);
    expect(under[0]!.limits()).toBe(true);
    under[0]!.forgive();
    expect(under[0]!.limits()).toBe(false);
    expect(wrong(made, 'a', 2)).toBe(1);
  });

  it('say how long to wait', () => {
    const { made } = attempts();
    wrong(made, 'a', 10);
    expect(() => made.begin('a')).toThrow('try again in 60 s');
  });
});
