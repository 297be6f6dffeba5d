import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Forbidden, type Caller } from '../../src/access/credentials.ts';
import type { ProposalJson } from '../../src/approvals/proposal.ts';
import { code, codeOf, HOUR, message, openDesk, POLICY, type Desk } from './desk.ts';

const SUITE = {
  name: 'talk.yaml',
  text: `suite: talk
now: 2030-01-07T12:00:00Z
tests:
  - { name: talk, as: { roles: [signer] }, key: { name: treasury }, message: hi, expect: { effect: require, approval: two } }
`,
};
const at = (revision: number): string => POLICY.replace('revision: 1', `revision: ${revision}`);
/** Changes take two approvers, not the policy-admins. */
const GUARDED = `${POLICY}change: { approval: two }\n`;

let desk: Desk;
let pat: Caller;
let pia: Caller;
let ann: Caller;
let app: Caller;

async function open(policy = POLICY): Promise<void> {
  desk = openDesk(policy);
  pat = await desk.principal('pat', ['policy-admin']);
  pia = await desk.principal('pia', ['policy-admin']);
  ann = await desk.principal('ann', ['approver']);
  app = await desk.principal('app', ['signer']);
}

beforeEach(() => open());
afterEach(() => desk.end());

const propose = async (document: unknown = at(2), by = pat, suites?: (typeof SUITE)[]): Promise<string> =>
  (await desk.proposals.propose(desk.act, by, { document, suites }))['id'] as string;
const approve = async (by: Caller, id: string, say = {}): Promise<unknown> =>
  (await desk.proposals.approve(desk.act, by, id, say))['status'];
const reject = async (by: Caller, id: string): Promise<unknown> =>
  (await desk.proposals.reject(desk.act, by, id, {}))['status'];
const inspect = (id: string): ProposalJson => desk.proposals.inspect(id);
const warnings = (id: string): string => (inspect(id)['warnings'] as string[]).join('\n');
const inForce = (): number => desk.policy.current().revision;

