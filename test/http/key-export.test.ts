import { Wallet } from 'ethers';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { exportedShape } from '../../src/http/key-shapes.ts';
import { must, run, SILENT, statuses, type Answered, type Client, type Running } from './running.ts';
import { wrap } from './wrapping.ts';

/** `POST /v1/keys/{name}/export`: who may export which key, by whose consent. */
const POLICY = `
apiVersion: countersign/policy/v1
revision: 1
approvals:
  two: { all: [{ role: approver, m: 2 }] }
  roles: { all: [{ role: approver, m: 1 }, { role: operator, m: 1 }] }
  one: { all: [{ role: approver, m: 1 }] }
  both: { all: [{ role: approver, m: 1 }, { role: operator, m: 1 }], distinct: false }
rules:
  - { id: out, effect: allow, principals: { roles: [admin] }, keys: { tags: [out] }, operations: [key.export] }
  - { id: office, effect: allow, principals: { roles: [admin] }, source: { cidr: [198.51.100.0/24] }, keys: { tags: [office] }, operations: [key.export] }
  - { id: ask-two, effect: require, keys: { tags: [two] }, operations: [key.export], approval: two }
  - { id: ask-roles, effect: require, keys: { tags: [roles] }, operations: [key.export], approval: roles }
  - { id: ask-one, effect: require, keys: { tags: [one] }, operations: [key.export], approval: one }
  - { id: ask-both, effect: require, keys: { tags: [both] }, operations: [key.export], approval: both }
  - { id: talk, effect: allow, principals: { roles: [signer] }, keys: { names: ["*"] }, operations: [message] }
`;
const PASSWORD = 'correct horse battery staple';

type Person = Client & { readonly id: string };
let service: Running;
let ann: Person;
let bob: Person;
let key: string;
let made = 0;

beforeAll(async () => {
  service = await run(SILENT, { policy: POLICY });
  ann = await service.principal(['approver']);
  bob = await service.principal(['approver']);
});
afterAll(() => service.end());
beforeEach(async () => {
  key = await newKey(['out', 'two']);
});

async function newKey(tags: readonly string[], exportable = true): Promise<string> {
  const name = `key-${made++}`;
  const { body } = must(await service.admin.post('/v1/keys', { name, tags, exportable }));
  expect(body.exportable).toBe(exportable);
  return name;
}

const post = (body: object, by: Client = service.admin, name = key): Promise<Answered> =>
  by.post(`/v1/keys/${name}/export`, body);
const vote = (by: Client, id: string, verb = 'approve'): Promise<Answered> =>
  by.post(`/v1/requests/${id}/${verb}`, {});
const stateOf = async (id: string): Promise<string> => must(await ann.get(`/v1/requests/${id}`)).body.status;
const outcome = ({ status, body }: Answered): readonly [number, string] => [status, body.code];

async function ask(): Promise<string> {
  const answer = await post({});
  expect(answer.status, answer.text).toBe(202);
  return answer.body.request.id;
}

async function approved(): Promise<string> {
  const id = await ask();
  must(await vote(ann, id));
  must(await vote(bob, id));
  expect(await stateOf(id)).toBe('approved');
  return id;
}

async function addressOf(name = key): Promise<string> {
  return must(await service.admin.get(`/v1/keys/${name}`)).body.versions[0].address;
}

async function open(keystore: object, password: string): Promise<string> {
  return (await Wallet.fromEncryptedJson(JSON.stringify(keystore), password)).address.toLowerCase();
}

