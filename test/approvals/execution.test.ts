import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Caller } from '../../src/access/credentials.ts';
import { toHex } from '../../src/bytes.ts';
import { CountersignError } from '../../src/errors.ts';
import type { Intent } from '../../src/intent/intent.ts';
import { digestOf, preimageOf } from '../../src/intent/preimage.ts';
import { loadPolicy } from '../../src/policy/policy.ts';
import { code, HOUR, message, openDesk, POLICY, START, transaction, type Desk } from './desk.ts';

let desk: Desk;
let app: Caller;
let ann: Caller;
let bob: Caller;

beforeEach(async () => {
  desk = openDesk();
  app = await desk.principal('app', ['signer']);
  ann = await desk.principal('ann', ['approver']);
  bob = await desk.principal('bob', ['approver']);
});
afterEach(() => desk.end());

const approve = async (by: Caller, id: string): Promise<unknown> =>
  (await desk.approvals.approve(desk.act, by, id, {}))['status'];
const execute = async (id: string, by = app): Promise<unknown> =>
  (await desk.approvals.execute(desk.act, by, id))['status'];
const cancel = async (id: string, by = app): Promise<unknown> =>
  (await desk.approvals.cancel(desk.act, by, id))['status'];
const stateOf = (id: string): unknown => [desk.request(id).status, desk.request(id).note];

/** A request that has its approvals, and could not be signed then. */
async function approved(intent: Intent = message()): Promise<string> {
  const id = await desk.ask(app, intent);
  desk.sealed = true;
  await approve(ann, id);
  if (desk.request(id).status === 'pending') await approve(bob, id);
  desk.sealed = false;
  expect(desk.request(id)).toMatchObject({ status: 'approved', note: 'the service is sealed' });
  return id;
}

