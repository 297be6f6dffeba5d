import type { Verdict } from './decision.ts';

const RANK = { allow: 0, require: 1, deny: 2 } as const;

/** Of two verdicts on one request the one that lets less through; where both ask for approvals, all of them. */
export function stricter(one: Verdict, other: Verdict): Verdict {
  const [first, second] = [one.decision, other.decision];
  if (first.effect !== second.effect) return RANK[first.effect] > RANK[second.effect] ? one : other;
  if (first.effect !== 'require') return one;
  const approvals = new Set([...(first.approvals ?? []), ...(second.approvals ?? [])]);
  const overrides = first.overrides ?? second.overrides;
  return {
    ...one,
    decision: { ...first, approvals: [...approvals], ...(overrides !== undefined && { overrides }) },
  };
}
