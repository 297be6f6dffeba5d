import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { must, run, statuses, type Answered, type Client, type Json, type Running } from '../http/running.ts';

let service: Running;
let admin: Client;
let names = 0;

beforeAll(async () => {
  service = await run();
  ({ admin } = service);
});
afterAll(() => service.end());

const makePrincipal = async (roles: string[]): Promise<string> =>
  must(await admin.post('/v1/principals', { name: `access-${names++}`, roles })).body.id;
const makeToken = async (id: string, options: object = {}): Promise<{ id: string; token: string }> =>
  must(await admin.post(`/v1/principals/${id}/credentials`, options)).body;
const patch = (id: string, change: object, by = admin): Promise<Answered> =>
  by.patch(`/v1/principals/${id}`, change);

describe('a credential that is not good', () => {
  const cases: { readonly [name: string]: () => Promise<{ header: string; reason: string }> } = {
    'wrong secret': async () => {
      const { id } = await makeToken(await makePrincipal(['signer']));
      return { header: `Bearer cs_${id}_${'A'.repeat(43)}`, reason: 'wrong secret' };
    },
    'unknown id': async () => {
      const { token } = await makeToken(await makePrincipal(['signer']));
      return { header: `Bearer cs_0123456789abcdef${token.slice(19)}`, reason: 'unknown credential' };
    },
    malformed: () => Promise.resolve({ header: 'Bearer cs_x_y', reason: 'malformed credential' }),
    'another scheme': () => Promise.resolve({ header: 'Basic YTpi', reason: 'malformed credential' }),
    revoked: async () => {
      const principal = await makePrincipal(['signer']);
      const { id, token } = await makeToken(principal);
      must(await service.client(token).get('/v1/me'));
      must(await admin.post(`/v1/principals/${principal}/credentials/${id}/revoke`, {}));
      return { header: `Bearer ${token}`, reason: 'revoked credential' };
    },
    expired: async () => {
      const expiresAt = new Date(Date.now() + 1_000).toISOString();
      const { token } = await makeToken(await makePrincipal(['signer']), { expiresAt });
      must(await service.client(token).get('/v1/me'));
      await new Promise((resolve) => setTimeout(resolve, 1_050));
      return { header: `Bearer ${token}`, reason: 'expired credential' };
    },
    'outside its networks': async () => {
      const { token } = await makeToken(await makePrincipal(['signer']), {
        cidrs: ['10.0.0.0/8', '2001:db8::/32'],
      });
      return { header: `Bearer ${token}`, reason: 'address not allowed' };
    },
    'of a disabled principal': async () => {
      const principal = await makePrincipal(['signer']);
      const { token } = await makeToken(principal);
      must(await service.client(token).get('/v1/me'));
      must(await patch(principal, { state: 'disabled' }));
      return { header: `Bearer ${token}`, reason: 'disabled principal' };
    },
  };
  const bodies: Json[] = [];

  test.each(Object.entries(cases))('%s: 401 at once; the log knows why', async (_, make) => {
    const { header, reason } = await make();
    const from = await service.size();
    const { status, body, headers } = await service
      .client(undefined)
      .get('/v1/me', { authorization: header });
    expect(status).toBe(401);
    expect(headers.get('www-authenticate')).toBe('Bearer');
    const { requestId, ...rest } = body;
    bodies.push(rest);
    const [entry] = await service.entries({ from });
    expect(entry).toMatchObject({
      kind: 'access.unauthenticated',
      outcome: 'denied',
      requestId,
      detail: { reason },
    });
    const id = /^Bearer cs_([0-9a-f]{16})_/.exec(header)?.[1];
    expect(entry.actor.credential).toBe(id);
    expect(entry.actor).not.toHaveProperty('principal');
  });

  test('and the answer is the same for all', () => {
    expect(bodies).toHaveLength(Object.keys(cases).length);
    expect(new Set(bodies.map((body) => JSON.stringify(body))).size).toBe(1);
  });

  test('an enabled principal is let in again; a revocation is for good', async () => {
    const principal = await makePrincipal(['signer']);
    const { id, token } = await makeToken(principal);
    must(await patch(principal, { state: 'disabled' }));
    must(await patch(principal, { state: 'enabled' }));
    must(await service.client(token).get('/v1/me'));
    const revoke = (): Promise<Answered> =>
      admin.post(`/v1/principals/${principal}/credentials/${id}/revoke`, {});
    must(await revoke());
    expect((await revoke()).status).toBe(409);
    expect((await service.client(token).get('/v1/me')).status).toBe(401);
  });
});

