import { createCipheriv, createDecipheriv, createPrivateKey, sign } from 'node:crypto';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { keccak_256 } from '@noble/hashes/sha3.js';
import * as noble from '@noble/secp256k1';
import { hpkeOpen } from '../../keystore/hpke.ts';
import { deriveKey } from '../../keystore/kdf.ts';
import { addressOf, isSignatureOf, publicKeyOf, signDigest, verifies } from '../../secp256k1.ts';

/**
 * Known-answer tests, run before the process takes its first request. A wrong CPU, a broken addon or a
 * library that was swapped shows here and not in somebody's signature.
 *
 * Answers: FIPS 202 era keccak of the empty string; RFC 6979 as published for secp256k1; RFC 8032 §7.1 test 1;
 * NIST SP 800-38A F.5.1; the GCM specification's test case 14; the official vectors of RFC 9180; RFC 7914 §11 and §12; the reference
 * implementation's test of argon2id with 256 KiB and two passes.
 *
 * @returns the names of the tests that failed; empty is good.
 */
export async function runSelfTests(): Promise<string[]> {
  const failed: string[] = [];
  for (const [name, test] of Object.entries(TESTS)) {
    try {
      if (!(await test())) failed.push(name);
    } catch {
      failed.push(name);
    }
  }
  return failed;
}

const hex = (text: string): Buffer => Buffer.from(text, 'hex');
const same = (bytes: Uint8Array, expected: string): boolean => hex(expected).equals(bytes);

const TESTS: Record<string, () => boolean | Promise<boolean>> = {
  keccak256: () =>
    same(keccak_256(new Uint8Array()), 'c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470'),

  'address derivation': () => addressOf(publicKeyOf(one())) === '0x7e5f4552091a69125d5dfcb7b8c2659029395bdf',

  // RFC 6979 with SHA-256 over secp256k1, private key 1, message "Satoshi Nakamoto".
  'RFC 6979 known answer': () => {
    const signature = signDigest(sha256(Buffer.from('Satoshi Nakamoto')), one());
    return (
      same(signature.subarray(0, 32), '934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8') &&
      same(signature.subarray(32, 64), '2442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5')
    );
  },

  'libsecp256k1 agrees with @noble/secp256k1': () => {
    noble.hashes.sha256 = sha256;
    noble.hashes.hmacSha256 = (key, message) => hmac(sha256, key, message);
    for (let i = 1; i <= 4; i++) {
      const key = sha256(Buffer.from([i]));
      const digest = keccak_256(key);
      const ours = signDigest(digest, key);
      const theirs = noble.sign(digest, key, { prehash: false, lowS: true, format: 'recovered' });
      if (!Buffer.concat([ours.subarray(64), ours.subarray(0, 64)]).equals(theirs)) return false;
      const publicKey = publicKeyOf(key);
      if (!verifies(publicKey, digest, ours) || !isSignatureOf(publicKey, digest, ours)) return false;
      if (verifies(publicKey, key, ours) || isSignatureOf(publicKey, key, ours)) return false;
    }
    return true;
  },

  ed25519: () => {
    const seed = { key: hex(ED25519_SEED), format: 'raw-private', asymmetricKeyType: 'ed25519' } as const;
    return same(sign(null, Buffer.alloc(0), createPrivateKey(seed)), ED25519_SIGNATURE);
  },

  'AES-128-CTR': () => {
    const iv = hex('f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff');
    const cipher = createCipheriv('aes-128-ctr', hex('2b7e151628aed2a6abf7158809cf4f3c'), iv);
    return same(cipher.update(hex('6bc1bee22e409f96e93d7e117393172a')), '874d6191b620e3261bef6864990db6ce');
  },

  'AES-256-GCM': () => {
    const key = Buffer.alloc(32);
    const cipher = createCipheriv('aes-256-gcm', key, Buffer.alloc(12));
    const sealed = cipher.update(Buffer.alloc(16));
    cipher.final();
    const decipher = createDecipheriv('aes-256-gcm', key, Buffer.alloc(12)).setAuthTag(cipher.getAuthTag());
    const opened = Buffer.concat([decipher.update(sealed), decipher.final()]);
    return (
      same(sealed, 'cea7403d4d606b6e074ec5d3baf39d18') &&
      same(cipher.getAuthTag(), 'd0d1c8a799996bf0265b98b5d48ab919') &&
      opened.equals(Buffer.alloc(16))
    );
  },

  // Base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM.
  HPKE: () => {
    const pair = {
      privateKey: hex('497b4502664cfea5d5af0b39934dac72242a74f8480451e1aee7d6a53320333d'),
      publicKey: hex('430f4b9859665145a6b1ba274024487bd66f03a2dd577d7753c68d7d7d00c00c'),
    };
    const message = {
      enc: hex('6c93e09869df3402d7bf231bf540fadd35cd56be14f97178f0954db94b7fc256'),
      ciphertext: hex(
        'e5d84cd531cfb583096e7cfa9641bd3079cf3a91cda813c52deb5f512be9931980a41de125a925cdad859d5b7a',
      ),
    };
    const opened = hpkeOpen(pair, message, Buffer.from('Ode on a Grecian Urn'), Buffer.from('Count-0'));
    return opened.equals(Buffer.from('Beauty is truth, truth beauty'));
  },

  scrypt: async () =>
    same(
      await deriveKey(Buffer.from('password'), {
        kdf: 'scrypt',
        n: 1024,
        r: 8,
        p: 16,
        dklen: 32,
        salt: Buffer.from('NaCl').toString('hex'),
      }),
      'fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162',
    ),

  pbkdf2: async () =>
    same(
      await deriveKey(Buffer.from('passwd'), {
        kdf: 'pbkdf2',
        prf: 'hmac-sha256',
        c: 1,
        dklen: 32,
        salt: Buffer.from('salt').toString('hex'),
      }),
      '55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc',
    ),

  argon2id: async () =>
    same(
      await deriveKey(Buffer.from('password'), {
        kdf: 'argon2id',
        memoryKiB: 256,
        iterations: 2,
        parallelism: 1,
        dklen: 32,
        salt: Buffer.from('somesalt').toString('hex'),
      }),
      '9dfeb910e80bad0311fee20f9c0e2b12c17987b4cac90c2ef54d5b3021c68bfe',
    ),
};

const ED25519_SEED = '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60';
const ED25519_SIGNATURE =
  'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b';

/** The private key 1: as public as a key can be. */
function one(): Buffer {
  const key = Buffer.alloc(32);
  key[31] = 1;
  return key;
}
