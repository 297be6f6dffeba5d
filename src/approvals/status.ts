import type { CompiledPolicy } from '../policy/policy.ts';
import type { Proposal, ProposalStatus } from './proposal.ts';
import type { RequestStatus, SigningRequest } from './request.ts';

/** Of the policy in force, what deciding about requests takes. */
export interface PolicySource {
  /** Why there is none; undefined while there is. */
  readonly problem: string | undefined;
  /** Throws `unavailable` where there is none. */
  current(): CompiledPolicy;
}

/** Undefined where no policy is in force. */
export function currentPolicy(source: PolicySource): CompiledPolicy | undefined {
  return source.problem === undefined ? source.current() : undefined;
}

/**
 * What a request is now: its time may be over, and its policy gone, before anybody has written that down.
 *
 * @param policyHash of the policy in force; undefined where there is none, and then nothing is said of it
 * @param now milliseconds since 1970
 */
export function requestStatus(
  { status, policyHash: asked, expiresAt }: SigningRequest,
  policyHash: string | undefined,
  now: number,
): RequestStatus {
  if (status !== 'pending' && status !== 'approved') return status;
  if (policyHash !== undefined && policyHash !== asked) return 'void';
  return isOver(expiresAt, now) ? 'expired' : status;
}

/** @param baseHash of the policy that a proposal made now would replace */
export function proposalStatus(
  { status, parentHash, expiresAt }: Proposal,
  baseHash: string,
  now: number,
): ProposalStatus {
  if (status !== 'pending') return status;
  if (parentHash !== baseHash) return 'void';
  return isOver(expiresAt, now) ? 'expired' : status;
}

/** A time that can't be read is over. */
function isOver(time: string, now: number): boolean {
  return !(Date.parse(time) > now);
}
