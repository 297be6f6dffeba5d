import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import {
  computeAddress,
  hashAuthorization,
  recoverAddress,
  Transaction,
  verifyMessage,
  verifyTypedData,
  Wallet,
} from 'ethers';
import { Secret, TOTP } from 'otpauth';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { OUTCOMES } from '../../src/audit/entry.ts';
import { allRoutes, nameOf } from './all-routes.ts';
import { must, run, transfer, type Answered, type Client, type Json, type Running } from './running.ts';

/** Each route once, as its documentation says; the answer is held against the route's own schema. */

const routes = new Map(allRoutes().map((route) => [nameOf(route), route]));
const seen = new Set<string>();

let service: Running;
let admin: Client;
let signer: Client;

beforeAll(async () => {
  service = await run();
  ({ admin, signer } = service);
});
afterAll(() => service.end());

/** Calls a route and checks status, media type and shape of the answer. */
async function call(
  client: Client,
  name: string,
  parameters: Record<string, string> = {},
  body?: Json,
): Promise<Answered> {
  const route = routes.get(name)!;
  seen.add(name);
  const target = route.path.replaceAll(/\{(\w+)\}/g, (_, parameter: string) => parameters[parameter]!);
  const rest = Object.entries(parameters).filter(([parameter]) => !route.path.includes(`{${parameter}}`));
  const query = rest.length === 0 ? '' : `?${new URLSearchParams(rest).toString()}`;
  const answered =
    route.method === 'GET'
      ? await client.get(target + query)
      : await client.send(route.method, target, {
          body: JSON.stringify(body),
          headers: { 'content-type': 'application/json' },
        });
  expect(answered.status, answered.text).toBe(route.answer.status);
  const { schema = z.unknown(), mediaType = 'application/json' } = route.answer;
  expect(answered.headers.get('content-type')).toContain(mediaType);
  expect(schema.safeParse(answered.body).error?.issues, answered.text).toBeUndefined();
  return answered;
}

const nobody = (): Client => service.client(undefined);
const TYPED = {
  domain: { name: 'Ether Mail', version: '1', chainId: 1 },
  types: { Mail: [{ name: 'contents', type: 'string' }] },
  primaryType: 'Mail',
  message: { contents: 'Hello, Bob!' },
};

test('probes, metrics and reference', async () => {
  expect((await call(nobody(), 'GET /healthz')).body).toEqual({ status: 'ok' });
  expect((await call(nobody(), 'GET /readyz')).body).toEqual({ ready: true, reasons: [] });
  expect((await call(nobody(), 'GET /metrics')).text).toMatch(/^countersign_ready 1$/m);
  await call(nobody(), 'GET /openapi.json');
  await call(nobody(), 'GET /docs');
});

test('status', async () => {
  const { body } = await call(signer, 'GET /v1/sys/status');
  expect(body).toMatchObject({ initialized: true, sealed: false, ready: true, seal: { type: 'file' } });
  expect(body.policy.revision).toBe(7);
});

test('sealing and unsealing', async () => {
  expect((await call(admin, 'POST /v1/sys/seal', {}, {})).body.sealed).toBe(true);
  expect((await nobody().get('/readyz')).status).toBe(503);
  const refused = await signer.post('/v1/keys/demo/sign/message', { message: 'x' });
  expect([refused.status, refused.body.code]).toEqual([503, 'sealed']);
  expect(refused.headers.get('retry-after')).toBe('1');
  expect((await call(admin, 'POST /v1/sys/unseal', {}, {})).body.sealed).toBe(false);
  expect((await nobody().get('/readyz')).status).toBe(200);
  expect(
    (await admin.post('/v1/sys/init', { seal: { type: 'passphrase', passphrase: 'long enough?' } })).status,
  ).toBe(409);
});

