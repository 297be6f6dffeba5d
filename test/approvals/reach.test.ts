import { describe, expect, it } from 'vitest';
import { newCertificateCredential, newCredential } from '../../src/access/credentials.ts';
import type { Credential, Principal } from '../../src/access/principals.ts';
import type { Role } from '../../src/access/roles.ts';
import {
  approvalWarnings,
  possibleVoters,
  principalWarnings,
  requireChangeable,
  type Voter,
} from '../../src/approvals/reach.ts';
import type { Approval } from '../../src/policy/model.ts';
import { ALICE, allowTransfers, policyWith } from '../policy/fixtures.ts';
import { START } from './desk.ts';

const NOW = new Date(START);
const past = new Date(START - 1).toISOString();

function approval(all: Approval['all'], credential?: 'otp' | 'mtls'): Approval {
  const rest = { name: 'change', distinct: true, excludeRequester: true, ttl: 1, rejects: 1 };
  return { ...rest, all, ...(credential !== undefined && { credential }) };
}

const voter = (principalId: string, roles: readonly Role[], over: Partial<Voter> = {}): Voter => ({
  principalId,
  name: principalId,
  roles,
  verdict: 'approve',
  otp: false,
  mtls: false,
  ...over,
});

describe('who could vote', () => {
  const votersOf = (
    credentials: readonly Credential[],
    over: Partial<Principal> = {},
    otp = false,
  ): Voter[] => {
    const principal = {
      id: 'p',
      name: 'pat',
      roles: ['approver'],
      state: 'enabled',
      createdAt: '',
      ...over,
    } as Principal;
    const reads = { principals: () => [principal], credentialsOf: () => [...credentials] };
    return possibleVoters(reads, () => otp, NOW);
  };
  const { credential: token } = newCredential('p');
  const certificate = newCertificateCredential('p', 'dns:pat.test', {});

  it('is enabled, and has a credential that works', () => {
    expect(votersOf([token])).toEqual([voter('p', ['approver'], { name: 'pat' })]);
    expect(votersOf([])).toEqual([]);
    expect(votersOf([token], { state: 'disabled' })).toEqual([]);
    expect(votersOf([{ ...token, revokedAt: past }])).toEqual([]);
    expect(votersOf([{ ...token, expiresAt: NOW.toISOString() }])).toEqual([]);
    expect(
      votersOf([
        { ...token, revokedAt: past },
        { ...token, id: 'x' },
      ]),
    ).toHaveLength(1);
  });

  it('is vouched for by an identity provider, and needs none then', () => {
    expect(votersOf([], { name: 'corp:pat' })).toHaveLength(1);
    expect(votersOf([], { name: 'corp:pat', state: 'disabled' })).toEqual([]);
  });

  it('has the proofs that it could show', () => {
    expect(votersOf([token, certificate])[0]).toMatchObject({ mtls: true, otp: false });
    expect(votersOf([token, { ...certificate, revokedAt: past }])[0]).toMatchObject({ mtls: false });
    expect(votersOf([token], {}, true)[0]).toMatchObject({ otp: true });
  });
});

describe('a policy can be changed', () => {
  const changeable = (change: Approval, ...voters: Voter[]): (() => void) => {
    return () => requireChangeable(change, voters);
  };
  const one = approval([{ role: 'policy-admin', m: 1 }]);
  const [a, b, c] = ['a', 'b', 'c'].map((id) => voter(id, ['policy-admin'])) as [Voter, Voter, Voter];

  it('by one who proposes and enough others', () => {
    expect(changeable(one)).toThrow(/no enabled principal with a credential has the role policy-admin/);
    expect(changeable(one, a)).toThrow(
      /nobody could change this policy: a change takes 1 of role policy-admin/,
    );
    expect(changeable(one, a, b)).not.toThrow();
    const two = approval([{ role: 'policy-admin', m: 2 }]);
    expect(changeable(two, a, b)).toThrow(/2 of role policy-admin/);
    expect(changeable(two, a, b, c)).not.toThrow();
  });

  it('where whoever proposes is not needed to approve', () => {
    const approver = approval([{ role: 'approver', m: 1 }]);
    const both = voter('both', ['policy-admin', 'approver']);
    expect(changeable(approver, both)).toThrow(/nobody could change/);
    // Another may propose, so that this one may approve.
    expect(changeable(approver, both, a)).not.toThrow();
    expect(changeable(approver, voter('x', ['approver']))).toThrow(/has the role policy-admin/);
  });

  it.each(['otp', 'mtls'] as const)('where those others have the proof that it takes: %s', (credential) => {
    const strict = approval([{ role: 'policy-admin', m: 1 }], credential);
    expect(changeable(strict, a, b)).toThrow(/nobody could change/);
    // The proof of whoever proposes alone is of no use.
    const proven = { ...b, [credential]: true };
    expect(changeable(strict, a, proven)).not.toThrow();
    expect(changeable(strict, proven)).toThrow(/nobody could change/);
  });
});

describe('an approval that cannot be given', () => {
  const two = { ...approval([{ role: 'approver', m: 2 }]), name: 'two' };
  const [x, y] = ['x', 'y'].map((id) => voter(id, ['approver'])) as [Voter, Voter];

  it('is named, with who is missing', () => {
    expect(approvalWarnings([two], [x, y])).toEqual([]);
    const [warning, ...none] = approvalWarnings([two], [x]);
    expect(warning).toContain('nobody can give the approval two now: it takes 2 of role approver');
    expect(none).toEqual([]);
  });

  it('to requests of somebody is named, too', () => {
    const both = voter('both', ['signer', 'approver']);
    expect(approvalWarnings([two], [x, both])).toEqual([
      'nobody can give the approval two to requests of both now',
    ]);
    expect(approvalWarnings([{ ...two, excludeRequester: false }], [x, both])).toEqual([]);
    expect(approvalWarnings([two], [x, y, both])).toEqual([]);
  });
});

describe('an id in a rule that nobody has', () => {
  const principals = [
    { id: 'p-1', name: 'payments' },
    { id: 'p-2', name: 'trading' },
  ];
  const rule = (id: string, ...ids: string[]) => ({
    ...allowTransfers({ to: { in: [ALICE] } }),
    id,
    principals: { ids },
  });

  it('is named, with the rules that have it, and whose name it is', () => {
    const { model } = policyWith({}, rule('a', 'p-1', 'payments'), rule('b', 'gone', 'payments'));
    expect(principalWarnings(model, principals)).toEqual([
      'no principal has the id payments (rules a, b): it is a name; the id is p-1',
      'no principal has the id gone (rule b)',
    ]);
  });

  it('is named where it is one of break-glass', () => {
    const breakGlass = { approval: 'big', principals: { ids: ['gone', 'p-2'] }, keys: { names: ['*'] } };
    const more = {
      approvals: { big: { all: [{ role: 'approver', m: 1 }] } },
      breakGlass: { ...breakGlass, operations: ['transaction'] },
    };
    expect(principalWarnings(policyWith(more, rule('a', 'p-1')).model, principals)).toEqual([
      'no principal has the id gone (breakGlass)',
    ]);
  });

  it('is none of a policy whose ids are all known', () => {
    expect(principalWarnings(policyWith({}, rule('a', 'p-1', 'p-2')).model, principals)).toEqual([]);
  });
});
