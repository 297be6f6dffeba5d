import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Principal } from '../../src/access/principals.ts';
import { ROLES, type Role } from '../../src/access/roles.ts';
import { mayVote, progressOf, quorumOf, standing, type Ballot } from '../../src/approvals/quorum.ts';
import type { Approval } from '../../src/policy/model.ts';

const APPROVAL: Approval = {
  name: 'big',
  all: [{ role: 'approver', m: 2 }],
  distinct: true,
  excludeRequester: true,
  ttl: 1,
  rejects: 1,
};

function ballot(
  principalId: string,
  roles: readonly Role[] = ['approver'],
  over: Partial<Ballot> = {},
): Ballot {
  return { principalId, roles, verdict: 'approve', otp: false, mtls: false, ...over };
}

const met = (over: Partial<Approval>, votes: readonly Ballot[], requester = 'requester'): boolean =>
  quorumOf({ ...APPROVAL, ...over }, votes, requester).met;

describe('a quorum', () => {
  it('takes as many different principals as it says', () => {
    expect(quorumOf(APPROVAL, [], 'r')).toEqual({
      met: false,
      rejected: false,
      missing: [{ role: 'approver', m: 2, have: 0 }],
    });
    expect(quorumOf(APPROVAL, [ballot('a')], 'r').missing).toEqual([{ role: 'approver', m: 2, have: 1 }]);
    expect(quorumOf(APPROVAL, [ballot('a'), ballot('b')], 'r')).toEqual({
      met: true,
      rejected: false,
      missing: [],
    });
    expect(met({}, [ballot('a'), ballot('b'), ballot('c')])).toBe(true);
  });

  it('counts a principal once, whatever it says and however often', () => {
    expect(met({}, [ballot('a'), ballot('a')])).toBe(false);
    expect(met({}, [ballot('a'), ballot('a', ['approver'], { mtls: true, otp: true })])).toBe(false);
    // The first word holds: neither a later yes nor a later no changes it.
    expect(met({}, [ballot('a', ['approver'], { verdict: 'reject' }), ballot('a'), ballot('b')])).toBe(false);
    const second = ballot('a', ['approver'], { verdict: 'reject' });
    expect(quorumOf(APPROVAL, [ballot('a'), second], 'r').rejected).toBe(false);
  });

  it('counts those with the role, and nobody else', () => {
    expect(met({}, [ballot('a'), ballot('b', ['operator'])])).toBe(false);
    expect(met({}, [ballot('a'), ballot('b', [])])).toBe(false);
    expect(met({}, [ballot('a'), ballot('b', ['operator', 'approver'])])).toBe(true);
  });

  it('leaves the requester out, unless the approval says otherwise', () => {
    const votes = [ballot('requester'), ballot('b')];
    expect(met({}, votes)).toBe(false);
    expect(met({ excludeRequester: false }, votes)).toBe(true);
    expect(met({}, votes, 'somebody else')).toBe(true);
    const no = [ballot('requester', ['approver'], { verdict: 'reject' })];
    expect(quorumOf(APPROVAL, no, 'requester').rejected).toBe(false);
  });

  const both = {
    all: [
      { role: 'approver', m: 1 },
      { role: 'operator', m: 1 },
    ],
  } as const;

  it('lets one human meet one demand when it is distinct, and each of its roles when it is not', () => {
    const all = [ballot('a', ['approver', 'operator'])];
    expect(met(both, all)).toBe(false);
    expect(met({ ...both, distinct: false }, all)).toBe(true);
    expect(met({ all: [{ role: 'approver', m: 2 }], distinct: false }, all)).toBe(false);
  });

  it('uses whoever has several roles where it is needed, in any order', () => {
    const versatile = ballot('a', ['approver', 'operator']);
    expect(met(both, [versatile, ballot('b', ['approver'])])).toBe(true);
    expect(met(both, [ballot('b', ['approver']), versatile])).toBe(true);
    expect(met(both, [versatile, ballot('b', ['operator'])])).toBe(true);
    expect(met(both, [ballot('b', ['operator']), ballot('c', ['operator'])])).toBe(false);
  });

  it.each(['otp', 'mtls'] as const)('that takes %s counts no approval without', (credential) => {
    const proven = ballot('a', ['approver'], { [credential]: true });
    const other = ballot('b', ['approver'], { [credential === 'otp' ? 'mtls' : 'otp']: true });
    expect(met({ credential }, [proven, other])).toBe(false);
    expect(met({ credential }, [proven, { ...other, [credential]: true }])).toBe(true);
    // No needs no proof: whoever is in doubt must be heard.
    const no = { ...ballot('c'), verdict: 'reject' } as const;
    expect(quorumOf({ ...APPROVAL, credential }, [no], 'r').rejected).toBe(true);
  });

  it('is rejected by so many as it says, of those that could have approved', () => {
    const no = (id: string, roles?: readonly Role[]): Ballot => ballot(id, roles, { verdict: 'reject' });
    const rejected = (rejects: number, votes: readonly Ballot[]): boolean =>
      quorumOf({ ...APPROVAL, rejects }, votes, 'r').rejected;
    expect(rejected(1, [no('a')])).toBe(true);
    expect(rejected(1, [no('a', ['auditor'])])).toBe(false);
    expect(rejected(2, [no('a'), no('a')])).toBe(false);
    expect(rejected(2, [no('a'), ballot('b'), no('c')])).toBe(true);
  });
});