test('initializing with a passphrase', async () => {
  const other = await run(undefined, { seal: 'passphrase' });
  try {
    const waiting = await nobody().get('/readyz');
    expect(waiting.status).toBe(200);
    const notReady = await other.client(undefined).get('/readyz');
    expect(notReady.status).toBe(503);
    expect(routes.get('GET /readyz')!.answer.schema!.safeParse(notReady.body).success).toBe(true);
    const seal = { type: 'passphrase', passphrase: 'correct horse', kdf: { kdf: 'pbkdf2' } };
    expect((await call(other.admin, 'POST /v1/sys/init', {}, { seal })).body).toMatchObject({
      initialized: true,
      sealed: false,
      seal: { type: 'passphrase' },
    });
    await other.admin.post('/v1/sys/seal', {});
    const wrong = await other.admin.post('/v1/sys/unseal', { passphrase: 'wrong horse' });
    expect([wrong.status, wrong.body.code]).toEqual([422, 'wrong_password']);
    const none = await other.admin.post('/v1/sys/unseal', {});
    expect([none.status, none.body.errors[0].path]).toEqual([400, 'passphrase']);
    const opened = await call(other.admin, 'POST /v1/sys/unseal', {}, { passphrase: 'correct horse' });
    expect(opened.body.sealed).toBe(false);
  } finally {
    await other.end();
  }
});

test('changing the seal, and renewing the root key', async () => {
  const other = await run();
  const operator = other.admin;
  try {
    const none = await call(operator, 'GET /v1/sys/rekey');
    expect(none.body).toEqual({ rekey: null });
    const seal = { type: 'shamir', shares: 3, threshold: 2 };
    // An operator's role is not enough: with it alone the keyring could be put under a secret of one's own.
    const unproven = await operator.post('/v1/sys/rekey', { seal });
    expect([unproven.status, unproven.body.errors[0].path]).toEqual([400, 'current']);
    const guessed = await operator.post('/v1/sys/rekey', {
      seal,
      current: { sealKey: `0x${'00'.repeat(32)}` },
    });
    expect([guessed.status, guessed.body.code]).toEqual([422, 'wrong_password']);
    const sealKey = `0x${readFileSync(path.join(other.data, 'seal.key')).toString('hex')}`;
    const start = { seal, current: { sealKey } };
    const { shares } = (await call(operator, 'POST /v1/sys/rekey', {}, start)).body;
    await call(operator, 'POST /v1/sys/rekey/verify', {}, { share: shares[0] });
    expect((await call(operator, 'GET /v1/sys/rekey')).body.rekey.have).toBe(1);
    await call(operator, 'POST /v1/sys/rekey/verify', {}, { share: shares[1] });
    await call(operator, 'POST /v1/sys/rekey', {}, { seal });
    await call(operator, 'POST /v1/sys/rekey/authorize', {}, { share: shares[2] });
    await call(operator, 'GET /v1/sys/status');
    await call(operator, 'POST /v1/sys/rekey/authorize', {}, { share: shares[1] });
    await call(operator, 'POST /v1/sys/rekey/cancel', {}, {});

    expect((await call(operator, 'GET /v1/sys/rewrap')).body).toEqual({ job: null });
    await call(operator, 'POST /v1/sys/rotate-root', {}, {});
    await call(operator, 'POST /v1/sys/rewrap', {}, {});
    while ((await call(operator, 'GET /v1/sys/rewrap')).body.job.state === 'running') continue;
    await call(operator, 'GET /v1/sys/status');
  } finally {
    await other.end();
  }
});

test('keys', async () => {
  const { body: made } = await call(admin, 'POST /v1/keys', {}, { name: 'treasury', tags: ['hot', 'eu'] });
  expect(made).toMatchObject({ name: 'treasury', tags: ['hot', 'eu'], state: 'enabled', primary: 1 });
  const { canary, ...shown } = made;
  expect(canary).toBe(false);
  expect((await call(signer, 'GET /v1/keys/{name}', { name: 'treasury' })).body).toEqual(shown);

  const wallet = Wallet.createRandom();
  const source = { type: 'private-key', privateKey: wallet.privateKey };
  const { body: imported } = await call(admin, 'POST /v1/keys/import', {}, { name: 'imported', source });
  expect(imported.versions[0]).toMatchObject({ origin: 'imported', address: wallet.address.toLowerCase() });
  const { body: wrapping } = await call(admin, 'POST /v1/keys/import/wrapping-key', {}, {});
  expect(wrapping).toMatchObject({ publicKey: expect.stringMatching(/^0x[0-9a-f]{64}$/) });

  const names = async (parameters: Record<string, string>): Promise<string[]> =>
    (await call(signer, 'GET /v1/keys', parameters)).body.items.map(({ name }: Json) => name);
  expect(await names({})).toEqual(['demo', 'imported', 'treasury']);
  expect(await names({ tag: 'hot' })).toEqual(['treasury']);
  expect(await names({ address: wallet.address })).toEqual(['imported']);
  expect(await names({ state: 'disabled' })).toEqual([]);
  const first = await call(signer, 'GET /v1/keys', { limit: '2' });
  expect(first.body.nextCursor).toBe('imported');
  expect(await names({ limit: '2', cursor: first.body.nextCursor })).toEqual(['treasury']);

  const version = { name: 'treasury', version: '1' };
  const disable = 'POST /v1/keys/{name}/versions/{version}/disable';
  expect((await call(admin, disable, version, { reason: 'drill' })).body).toMatchObject({
    state: 'disabled',
  });
  expect(await names({ state: 'disabled' })).toEqual(['treasury']);
  const enable = 'POST /v1/keys/{name}/versions/{version}/enable';
  expect((await call(admin, enable, version, { reason: 'drill is over' })).body).toMatchObject({
    state: 'enabled',
  });
});

