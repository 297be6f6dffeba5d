import type { Path, Problems } from './read.ts';

/**
 * How much a document may have of what costs time or memory beyond its own size: far above what policies need, and low
 * enough that a hostile megabyte is refused in well under a second. A list or a key group counts its items wherever it
 * is used, since what compares with it has them all.
 */
const MOST = {
  rules: 5_000,
  conditions: 20_000,
  'items in comparisons and selectors': 1_000_000,
  'functions in abis': 2_000,
  'characters of patterns (re2)': 8_192,
  'characters of EIP-712 types': 200_000,
  'time windows': 1_000,
  limits: 64,
} as const;

export interface Quota {
  /** Throws with this problem, and all those found before, where the document goes over. */
  spend(what: keyof typeof MOST, path: Path, amount?: number): void;
}

export function createQuota(problems: Problems): Quota {
  const spent = new Map<keyof typeof MOST, number>();
  return {
    spend(what, path, amount = 1) {
      const total = (spent.get(what) ?? 0) + amount;
      spent.set(what, total);
      if (total <= MOST[what]) return;
      problems.add(path, `the document has more than ${MOST[what]} ${what}; remove some, or merge rules`);
      problems.throwIfAny();
    },
  };
}
