import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { principalIdOf } from '../../src/access/oidc.ts';
import { codeOf } from '../approvals/desk.ts';
import { must, run, SILENT, type Client, type Json, type Running } from './running.ts';

/** The whole service with an identity provider beside it, whose keys it finds by discovery and fetches over HTTP. */
const POLICY = `
apiVersion: countersign/policy/v1
revision: 1
approvals:
  two: { all: [{ role: approver, m: 2 }] }
rules:
  - id: talk
    effect: allow
    principals: { roles: [signer] }
    keys: { names: ["*"] }
    operations: [message]
  - id: consent
    effect: require
    operations: [message]
    approval: two
`;

let idp: Server;
let issuer: string;
let service: Running;
let privateKey: CryptoKey;
let published: JWK[] = [];
/** What was asked of the provider. */
const asked: string[] = [];
let messages = 0;
let people = 0;

async function newKey(kid: string): Promise<{ readonly privateKey: CryptoKey; readonly jwk: JWK }> {
  const pair = await generateKeyPair('ES256', { extractable: true });
  return {
    privateKey: pair.privateKey,
    jwk: { ...(await exportJWK(pair.publicKey)), kid, alg: 'ES256', use: 'sig' },
  };
}

beforeAll(async () => {
  const key = await newKey('first');
  ({ privateKey } = key);
  published = [key.jwk];
  idp = createServer((req, res) => {
    asked.push(req.url ?? '');
    const isDiscovery = req.url === '/.well-known/openid-configuration';
    const answer = isDiscovery ? { issuer, jwks_uri: `${issuer}/keys` } : { keys: published };
    res.setHeader('content-type', 'application/json').end(JSON.stringify(answer));
  });
  await new Promise<void>((resolve) => idp.listen(0, '127.0.0.1', resolve));
  issuer = `http://127.0.0.1:${(idp.address() as AddressInfo).port}`;
  const roles = ['signer', 'approver', 'policy-admin', 'auditor'].map((role) => ({
    claim: 'groups',
    value: role,
    roles: [role],
  }));
  service = await run(SILENT, {
    policy: POLICY,
    oidc: [{ name: 'corp', issuer, audience: 'countersign', roles, algorithms: ['ES256'] }],
  });
});
afterAll(async () => {
  await service.end();
  idp.close();
});

let alice: string;
let bob: string;
let carol: string;
beforeEach(() => {
  [alice, bob, carol] = ['alice', 'bob', 'carol'].map((name) => `${name}-${people++}`) as [
    string,
    string,
    string,
  ];
});

async function tokenOf(
  subject: string,
  groups: readonly string[],
  by = privateKey,
  header = {},
): Promise<string> {
  return await new SignJWT({ groups: [...groups], jti: crypto.randomUUID() })
    .setProtectedHeader({ alg: 'ES256', kid: 'first', ...header })
    .setIssuer(issuer)
    .setAudience('countersign')
    .setSubject(subject)
    .setIssuedAt()
    .setExpirationTime('5m')
    .sign(by);
}
const as = async (subject: string, ...groups: string[]): Promise<Client> =>
  service.client(await tokenOf(subject, groups));

async function ask(by: Client): Promise<string> {
  const answer = await by.post('/v1/keys/demo/sign/message', { message: `m${messages++}` });
  expect(answer.status, answer.text).toBe(202);
  return answer.body.request.id;
}
const approve = async (by: Client, id: string, body = {}): Promise<readonly [number, string]> => {
  const answer = await by.post(`/v1/requests/${id}/approve`, body);
  return [answer.status, answer.body.status === answer.status ? answer.body.code : answer.body.status];
};
const show = async (id: string): Promise<Json> => must(await service.admin.get(`/v1/requests/${id}`)).body;
const signaturesOf = async (id: string): Promise<number> =>
  (await service.entries({ kind: 'sign' })).filter(
    ({ detail, signature }) => signature && detail?.request === id,
  ).length;