test('the life of a version', async () => {
  await admin.post('/v1/keys', { name: 'retired' });
  const version = { name: 'retired', version: '1' };
  const { body: hangs } = await call(admin, 'GET /v1/keys/{name}/versions/{version}/consequences', version);
  expect(hangs.warnings).toContain('it is the only version of key retired');
  const path = 'POST /v1/keys/{name}/versions/{version}';
  await admin.post('/v1/keys/retired/versions/1/disable', { reason: 'old' });
  const { body: scheduled } = await call(admin, `${path}/schedule-destruction`, version, {
    reason: 'old',
    days: 7,
  });
  expect(scheduled).toMatchObject({ state: 'destroy_scheduled', consequences: hangs });
  const { body: kept } = await call(admin, `${path}/cancel-destruction`, version, { reason: 'needed' });
  expect(kept).toMatchObject({ state: 'disabled' });
  const { body: stolen } = await call(admin, `${path}/compromise`, version, { reason: 'stolen' });
  expect(stolen).toMatchObject({ state: 'compromised' });
  const refused = await admin.post('/v1/keys/retired/versions/1/enable', { reason: 'found' });
  expect([refused.status, refused.body.code]).toEqual([409, 'key_state']);
});

test('a rotation', async () => {
  const { body: created } = await call(
    admin,
    'POST /v1/keys',
    {},
    { name: 'rotated', rotation: { everyDays: 365 } },
  );
  expect(created.rotation).toMatchObject({ everyDays: 365 });
  const unknown = {
    everyDays: 1,
    plan: { waits: [{ type: 'webhook', webhook: 'nobody', before: 'cutover' }] },
  };
  const refused = await admin.post('/v1/keys', { name: 'other', rotation: unknown });
  expect([refused.status, refused.body.code]).toEqual([422, 'unprocessable']);
  const start = 'POST /v1/keys/{name}/rotations';
  const plan = { overlap: '1h', drain: '1h', waits: [{ type: 'person', before: 'generate' }] };
  const { body: planned } = await call(admin, start, { name: 'rotated' }, { plan });
  expect(planned).toMatchObject({ key: 'rotated', state: 'planned', old: { version: 1 }, new: null });
  const { id } = planned;
  expect((await call(admin, 'GET /v1/rotations', { key: 'rotated' })).body.items).toMatchObject([{ id }]);
  await call(admin, 'POST /v1/rotations/{id}/advance', { id }, { step: 'generate' });
  await expect
    .poll(async () => (await call(admin, 'GET /v1/rotations/{id}', { id })).body.state, { timeout: 10_000 })
    .toBe('overlap');
  const { body: aborted } = await call(admin, 'POST /v1/rotations/{id}/abort', { id }, { reason: 'no' });
  expect(aborted.state).toBe('aborted');
  const schedule = 'POST /v1/keys/{name}/rotation-schedule';
  const { body: regular } = await call(admin, schedule, { name: 'rotated' }, { rotation: { everyDays: 90 } });
  expect(regular.rotation).toMatchObject({ everyDays: 90 });
});

