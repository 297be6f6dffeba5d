import { copyFileSync } from 'node:fs';
import { Agent } from 'node:https';
import { connect as connectTcp } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'node:tls';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startServer } from '../../src/http/server.ts';
import { runAccess, type AccessHarness, type Called } from './access-service.ts';
import { makePki, type Issued, type Pki } from './pki.ts';

let pki: Pki;
let ca: Issued;
let clientCa: Issued;
let server: Issued;
const SERVER_NAMES = 'subjectAltName=IP:127.0.0.1,DNS:localhost';

beforeAll(() => {
  pki = makePki();
  ca = pki.authority('servers');
  clientCa = pki.authority('clients');
  server = pki.issue(ca, 'server', SERVER_NAMES);
});
afterAll(() => pki.remove());

let service: AccessHarness;
const started = async (options: object = {}): Promise<AccessHarness> => {
  const files = { cert: server.cert, key: server.key, minVersion: 'TLSv1.3' as const };
  service = await runAccess({ tls: { ...files, ...options } });
  const plain = service;
  // Every call checks the server's certificate.
  return {
    ...plain,
    call: (method, at, given = {}) =>
      plain.call(method, at, { ...given, tls: { ca: ca.pem.cert, ...given.tls } }),
  };
};
const asAdmin = async (at: string, body: object): Promise<Called['body']> => {
  const { status, text, body: answer } = await service.call('POST', at, { token: service.adminToken, body });
  if (status >= 300) throw new Error(`${status}: ${text}`);
  return answer;
};
const newPrincipal = async (name: string, roles = ['signer']): Promise<string> =>
  (await asAdmin('/v1/principals', { name, roles })).id;
const register = (id: string, body: object): Promise<Called['body']> =>
  asAdmin(`/v1/principals/${id}/certificates`, body);
const me = (client?: Issued, token?: string): Promise<Called> =>
  service.call('GET', '/v1/me', { token, tls: client?.pem ?? {} });
const lastReason = (): unknown => service.entries('access.unauthenticated').at(-1)?.detail?.['reason'];

afterEach(() => service.end());

describe('without a client CA', () => {
  beforeEach(async () => (service = await started()));

  test('the service speaks HTTPS, with its certificate, in TLS 1.3 only', async () => {
    expect(service.url).toMatch(/^https:/);
    const { status, body } = await me(undefined, service.adminToken);
    expect([status, body.mtls]).toEqual([200, false]);
    await expect(
      service.call('GET', '/v1/me', { tls: { ca: clientCa.pem.cert } }),
      'another CA',
    ).rejects.toThrow(/unable to (?:verify|get)/);
    await expect(service.call('GET', '/v1/me', { tls: { maxVersion: 'TLSv1.2' } })).rejects.toThrow(
      /alert protocol version/,
    );
  });

  test('plain HTTP is not answered', async () => {
    const answer = await new Promise<string>((resolve) => {
      const socket = connectTcp(Number(new URL(service.url).port), '127.0.0.1', () =>
        socket.write('GET /v1/me HTTP/1.1\r\nHost: x\r\n\r\n'),
      );
      let text = '';
      socket.on('data', (chunk) => (text += chunk.toString('latin1')));
      socket.on('error', () => undefined);
      socket.on('close', () => resolve(text));
    });
    expect(answer).not.toContain('HTTP/1.1');
  });

  test('a client’s certificate counts for nothing', async () => {
    const client = pki.issue(clientCa, 'client', 'subjectAltName=DNS:backend.test');
    await register(await newPrincipal('backend'), { dns: 'backend.test' });
    expect((await me(client)).status).toBe(401);
    expect(lastReason()).toBe('no credential');
  });

  test('connections that never finish their handshake don’t hold up the stop', async () => {
    const socket = connectTcp(Number(new URL(service.url).port), '127.0.0.1');
    socket.on('error', () => undefined);
    await new Promise((resolve) => socket.once('connect', resolve));
    const before = Date.now();
    await service.server.close(500);
    expect(Date.now() - before).toBeLessThan(3_000);
    socket.destroy();
  });
});

