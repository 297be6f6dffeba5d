import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../src/config.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'config-'));
afterAll(() => rmSync(folder, { recursive: true }));

function file(text: string): string {
  const name = path.join(folder, 'countersign.yaml');
  writeFileSync(name, text);
  return name;
}

describe('configuration', () => {
  it('has defaults that work', () => {
    expect(loadConfig({}, {})).toEqual({
      data: path.resolve('data'),
      node: hostname(),
      listen: { host: '127.0.0.1', port: 8700 },
      seal: 'file',
      keyring: { maxEncryptions: 2 ** 31, maxAgeDays: 365 },
      demo: true,
      logLevel: 'info',
      oidc: [],
      trustedProxies: [],
      rateLimit: {},
      load: { targetWaitMs: 8, burst: 128 },
      rotation: { webhooks: [] },
      audit: { sinks: [] },
    });
  });

  it('takes flags over environment over file', () => {
    const config = file('listen: 127.0.0.1:1\nseal: passphrase\nlogLevel: error\n');
    const environment = { COUNTERSIGN_LISTEN: '127.0.0.1:2', COUNTERSIGN_LOG_LEVEL: 'warn' };
    const loaded = loadConfig({ config, listen: '127.0.0.1:3' }, environment);
    expect(loaded).toMatchObject({ listen: { port: 3 }, seal: 'passphrase', logLevel: 'warn' });
  });

  it('finds the passphrase of a start in a file, a descriptor or a systemd credential', () => {
    const seal = (place: string): string => file(`seal: { type: passphrase, passphrase: ${place} }\n`);
    const environment = { CREDENTIALS_DIRECTORY: '/run/credentials/countersign' };
    expect(loadConfig({ config: seal('{ file: secret }') }, {})).toMatchObject({
      seal: 'passphrase',
      passphrase: { file: path.resolve('secret') },
    });
    expect(loadConfig({ config: seal('{ fd: 3 }') }, {}).passphrase).toEqual({ fd: 3 });
    const credential = seal('{ credential: countersign.passphrase }');
    expect(loadConfig({ config: credential }, environment).passphrase).toEqual({
      file: '/run/credentials/countersign/countersign.passphrase',
    });
    expect(() => loadConfig({ config: credential }, {})).toThrow(/CREDENTIALS_DIRECTORY/);
    for (const wrong of ['{}', '{ fd: 3, file: a }', '{ credential: ../a }', '{ value: secret }'])
      expect(() => loadConfig({ config: seal(wrong) }, environment), wrong).toThrow(/seal/);
    expect(loadConfig({ config: seal('{ fd: 3 }'), passphraseFile: 'b' }, {}).passphrase).toEqual({
      file: path.resolve('b'),
    });
    expect(loadConfig({ passphraseFd: '4' }, {})).toMatchObject({ seal: 'file', passphrase: { fd: 4 } });
    for (const fd of ['-1', 'x', '1.5'])
      expect(() => loadConfig({ passphraseFd: fd }, {}), fd).toThrow(/passphrase-fd/);
    expect(() => loadConfig({ passphraseFd: '3', passphraseFile: 'a' }, {})).toThrow(/one of file, fd/);
  });

  it.each(['127.0.0.1:0', '[::1]:8700', 'localhost:8700', '127.1.2.3:80'])('listens on %s', (listen) => {
    expect(loadConfig({ listen }, {}).listen.host).not.toBe('');
  });

  it.each(['0.0.0.0:8700', '10.0.0.1:8700', '[::]:8700', 'example.org:80'])(
    'refuses plain HTTP on %s, which is not this machine',
    (listen) => expect(() => loadConfig({ listen }, {})).toThrow(/not a loopback address/),
  );

  it.each(['8700', '127.0.0.1', '127.0.0.1:99999', ':8700', ''])('refuses %j as an address', (listen) => {
    expect(() => loadConfig({ listen }, {})).toThrow(/listen/);
  });

  it('says which key of a witness is wrong, and that two have one', () => {
    const witnesses = (first: string, second: string): string =>
      file(
        `audit: { witnesses: { quorum: 1, witnesses: [{ vkey: "${first}", url: "https://a" }, { vkey: "${second}", url: "https://b" }] } }`,
      );
    const good = 'witness.example/one+206daabb+BHOY3KsL39LEHfDhvDKhv3nOpm9cyvHDP8PmS/V8IwA3';
    expect(() => loadConfig({ config: witnesses('nonsense', good) }, {})).toThrow(
      /witnesses\.0\.vkey is not one/,
    );
    expect(() => loadConfig({ config: witnesses(good, good) }, {})).toThrow(/a key of its own each/);
  });

  it('names what it does not know', () => {
    expect(() => loadConfig({ config: file('lisen: 127.0.0.1:1\n') }, {})).toThrow(
      /lisen is not a known field/,
    );
    expect(() => loadConfig({ config: path.join(folder, 'none.yaml') }, {})).toThrow(/cannot be read/);
    expect(() => loadConfig({}, { COUNTERSIGN_SEAL: 'vault' })).toThrow(/seal/);
    expect(() => loadConfig({ seal: 'foo' }, {})).toThrow(/the command line is not valid: seal/);
    expect(() => loadConfig({ logLevel: 'loud' }, {})).toThrow(/logLevel/);
    expect(() => loadConfig({ data: '' }, {})).toThrow(/data/);
  });

  it.each([
    ['tls: { cert: a\n', 'at line 2, column 1'],
    ['seal: file\nseal: passphrase\n', 'Map keys must be unique at line 2, column 1'],
  ])('says where %j is no YAML', (text, where) => {
    const config = file(text);
    const load = (): unknown => loadConfig({ config }, {});
    expect(load).toThrow(expect.objectContaining({ code: 'invalid_request' }));
    expect(load).toThrow(new RegExp(`^the configuration file \\S+ is not valid YAML: .*${where}$`));
  });

  it('listens anywhere with TLS, from TLS 1.3 on', () => {
    const config = file('listen: 0.0.0.0:8700\ntls: { cert: a.crt, key: /keys/a.key }\n');
    expect(loadConfig({ config }, {})).toMatchObject({
      listen: { host: '0.0.0.0' },
      tls: { cert: path.resolve('a.crt'), key: '/keys/a.key', minVersion: 'TLSv1.3' },
    });
  });

  it('has identity providers, proxies and rate limits', () => {
    const config = file(`
oidc:
  - name: k8s
    issuer: https://kubernetes.default.svc
    audience: countersign
    jwks: https://kubernetes.default.svc/openid/v1/jwks
    ca: ca.crt
    tokenFile: /run/token
    roles:
      - { claim: [kubernetes.io, serviceaccount, name], value: payments, roles: [signer] }
  - name: people
    issuer: https://idp.example
    audience: [a, b]
    jwks: keys.json
    algorithms: [ES384]
    subject: email
    maxAge: 600
    clockTolerance: 60
    roles:
      - { claim: groups, value: approvers, roles: [approver, operator] }
trustedProxies: [10.0.0.0/8, fd00::/8]
rateLimit: { address: { perSecond: 0.5, burst: 10 } }
`);
    expect(loadConfig({ config }, {})).toMatchObject({
      oidc: [
        {
          jwks: 'https://kubernetes.default.svc/openid/v1/jwks',
          ca: path.resolve('ca.crt'),
          algorithms: ['RS256', 'ES256', 'PS256', 'EdDSA'],
          subject: 'sub',
          clockTolerance: 0,
        },
        { jwks: path.resolve('keys.json'), algorithms: ['ES384'], subject: 'email', maxAge: 600 },
      ],
      trustedProxies: ['10.0.0.0/8', 'fd00::/8'],
      rateLimit: { address: { perSecond: 0.5, burst: 10 } },
    });
  });

  const provider = (change: string): string =>
    `oidc: [{ name: a, issuer: b, audience: c, roles: [{ claim: d, value: e, roles: [signer] }], ${change} }]`;

  it.each([
    ['tls: { cert: a }', 'tls.key'],
    ['tls: { cert: a, key: b, minVersion: TLSv1.1 }', 'tls.minVersion'],
    ['tls: { cert: a, key: b, rejectUnauthorized: false }', 'tls.rejectUnauthorized'],
    ['trustedProxies: [10.0.0.1]', 'trustedProxies.0'],
    ['trustedProxies: true', 'trustedProxies'],
    ['rateLimit: { address: { perSecond: 0, burst: 1 } }', 'rateLimit.address.perSecond'],
    ['rateLimit: { address: { perSecond: 1 } }', 'rateLimit.address.burst'],
    ['rateLimit: { principal: { perSecond: 1, burst: 1 } }', 'rateLimit.principal'],
    [provider('algorithms: [HS256]'), 'oidc.0.algorithms.0'],
    [provider('algorithms: [none]'), 'oidc.0.algorithms.0'],
    [provider('algorithms: []'), 'oidc.0.algorithms'],
    [provider('clockTolerance: 61'), 'oidc.0.clockTolerance'],
    [provider('maxAge: 0'), 'oidc.0.maxAge'],
    [provider('subject: []'), 'oidc.0.subject'],
    [provider('tokenFile: /run/token'), 'oidc.0.tokenFile'],
    [provider('tokenFile: /run/token, jwks: keys.json'), 'oidc.0.tokenFile'],
    [provider('secret: x'), 'oidc.0.secret'],
    [provider('').replace('signer', 'root'), 'oidc.0.roles.0.roles.0'],
    [provider('').replace('name: a', 'name: "a:b"'), 'oidc.0.name'],
    ['oidc: [{ name: a, issuer: b, audience: c, roles: [] }]', 'oidc.0.roles'],
  ])('refuses %s, and names %s', (text, field) => {
    expect(() => loadConfig({ config: file(`${text}\n`) }, {})).toThrow(
      expect.objectContaining({
        code: 'invalid_request',
        errors: expect.arrayContaining([expect.objectContaining({ path: field })]),
      }),
    );
  });
});