const VECTORS = path.resolve(import.meta.dirname, '../../../shared/vectors/keystore-v3/ethereum-tests.json');

test.skipIf(!existsSync(VECTORS))('importing a Web3 keystore (needs the shared vectors)', async () => {
  const { test1 }: Json = JSON.parse(readFileSync(VECTORS, 'utf8'));
  const source = { type: 'web3-v3', keystore: test1.json, password: test1.password };
  const refused = await admin.post('/v1/keys/import', { name: 'known', source });
  expect([refused.status, refused.body.code]).toEqual([422, 'unprocessable']);
  const wrong = { ...source, password: 'not it' };
  const locked = await admin.post('/v1/keys/import', { name: 'known', source: wrong, allowWellKnown: true });
  expect([locked.status, locked.body.code]).toEqual([422, 'wrong_password']);
  const body = { name: 'known', source, allowWellKnown: true };
  const { body: key } = await call(admin, 'POST /v1/keys/import', {}, body);
  expect(key.versions[0].address).toBe(computeAddress(`0x${test1.priv}`).toLowerCase());
});

test('signing', async () => {
  const address = (await signer.get('/v1/keys/demo')).body.versions[0].address;
  const sign = async (operation: string, body: Json): Promise<Json> =>
    (await call(signer, `POST /v1/keys/{name}/sign/${operation}`, { name: 'demo' }, body)).body;

  const signed = await sign('transaction', transfer(0));
  const transaction = Transaction.from(signed.rawTransaction);
  expect(transaction.from?.toLowerCase()).toBe(address);
  expect(transaction.hash).toBe(signed.transactionHash);
  expect(signed.decision).toEqual({ effect: 'allow', rule: 'transfers', policyRevision: 7 });

  const message = await sign('message', { message: 'Hello, world!', version: 1 });
  expect(verifyMessage('Hello, world!', message.signature).toLowerCase()).toBe(address);
  const typed = await sign('typed-data', TYPED);
  expect(verifyTypedData(TYPED.domain, TYPED.types, TYPED.message, typed.signature).toLowerCase()).toBe(
    address,
  );
  const authorization = { chainId: 31337, address: `0x${'22'.repeat(20)}`, nonce: 0 };
  const delegation = await sign('authorization', authorization);
  expect(recoverAddress(hashAuthorization(authorization), delegation.signature).toLowerCase()).toBe(address);
  const digest = `0x${'ab'.repeat(32)}`;
  const plain = await sign('digest', { digest, purpose: 'test' });
  expect(recoverAddress(digest, plain.signature).toLowerCase()).toBe(address);

  const items = [
    { key: 'demo', operation: 'message', message: 'one' },
    { key: 'nobody', operation: 'message', message: 'two' },
  ];
  const { body } = await call(signer, 'POST /v1/sign/batch', {}, { items });
  expect(body.items.map(({ status }: Json) => status)).toEqual([200, 404]);
});

test('the receipt leads to the entry', async () => {
  const { body: signed } = await signer.post('/v1/keys/demo/sign/message', { message: 'logged' });
  const { body: found } = await call(admin, 'GET /v1/audit/entries/{index}', {
    index: String(signed.receipt.index),
  });
  expect(found.leafHash).toBe(signed.receipt.leafHash);
  expect(found.entry).toMatchObject({
    kind: 'sign',
    outcome: 'done',
    requestId: signed.requestId,
    digest: signed.digest,
    signature: signed.signature,
    operation: 'message',
    actor: { principal: 'demo', address: '127.0.0.1' },
  });
});

test('policy', async () => {
  const { body: policy } = await call(admin, 'GET /v1/policy');
  expect(policy).toMatchObject({ revision: 7, document: { apiVersion: 'countersign/policy/v1' } });
  const question = { key: 'demo', operation: 'message', message: 'x' };
  const size = await service.size();
  const { body: allowed } = await call(signer, 'POST /v1/policy/evaluate', {}, question);
  expect(allowed).toMatchObject({ effect: 'allow', rule: 'messages', policyHash: policy.hash });
  const { body: me } = await call(admin, 'GET /v1/me');
  const { body: denied } = await call(admin, 'POST /v1/policy/evaluate', {}, question);
  expect(denied).toMatchObject({ effect: 'deny' });
  const { body: signing } = await call(signer, 'GET /v1/me');
  const asked = { ...question, principal: signing.id };
  expect((await call(admin, 'POST /v1/policy/evaluate', {}, asked)).body).toEqual(allowed);
  expect(await service.size()).toBe(size);
  const other = await signer.post('/v1/policy/evaluate', { ...question, principal: me.id });
  expect(other).toMatchObject({ status: 403, body: { code: 'forbidden' } });
  expect(await service.entries({ from: size })).toMatchObject([
    {
      kind: 'access.forbidden',
      outcome: 'denied',
      actor: { principal: signing.name, credential: signing.credential },
      detail: { method: 'POST', route: '/v1/policy/evaluate' },
    },
  ]);
});