test('TLS 1.2 where it is asked for, with forward secrecy', async () => {
  service = await started({ minVersion: 'TLSv1.2' });
  const { port } = new URL(service.url);
  const handshake = (options: object): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connect({
        port: Number(port),
        host: '127.0.0.1',
        ca: ca.pem.cert,
        ...options,
      });
      socket.on('secureConnect', () => {
        resolve(`${socket.getProtocol()} ${socket.getCipher().name}`);
        socket.destroy();
      });
      socket.on('error', reject);
    });
  expect(await handshake({})).toMatch(/^TLSv1\.3 /);
  expect(await handshake({ maxVersion: 'TLSv1.2' })).toMatch(/^TLSv1\.2 ECDHE-ECDSA-.*(?:GCM|POLY1305)/);
  await expect(handshake({ maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA' })).rejects.toThrow(
    /handshake failure/,
  );
  await expect(
    handshake({ minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }),
  ).rejects.toThrow(/alert protocol version/);
});

describe('with a client CA', () => {
  beforeEach(async () => (service = await started({ clientCa: clientCa.cert })));

  const ways: { readonly [name: string]: (client: Issued) => object } = {
    'its fingerprint': ({ fingerprint }) => ({ fingerprint }),
    'its fingerprint without colons': ({ fingerprint }) => ({
      fingerprint: fingerprint.replaceAll(':', '').toLowerCase(),
    }),
    'a DNS name': () => ({ dns: 'backend.test' }),
    'a DNS name in capitals': () => ({ dns: 'BACKEND.Test' }),
    'a SPIFFE ID': () => ({ uri: 'spiffe://prod.test/ns/a/backend' }),
  };

  test.each(Object.entries(ways))('a certificate is known by %s, and is enough', async (_, match) => {
    const names = 'subjectAltName=DNS:Backend.test,URI:spiffe://prod.test/ns/a/backend';
    const client = pki.issue(clientCa, 'client', names, 'extendedKeyUsage=clientAuth');
    const id = await newPrincipal('backend');
    const { id: credential, kind } = await register(id, match(client));
    expect(kind).toBe('certificate');
    const { status, body } = await me(client);
    expect(status).toBe(200);
    expect(body).toMatchObject({ id, credential, mtls: true, roles: ['signer'] });
    const signed = await service.call('POST', '/v1/x', { body: {}, tls: client.pem });
    expect(signed.status).toBe(200);
    expect(service.entries('sign').at(-1)?.actor).toEqual({
      principal: 'backend',
      principalId: id,
      roles: ['signer'],
      credential,
      certificate: client.fingerprint.replaceAll(':', '').toLowerCase(),
      address: '127.0.0.1',
    });
    // It is listed, and revoked, with the others.
    const list = await service.call('GET', `/v1/principals/${id}/credentials`, { token: service.adminToken });
    expect(list.body.items).toMatchObject([{ id: credential, kind: 'certificate' }]);
    await asAdmin(`/v1/principals/${id}/credentials/${credential}/revoke`, {});
    expect((await me(client)).status).toBe(401);
    expect(lastReason()).toBe('revoked credential');
  });

  test('a revocation holds on a connection that is open already', async () => {
    const client = pki.issue(clientCa, 'client', 'subjectAltName=DNS:backend.test');
    const id = await newPrincipal('backend');
    const { id: credential } = await register(id, { dns: 'backend.test' });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const ask = (): Promise<Called> => service.call('GET', '/v1/me', { tls: { ...client.pem, agent } });
    expect((await ask()).status).toBe(200);
    await asAdmin(`/v1/principals/${id}/credentials/${credential}/revoke`, {});
    expect((await ask()).status).toBe(401);
    agent.destroy();
  });

  test.each([
    ['of another CA', () => pki.issue(ca, 'client', 'subjectAltName=DNS:backend.test')],
    ['signed by itself', () => pki.selfSigned('client', 'subjectAltName=DNS:backend.test')],
    [
      'for servers only',
      () => pki.issue(clientCa, 'client', 'subjectAltName=DNS:backend.test', 'extendedKeyUsage=serverAuth'),
    ],
  ])('a certificate %s counts for nothing; a token still lets its owner in', async (_, make) => {
    const client = make();
    const id = await newPrincipal('backend');
    await register(id, { dns: 'backend.test' });
    await register(id, { fingerprint: client.fingerprint });
    expect((await me(client)).status).toBe(401);
    expect(lastReason()).toBe('no credential');
    const { token } = await asAdmin(`/v1/principals/${id}/credentials`, {});
    const { status, body } = await me(client, token);
    expect([status, body.mtls]).toEqual([200, false]);
  });

  test('names are compared whole: no wildcards, no part of one, no common name', async () => {
    const id = await newPrincipal('backend');
    await register(id, { dns: 'backend.test' });
    await register(id, { uri: 'spiffe://prod.test/backend' });
    const strangers = [
      'subjectAltName=DNS:*.test',
      'subjectAltName=DNS:a.backend.test',
      'subjectAltName=DNS:backend.test.example',
      'subjectAltName=URI:spiffe://prod.test/backend/',
      'subjectAltName=URI:spiffe://PROD.test/backend',
      'subjectAltName=URI:dns:backend.test',
      'subjectAltName=email:backend.test@example.org',
      'subjectAltName=@names\n[names]\nURI=http://a.test/, DNS:backend.test',
      'subjectAltName=@names\n[names]\nURI=x:", DNS:backend.test, URI:x:"',
      'extendedKeyUsage=clientAuth',
    ];
    for (const line of strangers) {
      expect((await me(pki.issue(clientCa, 'backend.test', line))).status, line).toBe(401);
      expect(lastReason(), line).toBe('unknown certificate');
    }
    expect((await me(pki.issue(clientCa, 'x', 'subjectAltName=DNS:backend.test'))).status).toBe(200);
  });

  test('a SPIFFE ID beside another URI is none', async () => {
    await register(await newPrincipal('backend'), { uri: 'spiffe://prod.test/backend' });
    const both = 'subjectAltName=URI:spiffe://prod.test/backend,URI:spiffe://prod.test/other';
    expect((await me(pki.issue(clientCa, 'x', both))).status).toBe(401);
    const one = 'subjectAltName=URI:spiffe://prod.test/backend,DNS:x.test';
    expect((await me(pki.issue(clientCa, 'x', one))).status).toBe(200);
  });

  test('a certificate that could be two principals is neither, even when one is disabled', async () => {
    const client = pki.issue(clientCa, 'x', 'subjectAltName=DNS:a.test,DNS:b.test');
    const [a, b] = [await newPrincipal('a'), await newPrincipal('b')];
    await register(a, { dns: 'a.test' });
    expect((await me(client)).status).toBe(200);
    const { id: second } = await register(b, { dns: 'b.test' });
    expect((await me(client)).status).toBe(401);
    expect(lastReason()).toBe('certificate of more than one principal');
    const disabled = await service.call('PATCH', `/v1/principals/${b}`, {
      token: service.adminToken,
      body: { state: 'disabled' },
    });
    expect(disabled.status).toBe(200);
    expect((await me(client)).status).toBe(401);
    await asAdmin(`/v1/principals/${b}/credentials/${second}/revoke`, {});
    expect((await me(client)).body.name).toBe('a');
  });

  test('one certificate is revoked by its fingerprint, and others of its name still count', async () => {
    const [stolen, other] = [0, 1].map(() => pki.issue(clientCa, 'x', 'subjectAltName=DNS:a.test'));
    const a = await newPrincipal('a');
    await register(a, { dns: 'a.test' });
    const { fingerprint } = stolen!;
    const { id } = await register(a, { fingerprint });
    expect((await me(stolen)).body.credential).toBe(id);
    await asAdmin(`/v1/principals/${a}/credentials/${id}/revoke`, {});
    expect((await me(stolen)).status).toBe(401);
    expect(lastReason()).toBe('revoked credential');
    expect((await me(other)).body.name).toBe('a');
    const { token } = await asAdmin(`/v1/principals/${a}/credentials`, {});
    expect((await me(stolen, token)).body.mtls).toBe(false);
    // To register it anew is to take the revocation back.
    await register(a, { fingerprint });
    expect((await me(stolen)).status).toBe(200);
  });

  test('one match stands for one principal', async () => {
    const [a, b] = [await newPrincipal('a'), await newPrincipal('b')];
    const { id } = await register(a, { dns: 'a.test' });
    const again = (): Promise<Called> =>
      service.call('POST', `/v1/principals/${b}/certificates`, {
        token: service.adminToken,
        body: { dns: 'A.test' },
      });
    expect((await again()).status).toBe(409);
    await asAdmin(`/v1/principals/${a}/credentials/${id}/revoke`, {});
    expect((await again()).status).toBe(201);
    expect(service.entries('credential.created').at(-1)?.detail).toMatchObject({
      kind: 'certificate',
      match: 'dns:a.test',
      principal: 'b',
    });
  });

  test('beside a token it says mtls, when it is the same principal’s', async () => {
    const client = pki.issue(clientCa, 'x', 'subjectAltName=DNS:backend.test');
    const id = await newPrincipal('backend');
    const { token } = await asAdmin(`/v1/principals/${id}/credentials`, {});
    expect((await me(client, token)).body.mtls).toBe(false);
    const { id: credential } = await register(id, { dns: 'backend.test' });
    expect((await me(client, token)).body).toMatchObject({ id, mtls: true, credential: token.slice(3, 19) });
    expect((await me(undefined, token)).body.mtls).toBe(false);
    const other = await newPrincipal('other');
    const { token: others } = await asAdmin(`/v1/principals/${other}/credentials`, {});
    expect((await me(client, others)).body).toMatchObject({ id: other, mtls: false });
    // A wrong token is not made good by a certificate.
    expect((await me(client, `${token.slice(0, 20)}${'A'.repeat(43)}`)).status).toBe(401);
    await asAdmin(`/v1/principals/${id}/credentials/${credential}/revoke`, {});
    expect((await me(client, token)).body.mtls).toBe(false);
  });

  test('networks, expiry and a disabled principal hold for certificates', async () => {
    const client = pki.issue(clientCa, 'x', 'subjectAltName=DNS:backend.test');
    const id = await newPrincipal('backend');
    const { id: away } = await register(id, { dns: 'backend.test', cidrs: ['10.0.0.0/8'] });
    expect((await me(client)).status).toBe(401);
    expect(lastReason()).toBe('address not allowed');
    await asAdmin(`/v1/principals/${id}/credentials/${away}/revoke`, {});
    const expiresAt = new Date(Date.now() + 1_000).toISOString();
    await register(id, { dns: 'backend.test', expiresAt });
    expect((await me(client)).status).toBe(200);
    await sleep(1_050);
    expect((await me(client)).status).toBe(401);
    await register(id, { dns: 'backend.test' });
    expect((await me(client)).status).toBe(200);
    const change = { token: service.adminToken, body: { state: 'disabled' } };
    expect((await service.call('PATCH', `/v1/principals/${id}`, change)).status).toBe(200);
    expect((await me(client)).status).toBe(401);
    expect(lastReason()).toBe('disabled principal');
  });

  test.each([
    ['nothing', {}],
    ['two ways', { dns: 'a.test', uri: 'spiffe://a/b' }],
    ['a wildcard', { dns: '*.test' }],
    ['no host name', { dns: 'a test' }],
    ['an underscore', { dns: '_a.test' }],
    ['half a fingerprint', { fingerprint: 'aa'.repeat(16) }],
    ['no URI', { uri: '/backend' }],
    ['a URI with a space', { uri: 'spiffe://a/b c' }],
    ['a time that is past', { dns: 'a.test', expiresAt: '2020-01-01T00:00:00Z' }],
  ])('a registration with %s is 400', async (_, body) => {
    const at = `/v1/principals/${service.admin.id}/certificates`;
    expect((await service.call('POST', at, { token: service.adminToken, body })).status).toBe(400);
  });

  test('a session without certificate is not taken for one with, when it is resumed', async () => {
    const client = pki.issue(clientCa, 'x', 'subjectAltName=DNS:backend.test');
    await register(await newPrincipal('backend'), { dns: 'backend.test' });
    const { port } = new URL(service.url);
    const ask = (options: object, session?: Buffer): Promise<{ text: string; session: Buffer }> =>
      new Promise((resolve, reject) => {
        let newest: Buffer = Buffer.alloc(0);
        let text = '';
        let reused = false;
        const socket = connect({
          port: Number(port),
          host: '127.0.0.1',
          ca: ca.pem.cert,
          ...options,
          ...(session !== undefined && { session }),
        });
        socket.on('session', (given: Buffer) => (newest = given));
        socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
        socket.on('error', reject);
        socket.on('close', () => resolve({ text: `${reused} ${text}`, session: newest }));
        socket.on('secureConnect', () => {
          reused = socket.isSessionReused();
          socket.write('GET /v1/me HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
        });
      });
    const without = await ask({});
    expect(without.text).toMatch(/^false HTTP\/1\.1 401 /);
    expect((await ask({}, without.session)).text).toMatch(/^true HTTP\/1\.1 401 /);
    const withOne = await ask(client.pem);
    expect(withOne.text).toMatch(/^false HTTP\/1\.1 200 /);
    // What was proven in the first handshake is still known; after a reload it has to be proven again.
    expect((await ask(client.pem, withOne.session)).text).toMatch(/^true HTTP\/1\.1 200 /);
    service.server.reload();
    expect((await ask({}, withOne.session)).text).toMatch(/^false HTTP\/1\.1 401 /);
  });
});

test('the files are read again on request; what can’t be used changes nothing', async () => {
  const file = (name: string): string => path.join(pki.directory, name);
  const use = ({ cert, key }: Issued, authority: Issued): void => {
    copyFileSync(cert, file('now.crt'));
    copyFileSync(key, file('now.key'));
    copyFileSync(authority.cert, file('now.ca'));
  };
  use(server, clientCa);
  service = await started({ cert: file('now.crt'), key: file('now.key'), clientCa: file('now.ca') });
  const client = pki.issue(clientCa, 'x', 'subjectAltName=DNS:backend.test');
  await register(await newPrincipal('backend'), { dns: 'backend.test' });
  expect((await me(client)).status).toBe(200);

  const nextCa = pki.authority('next');
  copyFileSync(pki.issue(nextCa, 'server', SERVER_NAMES).cert, file('now.crt'));
  expect(() => service.server.reload()).toThrow(/the files cannot be used/);
  expect((await me(client)).status).toBe(200);

  use(pki.issue(nextCa, 'server', SERVER_NAMES), nextCa);
  service.server.reload();
  await expect(me(client)).rejects.toThrow(/certificate/);
  const others = { ...client.pem, ca: nextCa.pem.cert };
  expect((await service.call('GET', '/v1/me', { tls: others })).status).toBe(401);
});

test.each([
  ['a certificate that is not there', { cert: 'none.pem' }, /tls\.cert: .* cannot be read/],
  ['a key of another certificate', { key: 'other' }, /the files cannot be used/],
  ['a CA that is none', { clientCa: 'none.pem' }, /tls\.clientCa: .* cannot be read/],
])('a start with %s is refused', async (_, change, message) => {
  service = await started();
  const files = { cert: server.cert, key: server.key, minVersion: 'TLSv1.3' as const };
  const wrong = { ...files, ...change, ...('key' in change && { key: clientCa.key }) };
  await expect(startServer(() => undefined, { host: '127.0.0.1', port: 0 }, wrong)).rejects.toThrow(message);
});
