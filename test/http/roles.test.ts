import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ROLES, type Role } from '../../src/access/roles.ts';
import { run, type Answered, type Client, type Json, type Running } from './running.ts';

/**
 * Who may call what, written by hand from the description of the API: admin has keys and principals, policy-admin the
 * policy, operator the seal, signer signs, auditor reads. `*` is any credential, `public` needs none.
 */
const MATRIX: { readonly [route: string]: 'public' | '*' | readonly Role[] } = {
  'GET /healthz': 'public',
  'GET /readyz': 'public',
  'GET /metrics': 'public',
  'GET /openapi.json': 'public',
  'GET /docs': 'public',

  'GET /v1/sys/status': '*',
  'POST /v1/sys/init': ['operator'],
  'POST /v1/sys/unseal': ['operator'],
  'POST /v1/sys/seal': ['admin', 'operator'],
  'POST /v1/sys/rekey': ['operator'],
  'GET /v1/sys/rekey': ['admin', 'operator', 'auditor'],
  'POST /v1/sys/rekey/authorize': ['operator'],
  'POST /v1/sys/rekey/verify': ['operator'],
  'POST /v1/sys/rekey/cancel': ['operator'],
  'POST /v1/sys/rotate-root': ['operator'],
  'POST /v1/sys/rewrap': ['operator'],
  'GET /v1/sys/rewrap': ['admin', 'operator', 'auditor'],
  'POST /v1/sys/rotate-log-key': ['operator'],
  'POST /v1/sys/backup': ['operator'],
  'POST /v1/sys/take-over': ['operator'],

  'POST /v1/keys': ['admin'],
  'POST /v1/keys/import': ['admin'],
  'POST /v1/keys/import/wrapping-key': ['admin'],
  'POST /v1/keys/{name}/export': ['admin'],
  'GET /v1/keys': '*',
  'GET /v1/keys/{name}': '*',
  'POST /v1/keys/{name}/versions/{version}/disable': ['admin'],
  'POST /v1/keys/{name}/versions/{version}/enable': ['admin'],
  'POST /v1/keys/{name}/versions/{version}/compromise': ['admin', 'operator'],
  'POST /v1/keys/{name}/versions/{version}/schedule-destruction': ['admin'],
  'POST /v1/keys/{name}/versions/{version}/cancel-destruction': ['admin'],
  'GET /v1/keys/{name}/versions/{version}/consequences': ['admin', 'operator', 'auditor'],

  'POST /v1/keys/{name}/rotations': ['admin'],
  'POST /v1/keys/{name}/rotation-schedule': ['admin'],
  'GET /v1/rotations': ['admin', 'operator', 'auditor'],
  'GET /v1/rotations/{id}': ['admin', 'operator', 'auditor'],
  'POST /v1/rotations/{id}/advance': ['operator'],
  'POST /v1/rotations/{id}/abort': ['operator'],

  'POST /v1/keys/{name}/sign/transaction': ['signer'],
  'POST /v1/keys/{name}/sign/message': ['signer'],
  'POST /v1/keys/{name}/sign/typed-data': ['signer'],
  'POST /v1/keys/{name}/sign/authorization': ['signer'],
  'POST /v1/keys/{name}/sign/digest': ['signer'],
  'POST /v1/sign/batch': ['signer'],

  'GET /v1/requests': ['admin', 'policy-admin', 'approver', 'operator', 'signer', 'auditor'],
  'GET /v1/requests/{id}': ['admin', 'policy-admin', 'approver', 'operator', 'signer', 'auditor'],
  'POST /v1/requests/{id}/approve': ['admin', 'policy-admin', 'approver', 'operator'],
  'POST /v1/requests/{id}/reject': ['admin', 'policy-admin', 'approver', 'operator'],
  'POST /v1/requests/{id}/cancel': ['admin', 'signer'],
  'POST /v1/requests/{id}/execute': ['signer'],

  'GET /v1/policy': ['admin', 'policy-admin', 'approver', 'operator', 'auditor'],
  'GET /v1/policy/revisions': ['admin', 'policy-admin', 'approver', 'operator', 'auditor'],
  'POST /v1/policy/evaluate': ['policy-admin', 'signer', 'auditor'],
  'POST /v1/policy/test': ['policy-admin', 'auditor'],
  'POST /v1/policy/diff': ['admin', 'policy-admin', 'approver', 'operator', 'auditor'],
  'POST /v1/policy/replay': ['policy-admin', 'auditor'],
  'POST /v1/policy/proposals': ['policy-admin'],
  'GET /v1/policy/proposals': ['admin', 'policy-admin', 'approver', 'operator', 'auditor'],
  'GET /v1/policy/proposals/{id}': ['admin', 'policy-admin', 'approver', 'operator', 'auditor'],
  'POST /v1/policy/proposals/{id}/approve': ['admin', 'policy-admin', 'approver', 'operator'],
  'POST /v1/policy/proposals/{id}/reject': ['admin', 'policy-admin', 'approver', 'operator'],

  'GET /v1/me': '*',
  'POST /v1/me/credentials/rotate': '*',
  'POST /v1/me/totp': ['admin', 'policy-admin', 'approver', 'operator'],
  'POST /v1/me/totp/confirm': ['admin', 'policy-admin', 'approver', 'operator'],
  'POST /v1/principals': ['admin'],
  'GET /v1/principals': ['admin', 'auditor'],
  'GET /v1/principals/{id}': ['admin', 'auditor'],
  'PATCH /v1/principals/{id}': ['admin'],
  'POST /v1/principals/{id}/credentials': ['admin'],
  'GET /v1/principals/{id}/credentials': ['admin', 'auditor'],
  'POST /v1/principals/{id}/credentials/{credential}/revoke': ['admin'],
  'POST /v1/principals/{id}/credentials/{credential}/rotate': ['admin'],
  'POST /v1/principals/{id}/certificates': ['admin'],
  'POST /v1/principals/{id}/totp/reset': ['admin'],

  'GET /v1/audit/entries': ['admin', 'auditor'],
  'GET /v1/audit/entries/{index}': ['admin', 'auditor'],
  'GET /v1/audit/entries/{index}/proof': ['admin', 'auditor'],
  'GET /v1/audit/tile/{level}/{tile}': ['admin', 'auditor'],
  'GET /v1/audit/tile/entries/{tile}': ['admin', 'auditor'],
  'GET /v1/audit/data/{sha256}': ['admin', 'auditor'],
  'GET /v1/audit/stream': ['admin', 'auditor'],
  'GET /v1/audit/export': ['admin', 'auditor'],
  'GET /v1/audit/checkpoint': ['admin', 'auditor'],
  'GET /v1/audit/checkpoints': ['admin', 'auditor'],
  'GET /v1/audit/key': '*',
  'POST /v1/audit/split-view/acknowledge': ['admin', 'operator'],
};

