import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  must,
  run,
  SILENT,
  transfer,
  type Answered,
  type Client,
  type Json,
  type Running,
} from './running.ts';

const policy = (revision: number, rest = ''): string => `
apiVersion: countersign/policy/v1
revision: ${revision}
approvals:
  one: { all: [{ role: approver, m: 1 }] }
rules:
  - id: talk
    effect: allow
    principals: { roles: [signer] }
    keys: { names: [demo] }
    operations: [message]
  - id: pay
    effect: allow
    principals: { roles: [signer] }
    keys: { names: [demo] }
    operations: [transaction]
    when: { all: [{ chainId: { eq: 31337 } }, { maxTotalFee: { lte: "1 ether" } }] }
${rest}`;
const CONSENT = `  - { id: consent, effect: require, operations: [message], approval: one }\n`;
const SILENCE = `  - { id: silence, effect: deny, operations: [message] }\n`;
const SUITE = {
  name: 'consent.yaml',
  text: `suite: consent
now: 2030-01-07T12:00:00Z
tests:
  - { name: talk, as: { roles: [signer] }, key: { name: demo }, message: hi, expect: { effect: require, approval: one } }
`,
};

type Person = Client & { readonly id: string };
let service: Running;
let pat: Person;
let pia: Person;

beforeEach(async () => {
  service = await run(SILENT, { policy: policy(1, CONSENT) });
  pat = await service.principal(['policy-admin']);
  pia = await service.principal(['policy-admin']);
});
afterEach(() => service.end());

const propose = (by: Client, document: unknown, more: object = {}, headers = {}): Promise<Answered> =>
  by.post('/v1/policy/proposals', { document, ...more }, headers);
const idOf = async (proposed: Promise<Answered>): Promise<string> => must(await proposed).body.id;
const approve = (by: Client, id: string): Promise<Answered> =>
  by.post(`/v1/policy/proposals/${id}/approve`, {});
const revision = async (): Promise<number> => must(await pat.get('/v1/policy')).body.revision;
const talk = (text: string): Promise<Answered> =>
  service.signer.post('/v1/keys/demo/sign/message', { message: text });

describe('a policy change', () => {
  test('takes two, holds from the next request on and over a restart, and is in the log whole', async () => {
    const id = await idOf(propose(pat, policy(2, SILENCE), { comment: 'enough' }));
    expect((await talk('still')).status).toBe(202);
    for (const by of [pat, service.signer]) expect((await approve(by, id)).status).toBe(403);
    expect(must(await approve(pia, id)).body.status).toBe('accepted');
    expect((await talk('not now')).body).toMatchObject({
      code: 'policy_denied',
      decision: { rule: 'silence' },
    });
    await service.restart();
    expect(await revision()).toBe(2);
    expect((await talk('nor then')).status).toBe(403);
    const [activated] = await service.entries({ kind: 'policy.activated' });
    expect(activated.detail).toMatchObject({ proposal: id, revision: 2, approvers: [expect.any(String)] });
    // It is done: nobody can do it again, nor go back with what was before.
    expect((await approve(service.admin, id)).body.code).toBe('conflict');
    expect((await propose(pat, policy(1, CONSENT))).status).toBe(422);
    expect((await propose(pat, policy(2, CONSENT))).status).toBe(422);
  });

  test('is not approved by its proposer with a second credential, nor by a second role of its own', async () => {
    const both = await service.principal(['policy-admin', 'approver']);
    const { token } = must(await service.admin.post(`/v1/principals/${both.id}/credentials`, {})).body;
    const id = await idOf(propose(both, policy(2)));
    for (const by of [both, service.client(token)]) expect((await approve(by, id)).status).toBe(403);
    expect(await revision()).toBe(1);
  });

  test('is in force once, whatever is approved at the same time', async () => {
    const ids = await Promise.all([2, 3, 4].map((next) => idOf(propose(pat, policy(next)))));
    const third = await service.principal(['policy-admin']);
    const answers = await Promise.all(ids.flatMap((id) => [approve(pia, id), approve(third, id)]));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(await service.entries({ kind: 'policy.activated' })).toHaveLength(1);
    const now = await revision();
    const { items } = must(await pat.get('/v1/policy/proposals?status=void')).body;
    expect(items).toHaveLength(2);
    expect(items.map(({ revision: other }: Json) => other)).not.toContain(now);
  });

  test('has no signature of the old policy behind its entry, while many are being made', async () => {
    const before = must(await pat.get('/v1/policy')).body.hash;
    let nonce = 0;
    const enough = new AbortController();
    const load = async (): Promise<number[]> => {
      const statuses: number[] = [];
      while (!enough.signal.aborted) {
        statuses.push(
          (await service.signer.post('/v1/keys/demo/sign/transaction', transfer(nonce++))).status,
        );
      }
      return statuses;
    };
    const loads = Array.from({ length: 12 }, load);
    const denies = '  - { id: stop, effect: deny, operations: [transaction] }\n';
    must(await approve(pia, await idOf(propose(pat, policy(2, denies)))));
    await new Promise((resolve) => setTimeout(resolve, 50));
    enough.abort();
    const statuses = (await Promise.all(loads)).flat();
    expect(new Set(statuses)).toEqual(new Set([200, 403, ...(statuses.includes(503) ? [503] : [])]));
    const entries = await service.entries();
    const activated = entries.findIndex(({ kind }) => kind === 'policy.activated');
    const signed = entries.filter(({ kind, signature }) => kind === 'sign' && signature !== undefined);
    expect(signed.length).toBeGreaterThan(0);
    expect(signed.every(({ index }) => index < activated)).toBe(true);
    expect(signed.every(({ decision }) => decision.policyHash === before)).toBe(true);
  });

  test('by an idempotency key is proposed once', async () => {
    const once = { 'idempotency-key': 'p' };
    const answers = await Promise.all(Array.from({ length: 4 }, () => propose(pat, policy(2), {}, once)));
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
    expect(must(await pat.get('/v1/policy/proposals')).body.items).toHaveLength(1);
  });

  test('voids what waits for consent, and says so beforehand, also of what was asked for after it', async () => {
    const id = await idOf(propose(pat, policy(2)));
    const late = must(await talk('late')).body.request.id;
    const { warnings } = must(await pia.get(`/v1/policy/proposals/${id}`)).body;
    expect(warnings.join()).toContain(`1 open request for approval becomes void: ${late}`);
    must(await approve(pia, id));
    const approver = await service.principal(['approver']);
    expect((await approver.post(`/v1/requests/${late}/approve`, {})).body.code).toBe('conflict');
    expect(must(await service.signer.get(`/v1/requests/${late}`)).body).toMatchObject({
      status: 'void',
      note: expect.stringContaining('revision 2'),
    });
  });
});