describe('changes', () => {
  test('of roles hold from the next request on', async () => {
    const principal = await makePrincipal(['signer']);
    const client = service.client((await makeToken(principal)).token);
    const sign = (): Promise<Answered> => client.post('/v1/keys/demo/sign/message', { message: 'x' });
    must(await sign());
    must(await patch(principal, { roles: ['auditor'] }));
    expect((await sign()).body.code).toBe('forbidden');
    must(await client.get('/v1/audit/entries?limit=1'));
    must(await patch(principal, { roles: ['signer', 'operator'] }));
    expect((await client.get('/v1/audit/entries')).status).toBe(403);
    must(await sign());
  });

  test('are in the log with what was before, and who did it', async () => {
    const id = await makePrincipal(['signer']);
    const from = await service.size();
    must(await patch(id, { roles: ['approver'], state: 'disabled' }));
    const { id: credential } = await makeToken(id, { cidrs: ['127.0.0.0/8'] });
    const entries = await service.entries({ from });
    expect(entries).toMatchObject([
      {
        kind: 'principal.updated',
        detail: {
          id,
          roles: ['approver'],
          rolesBefore: ['signer'],
          state: 'disabled',
          stateBefore: 'enabled',
        },
      },
      { kind: 'credential.created', detail: { id: credential, cidrs: ['127.0.0.0/8'] } },
    ]);
    for (const { actor } of entries)
      expect(actor).toMatchObject({ principal: 'admin', address: '127.0.0.1' });
  });

  test.each([
    ['nothing', {}],
    ['no roles', { roles: [] }],
    ['a role twice', { roles: ['signer', 'signer'] }],
    ['an unknown role', { roles: ['root'] }],
    ['an unknown state', { state: 'deleted' }],
    ['a name', { name: 'x' }],
  ])('that say %s are 400', async (_, change) => {
    expect((await patch(await makePrincipal(['signer']), change)).status).toBe(400);
  });

  test.each([
    ['a past expiry', { expiresAt: '2020-01-01T00:00:00Z' }, 'expiresAt'],
    ['no time', { expiresAt: 'tomorrow' }, 'expiresAt'],
    ['a day that is none', { expiresAt: '2099-02-30T00:00:00Z' }, 'expiresAt'],
    ['a bad network', { cidrs: ['10.0.0.0'] }, 'cidrs.0'],
    ['a network with a zone', { cidrs: ['::1/128', 'fe80::1%lo/64'] }, 'cidrs.1'],
    ['too many networks', { cidrs: Array.from({ length: 33 }, () => '10.0.0.0/8') }, 'cidrs'],
  ])('a credential with %s is 400', async (_, options, at) => {
    const { status, body } = await admin.post(
      `/v1/principals/${await makePrincipal(['signer'])}/credentials`,
      options,
    );
    expect([status, body.errors[0].path]).toEqual([400, at]);
  });

  test('roles that exclude each other are 422, in creating and in changing', async () => {
    const id = await makePrincipal(['signer']);
    for (const roles of [
      ['signer', 'admin'],
      ['policy-admin', 'signer'],
      ['auditor', 'signer'],
      ['operator', 'auditor'],
    ]) {
      const created = await admin.post('/v1/principals', { name: `pair-${names++}`, roles });
      expect([created.status, created.body.code]).toEqual([422, 'unprocessable']);
      expect((await patch(id, { roles })).status).toBe(422);
    }
    expect(must(await admin.get(`/v1/principals/${id}`)).body.roles).toEqual(['signer']);
  });

  test('a name is taken once, also by many at the same time', async () => {
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => admin.post('/v1/principals', { name: 'taken', roles: ['signer'] })),
    );
    expect(statuses(answers)).toEqual([201, ...Array.from({ length: 9 }, () => 409)]);
  });

  test('of different fields at the same time: none that was acknowledged is undone by another', async () => {
    for (let round = 0; round < 10; round++) {
      const id = await makePrincipal(['signer']);
      const [roles, state] = await Promise.all([
        patch(id, { roles: ['approver'] }),
        patch(id, { state: 'disabled' }),
      ]);
      const { body } = must(await admin.get(`/v1/principals/${id}`));
      expect(body.roles).toEqual([roles.status === 200 ? 'approver' : 'signer']);
      expect(body.state).toBe(state.status === 200 ? 'disabled' : 'enabled');
      for (const { status } of [roles, state]) expect([200, 409]).toContain(status);
      expect([roles.status, state.status]).toContain(200);
    }
  });

  test('what is not there is 404', async () => {
    const id = await makePrincipal(['signer']);
    const other = await makeToken(await makePrincipal(['signer']));
    const nobody = '00000000-0000-4000-8000-000000000000';
    expect((await patch(nobody, { state: 'disabled' })).status).toBe(404);
    expect((await admin.post(`/v1/principals/${nobody}/credentials`, {})).status).toBe(404);
    expect((await admin.post(`/v1/principals/${id}/credentials/0123456789abcdef/revoke`, {})).status).toBe(
      404,
    );
    expect((await admin.post(`/v1/principals/${id}/credentials/${other.id}/revoke`, {})).status).toBe(404);
    must(await service.client(other.token).get('/v1/me'));
  });
});

