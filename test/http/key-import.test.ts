import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { encryptKeystoreJson, Wallet } from 'ethers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLog } from '../../src/log.ts';
import { must, run, type Answered, type Json, type Running } from './running.ts';
import { wrap, type Sent } from './wrapping.ts';

const lines: string[] = [];
let service: Running;
let made = 0;

beforeAll(async () => {
  service = await run(createLog('info', { write: (line) => void lines.push(line) }));
});
afterAll(() => service.end());

const WEAK = { scrypt: { N: 1 << 12, r: 8, p: 1 } };
const newName = (): string => `key-${made++}`;
const send = (name: string, sent: Sent, more: object = {}): Promise<Answered> =>
  service.admin.post('/v1/keys/import', { name, source: { type: 'wrapped', ...sent }, ...more });
const privateKey = (wallet = Wallet.createRandom()) => ({
  form: 'private-key' as const,
  privateKey: Buffer.from(wallet.privateKey.slice(2), 'hex'),
});
const outcome = ({ status, body }: Answered): readonly [number, string] => [status, body.code];

async function fileOf(wallet: { address: string; privateKey: string }, password: string, change = {}) {
  const text = await encryptKeystoreJson(wallet, password, WEAK);
  const keystore = Buffer.from(JSON.stringify({ ...JSON.parse(text), ...change }));
  return { form: 'keystore' as const, keystore, password: Buffer.from(password) };
}

describe('a wrapped import', () => {
  test('takes a private key, under the address of its owner', async () => {
    const wallet = Wallet.createRandom();
    const name = newName();
    const { body } = must(
      await send(name, await wrap(service.admin, name, privateKey(wallet)), { tags: ['t'] }),
    );
    expect(body).toMatchObject({ name, tags: ['t'], exportable: false });
    expect(body.versions).toEqual([
      expect.objectContaining({ address: wallet.address.toLowerCase(), origin: 'imported' }),
    ]);
    expect(body.keystore).toBeUndefined();
    const [entry] = (await service.entries({ kind: 'key.imported' })).slice(-1);
    expect(entry).toMatchObject({ key: { name }, detail: { wrapped: true } });
  });

  test('takes a V3 file, and says how well it protected the key', async () => {
    const wallet = Wallet.createRandom();
    const name = newName();
    const { body } = must(
      await send(name, await wrap(service.admin, name, await fileOf(wallet, 'pässword'))),
    );
    expect(body.versions[0].address).toBe(wallet.address.toLowerCase());
    expect(body.keystore).toEqual({
      kdf: { kdf: 'scrypt', n: 4096, r: 8, p: 1, dklen: 32 },
      belowFloor: ['n 4096, at least 131072'],
      advice: expect.stringMatching(/weaker .*destroy the old file/),
    });
    const [entry] = (await service.entries({ kind: 'key.imported' })).slice(-1);
    expect(entry.detail).toMatchObject({ kdf: { n: 4096 }, belowFloor: ['n 4096, at least 131072'] });
  });

  test('says what is wrong with a file', async () => {
    const wallet = Wallet.createRandom();
    const file = await fileOf(wallet, 'right');
    const name = newName();
    const tries: readonly [object, number, string][] = [
      [{ password: Buffer.from('wrong') }, 422, 'wrong_password'],
      [{ keystore: Buffer.from('{') }, 400, 'invalid_request'],
      [{ keystore: Buffer.from('{"version":4}') }, 400, 'invalid_request'],
      [await fileOf(wallet, 'right', { address: '11'.repeat(20) }), 422, 'unprocessable'],
    ];
    for (const [change, status, code] of tries) {
      expect(outcome(await send(name, await wrap(service.admin, name, { ...file, ...change })))).toEqual([
        status,
        code,
      ]);
    }
    must(await send(name, await wrap(service.admin, name, file)));
  });

  test('refuses what the public knows unless it is said', async () => {
    const key = { form: 'private-key' as const, privateKey: Buffer.alloc(32, 0x46) };
    const name = newName();
    const refused = await send(name, await wrap(service.admin, name, key));
    expect([refused.status, refused.body.detail]).toEqual([422, expect.stringContaining('public knowledge')]);
    must(await send(name, await wrap(service.admin, name, key), { allowWellKnown: true }));
  });

  test('works once', async () => {
    const name = newName();
    const sent = await wrap(service.admin, name, privateKey());
    must(await send(name, sent));
    expect(outcome(await send(newName(), sent))).toEqual([404, 'not_found']);
    // Also when it failed.
    const other = newName();
    const bad = await wrap(service.admin, other, { ...privateKey(), privateKey: Buffer.alloc(32) });
    expect((await send(other, bad)).status).toBe(400);
    expect(outcome(await send(other, bad))).toEqual([404, 'not_found']);
  });

  test.each([
    ['another name', { keyName: 'other' }],
    ['an export', { purpose: 'export' as const }],
    ['another service', { origin: 'example.com/other' }],
  ])('is of no use when it was made for %s', async (_, change) => {
    const name = newName();
    const sent = await wrap(service.admin, name, privateKey(), change);
    expect(outcome(await send(name, sent))).toEqual([422, 'unprocessable']);
    expect((await service.admin.get(`/v1/keys/${name}`)).status).toBe(404);
  });

  test('is of no use for another wrapping key, altered, or of another form', async () => {
    const name = newName();
    const [one, two] = [
      await wrap(service.admin, name, privateKey()),
      await wrap(service.admin, name, privateKey()),
    ];
    expect(outcome(await send(name, { ...one, wrappingKey: two.wrappingKey }))).toEqual([
      422,
      'unprocessable',
    ]);
    const altered = `${one.ciphertext.slice(0, -1)}${one.ciphertext.endsWith('0') ? '1' : '0'}`;
    expect(outcome(await send(name, { ...one, ciphertext: altered }))).toEqual([422, 'unprocessable']);
    const password = { form: 'password' as const, password: Buffer.from('a password') };
    expect(outcome(await send(name, await wrap(service.admin, name, password)))).toEqual([
      400,
      'invalid_request',
    ]);
    const low = { ...(await wrap(service.admin, name, privateKey())), enc: `0x${'00'.repeat(32)}` };
    expect(outcome(await send(name, low))).toEqual([400, 'invalid_request']);
  });

  test('does not survive a seal', async () => {
    const name = newName();
    const sent = await wrap(service.admin, name, privateKey());
    must(await service.admin.post('/v1/sys/seal', {}));
    expect(outcome(await send(name, sent))).toEqual([503, 'sealed']);
    expect(outcome(await service.admin.post('/v1/keys/import/wrapping-key', {}))).toEqual([503, 'sealed']);
    must(await service.admin.post('/v1/sys/unseal', {}));
    expect(outcome(await send(name, sent))).toEqual([404, 'not_found']);
  });

  test('is open for 64 at a time', async () => {
    // Whatever is left open from other tests goes.
    must(await service.admin.post('/v1/sys/seal', {}));
    must(await service.admin.post('/v1/sys/unseal', {}));
    const ask = (): Promise<Answered> => service.admin.post('/v1/keys/import/wrapping-key', {});
    const answers = await Promise.all(Array.from({ length: 65 }, ask));
    const good = answers.filter(({ status }) => status === 201);
    expect(good).toHaveLength(64);
    expect(new Set(good.map(({ body }) => body.publicKey)).size).toBe(64);
    expect(answers.filter(({ body }) => body.code === 'limit_exceeded')).toHaveLength(1);
    must(await service.admin.post('/v1/sys/seal', {}));
    must(await service.admin.post('/v1/sys/unseal', {}));
    expect((await ask()).status).toBe(201);
  });
});

