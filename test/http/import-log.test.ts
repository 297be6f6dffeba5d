import { encryptKeystoreJson, Wallet } from 'ethers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { run, type Answered, type Json, type Running } from './running.ts';

let service: Running;
beforeAll(async () => void (service = await run()));
afterAll(() => service.end());

async function imported(name: string, source: object, more: object = {}): Promise<[Answered, Json[]]> {
  const from = await service.size();
  const answered = await service.admin.post('/v1/keys/import', { name, source, ...more });
  return [answered, await service.entries({ from })];
}

test('a wrong password and a malformed keystore are logged, by their code and nothing else', async () => {
  const { address, privateKey } = Wallet.createRandom();
  const keystore: Json = JSON.parse(
    await encryptKeystoreJson({ address, privateKey }, 'right', { scrypt: { N: 1024, r: 8, p: 1 } }),
  );
  const wrong = await imported('wrong', { type: 'web3-v3', keystore, password: 'not it' });
  const malformed = await imported('malformed', { type: 'web3-v3', keystore: { version: 3 }, password: 'x' });
  const notAKey = await imported('zero', { type: 'private-key', privateKey: `0x${'00'.repeat(32)}` });
  for (const [answered, entries] of [wrong, malformed, notAKey]) {
    expect(answered.status).toBeGreaterThanOrEqual(400);
    expect(entries).toMatchObject([
      { kind: 'key.import_refused', outcome: 'failed', actor: { principal: 'admin' } },
    ]);
    expect(entries[0].detail).toEqual({ reason: answered.body.code });
  }
  expect(wrong[0].body.code).toBe('wrong_password');
  expect([wrong, malformed, notAKey].map(([, [{ key }]]) => key)).toEqual(
    ['wrong', 'malformed', 'zero'].map((name) => ({ name })),
  );
});

test('a key that the public has is imported with what is known of it in the entry', async () => {
  // The first account of the mnemonic "test test … junk".
  const hardhat = '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80';
  const small = `0x${'5'.padStart(64, '0')}`;
  const fresh = Wallet.createRandom().privateKey;
  const detailOf = async (name: string, privateKey: string): Promise<Json> => {
    const [{ status }, [entry]] = await imported(
      name,
      { type: 'private-key', privateKey },
      { allowWellKnown: true },
    );
    expect(status).toBe(201);
    expect(entry.kind).toBe('key.imported');
    return entry.detail;
  };
  expect(await detailOf('known', hardhat)).toEqual({ tags: [], wellKnown: expect.any(String) as string });
  const guessable = await detailOf('guessable', small);
  expect(guessable.wellKnown ?? guessable.weakness).toEqual(expect.any(String));
  const pattern = await detailOf('pattern', `0x${'b7'.repeat(32)}`);
  expect(pattern).toEqual({ tags: [], weakness: expect.any(String) as string });
  expect(await detailOf('fresh', fresh)).toEqual({ tags: [] });
});
