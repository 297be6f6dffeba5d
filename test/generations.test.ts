import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Generations } from '../src/generations.ts';

describe('Generations', () => {
  it('has what was set since the last turn but one, as it was set last', () => {
    const name = fc.constantFrom('a', 'b', 'c', 'd');
    const step = fc.oneof(
      fc.record({ call: fc.constant('set'), name }),
      fc.record({ call: fc.constant('delete'), name }),
      fc.record({ call: fc.constant('turn'), name }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const cache = new Generations<number>();
        // Where in the steps each was set, or that it is not there.
        const setAt = new Map<string, number>();
        const turnedAt: number[] = [];
        for (const [at, { call, name }] of steps.entries()) {
          if (call === 'set') {
            cache.set(name, at);
            setAt.set(name, at);
          } else if (call === 'delete') {
            cache.delete(name);
            setAt.delete(name);
          } else {
            cache.turn();
            turnedAt.push(at);
          }
          for (const each of 'abcd') {
            const set = setAt.get(each);
            const isThere = (turns: number): boolean =>
              set !== undefined && set > (turnedAt.at(-turns) ?? -1);
            expect(cache.getYoung(each)).toBe(isThere(1) ? set : undefined);
            expect(cache.get(each)).toBe(isThere(2) ? set : undefined);
          }
        }
      }),
    );
  });
});