describe('a proposal is refused', () => {
  test.each([
    ['that does not compile', policy(2).replace('effect: allow', 'effect: perhaps'), 400],
    ['that is no YAML', 'rules: [', 400],
    ['with an older revision', policy(1), 422],
    ['with a revision that nothing could follow', policy(Number.MAX_SAFE_INTEGER), 422],
    ['that follows another policy', policy(2).replace('rules:', `parent: "${'ab'.repeat(32)}"\nrules:`), 422],
    [
      'under which nobody could change it',
      `${policy(2).replace('approvals:', 'approvals:\n  many: { all: [{ role: policy-admin, m: 9 }] }')}change: { approval: many }\n`,
      422,
    ],
    [
      'by whose change one person could do what takes two',
      `${policy(2).replace('approvals:', 'approvals:\n  lax: { all: [{ role: policy-admin, m: 1 }], excludeRequester: false }')}change: { approval: lax }\n`,
      400,
    ],
    [
      'with text that is no text',
      { apiVersion: 'countersign/policy/v1', revision: 2, rules: [{ id: '\ud800' }] },
      400,
    ],
  ])('%s', async (_, document, status) => {
    const size = await service.size();
    const answer = await propose(pat, document);
    expect(answer.status, answer.text).toBe(status);
    expect(answer.body.detail).not.toBe('');
    expect(await service.size()).toBe(size);
    expect(await revision()).toBe(1);
    // And the service goes on.
    expect((await service.client(undefined).get('/readyz')).status).toBe(200);
  });

  test('whose tests fail, its own or those that came with the policy in force', async () => {
    must(await approve(pia, await idOf(propose(pat, policy(2, CONSENT), { suites: [SUITE] }))));
    const dropped = await propose(pat, policy(3));
    expect(dropped.body).toMatchObject({
      status: 422,
      errors: [{ path: 'consent.yaml: talk', message: expect.any(String) }],
    });
    const text = SUITE.text.replace('require, approval: one', 'allow');
    const { body } = await propose(pat, policy(3), { suites: [{ ...SUITE, text }] });
    expect(body.changes).toContain(
      'test suite "consent.yaml": replaced; of its tests as they were, 1 of 1 would fail: "talk"',
    );
    expect((await propose(pat, policy(3, CONSENT), { suites: [SUITE, SUITE] })).status).toBe(400);
  });

  test('when its proposer has lost the role by the time of the last vote', async () => {
    const id = await idOf(propose(pat, policy(2)));
    must(await service.admin.patch(`/v1/principals/${pat.id}`, { roles: ['approver'] }));
    expect((await approve(pia, id)).body.code).toBe('conflict');
    expect(await revision()).toBe(1);
  });
});

test('whatever text comes with a proposal or a vote, the log goes on', async () => {
  const odd = ['\ud800', '\u0000', '\u202etxt.exe', '\u001b[2J', 'x'.repeat(500)];
  for (const comment of odd) {
    const id = await idOf(propose(pat, policy(2)));
    const rejected = await pia.post(`/v1/policy/proposals/${id}/reject`, { comment });
    expect([200, 400], rejected.text).toContain(rejected.status);
    expect([201, 400]).toContain((await propose(pat, policy(3), { comment })).status);
    expect([202, 400]).toContain(
      (await service.signer.post('/v1/keys/demo/sign/message', { message: 'x', breakGlass: comment })).status,
    );
  }
  expect((await service.client(undefined).get('/readyz')).status).toBe(200);
});
