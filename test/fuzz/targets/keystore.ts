import assert from 'node:assert/strict';
import { createDecipheriv, pbkdf2Sync, scryptSync } from 'node:crypto';
import { keccak256 } from 'ethers';
import { CountersignError } from '../../../src/errors.ts';
import {
  keystoreFacts,
  openKeystore,
  parseKeystore,
  type Keystore,
} from '../../../src/keystore/web3-keystore.ts';
import { attempt, jsonOf } from '../attempt.ts';

const PASSWORD = Buffer.from('fuzz');

/**
 * Web3 Secret Storage: what is taken reads the same again. Where its derivation is cheap, it opens with the password
 * exactly if its MAC is that of the password, and to what OpenSSL decrypts.
 */
export async function fuzz(bytes: Uint8Array): Promise<void> {
  const json = jsonOf(bytes);
  const keystore = attempt(['invalid_request'], () => parseKeystore(json));
  if (keystore === undefined) return;
  assert.deepEqual(parseKeystore(keystore), keystore);
  keystoreFacts(keystore);
  const derived = deriveCheaply(keystore);
  if (derived === undefined) return;
  const { ciphertext, cipherparams, mac } = keystore.crypto;
  const encrypted = Buffer.from(ciphertext, 'hex');
  const fitting = keccak256(Buffer.concat([derived.subarray(16, 32), encrypted])).slice(2);
  assert.equal(await opens(keystore), mac === fitting);

  const opened = await openKeystore({ ...keystore, crypto: { ...keystore.crypto, mac: fitting } }, PASSWORD);
  const decipher = createDecipheriv(
    'aes-128-ctr',
    derived.subarray(0, 16),
    Buffer.from(cipherparams.iv, 'hex'),
  );
  const plain = decipher.update(encrypted);
  assert.deepEqual(opened, Buffer.concat([Buffer.alloc(32 - plain.length), plain]));
}

async function opens(keystore: Keystore): Promise<boolean> {
  try {
    await openKeystore(keystore, PASSWORD);
    return true;
  } catch (error) {
    if (error instanceof CountersignError && error.code === 'wrong_password') return false;
    throw error;
  }
}

function deriveCheaply({ crypto }: Keystore): Buffer | undefined {
  const salt = Buffer.from(crypto.kdfparams.salt, 'hex');
  if (crypto.kdf === 'pbkdf2') {
    const { c, dklen } = crypto.kdfparams;
    return c > 1_000 ? undefined : pbkdf2Sync(PASSWORD, salt, c, dklen, 'sha256');
  }
  const { n, r, p, dklen } = crypto.kdfparams;
  return n * r * p > 1_024 ? undefined : scryptSync(PASSWORD, salt, dklen, { N: n, r, p });
}
