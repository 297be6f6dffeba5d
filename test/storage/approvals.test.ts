import { DatabaseSync } from 'node:sqlite';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Proposal } from '../../src/approvals/proposal.ts';
import type { SigningRequest, Vote } from '../../src/approvals/request.ts';
import { DATABASE_FILE } from '../../src/storage/sqlite/database.ts';
import { openSqliteStorage, type Storage } from '../../src/storage/sqlite/storage.ts';

let folder: string;
let storage: Storage;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'approvals-'));
  storage = openSqliteStorage(folder, () => 'example.org/log');
});

afterEach(() => {
  storage.close();
  rmSync(folder, { recursive: true });
});

const APPROVAL = {
  name: 'big',
  all: [{ role: 'approver', m: 2 }],
  distinct: true,
  excludeRequester: true,
  ttl: 14_400_000,
  rejects: 1,
} as const;

function request(id: string, over: Partial<SigningRequest> = {}): SigningRequest {
  return {
    id,
    status: 'pending',
    requester: { id: 'p1', name: 'payroll' },
    source: { address: '10.0.0.1', mtls: true },
    key: { id: 'k1', name: 'treasury', version: 1, address: `0x${'11'.repeat(20)}` },
    operation: 'transaction',
    intent: { transaction: { type: 2, nonce: '7', data: '0x' } },
    intentHash: 'ab'.repeat(32),
    policyRevision: 3,
    policyHash: 'cd'.repeat(32),
    approvals: [APPROVAL],
    reason: 'rule "big" requires approval',
    votes: [],
    createdAt: '2030-01-01T00:00:00.000Z',
    expiresAt: '2030-01-01T04:00:00.000Z',
    ...over,
  };
}

function vote(principalId: string, over: Partial<Vote> = {}): Vote {
  return {
    principalId,
    name: principalId,
    roles: ['approver'],
    verdict: 'approve',
    otp: true,
    mtls: false,
    time: '2030-01-01T01:00:00.000Z',
    ...over,
  };
}

function insert(...all: readonly SigningRequest[]): void {
  storage.commit((tx) => {
    for (const each of all) tx.insertRequest(each);
  });
}

const conflict = expect.objectContaining({ code: 'conflict' }) as Error;
const ids = (found: readonly { readonly id: string }[]): string[] => found.map(({ id }) => id);

describe('requests', () => {
  it.each([
    ['with all members', { breakGlass: 'the pager is on fire', note: 'n', result: { digest: '0x00' } }],
    ['with few members', {}],
    ['from an address that is not known', { source: { address: undefined, mtls: false } }],
    ['with votes', { votes: [vote('a', { comment: 'fine' }), vote('b', { verdict: 'reject' })] }],
  ])('come back as they were, %s', (_name, over: Partial<SigningRequest>) => {
    insert(request('r1', over));
    expect(storage.reads.request('r1')).toStrictEqual(request('r1', over));
    expect(storage.reads.request('r2')).toBeUndefined();
  });

  it('are listed newest first, by status and requester, in pages', () => {
    insert(...['a', 'b', 'c', 'd'].map((id) => request(id)));
    insert(request('e', { requester: { id: 'p2', name: 'other' }, status: 'signed' }));
    expect(ids(storage.reads.requests({ limit: 10 }))).toEqual(['e', 'd', 'c', 'b', 'a']);
    expect(ids(storage.reads.requests({ limit: 2, before: 'd' }))).toEqual(['c', 'b']);
    expect(ids(storage.reads.requests({ limit: 10, status: 'signed' }))).toEqual(['e']);
    expect(ids(storage.reads.requests({ limit: 10, requesterId: 'p1', before: 'b' }))).toEqual(['a']);
    expect(ids(storage.reads.requests({ limit: 10, status: 'signed', requesterId: 'p1' }))).toEqual([]);
    expect(ids(storage.reads.requests({ limit: 10, before: 'nothing' }))).toEqual([]);
  });

  it('are counted while they are open', () => {
    insert(request('a'), request('b', { status: 'approved' }), request('c', { status: 'expired' }));
    insert(request('d', { requester: { id: 'p2', name: 'other' } }));
    expect(storage.reads.openRequests()).toBe(3);
    expect(storage.reads.openRequests('p1')).toBe(2);
    expect(storage.reads.openRequests('p3')).toBe(0);
  });

  it('take one vote of a principal, in order', () => {
    insert(request('r1'), request('r2'));
    storage.commit((tx) => {
      tx.addVote('r1', vote('z'));
      tx.addVote('r1', vote('a', { comment: 'no', verdict: 'reject' }));
      tx.addVote('r2', vote('z'));
    });
    expect(storage.reads.request('r1')?.votes).toEqual([
      vote('z'),
      vote('a', { comment: 'no', verdict: 'reject' }),
    ]);
    expect(() => storage.commit((tx) => tx.addVote('r1', vote('z', { verdict: 'reject' })))).toThrow(
      conflict,
    );
    expect(storage.reads.request('r1')?.votes).toHaveLength(2);
    expect(() => storage.commit((tx) => tx.addVote('r3', vote('z')))).toThrow(/FOREIGN KEY/);
  });

  it('does not give out a result that was changed on disk', () => {
    storage.commit((tx) =>
      tx.insertRequest(request('r9', { status: 'signed', result: { signature: '0x01' } })),
    );
    const db = new DatabaseSync(path.join(folder, DATABASE_FILE));
    db.exec("UPDATE requests SET result = replace(result, '0x01', '0x03')");
    db.close();
    const note = 'its result was changed on disk and is not given out';
    expect(storage.reads.request('r9')).toStrictEqual(request('r9', { status: 'signed', note }));
    expect(storage.reads.requests({ limit: 9 })).toHaveLength(1);
  });

  it('change state from a state they are in, and from no other', () => {
    insert(request('r1'));
    const result = { digest: '0x00', signature: '0x01' };
    expect(() => storage.commit((tx) => tx.setRequestStatus('r1', ['approved'], 'signed'))).toThrow(conflict);
    expect(() => storage.commit((tx) => tx.setRequestStatus('r2', ['pending'], 'signed'))).toThrow(conflict);
    expect(() => storage.commit((tx) => tx.setRequestStatus('r1', [], 'signed'))).toThrow(conflict);
    expect(storage.reads.request('r1')).toStrictEqual(request('r1'));
    storage.commit((tx) => tx.setRequestStatus('r1', ['pending'], 'approved', { note: 'sealed' }));
    expect(storage.reads.request('r1')).toStrictEqual(request('r1', { status: 'approved', note: 'sealed' }));
    storage.commit((tx) => tx.setRequestStatus('r1', ['pending', 'approved'], 'signed', { result }));
    expect(storage.reads.request('r1')).toStrictEqual(
      request('r1', { status: 'signed', note: 'sealed', result }),
    );
    expect(() => storage.commit((tx) => tx.setRequestStatus('r1', ['pending', 'approved'], 'void'))).toThrow(
      conflict,
    );
  });

  it('become void while they are open', () => {
    insert(request('a'), request('b', { status: 'approved' }), request('c', { status: 'signed' }));
    storage.commit((tx) => expect(tx.voidOpenRequests('the policy changed')).toBe(2));
    expect(storage.reads.requests({ limit: 9 }).map(({ status, note }) => [status, note])).toEqual([
      ['signed', undefined],
      ['void', 'the policy changed'],
      ['void', 'the policy changed'],
    ]);
    storage.commit((tx) => expect(tx.voidOpenRequests('again')).toBe(0));
  });

  it('are not written when what comes with them is not', () => {
    expect(() =>
      storage.commit((tx) => {
        tx.insertRequest(request('r1'));
        tx.addVote('r1', vote('a'));
        tx.addVote('r1', vote('a'));
      }),
    ).toThrow(conflict);
    expect(storage.reads.request('r1')).toBeUndefined();
  });
});

