import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FIRST_ENCRYPTIONS, TermUse, type RootTerm } from '../../src/signer/term-use.ts';

/** What is on disk, and how often it was written. */
function disk(encryptions: number) {
  let newest: RootTerm = { term: 1, createdAt: '2026-01-01T00:00:00.000Z', encryptions };
  let writes = 0;
  return {
    newestTerm: () => newest,
    saveEncryptions: (term: number, made: number) => {
      writes += 1;
      if (term === newest.term) newest = { ...newest, encryptions: made };
    },
    store: (term: RootTerm) => {
      newest = term;
    },
    get writes() {
      return writes;
    },
  };
}

describe('encryptions under a term', () => {
  it('are never more than what is on disk, whenever the process ends', () => {
    const steps = fc.array(fc.oneof(fc.integer({ min: 1, max: 3_000 }), fc.constant('restart' as const)));
    fc.assert(
      fc.property(steps, (all) => {
        const stored = disk(FIRST_ENCRYPTIONS);
        let use = new TermUse(stored, stored);
        let made = 0;
        for (const step of all) {
          if (step === 'restart') use = new TermUse(stored, stored);
          else {
            use.take(step);
            made += step;
          }
          expect(stored.newestTerm().encryptions).toBeGreaterThanOrEqual(made);
          expect(use.newest!.encryptions).toBeGreaterThanOrEqual(made);
        }
      }),
    );
  });

  it('are written down once in about a thousand', () => {
    const stored = disk(FIRST_ENCRYPTIONS);
    const use = new TermUse(stored, stored);
    for (let count = 0; count < 100_000; count += 1) use.take(1);
    expect(stored.writes).toBeLessThan(101);
  });

  it('end at 2^32, and begin anew with a term', () => {
    const stored = disk(2 ** 32 - 2);
    const use = new TermUse(stored, stored);
    use.take(2);
    expect(() => use.take(1)).toThrow(/rotate-root/);
    const next = { term: 2, createdAt: '2027-01-01T00:00:00.000Z', encryptions: FIRST_ENCRYPTIONS };
    stored.store(next);
    use.begin(next);
    use.take(1);
    expect(use.newest).toEqual({ ...next, encryptions: 1 });
  });

  it('are not made when they can’t be written down', () => {
    const stored = disk(0);
    const use = new TermUse(stored, {
      saveEncryptions: () => {
        throw new Error('the disk is full');
      },
    });
    expect(() => use.take(1)).toThrow('the disk is full');
    expect(use.newest!.encryptions).toBe(0);
  });
});
