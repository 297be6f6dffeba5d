import { createHmac } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createServer as createHttpServer, type RequestListener, type Server } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import {
  exportJWK,
  exportSPKI,
  generateKeyPair,
  SignJWT,
  UnsecuredJWT,
  type CryptoKey,
  type JWK,
} from 'jose';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { principalIdOf, type OidcSettings } from '../../src/access/oidc.ts';
import { runAccess, type AccessHarness, type Called } from './access-service.ts';
import { makePki, type Pki } from './pki.ts';

const ISSUER = 'https://idp.example';
const AUDIENCE = 'countersign';

interface TestKey {
  readonly kid: string;
  readonly alg: string;
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
  readonly jwk: JWK;
}

async function makeKey(kid: string, alg: string): Promise<TestKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { kid, alg, privateKey, publicKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}

let pki: Pki;
let keys: TestKey[];
let key: TestKey;
let files = 0;
let service: AccessHarness;

beforeAll(async () => {
  pki = makePki();
  keys = await Promise.all(['ES256', 'RS256', 'PS256', 'EdDSA'].map((alg) => makeKey(alg, alg)));
  key = keys[0]!;
});
afterAll(() => pki.remove());
afterEach(() => service.end());

function jwksFile(...given: readonly TestKey[]): string {
  const file = path.join(pki.directory, `jwks${files++}.json`);
  writeFileSync(file, JSON.stringify({ keys: given.map(({ jwk }) => jwk) }));
  return file;
}

const provider = (change: Partial<OidcSettings> = {}): OidcSettings => ({
  name: 'idp',
  issuer: ISSUER,
  audience: AUDIENCE,
  algorithms: ['RS256', 'ES256', 'PS256', 'EdDSA'],
  subject: 'sub',
  roles: [
    { claim: 'groups', value: 'signers', roles: ['signer'] },
    { claim: 'groups', value: 'approvers', roles: ['approver'] },
    { claim: 'groups', value: 'admins', roles: ['admin'] },
  ],
  clockTolerance: 0,
  ...('jwks' in change ? {} : { jwks: jwksFile(...keys) }),
  ...change,
});

const start = async (change: Partial<OidcSettings> = {}): Promise<void> => {
  service = await runAccess({ oidc: [provider(change)] });
};

const now = (): number => Math.floor(Date.now() / 1_000);
const claimsOf = (change: object = {}): Record<string, unknown> => ({
  iss: ISSUER,
  aud: AUDIENCE,
  sub: 'alice',
  groups: ['signers'],
  iat: now(),
  exp: now() + 600,
  ...change,
});
const sign = (claims: object, by = key, header: object = {}): Promise<string> =>
  new SignJWT(JSON.parse(JSON.stringify(claims)))
    .setProtectedHeader({ alg: by.alg, kid: by.kid, ...header })
    .sign(by.privateKey);
const token = (change: object = {}, by = key, header: object = {}): Promise<string> =>
  sign(claimsOf(change), by, header);
const me = (bearer: string): Promise<Called> => service.call('GET', '/v1/me', { token: bearer });
const lastReason = (): unknown => service.entries('access.unauthenticated').at(-1)?.detail?.['reason'];
const refused = async (bearer: string, reason: string | RegExp): Promise<void> => {
  expect((await me(bearer)).status, String(reason)).toBe(401);
  expect(lastReason()).toMatch(reason);
};
/** How many became principals, the admin aside. */
const met = (): number => service.entries('principal.created').length - 1;

