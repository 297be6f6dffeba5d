import { beforeEach, expect, it } from 'vitest';
import type { Act, ActDraft } from '../../src/audit/act.ts';
import { ClockWatch } from '../../src/audit/clock-watch.ts';

const START = Date.parse('2030-01-01T00:00:00.000Z');

let wall: number;
let steady: number;
let drafts: ActDraft[];
let watch: ClockWatch;

beforeEach(() => {
  wall = START;
  steady = 0;
  drafts = [];
  const act = {
    record: (draft: ActDraft) => {
      drafts.push(draft);
      return Promise.resolve({ index: 0, leafHash: '' });
    },
  } as unknown as Act<unknown>;
  watch = new ClockWatch(act, { wall: () => wall, steady: () => steady });
});

function pass(ms: number, wallMs = ms): void {
  steady += ms;
  wall += wallMs;
  watch.look();
}

it('says nothing of a clock that keeps time, or is slewed', () => {
  for (let i = 0; i < 1_000; i++) pass(1_000, 1_000.5);
  expect(drafts).toEqual([]);
});

it('writes an entry for each step, once, either way', () => {
  pass(1_000);
  pass(1_000, -3_600_000);
  pass(1_000);
  pass(1_000, 61_000);
  expect(drafts).toMatchObject([
    { kind: 'clock.stepped', outcome: 'done', detail: { stepMs: -3_601_000 } },
    { kind: 'clock.stepped', outcome: 'done', detail: { stepMs: 60_000 } },
  ]);
  expect(drafts[0]?.detail?.['clock']).toBe('2029-12-31T23:00:01.000Z');
});

it('sees at a start that the clock went back while the service was down', () => {
  watch.start('2030-01-01T02:00:00.000Z');
  watch.stop();
  expect(drafts).toMatchObject([{ detail: { stepMs: -7_200_000 } }]);
});

it.each(['', '2029-12-31T00:00:00.000Z'])('says nothing at a start after %j', (time) => {
  watch.start(time);
  watch.stop();
  expect(drafts).toEqual([]);
});
