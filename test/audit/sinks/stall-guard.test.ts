import { beforeEach, describe, expect, it } from 'vitest';
import type { Act, ActDraft } from '../../../src/audit/act.ts';
import { StallGuard, type Required } from '../../../src/audit/sinks/stall-guard.ts';

let drafts: ActDraft[];
beforeEach(() => {
  drafts = [];
});

function guard(required: Required): StallGuard {
  const act = {
    record: (draft: ActDraft) => {
      drafts.push(draft);
      return Promise.reject(new Error('the log cannot be written'));
    },
  } as unknown as Act<unknown>;
  return new StallGuard('siem', required, act);
}

describe('a required sink', () => {
  it('may lag to its limit, and is let go on at half of it, with an entry each', () => {
    const of = guard({ maxLagEntries: 100 });
    const stalled = [0, 100, 101, 101, 80, 51, 50, 60, 100, 101, 0].map((entries) => {
      of.check({ entries, seconds: 1e6 }, 'ECONNREFUSED');
      return of.hindrance !== undefined;
    });
    expect(stalled).toEqual([false, false, true, true, true, true, false, false, false, true, false]);
    expect(drafts).toEqual([
      {
        kind: 'audit.sink_stalled',
        outcome: 'failed',
        detail: { sink: 'siem', lagEntries: 101, lagSeconds: 1e6, reason: 'ECONNREFUSED' },
      },
      {
        kind: 'audit.sink_resumed',
        outcome: 'done',
        detail: { sink: 'siem', lagEntries: 50, lagSeconds: 1e6 },
      },
      expect.objectContaining({ kind: 'audit.sink_stalled' }),
      expect.objectContaining({ kind: 'audit.sink_resumed' }),
    ]);
    expect(of.hindrance).toBeUndefined();
  });

  it('may lag for its time, and must keep to both limits where there are two', () => {
    const timed = guard({ maxLagSeconds: 10 });
    timed.check({ entries: 1e6, seconds: 10 }, undefined);
    expect(timed.hindrance).toBeUndefined();
    timed.check({ entries: 1, seconds: 10.5 }, undefined);
    expect(timed.hindrance).toMatch(/audit sink siem, which is required/);

    const both = guard({ maxLagEntries: 10, maxLagSeconds: 10 });
    both.check({ entries: 11, seconds: 0 }, undefined);
    both.check({ entries: 0, seconds: 6 }, undefined);
    expect(both.hindrance).toBeDefined();
    both.check({ entries: 5, seconds: 5 }, undefined);
    expect(both.hindrance).toBeUndefined();
  });
});