describe('a token of an identity provider', () => {
  test('lets its subject in, who becomes a principal with an entry at first sight, once', async () => {
    await start();
    const bearer = await token();
    const answers = await Promise.all(Array.from({ length: 10 }, () => me(bearer)));
    for (const { status, body } of answers) {
      expect(status).toBe(200);
      expect(body).toMatchObject({
        id: principalIdOf(ISSUER, 'alice'),
        name: 'idp:alice',
        roles: ['signer'],
        credential: 'oidc:idp',
        mtls: false,
      });
    }
    await me(await token({ jti: 'another' }));
    const created = service.entries('principal.created').slice(1);
    expect(created).toHaveLength(1);
    expect(created[0]).toMatchObject({
      outcome: 'done',
      detail: {
        id: principalIdOf(ISSUER, 'alice'),
        name: 'idp:alice',
        kind: 'oidc',
        issuer: ISSUER,
        subject: 'alice',
        roles: ['signer'],
      },
    });
    expect((await service.call('POST', '/v1/x', { token: bearer, body: {} })).status).toBe(200);
    expect(service.entries('sign').at(-1)?.actor).toMatchObject({
      principal: 'idp:alice',
      roles: ['signer'],
      credential: 'oidc:idp',
    });
    // Nothing of a token but what is said in its claims is written anywhere.
    for (const part of bearer.split('.')) expect(JSON.stringify(service.entries())).not.toContain(part);
  });

  test.each(['ES256', 'RS256', 'PS256', 'EdDSA'])('may be signed with %s', async (alg) => {
    await start();
    const by = keys.find((each) => each.alg === alg)!;
    expect((await me(await token({}, by))).status).toBe(200);
  });

  test('is refused for what is wrong with it, and the log knows what', async () => {
    await start();
    const other = await makeKey('ES256', 'ES256');
    const good = await token();
    const [header = '', , signature = ''] = good.split('.');
    const payload = Buffer.from(JSON.stringify(claimsOf({ sub: 'mallory' }))).toString('base64url');
    await refused(await token({ iss: 'https://evil.example' }), 'unknown issuer');
    await refused(await token({ iss: `${ISSUER}/` }), 'unknown issuer');
    await refused(await token({ iss: undefined }), 'unknown issuer');
    await refused(await token({ aud: 'other' }), 'wrong claim aud');
    await refused(await token({ aud: ['other'] }), 'wrong claim aud');
    await refused(await token({ aud: undefined }), 'wrong claim aud');
    await refused(await token({ exp: now() - 1 }), 'expired token');
    await refused(await token({ exp: undefined }), 'wrong claim exp');
    await refused(await token({ exp: 'soon' }), 'wrong claim exp');
    await refused(await token({ nbf: now() + 60 }), 'wrong claim nbf');
    // Enough failures from one address: here it begins anew.
    await service.end();
    await start();
    await refused(await token({ sub: undefined }), 'no subject');
    await refused(await token({ sub: '' }), 'no subject');
    await refused(await token({ sub: 7 }), 'no subject');
    await refused(await token({ sub: 'x'.repeat(256) }), 'unusable subject');
    await refused(await token({ groups: [] }), 'no role for these claims');
    await refused(await token({ groups: 'signer' }), 'no role for these claims');
    await refused(await token({ groups: [['signers']] }), 'no role for these claims');
    await refused(await token({ groups: ['signers', 'admins'] }), 'roles that exclude each other');
    await refused(await token({}, other), 'wrong signature');
    await refused(`${header}.${payload}.${signature}`, 'wrong signature');
    await refused(await token({}, { ...key, kid: 'unheard' }), 'unknown key');
    await refused(await token({}, key, { typ: 'logout+jwt' }), 'another type of token');
    expect(service.entries('principal.created')).toHaveLength(1);
  });

  test('is never verified with a secret, or not at all', async () => {
    await start();
    const spki = await exportSPKI(keys[1]!.publicKey);
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    for (const alg of ['HS256', 'HS512']) {
      const text = `${part({ alg, kid: 'RS256' })}.${part(claimsOf())}`;
      const mac = createHmac(alg === 'HS256' ? 'sha256' : 'sha512', spki)
        .update(text)
        .digest('base64url');
      await refused(`${text}.${mac}`, 'algorithm not allowed');
    }
    await refused(`${part({ alg: 'none' })}.${part(claimsOf())}.AA`, 'algorithm not allowed');
    await refused(new UnsecuredJWT(claimsOf()).encode(), 'malformed credential');
    await refused(`${part({ alg: 'ES256', crit: ['x'], x: 1, kid: 'ES256' })}.${part(claimsOf())}.AA`, /./);
    await refused(`${part(claimsOf())}.${part(claimsOf())}.AA`, 'malformed credential');
    await refused('a.b.c', 'malformed credential');
    expect(met()).toBe(0);
  });

  test('ends at its expiry on a service that knows it already, too', async () => {
    await start();
    const bearer = await token({ exp: now() + 2 });
    expect((await me(bearer)).status).toBe(200);
    await new Promise((resolve) => setTimeout(resolve, 2_100));
    await refused(bearer, 'expired token');
  });

  test('has an age, where one is configured, and clocks may differ by so much', async () => {
    await start({ maxAge: 60, clockTolerance: 30 });
    expect((await me(await token({ iat: now() - 30 }))).status).toBe(200);
    expect((await me(await token({ iat: now() - 70 }))).status).toBe(200);
    await refused(await token({ iat: now() - 100 }), 'expired token');
    await refused(await token({ iat: undefined }), 'wrong claim iat');
    expect((await me(await token({ exp: now() - 10 }))).status).toBe(200);
    await refused(await token({ exp: now() - 40 }), 'expired token');
  });

  test('gives the roles of its claims, whatever others gave', async () => {
    await start();
    const signer = await token();
    const both = await token({ groups: ['approvers', 'signers', 'x'] });
    const one = await token({ groups: 'approvers' });
    for (const [bearer, roles] of [
      [signer, ['signer']],
      [both, ['approver', 'signer']],
      [one, ['approver']],
      [signer, ['signer']],
    ] as const) {
      expect((await me(bearer)).body.roles).toEqual(roles);
      const id = principalIdOf(ISSUER, 'alice');
      expect((await service.asAdmin('GET', `/v1/principals/${id}`)).roles).toEqual(roles);
      const { status } = await service.call('POST', '/v1/x', { token: bearer, body: {} });
      expect(status).toBe((roles as readonly string[]).includes('signer') ? 200 : 403);
    }
    expect(service.entries('principal.updated').map(({ detail }) => detail?.['roles'])).toEqual([
      ['approver', 'signer'],
      ['approver'],
      ['signer'],
    ]);
    expect(service.entries('principal.updated')[0]?.detail?.['rolesBefore']).toEqual(['signer']);
  });

  test('of a disabled principal is refused from the next request on', async () => {
    await start();
    const bearer = await token();
    const { id } = (await me(bearer)).body;
    await service.asAdmin('PATCH', `/v1/principals/${id}`, { state: 'disabled' });
    await refused(bearer, 'disabled principal');
    await refused(await token({ groups: ['approvers'] }), 'disabled principal');
    expect((await service.asAdmin('GET', `/v1/principals/${id}`)).roles).toEqual(['signer']);
    await service.asAdmin('PATCH', `/v1/principals/${id}`, { state: 'enabled' });
    expect((await me(bearer)).status).toBe(200);
  });

  test('is what a federated principal has: no roles, tokens or rotation from here', async () => {
    await start();
    const bearer = await token({ groups: ['admins'] });
    const { id } = (await me(bearer)).body;
    const ask = (method: string, at: string, body: object, by = service.adminToken): Promise<Called> =>
      service.call(method, at, { token: by, body });
    expect((await ask('PATCH', `/v1/principals/${id}`, { roles: ['operator'] })).status).toBe(422);
    expect((await ask('POST', `/v1/principals/${id}/credentials`, {})).status).toBe(422);
    expect((await ask('POST', '/v1/me/credentials/rotate', {}, bearer)).status).toBe(422);
    // An admin by what somebody else says is not the one who is left to administer.
    const last = { state: 'disabled' };
    expect((await ask('PATCH', `/v1/principals/${service.admin.id}`, last, bearer)).status).toBe(409);
  });

  test.each([
    ['alice@example.org', 'idp:alice@example.org'],
    ['a/b c', 'idp:a%2Fb%20c'],
    ['a%2Fb', 'idp:a%252Fb'],
    ['zoë', 'idp:zo%C3%AB'],
    ['\u202Eevil\n', 'idp:%E2%80%AEevil%0A'],
    ['💰', 'idp:%F0%9F%92%B0'],
  ])('of %j is of principal %s', async (sub, name) => {
    await start();
    const { status, body } = await me(await token({ sub }));
    expect([status, body.name]).toEqual([200, name]);
  });

  test('whose subject is no text is refused', async () => {
    await start();
    await refused(await token({ sub: '\uD800' }), 'unusable subject');
    expect(met()).toBe(0);
  });

  test('of another subject whose name is taken is refused', async () => {
    await start();
    // As when the provider's name stood for another issuer before.
    const id = principalIdOf('https://former.example', 'alice');
    await service.commit((tx) =>
      tx.insertPrincipal({ id, name: 'idp:alice', roles: ['admin'], state: 'enabled', createdAt: '' }),
    );
    const bearer = await token();
    await refused(bearer, 'its name is another principal’s');
    await Promise.all(Array.from({ length: 5 }, async () => expect((await me(bearer)).status).toBe(401)));
    expect((await me(await token({ sub: 'bob' }))).status).toBe(200);
  });
});

