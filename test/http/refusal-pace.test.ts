import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { RefusalPace } from '../../src/http/refusal-pace.ts';

/** What may be refused at once, however little is signed. */
const AHEAD = 2_000;
const HELD = 4_096;

let signed: number;
let pace: RefusalPace;
let refused: number[];
let asked: number;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'performance'] });
  signed = 0;
  pace = new RefusalPace(() => signed);
  refused = [];
  asked = 0;
});
afterEach(() => {
  vi.useRealTimers();
});

function refuse(count: number): void {
  for (let n = 0; n < count; n++) {
    const number = asked++;
    void pace.turn().then(() => refused.push(number));
  }
}

/** The first so many that were to be refused, in their order. */
const first = (count: number): number[] => Array.from({ length: count }, (_, n) => n);

const pass = async (milliseconds: number): Promise<unknown> =>
  await vi.advanceTimersByTimeAsync(milliseconds);

describe('the pace of refusals', () => {
  it('holds nobody back while less than five times as much is asked as is signed', async () => {
    for (let ms = 0; ms < 3_000; ms++) {
      refuse(4);
      signed += 1;
      await pass(1);
      expect(refused).toHaveLength(asked);
    }
    expect(vi.getTimerCount()).toBe(0);
  });

  it('then lets four go for each signature, and one for each millisecond, in order', async () => {
    refuse(AHEAD + 1_000);
    await pass(0);
    expect(refused).toEqual(first(AHEAD));
    signed += 30;
    await pass(5);
    expect(refused).toEqual(first(AHEAD + 125));
    await pass(100);
    expect(refused).toEqual(first(AHEAD + 225));
    // Whoever comes later waits behind them.
    refuse(1);
    signed += 100;
    await pass(5);
    expect(refused).toEqual(first(AHEAD + 630));
    signed += 1_000;
    await pass(5);
    expect(refused).toEqual(first(asked));
    expect(vi.getTimerCount()).toBe(0);
  });

  it('earns no more ahead than that, however long nobody is refused', async () => {
    refuse(AHEAD + 10);
    await pass(20);
    signed += 1_000_000;
    await pass(60_000);
    refuse(AHEAD + 50);
    await pass(0);
    expect(refused).toEqual(first(2 * AHEAD + 10));
    await pass(50);
    expect(refused).toEqual(first(asked));
  });

  it('holds nobody for longer than Retry-After says', async () => {
    refuse(AHEAD + 3_000);
    await pass(500);
    refuse(1_000);
    await pass(495);
    expect(refused).toEqual(first(AHEAD + 995));
    await pass(5);
    expect(refused).toEqual(first(AHEAD + 3_000));
    await pass(495);
    expect(refused).toEqual(first(AHEAD + 3_495));
    await pass(5);
    expect(refused).toEqual(first(asked));
  });

  it('holds no more than it has room for: the others are refused at once', async () => {
    refuse(AHEAD + HELD);
    await pass(0);
    expect(refused).toEqual(first(AHEAD));
    refuse(3);
    await pass(0);
    expect(refused.slice(AHEAD)).toEqual([AHEAD + HELD, AHEAD + HELD + 1, AHEAD + HELD + 2]);
    await pass(5);
    refuse(6);
    await pass(0);
    expect(refused).toHaveLength(AHEAD + 3 + 5 + 1);
    await pass(1_000);
    expect(refused.toSorted((a, b) => a - b)).toEqual(first(asked));
  });
});
