import type { Act, ActDraft } from '../audit/act.ts';
import type { Decision, PolicyRequest } from '../policy/decision.ts';
import { denialWithoutRule } from '../policy/evaluate.ts';

/** Told of each use of a key that exists to be stolen. */
export interface CanaryAlarm {
  /** Resolves when it can't be lost any more. Throws `unavailable`. */
  keyUsed(
    act: Act<unknown>,
    requester: PolicyRequest['principal'],
    asked: Omit<ActDraft, 'kind' | 'outcome'>,
  ): Promise<void>;
}

/**
 * What is answered of a canary: a denial of the policy, or else the one that the policy would give if no rule of it were
 * for this caller and this key. So it can't be told from a key that is only not allowed.
 */
export function denialOfCanary(decided: Decision, request: PolicyRequest): Decision {
  if (decided.effect === 'deny') return decided;
  const { policyRevision, policyHash, shadow } = decided;
  const reason = denialWithoutRule(request);
  return { effect: 'deny', reason, policyRevision, policyHash, ...(shadow !== undefined && { shadow }) };
}
