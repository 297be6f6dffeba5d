import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OPERATIONS, type Operation } from '../../src/intent/intent.ts';
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

/** Which signer may sign with which key: each by another way that a policy has to say it. */
const MATRIX = {
  'by-name': ['one'],
  'by-tag': ['two', 'three'],
  'by-group': ['three', 'four'],
  'by-role': ['everybody', 'asleep'],
  nobody: [],
} as const;
type Signer = keyof typeof MATRIX;
const SIGNERS = Object.keys(MATRIX) as Signer[];

const TAGS: { readonly [key: string]: readonly string[] } = {
  one: ['blues', 'blue-2'],
  two: ['blue'],
  three: ['red', 'blue', 'grouped'],
  four: ['grouped'],
  everybody: [],
  asleep: [],
};
const KEYS = Object.keys(TAGS);
const DISABLED = 'asleep';

/** A valid body of each operation. */
const BODIES: { readonly [operation in Operation]: (nonce: number) => object } = {
  transaction: (nonce) => transfer(nonce),
  message: (nonce) => ({ message: `m${nonce}` }),
  'typed-data': (nonce) => ({
    domain: { name: 'x', chainId: 31337 },
    types: { M: [{ name: 'a', type: 'uint256' }] },
    primaryType: 'M',
    message: { a: `${nonce}` },
  }),
  authorization: (nonce) => ({ chainId: 31337, address: `0x${'22'.repeat(20)}`, nonce }),
  digest: (nonce) => ({ digest: `0x${nonce.toString(16).padStart(64, '0')}`, purpose: 'test' }),
};
const WHEN: { readonly [operation in Operation]?: object } = {
  transaction: { all: [{ chainId: { eq: 31337 } }, { maxTotalFee: { lte: '1 ether' } }] },
  authorization: {
    all: [
      { chainId: { eq: 31337 } },
      { authorizations: { every: { address: { eq: `0x${'22'.repeat(20)}` } } } },
    ],
  },
  digest: { digest: { purpose: { eq: 'test' } } },
};

let service: Running;
let nonce = 0;
const clients = new Map<Signer, Client & { readonly id: string }>();

beforeAll(async () => {
  service = await run(SILENT);
  for (const signer of SIGNERS) clients.set(signer, await service.principal(['signer']));
  for (const [name, tags] of Object.entries(TAGS)) must(await service.admin.post('/v1/keys', { name, tags }));
  must(await service.admin.post(`/v1/keys/${DISABLED}/versions/1/disable`, { reason: 'test' }));

  const idsOf = (signer: Signer): object => ({ ids: [clients.get(signer)!.id] });
  const grants: readonly (readonly [string, object, object])[] = [
    ['name', idsOf('by-name'), { names: ['one'] }],
    ['tag', idsOf('by-tag'), { tags: ['blue'] }],
    ['group', idsOf('by-group'), { groups: ['vault'] }],
    ['role', idsOf('by-role'), { names: ['everybody', 'asleep'] }],
  ];
  const rules = OPERATIONS.flatMap((operation) =>
    grants.map(([name, principals, keys]) => ({
      id: `${name}-${operation}`,
      effect: 'allow',
      principals,
      keys,
      operations: [operation],
      when: WHEN[operation],
    })),
  );
  const document = {
    apiVersion: 'countersign/policy/v1',
    revision: 8,
    keyGroups: { vault: { tags: ['grouped'] } },
    rules,
  };
  const second = await service.principal(['policy-admin']);
  const { body } = must(await service.admin.post('/v1/policy/proposals', { document }));
  must(await second.post(`/v1/policy/proposals/${body.id}/approve`, {}));
});
afterAll(() => service.end());

/** Status and code of the answer that is right. */
function expected(signer: Signer, key: string): readonly [number, string | undefined] {
  if (!KEYS.includes(key)) return [404, 'not_found'];
  if (!(MATRIX[signer] as readonly string[]).includes(key)) return [403, 'policy_denied'];
  return key === DISABLED ? [409, 'key_state'] : [200, undefined];
}

const outcome = ({
  status,
  body,
}: Pick<Answered, 'status' | 'body'>): readonly [number, string | undefined] => [status, body.code];

/** Beside the keys that there are: none, and names that are nearly those of a key. */
const ASKED = [...KEYS, 'nothing', 'one.', 'ONE', 'one%20', 'two-'];