const PARAMETERS: { readonly [name: string]: string } = {
  name: 'demo',
  version: '1',
  index: '0',
  id: randomUUID(),
  credential: '0123456789abcdef',
  level: '0',
  tile: '000.p/1',
  sha256: `0x${'00'.repeat(32)}`,
};

let service: Running;
let operations: { route: string; method: string; path: string; operation: Json }[];
const clients = new Map<Role, Client & { readonly id: string }>();

beforeAll(async () => {
  service = await run();
  const { body: document } = await service.client(undefined).get('/openapi.json');
  operations = Object.entries<Json>(document.paths).flatMap(([path, item]) =>
    Object.entries<Json>(item).map(([name, operation]) => {
      const method = name.toUpperCase();
      return { route: `${method} ${path}`, method, path: fill(path), operation };
    }),
  );
  for (const role of ROLES) clients.set(role, await service.principal([role]));
});
afterAll(() => service.end());

function fill(path: string): string {
  return path.replaceAll(/\{(\w+)\}/g, (_, name: string) => PARAMETERS[name] ?? `no value for ${name}`);
}

/** With a body that no route takes: what gets as far as reading it was let in, and does nothing. */
async function call(
  client: Client,
  { method, path }: { method: string; path: string },
): Promise<Pick<Answered, 'status' | 'headers' | 'body'>> {
  if (path === '/v1/audit/stream') return await beginning(client, path);
  if (method === 'GET') return await client.get(path);
  return await client.send(method, path, {
    body: '{"not":"a field"}',
    headers: { 'content-type': 'application/json' },
  });
}

/** Of a good answer that has no end, no more than that it began. */
async function beginning(
  { token }: Client,
  path: string,
): Promise<Pick<Answered, 'status' | 'headers' | 'body'>> {
  const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const response = await fetch(service.url + path, { headers: authorization });
  const { status, headers } = response;
  if (!response.ok) return { status, headers, body: await response.json() };
  await response.body?.cancel();
  return { status, headers, body: undefined };
}

test('the table has every route, and no other', () => {
  expect(Object.keys(MATRIX).toSorted()).toEqual(operations.map(({ route }) => route).toSorted());
});

test('the OpenAPI document says what the table says', () => {
  for (const { route, operation } of operations) {
    const expected = MATRIX[route] ?? [];
    expect('security' in operation, route).toBe(expected !== 'public');
    const roles = typeof expected === 'string' ? undefined : expected.toSorted();
    expect(operation['x-roles']?.toSorted(), route).toEqual(roles);
  }
});