test('principals and credentials', async () => {
  const { body: made } = await call(admin, 'POST /v1/principals', {}, { name: 'payouts', roles: ['signer'] });
  const { id } = made;
  expect((await call(admin, 'GET /v1/principals/{id}', { id })).body).toEqual(made);
  expect((await call(admin, 'GET /v1/principals')).body.items).toContainEqual(made);
  const expiresAt = '2099-01-01T00:00:00.000Z';
  const credentials = 'POST /v1/principals/{id}/credentials';
  const { body: credential } = await call(admin, credentials, { id }, { expiresAt, cidrs: ['127.0.0.0/8'] });
  expect(credential).toEqual({
    id: credential.id,
    token: expect.stringMatching(/^cs_[0-9a-f]{16}_[\w-]{43}$/),
    expiresAt,
  });
  const { body: listed } = await call(admin, 'GET /v1/principals/{id}/credentials', { id });
  expect(listed.items).toEqual([
    { id: credential.id, kind: 'token', createdAt: expect.any(String), expiresAt, cidrs: ['127.0.0.0/8'] },
  ]);
  const { body: me } = await call(service.client(credential.token), 'GET /v1/me');
  expect(me).toEqual({ ...made, credential: credential.id, mtls: false });

  const own = service.client(credential.token);
  const { body: rotated } = await call(own, 'POST /v1/me/credentials/rotate', {}, {});
  expect((await call(service.client(rotated.token), 'GET /v1/me')).body.name).toBe('payouts');
  const { body: spare } = await call(admin, credentials, { id }, {});
  const rotate = 'POST /v1/principals/{id}/credentials/{credential}/rotate';
  await call(admin, rotate, { id, credential: spare.id }, { overlap: 60 });
  const certificates = 'POST /v1/principals/{id}/certificates';
  await call(admin, certificates, { id }, { dns: 'payouts.example' });

  const revoke = 'POST /v1/principals/{id}/credentials/{credential}/revoke';
  const { body: revoked } = await call(admin, revoke, { id, credential: credential.id }, {});
  expect(revoked).toMatchObject({ id: credential.id, revokedAt: expect.any(String) });
  const { body: patched } = await call(admin, 'PATCH /v1/principals/{id}', { id }, { state: 'disabled' });
  expect(patched).toEqual({ ...made, state: 'disabled' });
});

test('audit', async () => {
  const { body: page } = await call(admin, 'GET /v1/audit/entries', { limit: '3', from: '1' });
  expect(page.items.map(({ index }: Json) => index)).toEqual([1, 2, 3]);
  expect(page.nextCursor).toBe('4');
  const { body: signs } = await call(admin, 'GET /v1/audit/entries', {
    kind: 'sign',
    principal: 'demo',
    key: 'demo',
    operation: 'message',
    effect: 'allow',
    since: '2020-01-01T00:00:00Z',
    until: '2099-01-01T00:00:00Z',
  });
  expect(signs.items.length).toBeGreaterThan(0);
  const vkey = (await call(signer, 'GET /v1/audit/key')).text;
  const note = (await call(admin, 'GET /v1/audit/checkpoint')).text;
  const [origin, size] = note.split('\n');
  expect(vkey.startsWith(`${origin}+`)).toBe(true);
  expect(Number(size)).toBeGreaterThan(3);
  const { body: notes } = await call(admin, 'GET /v1/audit/checkpoints');
  expect(notes.items.at(-1)).toEqual({ size: Number(size), note });
});