test('every signing route of the API is tried here, and nothing else signs', async () => {
  const { body: document } = await service.client(undefined).get('/openapi.json');
  const signing = Object.keys(document.paths as object).filter((path) => path.includes('/sign'));
  const tried = [...OPERATIONS.map((operation) => `/v1/keys/{name}/sign/${operation}`), '/v1/sign/batch'];
  expect(signing.toSorted()).toEqual(tried.toSorted());
  const answers = Object.entries<Json>(document.paths).flatMap(([path, item]) =>
    Object.entries<Json>(item).map(([method, operation]) => ({ path, method, operation })),
  );
  // Whatever may answer with a signature: those, and requests that were approved.
  const giving = answers
    .filter(({ operation }) => JSON.stringify(operation.responses).includes('"yParity"'))
    .map(({ path }) => path);
  expect([...new Set(giving)].filter((path) => !path.startsWith('/v1/requests')).toSorted()).toEqual(
    tried.toSorted(),
  );
});

describe.each(SIGNERS)('signer %s', (signer) => {
  test.each(OPERATIONS)('signs a %s with its keys, and with no other', async (operation) => {
    const client = clients.get(signer)!;
    const from = await service.size();
    for (const key of ASKED) {
      const answer = await client.post(`/v1/keys/${key}/sign/${operation}`, BODIES[operation](nonce++));
      const malformed = /[A-Z%]/.test(key);
      expect(malformed ? [answer.status] : outcome(answer), key).toEqual(
        malformed ? [400] : expected(signer, key),
      );
      expect('signature' in answer.body, key).toBe(answer.status === 200);
    }
    const entries = (await service.entries({ from, kind: 'sign' })).map(
      ({ key, outcome: made, signature }) => [key.name, made, signature !== undefined],
    );
    // What was refused is in the log, and has no signature there either.
    const made = KEYS.map((key) => {
      const [status] = expected(signer, key);
      return [key, status === 200 ? 'done' : status === 403 ? 'denied' : 'refused', status === 200];
    });
    expect(entries).toEqual(made);
  });

  test('signs nothing else in a batch, whatever is beside it', async () => {
    const client = clients.get(signer)!;
    const pairs = OPERATIONS.flatMap((operation) => [...KEYS, 'nothing'].map((key) => ({ operation, key })));
    const items = pairs.map(({ operation, key }) => ({ key, operation, ...BODIES[operation](nonce++) }));
    const { body } = must(await client.post('/v1/sign/batch', { items }));
    const got = (body.items as Json[]).map((item) => outcome({ status: item.status, body: item }));
    expect(got).toEqual(pairs.map(({ key }) => expected(signer, key)));
  });
});

test('a signer that is bound to one key can’t get at another by its version, its body or its address', async () => {
  const client = clients.get('by-name')!;
  const { address } = must(await service.admin.get('/v1/keys/two')).body.versions[0];
  for (const body of [
    { message: 'x', version: 2 },
    { message: 'x', key: 'two' },
    { message: 'x', name: 'two' },
    { message: 'x', address },
    { message: 'x', keyName: 'two' },
    { message: 'x', approved: { requestId: 'r', approvals: [], approvers: [] } },
    { message: 'x', requester: { id: 'x', roles: ['signer'] } },
  ]) {
    const { status, body: answer } = await client.post('/v1/keys/one/sign/message', body);
    expect([400, 404], JSON.stringify(body)).toContain(status);
    expect(answer.signature).toBeUndefined();
  }
  expect(
    (await client.post(`/v1/keys/${address}/sign/message`, { message: 'x' })).body.signature,
  ).toBeUndefined();
});

test('a key that is enabled again, or disabled, is so from the next request on', async () => {
  const client = clients.get('by-role')!;
  const sign = (key: string): Promise<Answered> =>
    client.post(`/v1/keys/${key}/sign/message`, { message: 'x' });
  must(await service.admin.post(`/v1/keys/${DISABLED}/versions/1/enable`, { reason: 'test' }));
  expect((await sign(DISABLED)).status).toBe(200);
  must(await service.admin.post(`/v1/keys/${DISABLED}/versions/1/disable`, { reason: 'test' }));
  expect(outcome(await sign(DISABLED))).toEqual([409, 'key_state']);
});
