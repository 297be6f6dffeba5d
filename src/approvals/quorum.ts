import type { Principal } from '../access/principals.ts';
import type { Approval } from '../policy/model.ts';
import type { ApprovalProgress, Vote } from './request.ts';

/** What a vote counts by. */
export type Ballot = Pick<Vote, 'principalId' | 'roles' | 'verdict' | 'otp' | 'mtls'>;

export interface Quorum {
  /** Every demand has its approvals, at the same time. */
  readonly met: boolean;
  readonly rejected: boolean;
  readonly missing: readonly Shortfall[];
}

/** A demand that is not met yet. `have` is of an assignment of votes to demands that leaves out as few as can be. */
export interface Shortfall {
  readonly role: string;
  readonly m: number;
  readonly have: number;
}

/**
 * How far an approval is. A principal counts once, for one demand where the approval is `distinct`, for each of its
 * roles where it is not. Votes that do not stand any more are for the caller to leave out (`standing`).
 */
export function quorumOf(approval: Approval, votes: readonly Ballot[], requesterId: string): Quorum {
  const heard = oncePerPrincipal(votes).filter(
    ({ principalId }) => !(approval.excludeRequester && principalId === requesterId),
  );
  const approving = heard.filter((vote) => vote.verdict === 'approve' && isProven(approval, vote));
  const counts = approval.distinct ? assign(approval.all, approving) : countEach(approval.all, approving);
  const missing = approval.all.flatMap(({ role, m }, demand) => {
    const have = counts[demand] ?? 0;
    return have < m ? [{ role, m, have }] : [];
  });
  const rejections = heard.filter((vote) => vote.verdict === 'reject' && hasDemandedRole(approval, vote));
  return { met: missing.length === 0, rejected: rejections.length >= approval.rejects, missing };
}

/** The votes that count now: of principals that are still enabled, with the roles that they had and still have. */
export function standing<V extends Ballot>(
  votes: readonly V[],
  principalOf: (id: string) => Principal | undefined,
): V[] {
  return votes.flatMap((vote) => {
    const principal = principalOf(vote.principalId);
    if (principal?.state !== 'enabled') return [];
    const now: readonly string[] = principal.roles;
    return [{ ...vote, roles: vote.roles.filter((role) => now.includes(role)) }];
  });
}

/** How many others than the requester have to say yes, at the least: one person may count for several demands. */
export function fewestOthers({ all, distinct, excludeRequester }: Approval): number {
  const counts = all.map(({ m }) => m);
  const people = distinct ? counts.reduce((sum, m) => sum + m, 0) : Math.max(0, ...counts);
  return excludeRequester ? people : people - 1;
}

/** Whether a principal with these roles may vote on an approval of what `requesterId` asked for. */
export function mayVote(
  approval: Approval,
  voter: { readonly id: string; readonly roles: readonly string[] },
  requesterId: string,
): boolean {
  return !(approval.excludeRequester && voter.id === requesterId) && hasDemandedRole(approval, voter);
}

export function hasDemandedRole(
  approval: Approval,
  { roles }: { readonly roles: readonly string[] },
): boolean {
  return approval.all.some(({ role }) => roles.includes(role));
}

/** What several approvals, all of which have to be given, still miss. */
export function progressOf(
  approvals: readonly Approval[],
  votes: readonly Ballot[],
  requesterId: string,
): ApprovalProgress {
  return {
    names: approvals.map(({ name }) => name),
    missing: approvals.flatMap((approval) =>
      quorumOf(approval, votes, requesterId).missing.map(({ role, m, have }) => ({
        approval: approval.name,
        role,
        m,
        have,
      })),
    ),
  };
}

function isProven({ credential }: Approval, { otp, mtls }: Ballot): boolean {
  return credential === undefined || (credential === 'otp' ? otp : mtls);
}

/** The first of each: nobody can take back what he said. */
function oncePerPrincipal(votes: readonly Ballot[]): Ballot[] {
  const seen = new Set<string>();
  return votes.filter(({ principalId }) => !seen.has(principalId) && seen.add(principalId));
}

type Demand = Approval['all'][number];

function countEach(demands: readonly Demand[], votes: readonly Ballot[]): number[] {
  return demands.map(({ role }) => votes.filter(({ roles }) => roles.includes(role)).length);
}

/**
 * How many votes each demand gets where every vote goes to one demand at most, and as many as possible go somewhere: a
 * maximum bipartite matching by augmenting paths, a demand being `m` seats.
 */
function assign(demands: readonly Demand[], votes: readonly Ballot[]): number[] {
  /** By demand, the votes that are seated there. */
  const seated: Ballot[][] = demands.map(() => []);

  /** Finds a seat for a vote, and for those that it drives out. A demand is tried once for each new vote. */
  const seat = (vote: Ballot, tried: Set<number>): boolean => {
    for (const [demand, { role, m }] of demands.entries()) {
      if (!vote.roles.includes(role) || tried.has(demand)) continue;
      tried.add(demand);
      const here = seated[demand] ?? [];
      const free = here.length < m ? here.length : here.findIndex((other) => seat(other, tried));
      if (free === -1) continue;
      here[free] = vote;
      return true;
    }
    return false;
  };

  for (const vote of votes) seat(vote, new Set());
  return seated.map((here) => here.length);
}