test('the tree of the audit log', async () => {
  const data = `0x${'5a'.repeat(20_000)}`;
  const { body: signed } = await call(
    signer,
    'POST /v1/keys/{name}/sign/message',
    { name: 'demo' },
    { data },
  );
  const { index } = signed.receipt;
  const { entry } = (await admin.get(`/v1/audit/entries/${index}`)).body;
  await call(admin, 'GET /v1/audit/data/{sha256}', { sha256: entry.intent.dataHash });
  await call(admin, 'GET /v1/audit/tile/{level}/{tile}', { level: '0', tile: `000.p/${index + 1}` });
  await call(admin, 'GET /v1/audit/tile/entries/{tile}', { tile: `000.p/${index + 1}` });
  const proof = await call(admin, 'GET /v1/audit/entries/{index}/proof', { index: String(index) });
  expect(proof.text).toMatch(`c2sp.org/tlog-proof@v1\nindex ${index}\n`);
});

test('an export, and another key of the log', async () => {
  const { text } = await call(admin, 'GET /v1/audit/export', { kind: 'service.started' });
  expect(text.split('\n')).toHaveLength(2);
  const before = (await call(signer, 'GET /v1/audit/key')).text;
  const { body } = await call(admin, 'POST /v1/sys/rotate-log-key', {}, { reason: 'yearly' });
  expect(body.oldKey).toBe(before.trimEnd());
  expect((await call(signer, 'GET /v1/audit/key')).text.trimEnd()).toBe(body.newKey);
});

test('the audit log backwards, page by page, and by what is known of an entry', async () => {
  const indexes = ({ body }: { body: Json }): number[] => body.items.map(({ index }: Json) => index);
  const all = indexes(await call(admin, 'GET /v1/audit/entries', { limit: '1000' }));
  const back: number[] = [];
  let cursor: string | null = null;
  do {
    const { body }: { body: Json } = await call(admin, 'GET /v1/audit/entries', {
      order: 'desc',
      limit: '7',
      ...(cursor !== null && { cursor }),
    });
    back.push(...indexes({ body }));
    cursor = body.nextCursor;
  } while (cursor !== null);
  expect(back).toEqual(all.toReversed());
  expect(
    indexes(await call(admin, 'GET /v1/audit/entries', { order: 'desc', from: '4', limit: '3' })),
  ).toEqual([4, 3, 2]);

  for (const outcome of OUTCOMES) {
    const { body } = await call(admin, 'GET /v1/audit/entries', { outcome, limit: '1000' });
    const outcomes = body.items.map(({ entry }: Json) => entry.outcome);
    expect(outcomes).toEqual(outcomes.map(() => outcome));
  }
  const { body: done } = await call(admin, 'GET /v1/audit/entries', { kind: 'sign', outcome: 'done' });
  expect(done.items.length).toBeGreaterThan(0);

  for (const typo of ['kind=sing', 'outcome=refuse', 'order=newest']) {
    const { status, body } = await admin.get(`/v1/audit/entries?${typo}`);
    expect([typo, status, body.errors?.[0]?.path]).toEqual([typo, 400, typo.split('=')[0]]);
  }
});

test('a number has one spelling', async () => {
  for (const limit of ['0x10', '1e1', '01', '', ' 5', '5.0', '-1', '0', '1001', '99999999999999999999']) {
    const { status, body } = await admin.get(`/v1/keys?limit=${encodeURIComponent(limit)}`);
    expect([limit, status, body.errors?.[0]?.path]).toEqual([limit, 400, 'limit']);
  }
  for (const version of ['0x1', '1.0', '01', '1e0', '0']) {
    const { status } = await admin.post(`/v1/keys/demo/versions/${version}/disable`, { reason: 'x' });
    expect([version, status]).toEqual([version, 400]);
  }
});

/** Everything by message, with the consent of two; messages that begin with `free` without. */
const WITH_APPROVALS = `
apiVersion: countersign/policy/v1
revision: 8
approvals:
  two: { all: [{ role: approver, m: 2 }], ttl: 1h }
rules:
  - { id: messages, effect: allow, principals: { roles: [signer] }, keys: { names: ["*"] }, operations: [message] }
  - id: consent
    effect: require
    approval: two
    operations: [message]
    when: { not: { message: { re2: "free.*" } } }
  - { id: never, effect: deny, mode: shadow, operations: [message] }
`;
const SUITE = `
suite: consent
now: 2026-11-20T10:00:00Z
tests:
  - { name: asks, as: { roles: [signer] }, key: { name: demo }, message: pay, expect: { effect: require, approval: two } }
  - { name: free, as: { roles: [signer] }, key: { name: demo }, message: free as air, expect: { effect: allow } }
`;

