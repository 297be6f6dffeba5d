import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { encryptKeystoreJson, Wallet } from 'ethers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createLog } from '../../src/log.ts';
import { must, raw, run, transfer, type Answered, type Json, type Running } from './running.ts';

/** Many requests with secrets in them, most of which fail; then everything that the service wrote is searched. */

const lines: string[] = [];
let service: Running;

beforeAll(async () => {
  service = await run(createLog('info', { write: (line) => void lines.push(line) }));
});
afterAll(() => service.end());

/** A secret as it might be written: as it is, and its bytes in hex, base64 and base64url. */
function spellings(secret: string): string[] {
  const bytes = /^0x[0-9a-f]{64}$/.test(secret) ? Buffer.from(secret.slice(2), 'hex') : Buffer.from(secret);
  const raw = secret.replace(/^0x/, '');
  const hex = bytes.toString('hex');
  return [
    raw,
    raw.toUpperCase(),
    hex,
    bytes.toString('base64').replaceAll('=', ''),
    bytes.toString('base64url'),
  ];
}

test('no secret is in a log line, an audit entry, a metric, an error, or a file of the data directory', async () => {
  const { admin, signer } = service;
  const answers: Answered[] = [];
  const fail = async (asked: Promise<Answered>): Promise<void> => {
    const answered = await asked;
    expect(answered.status, answered.text).toBeGreaterThanOrEqual(400);
    answers.push(answered);
  };
  const secrets: string[] = [];
  const secret = (value: string): string => {
    secrets.push(value);
    return value;
  };
  const post = (target: string, body: unknown): Promise<Answered> => admin.post(target, body);
  const newKey = (): string => secret(Wallet.createRandom().privateKey);

  // Private keys: good, cut, doubled, in wrong places, in broken JSON.
  const good = newKey();
  must(await post('/v1/keys/import', { name: 'kept', source: { type: 'private-key', privateKey: good } }));
  await fail(post('/v1/keys/import', { name: 'again', source: { type: 'private-key', privateKey: good } }));
  for (const wrong of [newKey().slice(0, 65), `${newKey()}00`, newKey().slice(2), ` ${newKey()}`]) {
    await fail(
      post('/v1/keys/import', { name: 'wrong', source: { type: 'private-key', privateKey: secret(wrong) } }),
    );
  }
  await fail(post('/v1/keys/import', { name: 'wrong', source: { type: newKey(), privateKey: '0x' } }));
  await fail(
    post('/v1/keys/import', { name: newKey(), source: { type: 'private-key', privateKey: newKey() } }),
  );
  await fail(post('/v1/keys/import', { name: 'wrong', source: newKey() }));
  await fail(post('/v1/keys/import', { name: 'wrong', tags: [newKey()], source: {} }));
  await fail(post('/v1/keys/import', `{"name":"x","source":{"privateKey":"${newKey()}"`));
  await fail(post('/v1/keys/import', `{"privateKey":"${newKey()}","privateKey":"${newKey()}"}`));
  await fail(post('/v1/keys/import', newKey()));
  await fail(
    admin.send('POST', '/v1/keys/import', { body: newKey(), headers: { 'content-type': 'text/plain' } }),
  );
  await fail(signer.post('/v1/keys/import', { privateKey: newKey() }));
  await fail(service.client(undefined).post('/v1/keys/import', { privateKey: newKey() }));
  const curveOrder = '0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141';
  for (const privateKey of [curveOrder, `0x${'0'.repeat(64)}`, `0x${'f'.repeat(64)}`]) {
    await fail(post('/v1/keys/import', { name: 'out', source: { type: 'private-key', privateKey } }));
  }

  // Keystores and their passwords.
  const wallet = Wallet.createRandom();
  secret(wallet.privateKey);
  const password = secret('correct-horse-battery-staple');
  const scrypt = { N: 1 << 12, r: 8, p: 1 };
  const account = { address: wallet.address, privateKey: wallet.privateKey };
  const keystore: Json = JSON.parse(await encryptKeystoreJson(account, password, { scrypt }));
  const web3 = (change: object, name = 'web3'): Promise<Answered> =>
    post('/v1/keys/import', { name, source: { type: 'web3-v3', keystore, password, ...change } });
  await fail(web3({ password: secret('wrong-horse-battery-staple') }));
  await fail(web3({ password: { text: secret('nested-horse-battery') } }));
  await fail(web3({ keystore: secret('keystore-is-not-an-object') }));
  await fail(web3({ keystore: { ...keystore, version: secret('version-with-a-secret') } }));
  await fail(
    web3({ keystore: { ...keystore, Crypto: { ...keystore.Crypto, kdf: secret('kdf-with-a-secret') } } }),
  );
  await fail(web3({ keystore: { ...keystore, Crypto: { ...keystore.Crypto, mac: newKey().slice(2) } } }));
  await fail(web3({ unknown: secret('value-of-an-unknown-field') }));
  must(await web3({}));

  // Passphrases.
  const passphrase = secret('passphrase-of-the-seal');
  await fail(post('/v1/sys/init', { seal: { type: 'passphrase', passphrase } }));
  await fail(post('/v1/sys/init', { seal: { type: secret('type-is-a-passphrase'), passphrase } }));
  await fail(post('/v1/sys/init', { seal: { type: 'passphrase', passphrase, kdf: { kdf: passphrase } } }));
  await fail(post('/v1/sys/unseal', { passphrase }));
  await fail(post('/v1/sys/unseal', { passphrase: [passphrase] }));
  await fail(post('/v1/sys/unseal', `{"passphrase":"${passphrase}`));

  // Tokens: in the right place but wrong, and in wrong places.
  const { id } = must(await post('/v1/principals', { name: 'holder', roles: ['signer'] })).body;
  const { token, id: credential } = must(await post(`/v1/principals/${id}/credentials`, {})).body;
  secret(token.slice(-43));
  const forged = secret(Buffer.alloc(32, 7).toString('base64url'));
  await fail(service.client(`cs_${credential}_${forged}`).get('/v1/me'));
  await fail(service.client(`${token}x`).get('/v1/me'));
  await fail(service.client(token).post('/v1/principals', { name: token }));
  await fail(signer.post('/v1/keys/demo/sign/message', { message: 'x', [token]: 1, version: token }));
  await fail(
    admin.get('/v1/me', {
      authorization: `Basic ${secret(Buffer.from('admin:hunter2').toString('base64'))}`,
    }),
  );
  await fail(admin.get('/v1/me', { authorization: token }));
  await fail(
    signer.post('/v1/keys/demo/sign/message', { message: 'x' }, { 'idempotency-key': `${token} é` }),
  );
  must(await service.client(token).get('/v1/me'));
  must(await post(`/v1/principals/${id}/credentials/${credential}/revoke`, {}));
  await fail(service.client(token).get('/v1/me'));
  await raw(
    service.url,
    `GET /v1/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Length: x\r\n\r\n`,
  );

  // Things that work, with and without the keys; and faults of the service.
  must(await signer.post('/v1/keys/kept/sign/transaction', transfer(0)));
  must(await signer.post('/v1/keys/web3/sign/message', { message: 'x' }));
  await fail(signer.post('/v1/keys/kept/sign/transaction', transfer(0, { value: '2' })));
  must(await post('/v1/sys/seal', {}));
  await fail(signer.post('/v1/keys/kept/sign/transaction', transfer(1)));
  await fail(
    post('/v1/keys/import', { name: 'sealed', source: { type: 'private-key', privateKey: newKey() } }),
  );
  const items = [{ key: 'kept', operation: 'message', message: 'x' }];
  const [inBatch] = must(await signer.post('/v1/sign/batch', { items })).body.items;
  expect(inBatch).toMatchObject({ status: 503, code: 'sealed' });
  expect(lines.filter((line) => line.includes(inBatch.requestId))).toHaveLength(1);
  must(await post('/v1/sys/unseal', {}));

  const entries = JSON.stringify(await service.entries());
  const metrics = must(await service.client(undefined).get('/metrics')).text;
  const token1 = admin.token!.slice(-43);
  await service.stop();
  const files = readdirSync(service.data)
    .filter((file) => !file.endsWith('.token'))
    .map((file) => [file, readFileSync(path.join(service.data, file), 'latin1')] as const);

  expect(lines.length).toBeGreaterThan(2);
  expect(secrets.length).toBeGreaterThan(30);
  // What the caller sent as the name of a field is named back to it, in the answer and nowhere else.
  const errors = answers.map(({ text }) => text).filter((text) => !text.includes('is not a known field'));
  expect(errors.length).toBeGreaterThan(35);
  const places = [
    ['the log', lines.join('')],
    ['the audit entries', entries],
    ['the metrics', metrics],
    ['the answers', errors.join('\n')],
    ...files,
  ] as const;
  for (const [place, text] of places) {
    expect(text.length, place).toBeGreaterThanOrEqual(0);
    for (const one of [...secrets, token1]) {
      for (const spelling of spellings(one))
        expect(text.includes(spelling), `${one} in ${place}`).toBe(false);
    }
  }
  for (const [file, content] of files) {
    for (const one of [good, wallet.privateKey]) {
      expect(content.includes(Buffer.from(one.slice(2), 'hex').toString('latin1')), file).toBe(false);
    }
    const bytes = Buffer.from(token.slice(-43), 'base64url').toString('latin1');
    expect(content.includes(bytes), file).toBe(false);
  }
});

