import { describe, expect, it } from 'vitest';
import type { Proposal, ProposalStatus } from '../../src/approvals/proposal.ts';
import { REQUEST_STATES, type RequestStatus, type SigningRequest } from '../../src/approvals/request.ts';
import { currentPolicy, proposalStatus, requestStatus } from '../../src/approvals/status.ts';
import { PolicyInForce, loadPolicy } from '../../src/policy/policy.ts';
import { POLICY, START } from './desk.ts';

const at = (time: number): string => new Date(time).toISOString();

function request(status: RequestStatus, expiresAt = at(START)): SigningRequest {
  return { status, policyHash: 'now', expiresAt } as SigningRequest;
}

describe('the status of a request', () => {
  it.each(['pending', 'approved'] as const)(
    '%s lasts until its time is over, to the millisecond',
    (status) => {
      expect(requestStatus(request(status), 'now', START - 1)).toBe(status);
      expect(requestStatus(request(status), 'now', START)).toBe('expired');
      expect(requestStatus(request(status), 'now', START + 1)).toBe('expired');
    },
  );

  it.each(['pending', 'approved'] as const)('%s is void under any other policy, expired or not', (status) => {
    expect(requestStatus(request(status), 'another', START - 1)).toBe('void');
    expect(requestStatus(request(status), 'another', START + 1)).toBe('void');
  });

  it('is not void where no policy is in force, and expires all the same', () => {
    expect(requestStatus(request('pending'), undefined, START - 1)).toBe('pending');
    expect(requestStatus(request('approved'), undefined, START)).toBe('expired');
  });

  it.each(REQUEST_STATES.filter((status) => status !== 'pending' && status !== 'approved'))(
    'that is %s stays so',
    (status) => {
      expect(requestStatus(request(status), 'another', START + 1)).toBe(status);
      expect(requestStatus(request(status), 'now', START - 1)).toBe(status);
    },
  );

  it.each(['', 'soon', 'Infinity', '9999999999999999'])('whose time reads "%s" is over', (expiresAt) => {
    expect(requestStatus(request('approved', expiresAt), 'now', START)).toBe('expired');
    expect(requestStatus(request('pending'), 'now', Number.NaN)).toBe('expired');
  });
});

describe('the status of a proposal', () => {
  const proposal = (status: ProposalStatus): Proposal =>
    ({ status, parentHash: 'base', expiresAt: at(START) }) as Proposal;

  it('is pending while it follows what is in force, and has time', () => {
    expect(proposalStatus(proposal('pending'), 'base', START - 1)).toBe('pending');
    expect(proposalStatus(proposal('pending'), 'base', START)).toBe('expired');
    expect(proposalStatus(proposal('pending'), 'other', START - 1)).toBe('void');
    expect(proposalStatus(proposal('pending'), '', START - 1)).toBe('void');
  });

  it.each(['accepted', 'rejected', 'expired', 'void'] as const)('that is %s stays so', (status) => {
    expect(proposalStatus(proposal(status), 'other', START + 1)).toBe(status);
  });
});

describe('the policy in force', () => {
  it('is none, where there is a problem', () => {
    const policy = new PolicyInForce();
    expect(currentPolicy(policy)).toBeUndefined();
    policy.use(loadPolicy(POLICY, 'policy.yaml'));
    expect(currentPolicy(policy)?.revision).toBe(1);
    policy.fail('broken');
    expect(currentPolicy(policy)).toBeUndefined();
  });
});