test('a token is shown once, and only a hash of its secret is on disk', async () => {
  const principal = await makePrincipal(['signer']);
  const { id, token } = await makeToken(principal);
  const secret = token.slice(-43);
  const shown = [
    await admin.get(`/v1/principals/${principal}`),
    await admin.get(`/v1/principals/${principal}/credentials`),
    await service.client(token).get('/v1/me'),
    await admin.get('/v1/audit/entries?limit=1000'),
  ].map((answered) => must(answered).text);
  expect(shown[1]).toContain(id);
  const hash = readHash(id);
  for (const text of shown) {
    expect(text).not.toContain(secret);
    expect(text).not.toContain(hash.toString('hex'));
  }
  const bytes = Buffer.from(secret, 'base64url');
  const files = readdirSync(service.data).map((file) => readFileSync(path.join(service.data, file)));
  expect(files.some((content) => content.includes(hash))).toBe(true);
  for (const content of files) {
    for (const form of [bytes, secret, bytes.toString('hex'), bytes.toString('base64')])
      expect(content.includes(form)).toBe(false);
  }

  function readHash(credential: string): Buffer {
    const db = new DatabaseSync(path.join(service.data, 'countersign.db'), { readOnly: true });
    const row = db.prepare('SELECT secret_hash FROM credentials WHERE id = ?').get(credential);
    db.close();
    return Buffer.from((row as { secret_hash: Uint8Array }).secret_hash);
  }
});