describe('a proposal', () => {
  it('is in force with the consent of another, from that entry of the log on', async () => {
    const id = await propose(at(2), pat, [SUITE]);
    expect(inForce()).toBe(1);
    expect(await approve(pia, id)).toBe('accepted');
    expect(inForce()).toBe(2);
    expect(desk.storage.reads.newestPolicy()).toMatchObject({ revision: 2, suites: [SUITE] });
    expect(desk.entries('policy.proposed', 'policy.approved', 'policy.activated')).toMatchObject([
      { kind: 'policy.proposed', detail: { proposal: id, revision: 2 } },
      { kind: 'policy.activated', detail: { proposal: id, revision: 2, approvers: ['pia'] } },
    ]);
  });

  it('is not approved by who proposed it, by whatever credential, nor by who lacks the role', async () => {
    const id = await propose();
    const again = { ...pat, credentialId: 'another', mtls: true };
    for (const by of [pat, again, ann, app]) await expect(approve(by, id)).rejects.toThrow(Forbidden);
    expect(inForce()).toBe(1);
  });

  it('is not approved by who proposed it, though it has the role that the approval names', async () => {
    desk.end();
    await open(GUARDED);
    const both = await desk.principal('both', ['policy-admin', 'approver']);
    const id = await propose(GUARDED.replace('revision: 1', 'revision: 2'), both);
    await expect(approve(both, id)).rejects.toThrow(Forbidden);
    expect(await approve(ann, id)).toBe('pending');
    await expect(approve(pia, id)).rejects.toThrow(/takes the role approver/);
    expect(await approve(await desk.principal('bob', ['approver']), id)).toBe('accepted');
  });

  it('is approved under what is in force, not under what it brings', async () => {
    desk.end();
    await open(GUARDED);
    await desk.principal('bob', ['approver']);
    // It would let any policy-admin change the policy: two approvers have to want that.
    const id = await propose(at(2));
    await expect(approve(pia, id)).rejects.toThrow(Forbidden);
    expect(inspect(id)['approval']).toMatchObject({ names: ['two'] });
  });

  it('is void once another is in force, also when both are approved at the same time', async () => {
    const ids = [await propose(at(2)), await propose(at(3))];
    const votes = await Promise.allSettled(ids.map((id) => approve(pia, id)));
    expect(votes.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
    expect(ids.map((id) => inspect(id)['status'])).toEqual(expect.arrayContaining(['accepted', 'void']));
    expect(desk.entries('policy.activated')).toHaveLength(1);
  });

  it('is accepted once by last approvals that come at the same time', async () => {
    const others = await Promise.all(['a', 'b', 'c'].map((name) => desk.principal(name, ['policy-admin'])));
    const id = await propose();
    const votes = await Promise.allSettled([pia, ...others].map((by) => approve(by, id)));
    expect(votes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(desk.entries('policy.activated')).toHaveLength(1);
  });

  it('expires', async () => {
    const id = await propose();
    desk.now += 7 * 24 * HOUR;
    await expect(approve(pia, id)).rejects.toThrow(/expired/);
    desk.now -= HOUR;
    await expect(approve(pia, id)).rejects.toThrow(/expired/);
  });

  it('is taken back by who made it, and ended by who may not want it', async () => {
    const [own, other] = [await propose(at(2)), await propose(at(3))];
    expect(await reject(pat, own)).toBe('rejected');
    expect(await reject(pia, other)).toBe('rejected');
    for (const id of [own, other]) await expect(approve(pia, id)).rejects.toThrow(code('conflict'));
    await expect(reject(app, await propose(at(4)))).rejects.toThrow(Forbidden);
  });

  it('comes to nothing when who proposed it may not any more', async () => {
    for (const change of [{ state: 'disabled' }, { roles: ['approver'] }] as const) {
      const id = await propose();
      await desk.change(pat, change);
      expect(warnings(id)).toContain('could not be accepted now: pat may not propose');
      await desk.principal(`spare-${change.roles?.[0]}`, ['policy-admin']);
      await expect(approve(pia, id)).rejects.toThrow(/pat may not propose a policy any more/);
      expect(inForce()).toBe(1);
      await desk.change(pat, { state: 'enabled', roles: ['policy-admin'] });
    }
  });

  it('comes to nothing when who proposed it is disabled in the entry before', async () => {
    await desk.principal('paz', ['policy-admin']);
    const id = await propose();
    const disabling = desk.change(pat, { state: 'disabled' });
    // Checked while that entry still waits to be written, together with this one.
    await expect(approve(pia, id)).rejects.toThrow(/pat may not propose a policy any more/);
    await disabling;
    expect(inForce()).toBe(1);
    expect(desk.storage.reads.newestPolicy()?.revision).toBe(1);
  });

  it('takes a code where the approval says so, once', async () => {
    desk.end();
    await open(GUARDED.replace('m: 2 }], ttl: 4h', 'm: 1 }], credential: otp, ttl: 4h'));
    const next = (revision: number): string =>
      GUARDED.replace('m: 2 }], ttl: 4h', 'm: 1 }], credential: otp, ttl: 4h').replace(
        'revision: 1',
        `revision: ${revision}`,
      );
    await expect(propose(next(2))).rejects.toThrow(/nobody could change this policy: .*second factor/);
    const secret = await desk.enrol(ann);
    const [first, second] = [await propose(next(2)), await propose(next(3))];
    const otp = codeOf(secret, desk.now);
    await expect(approve(ann, first)).rejects.toThrow(code('unprocessable'));
    const votes = await Promise.allSettled([approve(ann, first, { otp }), approve(ann, second, { otp })]);
    expect(votes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(desk.entries('policy.activated')).toHaveLength(1);
  });

  it('takes one code for one vote, on proposals and requests together', async () => {
    desk.end();
    await open(GUARDED);
    await desk.principal('bob', ['approver']);
    const secret = await desk.enrol(ann);
    const next = (revision: number): string => GUARDED.replace('revision: 1', `revision: ${revision}`);
    const [first, second] = [await propose(next(2)), await propose(next(3))];
    const request = await desk.ask(app);
    const otp = codeOf(secret, desk.now);
    expect(await approve(ann, first, { otp })).toBe('pending');
    await expect(approve(ann, second, { otp })).rejects.toThrow(/was used already/);
    await expect(desk.approvals.approve(desk.act, ann, request, { otp })).rejects.toThrow(/was used already/);
    const later = codeOf(secret, desk.now + 30_000);
    const votes = await Promise.allSettled([
      approve(ann, second, { otp: later }),
      desk.approvals.approve(desk.act, ann, request, { otp: later }),
    ]);
    expect(votes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });
});

describe('what is stored of a proposal', () => {
  it.each([
    [
      'another document',
      { document: '{"apiVersion":"countersign/policy/v1","revision":2,"rules":[]}' },
      /not what was proposed/,
    ],
    [
      'suites that do not pass',
      { suites: [{ ...SUITE, text: SUITE.text.replace('require, approval: two', 'deny') }] },
      /tests fail/,
    ],
  ])('is checked again when it is accepted: %s', async (_, change, why) => {
    const { votes: __, ...stored } = desk.storage.reads.proposal(await propose(at(2), pat, [SUITE]))!;
    const forged = { ...stored, ...change, id: crypto.randomUUID(), votes: [] };
    desk.storage.commit((tx) => tx.insertProposal(forged));
    await expect(approve(pia, forged.id)).rejects.toThrow(why);
    expect(inForce()).toBe(1);
    expect(desk.storage.reads.proposal(forged.id)?.votes).toEqual([]);
  });
});

describe('what would leave nobody able to change the policy', () => {
  it.each([
    ['more people than there are', 'all: [{ role: admin, m: 1 }]', /1 of role admin/],
    [
      'a proof that nobody has',
      'all: [{ role: policy-admin, m: 1 }], credential: mtls',
      /client certificate/,
    ],
    [
      'more of one role than there are beside who proposes',
      'all: [{ role: policy-admin, m: 2 }]',
      /2 of role/,
    ],
  ])('is refused: %s', async (_, approval, why) => {
    const document = `${at(2).replace('approvals:', `approvals:\n  change: { ${approval} }`)}change: { approval: change }\n`;
    await expect(propose(document)).rejects.toThrow(why);
    expect(desk.entries('policy.proposed')).toEqual([]);
  });

  it('is refused when it has become so before it is accepted', async () => {
    const admin = await desk.principal('root', ['admin']);
    const document = `${at(2).replace('approvals:', 'approvals:\n  change: { all: [{ role: admin, m: 1 }] }')}change: { approval: change }\n`;
    const id = await propose(document);
    await desk.change(admin, { state: 'disabled' });
    expect(warnings(id)).toMatch(/could not be accepted now: nobody could change this policy/);
    await expect(approve(pia, id)).rejects.toThrow(code('unprocessable'));
    expect(inForce()).toBe(1);
  });

  it('is not hidden by principals without a credential', async () => {
    await desk.principal('ghost', ['admin'], 'none');
    const document = `${at(2).replace('approvals:', 'approvals:\n  change: { all: [{ role: admin, m: 1 }] }')}change: { approval: change }\n`;
    await expect(propose(document)).rejects.toThrow(/nobody could change/);
  });
});

describe('what whoever decides has to know', () => {
  it('is which requests become void, also those that were made or approved after the proposal', async () => {
    const bob = await desk.principal('bob', ['approver']);
    const before = await desk.ask(app, message('before'));
    const id = await propose();
    expect(warnings(id)).toContain(`1 open request for approval becomes void: ${before}`);

    const after = await desk.ask(app, message('after'));
    desk.sealed = true;
    for (const by of [ann, bob]) await desk.approvals.approve(desk.act, by, after, {});
    desk.sealed = false;
    expect(warnings(id)).toContain(
      `2 open requests for approval become void: ${after} (approved), ${before}`,
    );

    // What is over by itself is none of them.
    desk.now += 4 * HOUR;
    expect(warnings(id)).not.toContain('void');
    desk.now -= 4 * HOUR;
  });

  it('voids them with the policy, and nothing that was approved under the old one is signed', async () => {
    const bob = await desk.principal('bob', ['approver']);
    const approved = await desk.ask(app);
    desk.sealed = true;
    for (const by of [ann, bob]) await desk.approvals.approve(desk.act, by, approved, {});
    desk.sealed = false;
    // Without the rule that asked for consent.
    const id = await propose(at(2).replace('effect: require', 'effect: require\n    mode: shadow'));
    expect(warnings(id)).toContain(`${approved} (approved)`);
    expect(inspect(id)['changes']).toContainEqual(expect.stringContaining('consent'));
    await approve(pia, id);
    expect(desk.request(approved)).toMatchObject({
      status: 'void',
      note: expect.stringContaining('revision 2') as string,
    });
    await expect(desk.approvals.execute(desk.act, app, approved)).rejects.toThrow(code('conflict'));
    expect(desk.signed()).toEqual([]);
  });

  it('is that too few could approve it, or an approval of it, as things stand now', async () => {
    const id = await propose();
    expect(warnings(id)).toContain('nobody can give the approval two now');
    await desk.principal('bob', ['approver']);
    expect(warnings(id)).not.toContain('approval two');
    await desk.change(pia, { state: 'disabled' });
    expect(warnings(id)).toMatch(/too few others could approve this proposal now/);
  });
});

describe('tests that came with the policy in force', () => {
  it('have to pass, and can only be replaced in sight of who decides', async () => {
    await approve(pia, await propose(at(2), pat, [SUITE]));
    const lax = at(3).replace('effect: require', 'effect: require\n    mode: shadow');
    await expect(propose(lax)).rejects.toThrow(code('unprocessable'));
    await expect(propose(lax, pat, [])).rejects.toThrow(code('unprocessable'));
    await expect(propose(lax, pat, [{ ...SUITE, name: 'other' }])).rejects.toThrow(code('unprocessable'));
    const text = SUITE.text.replace('require, approval: two', 'allow');
    const id = await propose(lax, pat, [{ ...SUITE, text }]);
    expect(inspect(id)['changes']).toContain(
      'test suite "talk.yaml": replaced; of its tests as they were, 1 of 1 would fail: "talk"',
    );
  });
});

describe('a page of proposals', () => {
  it('is newest first, by what they are now', async () => {
    const ids = [await propose(at(2)), await propose(at(3)), await propose(at(4))];
    await reject(pat, ids[1]!);
    const page = (query: object): unknown =>
      desk.proposals.list({ limit: 10, ...query }).items.map(({ id }) => ids.indexOf(id as string));
    expect(page({})).toEqual([2, 1, 0]);
    expect(page({ status: 'pending' })).toEqual([2, 0]);
    expect(page({ status: 'void' })).toEqual([]);
    const { nextCursor } = desk.proposals.list({ limit: 2 });
    expect(page({ before: nextCursor })).toEqual([0]);
    await approve(pia, ids[0]!);
    expect(page({ status: 'void' })).toEqual([2]);
    expect(page({ status: 'accepted' })).toEqual([0]);
  });
});
