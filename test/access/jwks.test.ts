import { exportJWK, generateKeyPair, jwtVerify, SignJWT, type CryptoKey, type JWK } from 'jose';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { KeySet } from '../../src/access/jwks.ts';

let signers: { readonly kid: string; readonly privateKey: CryptoKey; readonly jwk: JWK }[];
beforeAll(async () => {
  signers = await Promise.all(
    ['a', 'b'].map(async (kid) => {
      const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
      return { kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: 'ES256' } };
    }),
  );
});

let clock: number;
let loads: number;
let served: unknown;
let set: KeySet;
beforeEach(() => {
  clock = 1_000_000;
  loads = 0;
  served = jwks('a');
  set = new KeySet(
    async () => {
      loads++;
      if (served instanceof Error) throw served;
      return served;
    },
    () => clock,
  );
});

const jwks = (...kids: string[]): object => ({
  keys: signers.filter(({ kid }) => kids.includes(kid)).map(({ jwk }) => jwk),
});
/** Whether a token signed with a key passes; else why not. */
async function check(kid: string, claimed = kid): Promise<string> {
  const { privateKey } = signers.find((signer) => signer.kid === kid)!;
  const token = await new SignJWT({}).setProtectedHeader({ alg: 'ES256', kid: claimed }).sign(privateKey);
  try {
    await jwtVerify(token, set.find, { algorithms: ['ES256'] });
    return 'good';
  } catch (error) {
    return (error as { code?: string }).code ?? (error as Error).message;
  }
}
const MINUTE = 60_000;

test('keys are fetched when they are asked for, and once for all that ask at the same time', async () => {
  expect(loads).toBe(0);
  const answers = await Promise.all(Array.from({ length: 20 }, () => check('a')));
  expect(new Set(answers)).toEqual(new Set(['good']));
  expect(loads).toBe(1);
});

test('an unknown key fetches again, but not more often than every 30 seconds', async () => {
  await check('a');
  served = jwks('a', 'b');
  expect(await check('b')).toBe('ERR_JWKS_NO_MATCHING_KEY');
  expect(loads).toBe(1);
  clock += 30_000;
  expect(await Promise.all([check('b'), check('b'), check('a')])).toEqual(['good', 'good', 'good']);
  expect(loads).toBe(2);
  for (let i = 0; i < 50; i++) await check('a', `none${i}`);
  expect(loads).toBe(2);
  clock += 30_000;
  await Promise.all(Array.from({ length: 20 }, (_, i) => check('a', `none${i}`)));
  expect(loads).toBe(3);
});

test('old keys are fetched again, and work until the new ones are there', async () => {
  await check('a');
  served = jwks('b');
  clock += 10 * MINUTE + 1;
  expect(await check('a')).toBe('good');
  await new Promise(setImmediate);
  expect(loads).toBe(2);
  expect(await check('a')).toBe('ERR_JWKS_NO_MATCHING_KEY');
  expect(await check('b')).toBe('good');
});

test.each([
  ['an error', new Error('HTTP 503')],
  ['something else', { keys: 'none' }],
  ['nothing', null],
])('when %s comes in place of keys, those there are go on working', async (_, answer) => {
  expect(await check('a')).toBe('good');
  served = answer;
  for (let hour = 0; hour < 48; hour++) {
    clock += 60 * MINUTE;
    expect(await check('a')).toBe('good');
    await new Promise(setImmediate);
  }
  expect(await check('b')).toBe('ERR_JWKS_NO_MATCHING_KEY');
  served = jwks('a', 'b');
  clock += MINUTE;
  expect(await check('b')).toBe('good');
});

test('without any keys a fetch is tried again after three seconds', async () => {
  served = new Error('HTTP 503');
  expect(await check('a')).toBe('HTTP 503');
  served = jwks('a');
  clock += 2_999;
  expect(await check('a')).toBe('HTTP 503');
  expect(loads).toBe(1);
  clock += 1;
  expect(await check('a')).toBe('good');
  expect(loads).toBe(2);
});