test('neither key nor password of a wrapped import is in an answer, the log, the audit log or a file', async () => {
  const password = `pw-${randomBytes(12).toString('hex')}`;
  const wallets = [Wallet.createRandom(), Wallet.createRandom()];
  const [raw, filed] = [newName(), newName()];
  const good = await send(raw, await wrap(service.admin, raw, privateKey(wallets[0])));
  const file = await fileOf(wallets[1]!, password);
  const mistaken = { ...file, password: Buffer.from(`${password}x`) };
  const wrong = await send(filed, await wrap(service.admin, filed, mistaken));
  const opened = await send(filed, await wrap(service.admin, filed, file));
  const shown = await service.admin.get(`/v1/keys/${filed}`);
  const answers = [good, wrong, opened, shown];
  expect(answers.map(({ status }) => status)).toEqual([201, 422, 201, 200]);
  const entries = JSON.stringify(await service.entries());
  const files = readdirSync(service.data).map((name) =>
    readFileSync(path.join(service.data, name), 'latin1'),
  );
  const places = [lines.join(''), entries, ...files, ...answers.map(({ text }) => text)];
  expect(places.length).toBeGreaterThan(9);
  const keys = wallets.map((wallet) => Buffer.from(wallet.privateKey.slice(2), 'hex'));
  const forms = keys.flatMap((key) => [
    key.toString('latin1'),
    key.toString('hex'),
    key.toString('base64'),
    key.toString('base64url'),
  ]);
  for (const secret of [password, ...forms]) {
    expect(places.some((place: Json) => place.includes(secret))).toBe(false);
  }
});
