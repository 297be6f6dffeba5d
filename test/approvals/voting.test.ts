import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Forbidden, type Caller } from '../../src/access/credentials.ts';
import { code, codeOf, message, openDesk, POLICY, transaction, type Desk } from './desk.ts';

const STRICT = POLICY.replace('rejects: 1 }', 'rejects: 1, credential: otp }').replace(
  'rejects: 2 }',
  'rejects: 2, credential: mtls }',
);

let desk: Desk;
let app: Caller;
let ann: Caller;
let bob: Caller;

async function open(policy = POLICY): Promise<void> {
  desk = openDesk(policy);
  app = await desk.principal('app', ['signer']);
  ann = await desk.principal('ann', ['approver']);
  bob = await desk.principal('bob', ['approver']);
}

beforeEach(() => open());
afterEach(() => desk.end());

const approve = async (by: Caller, id: string, say = {}): Promise<unknown> =>
  (await desk.approvals.approve(desk.act, by, id, say))['status'];
const reject = async (by: Caller, id: string, say = {}): Promise<unknown> =>
  (await desk.approvals.reject(desk.act, by, id, say))['status'];
const votes = (id: string): string[] =>
  desk.request(id).votes.map(({ name, verdict }) => `${name} ${verdict}`);

/** The same principal by another of its credentials, as a certificate is beside a token. */
const again = (caller: Caller): Caller => ({
  ...caller,
  credentialId: 'another',
  address: '10.9.9.9',
  mtls: true,
});