describe('an export', () => {
  test('is fetched from where the policy lets it be asked for, and from nowhere else', async () => {
    const proxied = await run(SILENT, { policy: POLICY, trustedProxies: ['127.0.0.1/32'] });
    try {
      const from = (address: string) => ({ 'x-forwarded-for': address });
      const others = [await proxied.principal(['approver']), await proxied.principal(['approver'])];
      must(
        await proxied.admin.post('/v1/keys', { name: 'vault', tags: ['office', 'two'], exportable: true }),
      );
      const path = '/v1/keys/vault/export';
      expect(outcome(await proxied.admin.post(path, {}, from('203.0.113.9')))).toEqual([
        403,
        'policy_denied',
      ]);
      const { body } = await proxied.admin.post(path, {}, from('198.51.100.7'));
      for (const other of others) must(await other.post(`/v1/requests/${body.request.id}/approve`, {}));
      const fetch = { request: body.request.id, password: PASSWORD };
      expect(outcome(await proxied.admin.post(path, fetch, from('203.0.113.9')))).toEqual([
        403,
        'policy_denied',
      ]);
      expect(await proxied.entries({ kind: 'key.exported' })).toEqual([]);

      const second = await proxied.admin.post(path, {}, from('198.51.100.8'));
      const { id } = second.body.request;
      for (const other of others) must(await other.post(`/v1/requests/${id}/approve`, {}));
      must(await proxied.admin.post(path, { request: id, password: PASSWORD }, from('198.51.100.9')));
    } finally {
      await proxied.end();
    }
  });

  test('that two others consented to gives a V3 file, once, and is in the log', async () => {
    const id = await ask();
    const shown = must(await ann.get(`/v1/requests/${id}`)).body;
    expect(shown).toMatchObject({
      operation: 'key.export',
      status: 'pending',
      intent: {},
      key: { name: key },
    });
    expect(shown.description.join('\n')).toMatch(/Export the private key.*\n.*leaves this service/);
    expect(shown.digest).toBeUndefined();
    expect((await post({ request: id, password: PASSWORD })).body.detail).toMatch(/is pending/);
    must(await vote(ann, id));
    expect(outcome(await post({ request: id, password: PASSWORD }))).toEqual([409, 'conflict']);
    must(await vote(bob, id));

    const { body } = must(await post({ request: id, password: PASSWORD }));
    exportedShape.parse(body);
    expect(await open(body.keystore, PASSWORD)).toBe(await addressOf());
    expect(body.keystore.crypto.kdfparams).toMatchObject({ n: 131072, r: 8, p: 1 });
    expect(body.key).toMatchObject({ name: key, version: 1 });
    expect(await stateOf(id)).toBe('exported');
    expect(outcome(await post({ request: id, password: PASSWORD }))).toEqual([409, 'conflict']);

    const entry = (await service.entries({ kind: 'key.exported' })).at(-1);
    expect(entry).toMatchObject({
      index: body.receipt.index,
      outcome: 'done',
      operation: 'key.export',
      key: { name: key, version: 1 },
      decision: {
        effect: 'require',
        rule: 'out',
        approvals: ['two'],
        approvers: [expect.any(String), expect.any(String)],
      },
      detail: { request: id, kdf: 'scrypt', wrapped: false },
    });
    const everything = JSON.stringify([
      await service.entries(),
      must(await ann.get(`/v1/requests/${id}`)).body,
    ]);
    expect(everything).not.toContain(PASSWORD);
    expect(everything).not.toContain(body.keystore.crypto.ciphertext);
  });

  test('takes a password that is encrypted to the signer process, for this key and this use', async () => {
    const id = await approved();
    const secret = { form: 'password' as const, password: Buffer.from(PASSWORD) };
    const send = async (change: object): Promise<Answered> =>
      post({
        request: id,
        wrappedPassword: await wrap(service.admin, key, secret, { purpose: 'export', ...change }),
        kdf: { kdf: 'pbkdf2' },
      });
    expect(outcome(await send({ keyName: 'other' }))).toEqual([422, 'unprocessable']);
    expect(outcome(await send({ purpose: 'import' }))).toEqual([422, 'unprocessable']);
    const { body } = must(await send({}));
    expect(body.keystore.crypto).toMatchObject({ kdf: 'pbkdf2', kdfparams: { c: 600000 } });
    expect(await open(body.keystore, PASSWORD)).toBe(await addressOf());
  });

  test('of a key from elsewhere gives that key', async () => {
    const wallet = Wallet.createRandom();
    key = `key-${made++}`;
    const source = { type: 'private-key', privateKey: wallet.privateKey };
    must(
      await service.admin.post('/v1/keys/import', {
        name: key,
        tags: ['out', 'two'],
        exportable: true,
        source,
      }),
    );
    const { body } = must(await post({ request: await approved(), password: PASSWORD }));
    const opened = await Wallet.fromEncryptedJson(JSON.stringify(body.keystore), PASSWORD);
    expect(opened.privateKey).toBe(wallet.privateKey);
  });

  test('is made once, however often it is asked for at the same time', async () => {
    const id = await approved();
    const answers = await Promise.all([1, 2, 3].map(() => post({ request: id, password: PASSWORD })));
    expect(statuses(answers)).toEqual([200, 409, 409]);
    const done = await service.entries({ kind: 'key.exported' });
    expect(done.filter(({ detail }) => detail.request === id)).toHaveLength(1);
  });

  test('is not given again to the repeat of its request', async () => {
    const id = await approved();
    const headers = { 'idempotency-key': `export-${id}` };
    const body = { request: id, password: PASSWORD };
    must(await service.admin.post(`/v1/keys/${key}/export`, body, headers));
    const repeat = await service.admin.post(`/v1/keys/${key}/export`, body, headers);
    expect([repeat.status, repeat.body.detail]).toEqual([409, expect.stringContaining('shown once')]);
  });

  test('goes on signing: the key stays here, too', async () => {
    must(await post({ request: await approved(), password: PASSWORD }));
    const signed = await service.signer.post(`/v1/keys/${key}/sign/message`, { message: 'x' });
    expect(signed.status, signed.text).toBe(200);
  });
});