describe('people of an identity provider', () => {
  test('ask and consent, each as one principal', async () => {
    const id = await ask(await as(alice, 'signer'));
    expect(await approve(await as(bob, 'approver'), id)).toEqual([200, 'pending']);
    expect(await approve(await as(carol, 'approver'), id)).toEqual([200, 'signed']);
    const request = await show(id);
    expect(request.requester).toEqual({ id: principalIdOf(issuer, alice), name: `corp:${alice}` });
    expect(request.votes.map(({ name }: Json) => name)).toEqual([`corp:${bob}`, `corp:${carol}`]);
    const { body } = must(await (await as(alice, 'signer')).get(`/v1/requests/${id}`));
    expect(body.result.signature).toMatch(/^0x/);
    expect(asked).toContain('/keys');
  });

  test('are one person by all of their tokens: nobody approves what they asked for, or twice', async () => {
    const id = await ask(await as(alice, 'signer'));
    expect(await approve(await as(alice, 'approver'), id)).toEqual([403, 'forbidden']);
    expect(await approve(await as(alice, 'approver', 'signer'), id)).toEqual([403, 'forbidden']);
    expect(await approve(await as(bob, 'approver'), id)).toEqual([200, 'pending']);
    expect(await approve(await as(bob, 'approver'), id)).toEqual([409, 'conflict']);
    expect((await show(id)).votes).toHaveLength(1);
  });

  test('do not count any more when their newest token has not the role', async () => {
    const requester = await as(alice, 'signer');
    const id = await ask(requester);
    await approve(await as(bob, 'approver'), id);
    // Bob has become an auditor.
    must(await (await as(bob, 'auditor')).get('/v1/me'));
    expect(await approve(await as(carol, 'approver'), id)).toEqual([200, 'pending']);
    expect((await show(id)).approval.missing).toEqual([{ approval: 'two', role: 'approver', m: 2, have: 1 }]);
    expect(await signaturesOf(id)).toBe(0);
  });

  test('get no signature when their newest token says that they are no signers', async () => {
    const id = await ask(await as(alice, 'signer'));
    await approve(await as(bob, 'approver'), id);
    must(await (await as(alice, 'auditor')).get('/v1/me'));
    expect(await approve(await as(carol, 'approver'), id)).toEqual([200, 'failed']);
    expect((await show(id)).note).toMatch(/may not sign any more/);
    expect(await signaturesOf(id)).toBe(0);
  });

  test('are out, and their votes with them, once an admin has disabled them, whatever token they bring', async () => {
    const id = await ask(await as(alice, 'signer'));
    await approve(await as(bob, 'approver'), id);
    must(await service.admin.patch(`/v1/principals/${principalIdOf(issuer, bob)}`, { state: 'disabled' }));
    expect((await (await as(bob, 'approver')).get('/v1/me')).status).toBe(401);
    expect(await approve(await as(carol, 'approver'), id)).toEqual([200, 'pending']);
    expect(await signaturesOf(id)).toBe(0);
  });

  test('have a second factor of their own, over a restart', async () => {
    const second = await as(bob, 'approver');
    const { secret } = must(await second.post('/v1/me/totp', {})).body;
    const code = (steps: number): string => codeOf(secret, Date.now() + steps * 30_000);
    const first = code(0);
    must(await second.post('/v1/me/totp/confirm', { otp: first }));
    const id = await ask(await as(alice, 'signer'));
    await service.restart();
    const again = await as(bob, 'approver');
    expect(await approve(again, id)).toEqual([422, 'unprocessable']);
    expect(await approve(again, id, { otp: first })).toEqual([403, 'forbidden']);
    expect(await approve(again, id, { otp: code(1) })).toEqual([200, 'pending']);
  });

  test('propose a policy, and do not approve it, nor with a token that has another role', async () => {
    const document = POLICY.replace('revision: 1', 'revision: 2');
    const proposed = must(
      await (await as(alice, 'policy-admin')).post('/v1/policy/proposals', { document }),
    ).body;
    for (const groups of [['policy-admin'], ['approver', 'policy-admin']]) {
      const answer = await (
        await as(alice, ...groups)
      ).post(`/v1/policy/proposals/${proposed.id}/approve`, {});
      expect(answer.status).toBe(403);
    }
    must(await service.admin.post(`/v1/policy/proposals/${proposed.id}/reject`, {}));
  });
});

describe('a token that brings its own key', () => {
  test.each(['jwk', 'jku', 'x5u'])('by %s is refused, and nothing is fetched for it', async (way) => {
    const mine = await newKey('first');
    const fetched: string[] = [];
    const evil = createServer((req, res) => {
      fetched.push(req.url ?? '');
      res.end(JSON.stringify({ keys: [mine.jwk] }));
    });
    await new Promise<void>((resolve) => evil.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(evil.address() as AddressInfo).port}/keys`;
    const header = { [way]: way === 'jwk' ? mine.jwk : url };
    for (const kid of ['first', 'mine', '../../keys', '', `${url}#first`]) {
      const bearer = await tokenOf('mallory', ['signer'], mine.privateKey, { ...header, kid });
      expect((await service.client(bearer).get('/v1/me')).status, kid).toBe(401);
    }
    expect(fetched).toEqual([]);
    evil.close();
  });
});