test('metrics count requests by route and signatures by outcome, with few labels', async () => {
  await service.restart();
  must(await service.signer.post('/v1/keys/kept/sign/message', { message: 'x' }));
  await service.signer.post('/v1/keys/kept/sign/transaction', transfer(50, { value: '2000000000000000000' }));
  await service.signer.get('/v1/keys/never-made');
  await service.signer.get('/v1/nope');
  const answered = must(await service.client(undefined).get('/metrics'));
  expect(answered.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
  const { text } = answered;
  expect(text).toContain('countersign_sign_requests_total{operation="message",outcome="signed"} 1');
  expect(text).toContain(
    'countersign_sign_requests_total{operation="transaction",outcome="policy_denied"} 1',
  );
  expect(text).toMatch(/duration_seconds_count\{method="GET",route="\/v1\/keys\/\{name\}",status="404"\} 1/);
  expect(text).toMatch(/^countersign_sealed 0$/m);
  expect(text).toMatch(/^countersign_audit_entries \d+$/m);
  expect(text).not.toMatch(/kept|never-made|nope|0x[0-9a-f]{40}/);
  for (const line of text.split('\n')) expect(line).toMatch(/^(?:#.*|\w+(?:\{[^}]*\}[^{]*|\{.*\}.*)? ?.*|)$/);
});