describe('no export', () => {
  const refusals = async (): Promise<number> =>
    (await service.entries({ kind: 'key.export_refused' })).length;

  test('of a key that was not made exportable', async () => {
    const name = await newKey(['out', 'two'], false);
    const before = await refusals();
    expect(outcome(await post({}, service.admin, name))).toEqual([403, 'forbidden']);
    expect(await refusals()).toBe(before + 1);
  });

  test.each([
    ['no rule that allows it', ['two'], 403, 'policy_denied'],
    ['no rule that asks for consent', ['out'], 403, 'policy_denied'],
    ['the consent of one', ['out', 'one'], 422, 'unprocessable'],
    ['two roles that one person may have', ['out', 'both'], 422, 'unprocessable'],
  ])('by %s', async (_, tags, status, code) => {
    const name = await newKey(tags);
    expect(outcome(await post({}, service.admin, name))).toEqual([status, code]);
    const entry = (await service.entries({ kind: 'key.export_refused' })).at(-1);
    expect(entry).toMatchObject({ key: { name }, outcome: code === 'policy_denied' ? 'denied' : 'refused' });
  });

  test('by whoever else asks for what one admin was given, or for another key', async () => {
    const id = await approved();
    const other = await service.principal(['admin']);
    const password = PASSWORD;
    expect(outcome(await post({ request: id, password }, other))).toEqual([403, 'forbidden']);
    for (const by of [ann, service.signer]) {
      expect((await post({ request: id, password }, by)).status).toBe(403);
    }
    const second = await newKey(['out', 'two']);
    expect(outcome(await post({ request: id, password }, service.admin, second))).toEqual([404, 'not_found']);
    // A request to sign is none to export.
    expect(await stateOf(id)).toBe('approved');
  });

  test('by consent of the requester', async () => {
    const both = await service.principal(['admin', 'approver']);
    const { body } = await post({}, both);
    expect(outcome(await vote(both, body.request.id))).toEqual([403, 'forbidden']);
  });

  test('after a rejection, a cancellation, or another policy', async () => {
    const rejected = await ask();
    must(await vote(ann, rejected, 'reject'));
    const cancelled = await approved();
    must(await vote(service.admin, cancelled, 'cancel'));
    for (const id of [rejected, cancelled]) {
      expect(outcome(await post({ request: id, password: PASSWORD }))).toEqual([409, 'conflict']);
    }
  });

  test('when an approver lost the role since', async () => {
    const eve = await service.principal(['approver']);
    const id = await ask();
    must(await vote(ann, id));
    must(await vote(eve, id));
    must(await service.admin.patch(`/v1/principals/${eve.id}`, { state: 'disabled' }));
    expect(outcome(await post({ request: id, password: PASSWORD }))).toEqual([403, 'approval_required']);
    expect(await stateOf(id)).toBe('failed');
  });

  test('of a version that is compromised, and while the service is sealed', async () => {
    const id = await approved();
    must(await service.admin.post('/v1/sys/seal', {}));
    expect(outcome(await post({ request: id, password: PASSWORD }))).toEqual([503, 'sealed']);
    must(await service.admin.post('/v1/sys/unseal', {}));
    expect(await stateOf(id)).toBe('approved');
    must(await service.admin.post(`/v1/keys/${key}/versions/1/compromise`, { reason: 'test' }));
    expect(outcome(await post({ request: id, password: PASSWORD }))).toEqual([409, 'key_state']);
    expect(await stateOf(id)).toBe('failed');
    expect(outcome(await post({}))).toEqual([409, 'key_state']);
  });

  test('of a canary, and the alert is in the log', async () => {
    const name = `key-${made++}`;
    const body = { name, tags: ['out', 'two'], exportable: true, canary: true };
    must(await service.admin.post('/v1/keys', body));
    expect(outcome(await post({}, service.admin, name))).toEqual([403, 'policy_denied']);
    const alert = (await service.entries({ kind: 'alert.canary_key_used' })).at(-1);
    expect(alert).toMatchObject({ operation: 'key.export', key: { name } });
  });

  test('by signing it', async () => {
    const id = await approved();
    const signerAdmin = await vote(service.admin, id, 'execute');
    expect(signerAdmin.status).toBe(403);
    expect(await stateOf(id)).toBe('approved');
  });

  test.each([
    ['a password without a request', { password: PASSWORD }],
    ['a short password', { request: crypto.randomUUID(), password: 'short' }],
    ['no password', { request: crypto.randomUUID() }],
    [
      'a KDF under the floor',
      { request: crypto.randomUUID(), password: PASSWORD, kdf: { kdf: 'scrypt', n: 4096 } },
    ],
    ['a KDF that V3 has not', { request: crypto.randomUUID(), password: PASSWORD, kdf: { kdf: 'argon2id' } }],
    ['a version beside the request', { request: crypto.randomUUID(), password: PASSWORD, version: 1 }],
  ])('for %s', async (_, body) => {
    expect(outcome(await post(body))).toEqual([400, 'invalid_request']);
  });
});
