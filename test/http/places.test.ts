import { describe, expect, it } from 'vitest';
import { Places } from '../../src/http/places.ts';

describe('a number of places', () => {
  it('are never more, go to whoever came first, and are free again after a failure', async () => {
    const places = new Places(2);
    const begun: number[] = [];
    const ends: (() => void)[] = [];
    let underWay = 0;
    let most = 0;
    const work = async (index: number): Promise<number> => {
      begun.push(index);
      most = Math.max(most, ++underWay);
      await new Promise<void>((resolve) => (ends[index] = resolve));
      underWay--;
      if (index % 2 === 1) throw new Error(`${index} failed`);
      return index;
    };
    const results = Promise.allSettled([0, 1, 2, 3, 4].map((index) => places.within(() => work(index))));
    for (let index = 0; index < 5; index++) {
      await turn();
      ends[index]?.();
    }
    expect(await results).toMatchObject([
      { value: 0 },
      { reason: { message: '1 failed' } },
      { value: 2 },
      { reason: { message: '3 failed' } },
      { value: 4 },
    ]);
    expect(begun).toEqual([0, 1, 2, 3, 4]);
    expect(most).toBe(2);

    // As many as at first are free, whatever happened.
    const again = [5, 6, 7].map((index) => places.within(() => work(index)).catch(() => undefined));
    await turn();
    expect(begun.slice(5)).toEqual([5, 6]);
    for (let index = 5; index < 8; index++) {
      ends[index]?.();
      await turn();
    }
    await Promise.all(again);
  });
});

async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}