test('a policy is proposed by one and approved by another', async () => {
  const second = await service.principal(['policy-admin']);
  const suites = [{ name: 'consent.test.yaml', text: SUITE }];
  const { body: tested } = await call(
    admin,
    'POST /v1/policy/test',
    {},
    { document: WITH_APPROVALS, suites },
  );
  expect(tested).toMatchObject({ passed: 2, failed: 0 });
  const { body: diff } = await call(admin, 'POST /v1/policy/diff', {}, { document: WITH_APPROVALS });
  expect(diff.changes.length).toBeGreaterThan(3);
  const { body: replayed } = await call(admin, 'POST /v1/policy/replay', {}, { document: WITH_APPROVALS });
  expect(replayed.evaluated).toBeGreaterThan(0);
  expect(replayed.changed.length).toBeGreaterThan(0);

  const propose = (document: unknown): Promise<Answered> =>
    admin.post('/v1/policy/proposals', { document, suites });
  expect((await propose(WITH_APPROVALS.replace('revision: 8', 'revision: 7'))).status).toBe(422);
  expect((await propose(WITH_APPROVALS.replace('m: 2', 'm: 0'))).status).toBe(400);
  expect((await propose(WITH_APPROVALS.replace('free.*', 'other.*'))).status).toBe(422);

  const body = { document: WITH_APPROVALS, suites, comment: 'four eyes' };
  const { body: rejected } = await call(admin, 'POST /v1/policy/proposals', {}, body);
  const reject = 'POST /v1/policy/proposals/{id}/reject';
  expect((await call(second, reject, { id: rejected.id }, {})).body.status).toBe('rejected');

  const { body: proposal } = await call(admin, 'POST /v1/policy/proposals', {}, body);
  const { id } = proposal;
  expect((await call(second, 'GET /v1/policy/proposals/{id}', { id })).body).toEqual(proposal);
  expect((await admin.post(`/v1/policy/proposals/${id}/approve`, {})).status).toBe(403);
  const approve = 'POST /v1/policy/proposals/{id}/approve';
  expect((await call(second, approve, { id }, { comment: 'yes' })).body.status).toBe('accepted');
  expect((await call(admin, 'GET /v1/policy')).body.revision).toBe(8);
  const { body: listed } = await call(admin, 'GET /v1/policy/proposals', { status: 'accepted' });
  expect(listed.items).toHaveLength(1);
  const { body: revisions } = await call(admin, 'GET /v1/policy/revisions');
  expect(revisions.items.map(({ revision }: Json) => revision)).toEqual([8, 7]);
  expect(revisions.items[0].parentHash).toBe(revisions.items[1].hash);
});