describe('an approved request', () => {
  it('is signed with the last approval: what was shown, by the requester’s key, with all that in one entry', async () => {
    const id = await desk.ask(app);
    const shown = desk.approvals.show(ann, id);
    await approve(ann, id);
    expect(desk.signed()).toEqual([]);
    expect(await approve(bob, id)).toBe('signed');
    const [entry] = desk.signed();
    expect(entry).toMatchObject({
      outcome: 'done',
      digest: shown['digest'],
      decision: { effect: 'require', approvals: ['two'], approvers: ['ann', 'bob'] },
      detail: { request: id, requester: 'app', requesterId: app.principal.id },
    });
    expect(shown['digest']).toBe(toHex(digestOf('message', preimageOf(message()))));
    expect(desk.request(id).result).toMatchObject({ digest: entry?.digest, signature: entry?.signature });
  });

  it('waits while the service is sealed, and is signed when its requester says so, once', async () => {
    const id = await approved();
    expect(desk.signed()).toEqual([]);
    let made = 0;
    desk.whileSigning = () => made++;
    const tries = await Promise.allSettled([execute(id), execute(id), execute(id)]);
    expect(tries.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    // Not even one that is thrown away.
    expect(made).toBe(1);
    await expect(execute(id)).rejects.toThrow(code('conflict'));
    expect(desk.signed()).toHaveLength(1);
  });

  it('is carried out by its requester alone', async () => {
    const id = await approved();
    const other = await desk.principal('other', ['signer']);
    await expect(execute(id, other)).rejects.toThrow(code('not_found'));
    await expect(execute(id, ann)).rejects.toThrow(code('forbidden'));
    await expect(cancel(id, ann)).rejects.toThrow(code('forbidden'));
    expect(desk.signed()).toEqual([]);
  });

  it('is signed once by last approvals that come at the same time', async () => {
    const id = await desk.ask(app);
    const many = await Promise.all(['c', 'd', 'e', 'f'].map((name) => desk.principal(name, ['approver'])));
    await Promise.allSettled([ann, bob, ...many].map((by) => approve(by, id)));
    expect(desk.request(id).status).toBe('signed');
    expect(desk.request(id).votes).toHaveLength(2);
    expect(desk.signed()).toHaveLength(1);
  });

  it('is signed or cancelled, and not both, wherever the cancel comes', async () => {
    const seen = new Set<string>();
    for (let delay = 0; delay < 8; delay++) {
      const id = await approved(message(`m${delay}`));
      const executing = execute(id);
      for (let i = 0; i < delay; i++) await new Promise((resolve) => setImmediate(resolve));
      const [executed, cancelled] = await Promise.allSettled([executing, cancel(id)]);
      const { status } = desk.request(id);
      seen.add(status);
      expect(executed.status === 'fulfilled', `${delay}`).toBe(status === 'signed');
      expect(cancelled.status === 'fulfilled', `${delay}`).toBe(status === 'cancelled');
      const made = desk.signed().filter(({ detail }) => detail?.['request'] === id);
      expect(made).toHaveLength(status === 'signed' ? 1 : 0);
    }
    expect([...seen].toSorted()).toEqual(['cancelled', 'signed']);
  });

  it('is not signed when it is cancelled while the signature is being made', async () => {
    const id = await approved();
    desk.whileSigning = () => cancel(id);
    await expect(execute(id)).rejects.toThrow(code('conflict'));
    expect(stateOf(id)).toEqual(['cancelled', 'the service is sealed']);
    expect(desk.signed()).toEqual([]);
  });

  it('is signed once over a crash between the signature and its entry', async () => {
    const id = await approved();
    const lost = new Error('the process is gone');
    desk.whileSigning = () => {
      throw lost;
    };
    await expect(execute(id)).rejects.toBe(lost);
    desk.whileSigning = () => undefined;
    desk.restart();
    expect(desk.request(id).status).toBe('approved');
    expect(await execute(id)).toBe('signed');
    desk.restart();
    await expect(execute(id)).rejects.toThrow(code('conflict'));
    expect(desk.signed()).toHaveLength(1);
  });
});

describe('on execution everything is evaluated again', () => {
  /** What came of it, tried while nothing and while everything of it has been done. */
  async function refused(id: string, error: string): Promise<void> {
    await expect(execute(id)).rejects.toThrow(code(error));
    expect(desk.signed().filter(({ detail }) => detail?.['request'] === id)).toEqual([]);
  }

  it('the requester: disabled, or no signer any more', async () => {
    for (const change of [{ state: 'disabled' }, { roles: ['operator'] }] as const) {
      const id = await approved(message(JSON.stringify(change)));
      await desk.change(app, change);
      await refused(id, 'forbidden');
      expect(stateOf(id)).toEqual(['failed', 'the requester, app, may not sign any more']);
      await desk.change(app, { state: 'enabled', roles: ['signer'] });
      // A refusal for good: nothing brings it back.
      await refused(id, 'conflict');
    }
  });

  it('the approvers: a role that was lost, a principal that was disabled', async () => {
    for (const change of [{ state: 'disabled' }, { roles: ['operator'] }] as const) {
      const id = await approved(message(JSON.stringify(change)));
      await desk.change(bob, change);
      await refused(id, 'approval_required');
      expect(desk.request(id).status).toBe('failed');
      await desk.change(bob, { state: 'enabled', roles: ['approver'] });
    }
  });

  it('the approvers, also while the signature is being made', async () => {
    const id = await approved();
    desk.whileSigning = () => desk.change(bob, { roles: ['operator'] });
    await refused(id, 'approval_required');
    expect(desk.request(id).status).toBe('failed');
  });

  it('the requester, also while the signature is being made', async () => {
    const id = await approved();
    desk.whileSigning = () => desk.change(app, { state: 'disabled' });
    await refused(id, 'forbidden');
    expect(desk.request(id).status).toBe('failed');
  });

  it('the key: disabled means wait, and no signature', async () => {
    const id = await approved();
    await desk.setKeyState('disabled');
    await refused(id, 'key_state');
    expect(desk.request(id).status).toBe('approved');
    await desk.setKeyState('enabled');
    desk.whileSigning = () => desk.setKeyState('disabled');
    await refused(id, 'key_state');
    desk.whileSigning = () => undefined;
    await desk.setKeyState('enabled');
    expect(await execute(id)).toBe('signed');
  });

  it('the policy: another one voids it, also while the signature is being made', async () => {
    const next = (revision: number): ReturnType<typeof loadPolicy> =>
      loadPolicy(POLICY.replace('revision: 1', `revision: ${revision}`), 'policy.yaml');
    const id = await approved();
    desk.policy.use(next(2));
    await refused(id, 'conflict');
    expect(desk.approvals.show(app, id)['status']).toBe('void');
    desk.policy.use(loadPolicy(POLICY, 'policy.yaml'));

    desk.whileSigning = () => desk.policy.use(next(3));
    await expect(execute(id)).rejects.toThrow(CountersignError);
    expect(desk.signed()).toEqual([]);
  });

  it('the time: an expired one is not signed, nor one that expires while it is', async () => {
    const first = await approved(message('first'));
    const second = await approved(message('second'));
    desk.whileSigning = () => (desk.now += 4 * HOUR);
    await refused(first, 'conflict');
    desk.whileSigning = () => undefined;
    await refused(second, 'conflict');
    expect(desk.approvals.show(app, second)['status']).toBe('expired');
  });

  it('the limits: what was used up meanwhile denies it for good', async () => {
    const id = await approved(transaction(0, '900'));
    const other = await desk.ask(app, transaction(1, '150'));
    expect(await approve(ann, other)).toBe('signed');
    await refused(id, 'policy_denied');
    expect(stateOf(id)).toEqual(['failed', expect.stringContaining('limit "day"')]);
    const denied = desk.entries('request.executed').at(-1);
    expect(denied).toMatchObject({ outcome: 'denied', detail: { request: id, code: 'policy_denied' } });
  });

  it('the limits: two that fit alone and not together, executed at once', async () => {
    const ids = [await approved(transaction(0, '600')), await approved(transaction(1, '600'))];
    await Promise.allSettled(ids.map((id) => execute(id)));
    expect(ids.map((id) => desk.request(id).status).toSorted()).toEqual(['failed', 'signed']);
    expect(desk.signed()).toHaveLength(1);
  });

  it('the nonce: another transaction took it', async () => {
    const id = await approved(transaction(0, '150'));
    // Within the hour's limit, so that nobody is asked.
    await expect(desk.ask(app, transaction(0, '50'))).rejects.toThrow('signed at once');
    await refused(id, 'nonce_conflict');
    expect(desk.request(id).status).toBe('approved');
  });

  it('what is stored: an intent that was changed there is not what was approved', async () => {
    const id = await approved();
    const { votes: _, ...stored } = desk.request(id);
    const forged = {
      ...stored,
      id: crypto.randomUUID(),
      intent: { message: 'pay mallory' },
      votes: desk.request(id).votes,
    };
    desk.storage.commit((tx) => tx.insertRequest(forged));
    await refused(forged.id, 'unprocessable');
    expect(desk.request(forged.id).status).toBe('failed');
  });
});

describe('a clock that steps back', () => {
  it('opens no request whose time was over', async () => {
    const pending = await desk.ask(app, message('pending'));
    const waiting = await approved(message('waiting'));
    desk.now = START + 4 * HOUR;
    expect(desk.approvals.show(app, pending)['status']).toBe('expired');
    desk.now = START + HOUR;
    await expect(approve(ann, pending)).rejects.toThrow(code('conflict'));
    await expect(execute(waiting)).rejects.toThrow(code('conflict'));
    // What is in the log is what a new process knows of the time.
    desk.now = START + 4 * HOUR;
    await desk.principal('carol', ['approver']);
    desk.now = START + HOUR;
    desk.restart();
    await expect(execute(waiting)).rejects.toThrow(code('conflict'));
    expect(desk.signed()).toEqual([]);
  });
});