test('a Kubernetes service account is known by its nested claims', async () => {
  const issuer = 'https://kubernetes.default.svc.cluster.local';
  const claim = ['kubernetes.io', 'serviceaccount', 'name'];
  service = await runAccess({
    oidc: [
      provider({
        name: 'k8s',
        issuer,
        audience: ['vault', 'countersign'],
        roles: [{ claim, value: 'payments', roles: ['signer'] }],
      }),
    ],
  });
  // As the API server makes bound tokens.
  const shape = (name: string, extra: object = {}): object => ({
    aud: ['countersign'],
    exp: now() + 3_607,
    iat: now(),
    iss: issuer,
    jti: crypto.randomUUID(),
    'kubernetes.io': {
      namespace: 'prod',
      node: { name: 'node-1', uid: crypto.randomUUID() },
      pod: { name: 'payments-0', uid: crypto.randomUUID() },
      serviceaccount: { name, uid: crypto.randomUUID() },
    },
    nbf: now(),
    sub: `system:serviceaccount:prod:${name}`,
    ...extra,
  });
  const rs = keys[1]!;
  const { status, body } = await me(await sign(shape('payments'), rs));
  expect(status).toBe(200);
  expect(body).toMatchObject({
    name: 'k8s:system:serviceaccount:prod:payments',
    roles: ['signer'],
    credential: 'oidc:k8s',
  });
  await refused(await sign(shape('other'), rs), 'no role for these claims');
  await refused(await sign(shape('payments', { 'kubernetes.io': 'payments' }), rs), 'no role');
  await refused(await sign(shape('payments', { 'kubernetes.io': null }), rs), 'no role');
});

