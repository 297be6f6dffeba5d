import type { Act, ActDraft } from '../audit/act.ts';
import type { Key, KeyVersion } from '../keystore/keys.ts';
import type { Decision, PolicyRequest } from '../policy/decision.ts';
import { denialWithoutRule } from '../policy/evaluate.ts';

/** A key that exists to be stolen was used, or one that was given up and waits to be destroyed. */
export type KeyAlarm = 'alert.canary_key_used' | 'alert.destruction_pending_used';

/** Told of each use of a key that nobody has a reason to use. */
export interface CanaryAlarm {
  /** Resolves when it can't be lost any more. Throws `unavailable`. */
  keyUsed(
    act: Act<unknown>,
    requester: PolicyRequest['principal'],
    asked: Omit<ActDraft, 'kind' | 'outcome'>,
    alarm?: KeyAlarm,
  ): Promise<void>;
}

/** What a request for a signature of the version is to raise. */
export function alarmOf({ canary }: Key, { state }: KeyVersion): KeyAlarm | undefined {
  if (canary) return 'alert.canary_key_used';
  return state === 'destroy_scheduled' ? 'alert.destruction_pending_used' : undefined;
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
