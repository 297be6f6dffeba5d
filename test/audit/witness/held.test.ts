import { describe, expect, it } from 'vitest';
import { Held } from '../../../src/audit/witness/held.ts';

describe('checkpoints that enough witnesses hold', () => {
  it('are those that k have cosigned, each once, with the time of the last', () => {
    const held = new Held<string>(2);
    expect(held.add(5, 'a', 100n)).toBe(false);
    expect(held.add(5, 'a', 101n)).toBe(false);
    expect(held.add(6, 'b', 102n)).toBe(false);
    expect(held.newest).toEqual({ size: 0 });
    expect(held.add(5, 'b', 90n)).toBe(true);
    expect(held.newest).toEqual({ size: 5, time: '1970-01-01T00:01:41.000Z' });
    expect(held.add(5, 'c', 90n)).toBe(false);
    expect(held.add(6, 'c', 103n)).toBe(true);
    expect(held.newest.size).toBe(6);
  });

  it('never get smaller', () => {
    const held = new Held<string>(1);
    held.add(9, 'a', 1n);
    expect(held.add(8, 'b', 2n)).toBe(false);
    expect(held.newest.size).toBe(9);
  });

  it('have no time that a date cannot have', () => {
    const held = new Held<string>(1);
    held.add(1, 'a', 2n ** 63n - 1n);
    expect(held.newest).toEqual({ size: 1 });
  });

  it('are found also after a great many that too few have cosigned', () => {
    const held = new Held<string>(2);
    for (let size = 1; size <= 5_000; size++) held.add(size, 'a', 1n);
    expect(held.add(1, 'b', 1n)).toBe(false);
    expect(held.add(4_990, 'b', 1n)).toBe(true);
  });
});
