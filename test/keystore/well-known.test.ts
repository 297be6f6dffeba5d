import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { computeAddress, HDNodeWallet, id, Mnemonic } from 'ethers';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Hex } from '../../src/bytes.ts';
import { weakKeyReason, wellKnownOrigin } from '../../src/keystore/well-known.ts';

const root = path.resolve(import.meta.dirname, '../..');
const vectors = path.resolve(root, '../shared/vectors');

function originOf(privateKey: string): string | undefined {
  return wellKnownOrigin(computeAddress(privateKey.startsWith('0x') ? privateKey : `0x${privateKey}`) as Hex);
}

function load(...name: string[]): unknown {
  return JSON.parse(readFileSync(path.join(vectors, ...name), 'utf8'));
}

describe('wellKnownOrigin', () => {
  it.each([
    ['anvil/hardhat default account', 20, 'test test test test test test test test test test test junk'],
    [
      'ganache deterministic account',
      10,
      'myth like bonus scare over problem client lizard pioneer submit female collect',
    ],
    [
      'truffle develop account',
      10,
      'candy maple cake sugar pudding cream honey rich smooth crumble sweet treat',
    ],
    ['BIP-39 test mnemonic account', 10, `${'abandon '.repeat(11)}about`],
  ])('knows the %ss', (origin, count, phrase) => {
    const mnemonic = Mnemonic.fromPhrase(phrase);
    for (let i = 0; i < count; i += 1) {
      const wallet = HDNodeWallet.fromMnemonic(mnemonic, `m/44'/60'/0'/0/${i}`);
      expect(wellKnownOrigin(wallet.address as Hex)).toBe(`${origin} ${i}`);
    }
  });

  it.each([
    ['EIP-155 example key', '46'.repeat(32)],
    ['go-ethereum test key', 'b71c71a67e1177ad4e901695e1b4b9ee17ae16c6668d313eac2f96dbcda3f291'],
    ['go-ethereum test key', '8a1f9a8f95be41cd7ccb6168179afb4504aefe388d1e14474d32c45c72ce7b7a'],
    ['go-ethereum test key', '49a7b37aa6f6645917e7b807e9d1c00d4fa71f18343b0d4122a4d2df64dd6fee'],
    ['go-ethereum test key', '289c2857d4598e37fb9647507e47a309d6133539bf21a8b9cb6df88fd5232032'],
    ['Parity development account', '4d5db4107d237df6a3d58ee5f70ae63d73d7658d4026f2eefd2f204c81682cb7'],
    ['Besu development account', '8f2a55949038a9610f50fb23b5883af3b4ecb3c3bb792cbcefbd1542c692be63'],
    ['web3.js documentation example', '4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318'],
    ['web3.js documentation example', '348ce564d427a3311b6536bbcff9390d69395b06ed6c486954e971d960fe8709'],
    ['ethers documentation example', '0123456789'.repeat(6) + '0123'],
    ['keccak256("cow"), the EIP-712 example key', id('cow')],
    ['keccak256("horse")', id('horse')],
  ])('knows the %s %s', (origin, privateKey) => {
    expect(originOf(privateKey)).toBe(origin);
  });

  it.skipIf(!existsSync(vectors))(
    'knows every key of the test vectors (skipped where ../shared/vectors is missing)',
    () => {
      const keys = [
        ...Object.values(load('keystore-v3', 'ethereum-tests.json') as Record<string, { priv: string }>).map(
          (v) => v.priv,
        ),
        ...(load('eip7702', 'eip7702.json') as { privateKey?: string }[]).flatMap((v) => v.privateKey ?? []),
        ...(load('personal-sign', 'personal-sign.json') as { cases: { privateKey: string }[] }).cases.map(
          (v) => v.privateKey,
        ),
        ...(load('rfc6979-secp256k1', 'rfc6979.json') as { d: string }[]).map((v) => v.d),
      ];
      expect(keys.length).toBeGreaterThan(20);
      expect(keys.filter((key) => originOf(key) === undefined)).toEqual([]);
    },
  );

  it('knows the wallets of the ethers test cases', () => {
    const file = path.join(root, 'node_modules/@ethersproject/testcases/testcases/wallets.json.gz');
    const wallets = JSON.parse(gunzipSync(readFileSync(file)).toString()) as { privateKey: string }[];
    expect(wallets.filter(({ privateKey }) => originOf(privateKey) === undefined)).toEqual([]);
  });

  it('takes any case and knows nothing else', () => {
    expect(wellKnownOrigin('0xF39Fd6e51aad88F6F4ce6aB8827279cffFb92266')).toBe(
      'anvil/hardhat default account 0',
    );
    expect(wellKnownOrigin('0x0000000000000000000000000000000000000001')).toBeUndefined();
    expect(originOf(createHash('sha256').update('not published').digest('hex'))).toBeUndefined();
  });
});

describe('weakKeyReason', () => {
  const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
  const bytes = (n: bigint): Buffer => Buffer.from(n.toString(16).padStart(64, '0'), 'hex');

  it('finds small numbers, numbers near the order and repeated bytes', () => {
    const near = fc.bigInt({ min: 1n, max: 2n ** 64n - 1n });
    const check = (key: Buffer, reason: string) => {
      expect(weakKeyReason(key)).toContain(reason);
    };
    fc.assert(fc.property(near, (d) => check(bytes(d), 'below 2^64')));
    fc.assert(fc.property(near, (d) => check(bytes(ORDER - d), 'group order')));
    for (let byte = 0; byte < 256; byte += 1) check(Buffer.alloc(32, byte), 'equal');
  });

  it('stops exactly at 2^64', () => {
    expect(weakKeyReason(bytes(2n ** 64n - 1n))).toBeDefined();
    expect(weakKeyReason(bytes(2n ** 64n))).toBeUndefined();
    expect(weakKeyReason(bytes(ORDER - 2n ** 64n + 1n))).toBeDefined();
    expect(weakKeyReason(bytes(ORDER - 2n ** 64n))).toBeUndefined();
    expect(weakKeyReason(bytes(ORDER - 2n ** 65n))).toBeUndefined();
  });

  it('agrees with arithmetic on every other number', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 2n ** 64n, max: ORDER - 2n ** 64n }), (k) => {
        fc.pre(new Set(bytes(k)).size > 1);
        expect(weakKeyReason(bytes(k))).toBeUndefined();
      }),
    );
  });
});