/** Whether votes can be handed out to all seats, by trying every way to. */
function bruteForce({ all, distinct }: Approval, votes: readonly Ballot[]): boolean {
  if (!distinct)
    return all.every(({ role, m }) => votes.filter(({ roles }) => roles.includes(role)).length >= m);
  const seats = all.flatMap(({ role, m }) => Array.from({ length: m }, () => role));
  const fill = (seat: number, left: readonly Ballot[]): boolean => {
    const role = seats[seat];
    if (role === undefined) return true;
    return left.some((vote, i) => vote.roles.includes(role) && fill(seat + 1, left.toSpliced(i, 1)));
  };
  return fill(0, votes);
}

const approvals = fc.record({
  all: fc
    .uniqueArray(fc.constantFrom<Role>('admin', 'policy-admin', 'approver', 'operator'), {
      minLength: 1,
      maxLength: 3,
    })
    .chain((roles) =>
      fc.tuple(
        ...roles.map((role) => fc.record({ role: fc.constant(role), m: fc.constantFrom(1, 1, 2, 3) })),
      ),
    ),
  distinct: fc.boolean(),
  excludeRequester: fc.boolean(),
  rejects: fc.integer({ min: 1, max: 3 }),
  credential: fc.constantFrom(undefined, undefined, 'otp' as const, 'mtls' as const),
});

const votes = fc.array(
  fc.record({
    principalId: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g'),
    roles: fc.uniqueArray(fc.constantFrom<Role>(...ROLES), { minLength: 1, maxLength: 4 }),
    verdict: fc.constantFrom('approve' as const, 'approve' as const, 'approve' as const, 'reject' as const),
    otp: fc.boolean(),
    mtls: fc.boolean(),
  }),
  { minLength: 2, maxLength: 10 },
);

const RUNS = Number(process.env['POLICY_CASES'] ?? 3_000);

