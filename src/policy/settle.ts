import type { Charge, Decision, LimitUse, UsageOf, Verdict } from './decision.ts';

/**
 * The decision on a request, with what its limits hold: pure, but for `usage`. A limit that is exceeded denies, or adds
 * its approval to the others; where break-glass was granted, it never denies but takes that approval.
 */
export function settle({ decision, charges, breakGlass }: Verdict, usage: UsageOf): Decision {
  if (decision.effect === 'deny' || charges.length === 0) return decision;
  const uses = charges.map((charge) => ({ charge, before: usage(charge) }));
  const limits = uses.map(({ charge: { limit, scope, amount, max }, before }): LimitUse => {
    return { limit, scope, amount, before, max };
  });
  const exceeded = uses.filter(({ charge: { amount, max }, before }) => before + amount > max);
  const [first] = exceeded;
  if (first === undefined) return { ...decision, limits };

  const denying = exceeded.find(({ charge }) => charge.onExceed === 'deny');
  if (denying !== undefined && breakGlass === undefined) {
    return {
      ...withoutRule(decision),
      effect: 'deny',
      limit: denying.charge.limit,
      reason: explain(denying),
      limits,
    };
  }
  const asked = exceeded.flatMap(({ charge: { onExceed } }) =>
    onExceed === 'deny' ? [] : onExceed.approval,
  );
  const approvals = [...(decision.approvals ?? []), ...asked];
  if (denying !== undefined && breakGlass !== undefined) approvals.push(breakGlass.approval);
  const decided = decision.effect === 'require' ? decision : withoutRule(decision);
  return {
    ...decided,
    effect: 'require',
    approvals: [...new Set(approvals)],
    limit: (denying ?? first).charge.limit,
    ...(denying !== undefined && { overrides: decision.overrides ?? { reason: explain(denying) } }),
    reason: joinReasons(decision, explain(denying ?? first), denying !== undefined),
    limits,
  };
}

export const NOTHING_USED: UsageOf = () => 0n;

interface Use {
  readonly charge: Charge;
  readonly before: bigint;
}

/** A limit decides in the place of the rules that allowed. */
function withoutRule({ policyRevision, policyHash, reason, shadow }: Decision): Omit<Decision, 'effect'> {
  return { policyRevision, policyHash, reason, ...(shadow !== undefined && { shadow }) };
}

function explain({ charge: { limit, scope, amount, max, onExceed }, before }: Use): string {
  const needs = onExceed === 'deny' ? '' : `, so it needs approval "${onExceed.approval}"`;
  return `limit "${limit}" for ${scope} is exceeded: ${before} used and ${amount} asked for are more than ${max}${needs}`;
}

function joinReasons(decision: Decision, limit: string, overridden: boolean): string {
  if (decision.effect === 'require') return `${decision.reason}; ${limit}`;
  return overridden ? `break-glass overrides a denial: ${limit}` : limit;
}