test('a signature waits for the consent of two, and is made once', async () => {
  const [one, two] = [await service.principal(['approver']), await service.principal(['approver'])];
  const ask = async (): Promise<string> => {
    const answered = await signer.post('/v1/keys/demo/sign/message', { message: 'pay' });
    expect(answered.status, answered.text).toBe(202);
    return answered.body.request.id;
  };
  const approve = 'POST /v1/requests/{id}/approve';
  const show = 'GET /v1/requests/{id}';
  const id = await ask();
  expect((await signer.post('/v1/keys/demo/sign/message', { message: 'free of it' })).status).toBe(200);

  const { body: asked } = await call(one, show, { id });
  expect(asked).toMatchObject({ status: 'pending', intent: { data: '0x706179' }, votes: [] });
  expect(asked.description.join(' ')).toContain('"pay"');
  expect((await signer.post(`/v1/requests/${id}/approve`, {})).status).toBe(403);
  expect((await call(one, approve, { id }, { comment: 'ok' })).body).toMatchObject({ status: 'pending' });
  expect((await one.post(`/v1/requests/${id}/approve`, {})).status).toBe(409);

  const { body: enrolled } = await call(two, 'POST /v1/me/totp', {}, {});
  const totp = new TOTP({ secret: Secret.fromBase32(enrolled.secret) });
  // Each code counts once, and the next one at most half a minute ahead.
  const code = (steps: number): string => totp.generate({ timestamp: Date.now() + steps * 30_000 });
  await call(two, 'POST /v1/me/totp/confirm', {}, { otp: code(0) });
  expect((await two.post(`/v1/requests/${id}/approve`, {})).status).toBe(422);
  expect((await two.post(`/v1/requests/${id}/approve`, { otp: code(0) })).status).toBe(403);
  expect((await signer.get(`/v1/requests/${id}`)).body.result).toBeUndefined();

  const answers = await Promise.all([
    two.post(`/v1/requests/${id}/approve`, { otp: code(1) }),
    two.post(`/v1/requests/${id}/approve`, { otp: code(1) }),
  ]);
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
  const { body: signed } = await call(signer, show, { id });
  expect(signed).toMatchObject({ status: 'signed', result: { operation: 'message' } });
  expect(verifyMessage('pay', signed.result.signature).toLowerCase()).toBe(signed.key.address);
  expect((await call(one, show, { id })).body.result).toBeUndefined();
  const made = (await service.entries({ kind: 'sign' })).filter(
    ({ outcome, intent }) => outcome === 'done' && intent.data === '0x706179',
  );
  expect(made).toHaveLength(1);
  expect(made[0].decision).toMatchObject({
    effect: 'require',
    approvals: ['two'],
    shadow: [{ rule: 'never' }],
  });
  await call(admin, 'POST /v1/principals/{id}/totp/reset', { id: two.id }, {});

  const gone = await ask();
  expect((await call(signer, 'POST /v1/requests/{id}/cancel', { id: gone }, {})).body.status).toBe(
    'cancelled',
  );
  const refused = await ask();
  const reject = 'POST /v1/requests/{id}/reject';
  expect((await call(one, reject, { id: refused }, { comment: 'no' })).body.status).toBe('rejected');
  expect((await two.post(`/v1/requests/${refused}/approve`, {})).status).toBe(409);

  const waiting = await ask();
  await call(one, approve, { id: waiting }, {});
  must(await admin.post('/v1/sys/seal', {}));
  await two.post(`/v1/requests/${waiting}/approve`, {});
  expect((await signer.get(`/v1/requests/${waiting}`)).body.status).toBe('approved');
  must(await admin.post('/v1/sys/unseal', {}));
  const { body: executed } = await call(signer, 'POST /v1/requests/{id}/execute', { id: waiting }, {});
  expect(executed.status).toBe('signed');

  const late = await ask();
  const second = await service.principal(['policy-admin']);
  const document = WITH_APPROVALS.replace('revision: 8', 'revision: 9');
  const { body: proposal } = await call(admin, 'POST /v1/policy/proposals', {}, { document });
  expect(proposal.warnings.join(' ')).toContain(late);
  await call(second, 'POST /v1/policy/proposals/{id}/approve', { id: proposal.id }, {});
  expect((await call(signer, show, { id: late })).body.status).toBe('void');
  expect((await one.post(`/v1/requests/${late}/approve`, {})).status).toBe(409);
  const { body: page } = await call(one, 'GET /v1/requests', { status: 'void' });
  expect(page.items.map((item: Json) => item.id)).toEqual([late]);
});

/** What takes more than one call, and where that is. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  'GET /v1/audit/stream': 'audit-stream.test.ts',
  'POST /v1/audit/split-view/acknowledge': '../e2e/witnesses.test.ts',
  'POST /v1/keys/{name}/export': 'key-export.test.ts',
  'POST /v1/sys/backup': 'backup.test.ts',
  'POST /v1/sys/take-over': 'backup.test.ts',
};

test('nothing was left out', () => {
  expect([...routes.keys()].filter((name) => !seen.has(name)).toSorted()).toEqual(
    Object.keys(ELSEWHERE).toSorted(),
  );
  for (const [name, file] of Object.entries(ELSEWHERE)) {
    const text = readFileSync(path.join(import.meta.dirname, file), 'utf8');
    expect(text).toContain(name.split(' ')[1]);
  }
});