describe('a quorum of any votes', () => {
  it('is met exactly when there is a way to give each seat a vote of its own', () => {
    const seen = { met: 0, unmet: 0 };
    fc.assert(
      fc.property(approvals, votes, (given, cast) => {
        const { credential, ...rest } = given;
        const approval = { ...APPROVAL, ...rest, ...(credential !== undefined && { credential }) };
        const firsts = cast.filter(
          (vote, i) => cast.findIndex((each) => each.principalId === vote.principalId) === i,
        );
        const heard = firsts.filter(({ principalId }) => !(approval.excludeRequester && principalId === 'a'));
        const yes = heard.filter(
          (vote) => vote.verdict === 'approve' && (credential === undefined || vote[credential]),
        );
        const quorum = quorumOf(approval, cast, 'a');
        expect(quorum.met).toBe(bruteForce(approval, yes));
        expect(quorum.met).toBe(quorum.missing.length === 0);
        for (const { role, m, have } of quorum.missing) {
          expect(have).toBeLessThan(m);
          expect(approval.all).toContainEqual({ role, m });
        }
        const no = heard.filter(
          ({ verdict, roles }) =>
            verdict === 'reject' && approval.all.some(({ role }) => roles.includes(role)),
        );
        expect(quorum.rejected).toBe(no.length >= approval.rejects);
        seen[quorum.met ? 'met' : 'unmet']++;
      }),
      { numRuns: RUNS },
    );
    // Else the property would say little.
    expect(Math.min(seen.met, seen.unmet)).toBeGreaterThan(RUNS / 50);
  });

  it('says what is missing so that as many votes as can be are used', () => {
    fc.assert(
      fc.property(approvals, votes, (given, cast) => {
        const { credential: _, ...rest } = given;
        const approval = { ...APPROVAL, ...rest, distinct: true };
        const { missing } = quorumOf(approval, cast, 'a');
        const short = missing.reduce((sum, { m, have }) => sum + m - have, 0);
        // With so many more of the right people it is met, and with one fewer it is not.
        const more = missing.flatMap(({ role, m, have }, i) =>
          Array.from({ length: m - have }, (__, j) => ballot(`new-${i}-${j}`, [role as Role])),
        );
        expect(quorumOf(approval, [...cast, ...more], 'a').met).toBe(true);
        expect(quorumOf(approval, [...cast, ...more.slice(1)], 'a').met).toBe(short === 0);
      }),
      { numRuns: Math.min(RUNS, 5_000) },
    );
  });
});

describe('votes that stand', () => {
  const principal = (
    id: string,
    roles: readonly Role[],
    state: Principal['state'] = 'enabled',
  ): Principal => ({
    id,
    name: id,
    roles,
    state,
    createdAt: '2030-01-01T00:00:00.000Z',
  });
  const stand = (vote: Ballot, now: Principal | undefined): Ballot[] => standing([vote], () => now);

  it('have the roles that were held when voting and are held still', () => {
    const vote = ballot('a', ['approver', 'operator']);
    expect(stand(vote, principal('a', ['approver', 'operator']))).toEqual([vote]);
    expect(stand(vote, principal('a', ['operator', 'admin']))).toEqual([{ ...vote, roles: ['operator'] }]);
    expect(stand(vote, principal('a', ['admin']))).toEqual([{ ...vote, roles: [] }]);
  });

  it('are of principals that are there and enabled', () => {
    expect(stand(ballot('a'), undefined)).toEqual([]);
    expect(stand(ballot('a'), principal('a', ['approver'], 'disabled'))).toEqual([]);
  });
});

describe('whether somebody may vote', () => {
  it('is a matter of role, and of not having asked', () => {
    const who = (id: string, ...roles: Role[]): boolean => mayVote(APPROVAL, { id, roles }, 'requester');
    expect(who('a', 'approver')).toBe(true);
    expect(who('a', 'operator', 'admin')).toBe(false);
    expect(who('requester', 'approver')).toBe(false);
    expect(mayVote({ ...APPROVAL, excludeRequester: false }, { id: 'r', roles: ['approver'] }, 'r')).toBe(
      true,
    );
  });
});

describe('the progress of several approvals', () => {
  it('is that of each, a vote counting for all of them', () => {
    const other: Approval = { ...APPROVAL, name: 'more', all: [{ role: 'operator', m: 1 }] };
    const progress = progressOf([APPROVAL, other], [ballot('a', ['approver', 'operator'])], 'r');
    expect(progress).toEqual({
      names: ['big', 'more'],
      missing: [{ approval: 'big', role: 'approver', m: 2, have: 1 }],
    });
  });
});
