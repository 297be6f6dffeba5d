import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Caller } from '../../src/access/credentials.ts';
import { base32 } from '../../src/approvals/base32.ts';
import { code, codeOf, message, openDesk, START, type Desk } from './desk.ts';

const STEP = 30_000;
const MINUTE = 60_000;

let desk: Desk;
let app: Caller;
let ann: Caller;
let asked = 0;

beforeEach(async () => {
  desk = openDesk();
  app = await desk.principal('app', ['signer']);
  ann = await desk.principal('ann', ['approver']);
});
afterEach(() => desk.end());

const ask = (): Promise<string> => desk.ask(app, message(`message ${asked++}`));
const approve = async (id: string, otp?: string, by = ann): Promise<unknown> =>
  (await desk.approvals.approve(desk.act, by, id, { otp }))['status'];
const wrong = (secret: string): string => {
  const good = new Set([-2, -1, 0, 1, 2].map((steps) => codeOf(secret, desk.now + steps * STEP)));
  return ['000000', '000001', '000002', '000003', '000004', '000005'].find((each) => !good.has(each))!;
};
const denials = (): number => desk.entries('access.forbidden').length;

describe('a one-time code', () => {
  it('is right in its step and those beside it, and in no other', async () => {
    const secret = await desk.enrol(ann);
    for (const steps of [-3, -2, 2, 3]) {
      await expect(approve(await ask(), codeOf(secret, desk.now + steps * STEP))).rejects.toThrow(/is wrong/);
    }
    desk.now += 20 * MINUTE;
    for (const steps of [-1, 0, 1]) {
      expect(await approve(await ask(), codeOf(secret, desk.now + steps * STEP))).toBe('pending');
    }
  });

  it('is used once, with the vote: on one request, on another, and after a restart', async () => {
    const secret = await desk.enrol(ann);
    const [first, second] = [await ask(), await ask()];
    const otp = codeOf(secret, desk.now);
    await approve(first, otp);
    await expect(approve(second, otp)).rejects.toThrow(/was used already/);
    desk.restart();
    await expect(approve(second, otp)).rejects.toThrow(/was used already/);
    expect(desk.request(second).votes).toEqual([]);
    // Nor is one before it, though nobody has used that.
    await expect(approve(second, codeOf(secret, desk.now - STEP))).rejects.toThrow(/was used already/);
    await approve(second, codeOf(secret, desk.now + STEP));
  });

  it('is used once on many requests at the same time', async () => {
    const secret = await desk.enrol(ann);
    const ids = await Promise.all(Array.from({ length: 8 }, () => ask()));
    const otp = codeOf(secret, desk.now);
    const votes = await Promise.allSettled(ids.map((id) => approve(id, otp)));
    expect(votes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(ids.flatMap((id) => desk.request(id).votes)).toHaveLength(1);
  });

  it('is used once when the clock steps back to its step', async () => {
    const secret = await desk.enrol(ann);
    const otp = codeOf(secret, desk.now);
    await approve(await ask(), otp);
    desk.now += 5 * MINUTE;
    await approve(await ask(), codeOf(secret, desk.now));
    desk.now -= 5 * MINUTE;
    for (const steps of [-1, 0, 1]) {
      await expect(approve(await ask(), codeOf(secret, desk.now + steps * STEP))).rejects.toThrow(
        /was used already/,
      );
    }
  });

  it('is not used up by a vote that came to nothing', async () => {
    const secret = await desk.enrol(ann);
    const [voted, other] = [await ask(), await ask()];
    await approve(voted, codeOf(secret, desk.now));
    const otp = codeOf(secret, desk.now + STEP);
    await expect(approve(voted, otp)).rejects.toThrow(code('conflict'));
    desk.sealed = true;
    await expect(approve(other, otp)).rejects.toThrow(code('sealed'));
    desk.sealed = false;
    expect(await approve(other, otp)).toBe('pending');
  });

  it('that confirmed a factor is used up', async () => {
    const { secret } = await desk.secondFactor.enrol(desk.act, ann.principal);
    const otp = codeOf(secret, desk.now);
    const confirms = await Promise.allSettled([
      desk.secondFactor.confirm(desk.act, ann.principal, otp),
      desk.secondFactor.confirm(desk.act, ann.principal, otp),
    ]);
    expect(confirms.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    await expect(approve(await ask(), otp)).rejects.toThrow(/was used already/);
  });

  it('is wrong for anybody else, whose sealed secret does not open for another', async () => {
    const bob = await desk.principal('bob', ['approver']);
    const [secret] = [await desk.enrol(ann), await desk.enrol(bob)];
    await expect(approve(await ask(), codeOf(secret, desk.now), bob)).rejects.toThrow(/is wrong/);
    const stolen = desk.storage.reads.totp(ann.principal.id)!;
    desk.storage.commit((tx) => {
      tx.deleteTotp(bob.principal.id);
      tx.insertTotp({ ...stolen, principalId: bob.principal.id });
    });
    await expect(approve(await ask(), codeOf(secret, desk.now), bob)).rejects.toThrow(code('unprocessable'));
    expect(desk.signed()).toEqual([]);
  });
});

describe('a second factor', () => {
  it('counts once it is confirmed, and then for every vote', async () => {
    const first = await desk.secondFactor.enrol(desk.act, ann.principal);
    expect(desk.secondFactor.isEnrolled(ann.principal.id)).toBe(false);
    await approve(await ask());
    // One that nobody has confirmed gives way to the next.
    const second = await desk.secondFactor.enrol(desk.act, ann.principal);
    expect(second.secret).not.toBe(first.secret);
    await expect(
      desk.secondFactor.confirm(desk.act, ann.principal, codeOf(first.secret, desk.now)),
    ).rejects.toThrow(/is wrong/);
    await desk.secondFactor.confirm(desk.act, ann.principal, codeOf(second.secret, desk.now));
    const id = await ask();
    await expect(approve(id)).rejects.toThrow(code('unprocessable'));
    await expect(desk.secondFactor.enrol(desk.act, ann.principal)).rejects.toThrow(
      /an admin has to reset it/,
    );
    await expect(
      desk.secondFactor.confirm(desk.act, ann.principal, codeOf(second.secret, desk.now + STEP)),
    ).rejects.toThrow(code('conflict'));
  });

  it('that is confirmed while another is being made is not lost', async () => {
    const { secret } = await desk.secondFactor.enrol(desk.act, ann.principal);
    await Promise.allSettled([
      desk.secondFactor.enrol(desk.act, ann.principal),
      desk.secondFactor.confirm(desk.act, ann.principal, codeOf(secret, desk.now)),
    ]);
    const { confirmedAt } = desk.storage.reads.totp(ann.principal.id)!;
    // Confirmed with the secret that the code was of, or not at all.
    const votes = await Promise.allSettled([
      ask().then((id) => approve(id, codeOf(secret, desk.now + STEP))),
    ]);
    expect(votes[0].status === 'fulfilled').toBe(confirmedAt !== undefined);
  });

  it('that is reset takes no more codes, and a code that is under way is of no use', async () => {
    const secret = await desk.enrol(ann);
    const id = await ask();
    const voting = approve(id, codeOf(secret, desk.now));
    const resetting = desk.secondFactor.reset(desk.act, ann.principal);
    await expect(voting).rejects.toThrow(code('conflict'));
    await resetting;
    expect(desk.request(id).votes).toEqual([]);
    await expect(approve(id, codeOf(secret, desk.now))).rejects.toThrow(code('unprocessable'));
    await expect(desk.secondFactor.reset(desk.act, ann.principal)).rejects.toThrow(code('conflict'));
    const next = await desk.enrol(ann);
    await expect(approve(id, codeOf(secret, desk.now))).rejects.toThrow(/is wrong/);
    expect(await approve(id, codeOf(next, desk.now))).toBe('pending');
  });

  it('is never in an entry: neither its secret nor a code', async () => {
    const secret = await desk.enrol(ann);
    const otp = codeOf(secret, desk.now);
    await approve(await ask(), otp);
    await expect(approve(await ask(), wrong(secret))).rejects.toThrow(/is wrong/);
    const all = JSON.stringify(desk.entries());
    expect(all).not.toContain(secret);
    expect(all).not.toContain(otp);
    expect(all).not.toContain(wrong(secret));
  });
});

describe('wrong codes', () => {
  it('lock after five, for fifteen minutes, the right one too; each is in the log, and the lock once', async () => {
    const secret = await desk.enrol(ann);
    for (let i = 0; i < 5; i++)
      await expect(approve(await ask(), wrong(secret))).rejects.toThrow(code('forbidden'));
    const right = (): string => codeOf(secret, desk.now);
    await expect(approve(await ask(), right())).rejects.toThrow(code('rate_limited'));
    expect(denials()).toBe(5);
    expect(desk.entries('credential.locked')).toMatchObject([
      {
        outcome: 'denied',
        detail: { name: 'ann', secondFactor: true, until: new Date(START + 15 * MINUTE).toISOString() },
      },
    ]);
    desk.now += 15 * MINUTE - 1;
    await expect(approve(await ask(), right())).rejects.toThrow(code('rate_limited'));
    desk.now += 1;
    expect(await approve(await ask(), right())).toBe('pending');
  });

  it('lock nobody else', async () => {
    const bob = await desk.principal('bob', ['approver']);
    const [secret, others] = [await desk.enrol(ann), await desk.enrol(bob)];
    for (let i = 0; i < 6; i++)
      await expect(approve(await ask(), wrong(secret))).rejects.toThrow(/wrong|locked/);
    expect(await approve(await ask(), codeOf(others, desk.now), bob)).toBe('pending');
  });

  it('are counted before they are known to be wrong: many at once are no more than five', async () => {
    const secret = await desk.enrol(ann);
    const ids = await Promise.all(Array.from({ length: 40 }, () => ask()));
    const tries = await Promise.allSettled(
      ids.map((id, i) => approve(id, i === 39 ? codeOf(secret, desk.now) : wrong(secret))),
    );
    expect(tries.every(({ status }) => status === 'rejected')).toBe(true);
    expect(denials()).toBe(5);
  });

  it('do not hide between right ones', async () => {
    const secret = await desk.enrol(ann);
    let right = 0;
    for (let i = 0; i < 8; i++) {
      desk.now += STEP;
      await approve(await ask(), wrong(secret)).catch(() => undefined);
      if (i < 7)
        await approve(await ask(), codeOf(secret, desk.now)).then(
          () => right++,
          () => undefined,
        );
    }
    expect(denials()).toBe(5);
    expect(right).toBe(4);
  });

  it('count on when the clock steps back', async () => {
    const secret = await desk.enrol(ann);
    for (let i = 0; i < 4; i++) await expect(approve(await ask(), wrong(secret))).rejects.toThrow(/wrong/);
    desk.now -= 60 * MINUTE;
    await expect(approve(await ask(), wrong(secret))).rejects.toThrow(/wrong/);
    await expect(approve(await ask(), codeOf(secret, desk.now))).rejects.toThrow(code('rate_limited'));
  });

  it('also count where a factor is confirmed', async () => {
    const { secret } = await desk.secondFactor.enrol(desk.act, ann.principal);
    const confirm = (otp: string): Promise<unknown> =>
      desk.secondFactor.confirm(desk.act, ann.principal, otp);
    for (let i = 0; i < 5; i++) await expect(confirm(wrong(secret))).rejects.toThrow(code('forbidden'));
    await expect(confirm(codeOf(secret, desk.now))).rejects.toThrow(code('rate_limited'));
  });
});

describe('the secret as people type it', () => {
  it('is base32 of RFC 4648, section 10', () => {
    const vectors = {
      '': '',
      f: 'MY',
      fo: 'MZXQ',
      foo: 'MZXW6',
      foob: 'MZXW6YQ',
      fooba: 'MZXW6YTB',
      foobar: 'MZXW6YTBOI',
    };
    for (const [text, encoded] of Object.entries(vectors)) expect(base32(Buffer.from(text))).toBe(encoded);
  });

  it('has every bit of any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const text = base32(bytes);
        const bits = Array.from(text, (letter) =>
          'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter).toString(2).padStart(5, '0'),
        ).join('');
        const given = Array.from(bytes, (byte) => byte.toString(2).padStart(8, '0')).join('');
        expect(bits.startsWith(given)).toBe(true);
        expect(bits.slice(given.length)).toMatch(/^0{0,4}$/);
      }),
    );
  });

  it('comes in a URI that names whose it is, whatever the name', async () => {
    const odd = await desk.principal('corp:eve%40example.org?x', ['approver']);
    const { uri, secret } = await desk.secondFactor.enrol(desk.act, odd.principal);
    const parsed = new URL(uri);
    expect(parsed.protocol + parsed.host).toBe('otpauth:totp');
    expect(decodeURIComponent(parsed.pathname)).toBe('/Countersign:corp:eve%40example.org?x');
    expect(Object.fromEntries(parsed.searchParams)).toEqual({
      secret,
      issuer: 'Countersign',
      algorithm: 'SHA1',
      digits: '6',
      period: '30',
    });
  });
});

/** RFC 6238, appendix B: the generator of the tests is right itself. */
describe('the codes of these tests', () => {
  it.each([
    [59, '287082'],
    [1_111_111_109, '081804'],
    [1_111_111_111, '050471'],
    [1_234_567_890, '005924'],
    [2_000_000_000, '279037'],
    [20_000_000_000, '353130'],
  ])('are those of the RFC at %i s', (seconds, expected) => {
    expect(codeOf(base32(Buffer.from('12345678901234567890')), seconds * 1_000)).toBe(expected);
  });
});