describe('the last admin', () => {
  const reset = async (): Promise<string> => must(await admin.get('/v1/me')).body.id;

  test('can’t be disabled, lose the role, or lose its last credential', async () => {
    const me = await reset();
    const { credential } = must(await admin.get('/v1/me')).body;
    for (const attempt of [
      () => patch(me, { state: 'disabled' }),
      () => patch(me, { roles: ['operator'] }),
      () => admin.post(`/v1/principals/${me}/credentials/${credential}/revoke`, {}),
    ]) {
      const size = await service.size();
      const { status, body } = await attempt();
      expect([status, body.code]).toEqual([409, 'conflict']);
      expect(await service.size()).toBe(size);
      must(await admin.get('/v1/principals'));
    }
  });

  test('is still the last when the other has no credential, a revoked one, or is disabled', async () => {
    const me = await reset();
    const other = await makePrincipal(['admin']);
    expect((await patch(me, { state: 'disabled' })).status).toBe(409);
    const { id } = await makeToken(other);
    must(await admin.post(`/v1/principals/${other}/credentials/${id}/revoke`, {}));
    expect((await patch(me, { state: 'disabled' })).status).toBe(409);
    await makeToken(other);
    must(await patch(other, { state: 'disabled' }));
    expect((await patch(me, { state: 'disabled' })).status).toBe(409);
    must(await patch(other, { roles: ['operator'] }));
  });

  test.each([
    ['expires', { expiresAt: '2999-01-01T00:00:00Z' }],
    ['is for other networks', { cidrs: ['10.0.0.0/8', '2001:db8::/32'] }],
    ['is a canary', { canary: true }],
  ])('is still the last when the credential of the other %s', async (_, options) => {
    const me = await reset();
    const other = await makePrincipal(['admin']);
    const { token } = await makeToken(other, options);
    const size = await service.size();
    expect((await patch(me, { state: 'disabled' })).body.code).toBe('conflict');
    expect(await service.size()).toBe(size);
    const { credential } = must(await admin.get('/v1/me')).body;
    const revoke = await admin.post(`/v1/principals/${me}/credentials/${credential}/revoke`, {});
    expect(revoke.status).toBe(409);
    // What its holder does with it shows that it can be used.
    const byOther = await patch(me, { state: 'disabled' }, service.client(token));
    expect(byOther.status).toBe('expiresAt' in options ? 200 : 401);
    if (byOther.status === 200) must(await patch(me, { state: 'enabled' }, service.client(token)));
    must(await patch(other, { roles: ['operator'] }));
  });

  test.each([['127.0.0.0/8'], ['::1/128']])('may go when the other is bound to %s', async (cidr) => {
    const me = await reset();
    const other = await makePrincipal(['admin']);
    await makeToken(other, { cidrs: ['10.0.0.0/8', cidr] });
    const { token } = await makeToken(other, { expiresAt: '2999-01-01T00:00:00Z' });
    expect((await patch(me, { state: 'disabled' })).status).toBe(200);
    must(await patch(me, { state: 'enabled' }, service.client(token)));
    must(await patch(other, { roles: ['operator'] }));
  });

  test('a second credential may take the place of the first', async () => {
    const me = await reset();
    const first = await makeToken(me);
    must(await service.client(first.token).post(`/v1/principals/${me}/credentials/${first.id}/revoke`, {}));
    expect((await admin.get('/v1/me')).status).toBe(200);
  });

  test('one remains when several give up, or put each other out, at the same time', async () => {
    const own = await Promise.all(Array.from({ length: 4 }, () => service.principal(['admin'])));
    const me = { ...admin, id: await reset() };
    for (let round = 0; round < 5; round++) {
      const admins = [me, ...own];
      const changes = [{ state: 'disabled' }, { roles: ['operator'] }];
      await Promise.all(
        admins.flatMap(({ id }, i) =>
          changes.map((change) => patch(id, change, admins[(i + round) % admins.length])),
        ),
      );
      // Whoever remained puts things as they were.
      const tries = await Promise.all(admins.map((one) => one.get('/v1/principals')));
      const left = admins.filter((_, i) => tries[i]!.status === 200);
      expect(left.length).toBeGreaterThan(0);
      for (const { id } of admins) must(await patch(id, { roles: ['admin'], state: 'enabled' }, left[0]));
    }
  });

  test('a role that comes and goes at the same time as the other admin leaves nobody behind', async () => {
    const me = await reset();
    for (let round = 0; round < 5; round++) {
      const other = await service.principal(['operator']);
      // The third was read before the first took effect: by then this was no admin.
      await Promise.all([
        patch(other.id, { roles: ['admin'] }),
        patch(me, { roles: ['operator'] }),
        patch(other.id, { roles: ['operator'] }),
      ]);
      const left = [admin, other];
      const tries = await Promise.all(left.map((one) => one.get('/v1/principals')));
      const by = left.find((_, i) => tries[i]!.status === 200);
      expect(by, `round ${round}`).toBeDefined();
      must(await patch(me, { roles: ['admin', 'policy-admin', 'operator'] }, by));
      must(await patch(other.id, { roles: ['operator'] }));
    }
  });
});
