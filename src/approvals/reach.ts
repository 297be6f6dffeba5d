import { isFederated, isLive, type AccessReads, type Principal } from '../access/principals.ts';
import { CountersignError } from '../errors.ts';
import type { Approval, PolicyModel } from '../policy/model.ts';
import { quorumOf, type Ballot } from './quorum.ts';

/** A principal that could vote now: enabled, with a credential that works. */
export interface Voter extends Ballot {
  readonly name: string;
}

const MAX_NAMED = 10;

/** Everybody who could say yes, as proven as they can be. */
export function possibleVoters(
  reads: Pick<AccessReads, 'principals' | 'credentialsOf'>,
  hasSecondFactor: (principalId: string) => boolean,
  now: Date,
): Voter[] {
  return reads.principals().flatMap((principal): Voter[] => {
    const live = reads.credentialsOf(principal.id).filter((credential) => isLive(credential, now));
    if (!isUsable(principal, live.length)) return [];
    const { id, name, roles } = principal;
    const mtls = live.some(({ kind }) => kind === 'certificate');
    return [{ principalId: id, name, roles, verdict: 'approve', otp: hasSecondFactor(id), mtls }];
  });
}

/** Whoever an identity provider vouches for needs no credential here. */
function isUsable(principal: Principal, credentials: number): boolean {
  return principal.state === 'enabled' && (credentials > 0 || isFederated(principal));
}

/** Throws `unprocessable` where nobody could change the policy any more: propose a change, and have it approved. */
export function requireChangeable(change: Approval, voters: readonly Voter[]): void {
  const proposers = voters.filter(({ roles }) => roles.includes('policy-admin'));
  if (proposers.length === 0) {
    throw new CountersignError(
      'unprocessable',
      'no enabled principal with a credential has the role policy-admin, so that nobody could change this policy: give it to somebody first',
    );
  }
  if (proposers.some((proposer) => canChange(change, voters, proposer))) return;
  const takes = change.all.map(({ role, m }) => `${m} of role ${role}`).join(' and ');
  const proof = change.credential === undefined ? '' : `, with ${PROOFS[change.credential]},`;
  throw new CountersignError(
    'unprocessable',
    `nobody could change this policy: a change takes ${takes}${proof} beside who proposes it, and there are too few: ` +
      'create further principals and credentials first',
  );
}

const PROOFS = { otp: 'a second factor (countersign totp enrol)', mtls: 'a client certificate' } as const;

function canChange(change: Approval, voters: readonly Voter[], { principalId }: Voter): boolean {
  const others = voters.filter((voter) => voter.principalId !== principalId);
  return quorumOf(change, others, principalId).met;
}

/** What whoever decides about a policy should know of its approvals: those that can't be given as things stand. */
export function approvalWarnings(approvals: Iterable<Approval>, voters: readonly Voter[]): string[] {
  const signers = voters.filter(({ roles }) => roles.includes('signer'));
  return [...approvals].flatMap((approval) => {
    const { met, missing } = quorumOf(approval, voters, '');
    if (!met) {
      const short = missing.map(({ role, m, have }) => `${m} of role ${role}, and there are ${have}`);
      return [`nobody can give the approval ${approval.name} now: it takes ${short.join('; ')}`];
    }
    const stuck = signers.filter(({ principalId }) => !quorumOf(approval, voters, principalId).met);
    if (stuck.length === 0) return [];
    const names = stuck.slice(0, MAX_NAMED).map(({ name }) => name);
    return [`nobody can give the approval ${approval.name} to requests of ${names.join(', ')} now`];
  });
}

/** What a policy names by an id that nobody has: it may be a name, a slip, or somebody who is still to come. */
export function principalWarnings(
  { rules, breakGlass }: Pick<PolicyModel, 'rules' | 'breakGlass'>,
  principals: readonly Pick<Principal, 'id' | 'name'>[],
): string[] {
  const known = new Set(principals.map(({ id }) => id));
  const byName = new Map(principals.map(({ id, name }) => [name, id]));
  const rulesOf = new Map<string, string[]>();
  for (const { id: rule, principals: selected } of rules) {
    for (const id of selected?.ids ?? []) rulesOf.set(id, [...(rulesOf.get(id) ?? []), rule]);
  }
  const ids = new Set([...rulesOf.keys(), ...(breakGlass?.principals.ids ?? [])]);
  const unknown = [...ids].filter((id) => !known.has(id));
  const warnings = unknown.slice(0, MAX_NAMED).map((id) => {
    const meant = byName.get(id);
    const hint = meant === undefined ? '' : `: it is a name; the id is ${meant}`;
    return `no principal has the id ${id} (${placesOf(rulesOf.get(id) ?? [])})${hint}`;
  });
  const more = unknown.length - warnings.length;
  return more > 0 ? [...warnings, `nor have principals ${more} other ids of the policy`] : warnings;
}

function placesOf(rules: readonly string[]): string {
  if (rules.length === 0) return 'breakGlass';
  const more = rules.length > MAX_NAMED ? ', …' : '';
  return `${rules.length > 1 ? 'rules' : 'rule'} ${rules.slice(0, MAX_NAMED).join(', ')}${more}`;
}