describe('the keys of an issuer', () => {
  const servers: Server[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });
  const listen = async (server: Server): Promise<string> => {
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `127.0.0.1:${(server.address() as AddressInfo).port}`;
  };
  const serve = async (answer: RequestListener): Promise<string> =>
    `http://${await listen(createHttpServer(answer))}`;
  const jwks = (...given: readonly TestKey[]): string =>
    JSON.stringify({ keys: given.map(({ jwk }) => jwk) });

  test('are fetched once, kept, and used while their server is away', async () => {
    let asked = 0;
    let status = 200;
    const url = await serve((_req, res) => {
      asked++;
      res.writeHead(status).end(jwks(...keys));
    });
    await start({ jwks: url });
    await Promise.all(keys.map(async (by) => expect((await me(await token({}, by))).status).toBe(200)));
    expect(asked).toBe(1);
    status = 503;
    expect((await me(await token({ jti: 'later' }))).status).toBe(200);
    // A key that is not among them asks again once, and not for every token that comes.
    for (let i = 0; i < 5; i++) {
      await refused(await token({}, { ...key, kid: `unheard${i}` }), 'unknown key');
    }
    expect(asked).toBe(1);
    expect((await me(await token({ jti: 'last' }))).status).toBe(200);
  });

  test('that can’t be had let nobody in, and the log says why', async () => {
    let asked = 0;
    const answers = [503, 302, 200, 200];
    const url = await serve((_req, res) => {
      const status = answers[Math.min(asked++, 3)]!;
      res.writeHead(status, status === 302 ? { location: '/elsewhere' } : {}).end('{"keys":"none"}');
    });
    await start({ jwks: url });
    const bearer = await token();
    await refused(bearer, 'no keys of the issuer: HTTP 503');
    await refused(bearer, 'no keys of the issuer: HTTP 503');
    expect(asked).toBe(1);
  });

  test('are never fetched from where a redirect leads', async () => {
    let followed = false;
    const url = await serve((req, res) => {
      if (req.url === '/elsewhere') followed = true;
      res.writeHead(302, { location: '/elsewhere' }).end();
    });
    await start({ jwks: url });
    await refused(await token(), 'no keys of the issuer: HTTP 302');
    expect(followed).toBe(false);
  });

  test('are found by discovery, from the issuer itself only', async () => {
    let claimed = '';
    const url = await serve((req, res) => {
      const isDiscovery = req.url === '/.well-known/openid-configuration';
      res.end(isDiscovery ? JSON.stringify({ issuer: claimed, jwks_uri: `${url}/keys` }) : jwks(key));
    });
    claimed = url;
    await start({ issuer: url, jwks: undefined });
    expect((await me(await token({ iss: url }))).status).toBe(200);
    await service.end();
    claimed = `${url}/`;
    await start({ issuer: url, jwks: undefined });
    await refused(await token({ iss: url }), 'another issuer');
  });

  test('are fetched over TLS that is checked with the CA that is named, with a token where one is', async () => {
    const ca = pki.authority('idp');
    const { pem } = pki.issue(ca, 'idp', 'subjectAltName=IP:127.0.0.1');
    let authorization: string | undefined;
    const host = await listen(
      createHttpsServer(pem, (req, res) => {
        ({ authorization } = req.headers);
        res.end(jwks(key));
      }),
    );
    const tokenFile = path.join(pki.directory, 'reader.token');
    writeFileSync(tokenFile, 'reader\n');
    await start({ jwks: `https://${host}/keys`, ca: ca.cert, tokenFile });
    expect((await me(await token())).status).toBe(200);
    expect(authorization).toBe('Bearer reader');
    await service.end();
    await start({ jwks: `https://${host}/keys` });
    await refused(await token(), /no keys of the issuer: (?:UNABLE_TO_|SELF_SIGNED)/);
  });

  test.each([
    ['plain HTTP to another machine', { jwks: 'http://idp.example/keys' }],
    ['a file that is not there', { jwks: '/nowhere/jwks.json' }],
    ['a CA that is not there', { jwks: 'https://idp.example/keys', ca: '/nowhere/ca.pem' }],
    ['discovery by plain HTTP', { jwks: undefined, issuer: 'http://idp.example' }],
  ])('%s: the service does not start', async (_, change) => {
    await start();
    await expect(runAccess({ oidc: [provider(change)] })).rejects.toThrow(/https URL|cannot be read/);
  });

  test('two providers with one issuer, or one name: the service does not start', async () => {
    await start();
    const two = (change: object): Promise<unknown> => runAccess({ oidc: [provider(), provider(change)] });
    await expect(two({ name: 'x' })).rejects.toThrow(/same issuer/);
    await expect(two({ issuer: 'https://x.example' })).rejects.toThrow(/same name/);
  });
});

test('without a provider no JWT is one', async () => {
  service = await runAccess();
  await refused(await token(), 'malformed credential');
  expect(met()).toBe(0);
});