describe.each(ROLES)('role %s', (role) => {
  test('is let in exactly where the table says, and is logged where it is not', async () => {
    const from = await service.size();
    const client = clients.get(role)!;
    const refused: string[] = [];
    for (const operation of operations) {
      const expected = MATRIX[operation.route] ?? [];
      const allowed = typeof expected === 'string' || expected.includes(role);
      const { status, body } = await call(client, operation);
      // Let in, it gets as far as the body, which is wrong; without a body, it gets its answer, or a 404.
      const good = operation.method === 'GET' ? [200, 404] : [400];
      expect(allowed ? good : [403], operation.route).toContain(status);
      expect(body?.code === 'forbidden', operation.route).toBe(!allowed);
      if (!allowed) refused.push(operation.route);
    }
    const entries = (await service.entries({ from })).filter(({ kind }) => kind.startsWith('access.'));
    expect(entries.map(({ detail }) => `${detail.method} ${detail.route}`)).toEqual(refused);
    for (const entry of entries) {
      expect(entry).toMatchObject({
        kind: 'access.forbidden',
        outcome: 'denied',
        actor: {
          principal: expect.stringMatching(/^p/),
          credential: expect.any(String),
          address: '127.0.0.1',
        },
      });
    }
  });
});

test('without a credential, everything but the public routes is 401, and logged', async () => {
  const from = await service.size();
  const refused: string[] = [];
  for (const operation of operations) {
    const isPublic = MATRIX[operation.route] === 'public';
    const { status, body, headers } = await call(service.client(undefined), operation);
    expect(status, operation.route).toBe(isPublic ? 200 : 401);
    expect(body?.code, operation.route).toBe(isPublic ? undefined : 'unauthenticated');
    expect(headers.get('www-authenticate'), operation.route).toBe(isPublic ? null : 'Bearer');
    if (!isPublic) refused.push(operation.route);
  }
  const entries = (await service.entries({ from })).filter(({ kind }) => kind.startsWith('access.'));
  expect(entries.map(({ detail }) => `${detail.method} ${detail.route}`)).toEqual(refused);
  for (const entry of entries) {
    expect(entry).toMatchObject({
      kind: 'access.unauthenticated',
      outcome: 'denied',
      actor: { address: '127.0.0.1' },
      detail: { reason: 'no credential' },
    });
  }
});

test('HEAD needs what GET needs', async () => {
  const auditor = await clients.get('signer')!.send('HEAD', '/v1/audit/entries');
  expect(auditor.status).toBe(403);
  expect((await service.client(undefined).send('HEAD', '/v1/me')).status).toBe(401);
  expect((await clients.get('signer')!.send('HEAD', '/v1/me')).status).toBe(200);
});

test('who is let in by one role is not stopped by another', async () => {
  const both = await service.principal(['operator', 'signer']);
  expect((await both.post('/v1/sys/unseal', { no: 1 })).status).toBe(400);
  expect((await both.post('/v1/keys/demo/sign/message', { message: 'x' })).status).toBe(200);
});

test('a key is signed with only by those whom the policy gives it to', async () => {
  const [one, other] = [await service.principal(['signer']), await service.principal(['signer'])];
  for (const name of ['key-of-one', 'key-of-other']) {
    expect((await service.admin.post('/v1/keys', { name })).status).toBe(201);
  }
  const rule = (id: string, key: string): object => ({
    id: key,
    effect: 'allow',
    principals: { ids: [id] },
    keys: { names: [key] },
    operations: ['message'],
  });
  const document = {
    apiVersion: 'countersign/policy/v1',
    revision: 8,
    rules: [rule(one.id, 'key-of-one'), rule(other.id, 'key-of-other')],
  };
  const second = await service.principal(['policy-admin']);
  const { body: proposal } = await service.admin.post('/v1/policy/proposals', { document });
  const approved = await second.post(`/v1/policy/proposals/${proposal.id}/approve`, {});
  expect(approved.body.status, approved.text).toBe('accepted');

  const sign = (client: Client, key: string): Promise<Answered> =>
    client.post(`/v1/keys/${key}/sign/message`, { message: 'x' });
  expect((await sign(one, 'key-of-one')).status).toBe(200);
  expect((await sign(other, 'key-of-other')).status).toBe(200);
  for (const [client, key] of [
    [one, 'key-of-other'],
    [other, 'key-of-one'],
    [one, 'demo'],
    [service.signer, 'key-of-one'],
  ] as const) {
    expect((await sign(client, key)).body).toMatchObject({ status: 403, code: 'policy_denied' });
  }
});
