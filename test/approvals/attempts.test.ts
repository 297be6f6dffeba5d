import { describe, expect, it } from 'vitest';
import { RateLimited } from '../../src/access/throttle.ts';
import { Attempts } from '../../src/approvals/attempts.ts';

const MINUTE = 60_000;

function start(): { attempts: Attempts; wrong: (id: string) => void; wait: (ms: number) => void } {
  let now = Date.UTC(2026, 10, 20);
  const attempts = new Attempts(() => now);
  return {
    attempts,
    wrong: (id) => void attempts.begin(id).lockedUntil(),
    wait: (ms) => void (now += ms),
  };
}

describe('wrong one-time codes', () => {
  it('lock at the fifth within 15 minutes, for 15 minutes, whatever code comes then', () => {
    const { attempts, wrong, wait } = start();
    for (let i = 0; i < 5; i++) {
      wrong('ann');
      wait(MINUTE);
    }
    expect(() => attempts.begin('ann')).toThrow(RateLimited);
    wait(13 * MINUTE);
    expect(() => attempts.begin('ann')).toThrow(RateLimited);
    wait(2 * MINUTE);
    expect(() => attempts.begin('ann')).not.toThrow();
  });

  it('lock nobody else', () => {
    const { attempts, wrong } = start();
    for (let i = 0; i < 5; i++) wrong('ann');
    expect(() => attempts.begin('bob')).not.toThrow();
  });

  it('that are 15 minutes old count no more', () => {
    const { attempts, wrong, wait } = start();
    for (let i = 0; i < 4; i++) wrong('ann');
    wait(15 * MINUTE);
    for (let i = 0; i < 4; i++) wrong('ann');
    expect(() => attempts.begin('ann')).not.toThrow();
  });

  it('are counted while they are under way: no more than five are compared at the same time', () => {
    const { attempts } = start();
    const begun = Array.from({ length: 5 }, () => attempts.begin('ann'));
    expect(() => attempts.begin('ann')).toThrow(RateLimited);
    begun[0]?.forgive();
    expect(() => attempts.begin('ann')).not.toThrow();
  });

  it('are not forgotten for a right one between them', () => {
    const { attempts, wrong } = start();
    for (let i = 0; i < 4; i++) wrong('ann');
    attempts.begin('ann').forgive();
    wrong('ann');
    expect(() => attempts.begin('ann')).toThrow(RateLimited);
  });
});
