import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { backoff } from '../../../src/audit/sinks/backoff.ts';
import { Reporter } from '../../../src/audit/sinks/reporter.ts';

const PACE = { firstMs: 500, mostMs: 60_000 };

describe('backoff', () => {
  it('doubles to its bound, and half of it is chance', () => {
    expect([1, 2, 3, 7, 8, 9, 1_000_000].map((failures) => backoff(PACE, failures, 1))).toEqual([
      500, 1_000, 2_000, 32_000, 60_000, 60_000, 60_000,
    ]);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1e9 }), (failures) => {
        const whole = backoff(PACE, failures, 1);
        expect(backoff(PACE, failures, 0)).toBe(whole / 2);
        expect(backoff(PACE, failures)).toBeGreaterThanOrEqual(whole / 2);
        expect(backoff(PACE, failures)).toBeLessThanOrEqual(whole);
      }),
    );
  });
});

describe('what is told of failures', () => {
  it('is one line a minute, and the end of those that were told', () => {
    let now = 0;
    const told: string[] = [];
    const watcher = {
      failed: (name: string, reason: string) => told.push(`${now} ${name} ${reason}`),
      recovered: (name: string) => told.push(`${now} ${name} recovered`),
    };
    const reporter = new Reporter('siem', watcher, () => now);
    reporter.delivered();
    for (; now < 150_000; now += 1_000) reporter.failed('ECONNREFUSED');
    reporter.delivered();
    reporter.delivered();
    now += 1_000;
    reporter.failed('ETIMEDOUT');
    expect(told).toEqual([
      '0 siem ECONNREFUSED',
      '60000 siem ECONNREFUSED',
      '120000 siem ECONNREFUSED',
      '150000 siem recovered',
    ]);
  });
});
