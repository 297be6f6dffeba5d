import { HDNodeWallet } from 'ethers';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEFAULT_PATH, derivePrivateKey, parsePath } from '../../src/keystore/hd-path.ts';

const HARDENED = 2 ** 31;
const keyAt = (seed: Uint8Array, path: string): string =>
  `0x${derivePrivateKey(seed, parsePath(path)).toString('hex')}`;

describe('BIP-32, test vector 1', () => {
  const seed = Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex');
  // The 32 bytes of the key in each of its xprv.
  it.each([
    ['m', '0xe8f32e723decf4051aefac8e2c93c9c5b214313817cdb01a1494b917c8436b35'],
    ["m/0'", '0xedb2e14f9ee77d26dd93b4ecede8d16ed408ce149b6cd80b0715a2d911a0afea'],
    ["m/0'/1", '0x3c6cb8d0f6a264c91ea8b5030fadaa8e538b020f0a387421a12de9319dc93368'],
    ["m/0'/1/2'", '0xcbce0d719ecf7431d88e6a89fa1483e02e35092af60c042b1df2ff59fa424dca'],
    ["m/0'/1/2'/2", '0x0f479245fb19a38a1954c5c7c0ebab2f9bdfd96a17563ef28a6a4b1a2a764ef4'],
    ["m/0'/1/2'/2/1000000000", '0x471b76e389e528d6de6d816857e012c5455051cad6660850e58372a6c3e6e7c8'],
  ])('%s', (path, key) => expect(keyAt(seed, path)).toBe(key));
});

// Keys that begin with zeros: an implementation that drops them comes to others (test vectors 3 and 4).
it.each([
  [
    '4b381541583be4423346c643850da4b320e46a87ae3d2a4e6da11eba819cd4acba45d239319ac14f863b8d5ab5a0d0c64d2e8a1e7d1457df2e5a3c51c73235be',
    "m/0'",
  ],
  ['3ddd5602285899a946114506157c7997e5444528f3003f6134712147db19b678', "m/0'/1'"],
])('seed %s at %s', (seed, path) => {
  expect(keyAt(Buffer.from(seed, 'hex'), path)).toBe(
    HDNodeWallet.fromSeed(`0x${seed}`).derivePath(path).privateKey,
  );
});

it('comes to the keys that ethers comes to', () => {
  const seeds = fc.uint8Array({ minLength: 16, maxLength: 64 });
  const step = fc.tuple(fc.nat(HARDENED - 1), fc.constantFrom('', "'"));
  fc.assert(
    fc.property(seeds, fc.array(step, { maxLength: 6 }), (seed, steps) => {
      const path = ['m', ...steps.map(([number, mark]) => `${number}${mark}`)].join('/');
      const hex = `0x${Buffer.from(seed).toString('hex')}`;
      expect(keyAt(seed, path)).toBe(HDNodeWallet.fromSeed(hex).derivePath(path).privateKey);
    }),
  );
});

it.each([
  [DEFAULT_PATH, [44 + HARDENED, 60 + HARDENED, HARDENED, 0, 0]],
  ['m', []],
  ['m/0h/1H', [HARDENED, HARDENED + 1]],
  ['m/2147483647', [2147483647]],
])('reads %s', (path, steps) => expect(parsePath(path)).toEqual(steps));

it.each([
  '',
  'M/0',
  '0/1',
  'm/',
  'm//1',
  'm/-1',
  'm/01',
  'm/2147483648',
  "m/2147483648'",
  "m/1''",
  'm/x',
  'm/1 ',
  `m${'/0'.repeat(256)}`,
])('refuses %j', (path) => {
  expect(() => parsePath(path)).toThrow(
    expect.objectContaining({ code: 'invalid_request', errors: [expect.objectContaining({ path: 'path' })] }),
  );
});