describe('a vote', () => {
  it('is given once by one principal, with whatever credential', async () => {
    const id = await desk.ask(app);
    expect(await approve(ann, id, { comment: 'fine' })).toBe('pending');
    for (const second of [ann, again(ann)]) {
      await expect(approve(second, id)).rejects.toThrow(code('conflict'));
      await expect(reject(second, id)).rejects.toThrow(code('conflict'));
    }
    expect(votes(id)).toEqual(['ann approve']);
    expect(desk.entries('request.approved')).toMatchObject([
      { detail: { comment: 'fine', otp: false, mtls: false } },
    ]);
    expect(desk.signed()).toEqual([]);
  });

  it('is given once by one principal at the same time, too', async () => {
    const id = await desk.ask(app);
    const tries = await Promise.allSettled([ann, again(ann), ann, again(ann)].map((by) => approve(by, id)));
    expect(tries.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(votes(id)).toEqual(['ann approve']);
    expect(desk.entries('request.approved')).toHaveLength(1);
  });

  it('is not the requester’s, whatever roles it has, now or later', async () => {
    const both = await desk.principal('both', ['signer', 'approver']);
    const id = await desk.ask(both);
    for (const by of [both, again(both)]) {
      await expect(approve(by, id)).rejects.toThrow(Forbidden);
      await expect(reject(by, id)).rejects.toThrow(/whoever asked for it does not count/);
    }
    await approve(ann, id);
    expect(votes(id)).toEqual(['ann approve']);
    expect(desk.request(id).status).toBe('pending');

    // Asked as a signer, and made an approver afterwards.
    const late = await desk.ask(app);
    await desk.change(app, { roles: ['approver'] });
    const promoted = { ...app, principal: { ...app.principal, roles: ['approver'] as const } };
    await expect(approve(promoted, late)).rejects.toThrow(Forbidden);
  });

  it('takes a role that the approval names', async () => {
    const id = await desk.ask(app);
    for (const role of ['admin', 'policy-admin', 'operator'] as const) {
      const other = await desk.principal(role, [role]);
      await expect(approve(other, id)).rejects.toThrow(/takes the role approver/);
      await expect(reject(other, id)).rejects.toThrow(Forbidden);
    }
    // Who may not even see it is told nothing.
    await expect(approve(await desk.principal('other-app', ['signer']), id)).rejects.toThrow(
      code('not_found'),
    );
  });

  it('does not stand when its role was taken between the request and the entry', async () => {
    const id = await desk.ask(app);
    const change = desk.change(ann, { roles: ['operator'] });
    // Admitted with the role, and behind the change in the log.
    await expect(approve(ann, id)).rejects.toThrow(/do not have the role for this approval any more/);
    await change;
    expect(votes(id)).toEqual([]);
    expect(await approve(bob, id)).toBe('pending');
    expect(desk.signed()).toEqual([]);
  });

  it.each([
    ['loses the role', { roles: ['operator'] }, { roles: ['approver'] }],
    ['is disabled', { state: 'disabled' }, { state: 'enabled' }],
  ] as const)(
    'counts no more when its principal %s, and again when that is undone',
    async (_, change, undo) => {
      const id = await desk.ask(app);
      await approve(ann, id);
      await desk.change(ann, change);
      expect(desk.approvals.show(bob, id)['approval']).toMatchObject({ missing: [{ m: 2, have: 0 }] });
      expect(await approve(bob, id)).toBe('pending');
      await desk.change(ann, undo);
      expect(await approve(await desk.principal('carol', ['approver']), id)).toBe('signed');
      expect(desk.signed()).toHaveLength(1);
    },
  );

  it('counts by a role that was held then and is held now, not by one that came since', async () => {
    const id = await desk.ask(app);
    await desk.change(ann, { roles: ['operator'] });
    const operator = { ...ann, principal: { ...ann.principal, roles: ['operator'] as const } };
    await expect(approve(operator, id)).rejects.toThrow(Forbidden);
    await desk.change(ann, { roles: ['approver', 'operator'] });
    // The caller was admitted with the old roles: that is what counts.
    await expect(approve(operator, id)).rejects.toThrow(Forbidden);
  });
});

describe('a rejection', () => {
  it('ends the request when there are so many as the approval says', async () => {
    const id = await desk.ask(app);
    await approve(ann, id);
    expect(await reject(bob, id, { comment: 'no' })).toBe('rejected');
    await expect(approve(await desk.principal('carol', ['approver']), id)).rejects.toThrow(code('conflict'));
    await expect(desk.approvals.execute(desk.act, app, id)).rejects.toThrow(code('conflict'));
    expect(desk.signed()).toEqual([]);
  });

  it('also ends one that is approved and not signed yet, and by nobody who had approved it', async () => {
    const id = await desk.ask(app);
    desk.sealed = true;
    await approve(ann, id);
    expect(await approve(bob, id)).toBe('approved');
    desk.sealed = false;
    const carol = await desk.principal('carol', ['approver']);
    await expect(approve(carol, id)).rejects.toThrow(code('conflict'));
    await expect(reject(bob, id)).rejects.toThrow(code('conflict'));
    await expect(reject(app, id)).rejects.toThrow(Forbidden);
    expect(await reject(carol, id, { comment: 'stop' })).toBe('rejected');
    await expect(desk.approvals.execute(desk.act, app, id)).rejects.toThrow(code('conflict'));
    expect(desk.signed()).toEqual([]);
  });

  it('of one that is approved, and too few, leaves it approved', async () => {
    const id = await desk.ask(app, transaction(0));
    desk.sealed = true;
    expect(await approve(ann, id)).toBe('approved');
    desk.sealed = false;
    expect(await reject(bob, id)).toBe('approved');
    expect((await desk.approvals.execute(desk.act, app, id))['status']).toBe('signed');
    await expect(reject(await desk.principal('carol', ['approver']), id)).rejects.toThrow(code('conflict'));
  });

  it('while it is being signed keeps it from being signed', async () => {
    const id = await desk.ask(app);
    const carol = await desk.principal('carol', ['approver']);
    await approve(ann, id);
    desk.whileSigning = () => reject(carol, id);
    expect(await approve(bob, id)).toBe('rejected');
    expect(desk.signed()).toEqual([]);
  });

  it('at the same time as the last approval: one of them holds, and nothing is signed that was rejected', async () => {
    for (let round = 0; round < 6; round++) {
      const id = await desk.ask(app, message(`round ${round}`));
      await approve(ann, id);
      const carol = await desk.principal(`carol${round}`, ['approver']);
      const both = [() => approve(bob, id), () => reject(carol, id)];
      await Promise.allSettled((round % 2 === 0 ? both : both.toReversed()).map((vote) => vote()));
      const { status } = desk.request(id);
      expect(['signed', 'rejected']).toContain(status);
      const made = desk.signed().filter(({ detail }) => detail?.['request'] === id);
      expect(made).toHaveLength(status === 'signed' ? 1 : 0);
    }
  });
});

describe('an approval that takes a proof', () => {
  it('is not given without a second factor, nor with a code of somebody else', async () => {
    desk.end();
    await open(STRICT);
    const id = await desk.ask(app);
    await expect(approve(ann, id)).rejects.toThrow(/takes a one-time code/);
    const secret = await desk.enrol(ann);
    const others = await desk.enrol(bob);
    await expect(approve(ann, id)).rejects.toThrow(code('unprocessable'));
    await expect(approve(ann, id, { otp: codeOf(others, desk.now) })).rejects.toThrow(code('forbidden'));
    await approve(ann, id, { otp: codeOf(secret, desk.now) });
    expect(await approve(bob, id, { otp: codeOf(others, desk.now) })).toBe('signed');
    expect(desk.request(id).votes.map(({ otp }) => otp)).toEqual([true, true]);
  });

  it('is not given without a client certificate of the voter’s own', async () => {
    desk.end();
    await open(STRICT);
    const id = await desk.ask(app, transaction(0));
    await expect(approve(ann, id)).rejects.toThrow(/takes a client certificate/);
    // To say no takes no proof.
    expect(await reject(bob, id)).toBe('pending');
    expect(await approve({ ...ann, mtls: true }, id)).toBe('signed');
  });

  it('says what it takes and does not take a code that nobody checks', async () => {
    const id = await desk.ask(app);
    await expect(approve(ann, id, { otp: '123456' })).rejects.toThrow(code('unprocessable'));
    expect(votes(id)).toEqual([]);
  });
});
