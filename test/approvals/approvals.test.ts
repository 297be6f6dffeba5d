import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Caller } from '../../src/access/credentials.ts';
import { code, HOUR, message, openDesk, transaction, type Desk } from './desk.ts';

let desk: Desk;
let app: Caller;
let other: Caller;
let ann: Caller;

beforeEach(async () => {
  desk = openDesk();
  app = await desk.principal('app', ['signer']);
  other = await desk.principal('other', ['signer']);
  ann = await desk.principal('ann', ['approver']);
});
afterEach(() => desk.end());

const ids = (by: Caller, query: object = {}): unknown[] =>
  desk.approvals.list(by, { limit: 50, ...query }).items.map(({ id }) => id);

describe('a list of requests', () => {
  it('has all for those who decide or check, and their own for those who ask', async () => {
    const [mine, theirs] = [await desk.ask(app), await desk.ask(other)];
    for (const role of ['approver', 'admin', 'policy-admin', 'operator', 'auditor'] as const) {
      expect(ids(await desk.principal(role, [role]))).toEqual([theirs, mine]);
    }
    expect(ids(app)).toEqual([mine]);
    expect(ids(other)).toEqual([theirs]);
    expect(() => desk.approvals.show(other, mine)).toThrow(code('not_found'));
    expect(() => desk.approvals.show(ann, crypto.randomUUID())).toThrow(code('not_found'));
  });

  it('is by what requests are now, not by what was written down last', async () => {
    const short = await desk.ask(app, transaction(0));
    const long = await desk.ask(app);
    desk.now += HOUR;
    expect(ids(ann, { status: 'pending' })).toEqual([long]);
    expect(ids(ann, { status: 'expired' })).toEqual([short]);
    expect(desk.request(short).status).toBe('pending');
    expect(ids(ann, { status: 'void' })).toEqual([]);
    desk.policy.fail('none');
    expect(ids(ann, { status: 'pending' })).toEqual([long]);
  });

  it('goes on where the page before ended, without gaps or repeats', async () => {
    const made: string[] = [];
    for (let i = 0; i < 7; i++) made.unshift(await desk.ask(i % 2 === 0 ? app : other, message(`${i}`)));
    for (const limit of [1, 2, 3, 7, 8]) {
      const seen: unknown[] = [];
      let before: string | undefined;
      do {
        const page = desk.approvals.list(ann, { limit, before });
        seen.push(...page.items.map(({ id }) => id));
        before = page.nextCursor ?? undefined;
      } while (before !== undefined);
      expect(seen, `${limit}`).toEqual(made);
    }
  });
});

describe('a request that nobody can decide any more', () => {
  it('is refused where no policy is in force: nobody knows whether it is void', async () => {
    const id = await desk.ask(app);
    desk.policy.fail('broken');
    await expect(desk.approvals.approve(desk.act, ann, id, {})).rejects.toThrow(code('unavailable'));
    await expect(desk.approvals.reject(desk.act, ann, id, {})).rejects.toThrow(code('unavailable'));
    await expect(desk.approvals.execute(desk.act, app, id)).rejects.toThrow(code('unavailable'));
    expect(desk.request(id).votes).toEqual([]);
  });

  it('is cancelled by its requester alone, until it is signed', async () => {
    const id = await desk.ask(app);
    await expect(desk.approvals.cancel(desk.act, other, id)).rejects.toThrow(code('not_found'));
    await expect(desk.approvals.cancel(desk.act, ann, id)).rejects.toThrow(code('forbidden'));
    expect((await desk.approvals.cancel(desk.act, app, id))['status']).toBe('cancelled');
    await expect(desk.approvals.cancel(desk.act, app, id)).rejects.toThrow(code('conflict'));
    await expect(desk.approvals.approve(desk.act, ann, id, {})).rejects.toThrow(code('conflict'));
  });
});