describe('proposals', () => {
  const proposal = (id: string, over: Partial<Proposal> = {}): Proposal => ({
    id,
    status: 'pending',
    proposer: { id: 'p1', name: 'alice' },
    revision: 4,
    document: '{"revision":4}',
    hash: 'ef'.repeat(32),
    parentHash: 'cd'.repeat(32),
    suites: [{ name: 'pay.yaml', text: 'suite: pay' }],
    tests: 1,
    changes: ['rule "pay" is new'],
    warnings: [],
    approval: APPROVAL,
    votes: [],
    createdAt: '2030-01-01T00:00:00.000Z',
    expiresAt: '2030-01-08T00:00:00.000Z',
    ...over,
  });

  it('come back as they were, with their votes', () => {
    const full = proposal('a', { comment: 'more payouts', votes: [vote('x')] });
    storage.commit((tx) => {
      tx.insertProposal(full);
      tx.insertProposal(proposal('b'));
    });
    expect(storage.reads.proposal('a')).toStrictEqual(full);
    expect(storage.reads.proposal('b')).toStrictEqual(proposal('b'));
    expect(storage.reads.proposal('c')).toBeUndefined();
    storage.commit((tx) => tx.addProposalVote('b', vote('x')));
    expect(() => storage.commit((tx) => tx.addProposalVote('b', vote('x')))).toThrow(conflict);
    expect(storage.reads.proposal('b')?.votes).toEqual([vote('x')]);
  });

  it('are listed newest first, and change state from the one they are in', () => {
    storage.commit((tx) => {
      for (const id of ['a', 'b', 'c']) tx.insertProposal(proposal(id));
      tx.setProposalStatus('b', 'pending', 'accepted');
    });
    expect(ids(storage.reads.proposals({ limit: 9 }))).toEqual(['c', 'b', 'a']);
    expect(ids(storage.reads.proposals({ limit: 9, status: 'pending', before: 'c' }))).toEqual(['a']);
    expect(ids(storage.reads.proposals({ limit: 1, status: 'pending' }))).toEqual(['c']);
    expect(() => storage.commit((tx) => tx.setProposalStatus('b', 'pending', 'void'))).toThrow(conflict);
    expect(storage.reads.proposal('b')?.status).toBe('accepted');
  });
});

describe('policies', () => {
  it('come back by revision, with parent and suites', () => {
    const first = { revision: 1, document: '{}', hash: 'aa', parentHash: null, suites: [] };
    const second = {
      revision: 2,
      document: '{"a":1}',
      hash: 'bb',
      parentHash: 'aa',
      suites: [{ name: 'pay.yaml', text: 'suite: pay' }],
    };
    expect(storage.reads.newestPolicy()).toBeUndefined();
    storage.commit((tx) => tx.insertPolicy(first, '2030-01-01T00:00:00.000Z'));
    storage.commit((tx) => tx.insertPolicy(second, '2030-01-02T00:00:00.000Z'));
    expect(storage.reads.newestPolicy()).toStrictEqual(second);
    expect(storage.reads.policyByRevision(1)).toStrictEqual(first);
    expect(storage.reads.policyByRevision(3)).toBeUndefined();
    expect(storage.reads.policies()).toStrictEqual([
      { revision: 2, hash: 'bb', parentHash: 'aa', time: '2030-01-02T00:00:00.000Z' },
      { revision: 1, hash: 'aa', parentHash: null, time: '2030-01-01T00:00:00.000Z' },
    ]);
    expect(() => storage.commit((tx) => tx.insertPolicy(second, '2030-01-03T00:00:00.000Z'))).toThrow(
      /UNIQUE/,
    );
  });
});
