import assert from 'node:assert/strict';
import { isExportable, openSecret, termOf } from '../../../src/keystore/envelope.ts';
import { parsePath } from '../../../src/keystore/hd-path.ts';
import { hpkeOpen } from '../../../src/keystore/hpke.ts';
import { readMnemonic } from '../../../src/keystore/mnemonic.ts';
import { formatShare, parseShare } from '../../../src/keystore/share.ts';
import { decodeWrapped, encodeWrapped } from '../../../src/keystore/wrapped.ts';
import { attempt, textOf } from '../attempt.ts';

const IDENTITY = { keyId: 'k', version: 1, curve: 'secp256k1', address: `0x${'51'.repeat(20)}` } as const;
/** No pair: nothing is ever encrypted to it. */
const PAIR = { privateKey: Buffer.alloc(32, 7), publicKey: Buffer.alloc(32, 9) };

/** Shares, mnemonics, paths, sealed and wrapped secrets: what is taken is written again alike, and nothing that was not sealed opens. */
export function fuzz(input: Uint8Array): void {
  // Readers of secrets may wipe what they are given.
  const bytes = Buffer.from(input);
  const share = attempt(['invalid_request'], () => parseShare(bytes));
  if (share !== undefined) assert.deepEqual(formatShare(share), bytes);
  const wrapped = attempt(['invalid_request'], () => decodeWrapped(bytes));
  if (wrapped !== undefined) assert.deepEqual(encodeWrapped(wrapped), bytes);
  const phrase = attempt(['invalid_request'], () => readMnemonic(bytes));
  if (phrase !== undefined) assert.deepEqual(readMnemonic(phrase), phrase);
  const steps = attempt(['invalid_request'], () => parsePath(textOf(bytes)));
  if (steps !== undefined) assert.ok(steps.length <= 255 && steps.every((step) => step < 2 ** 32));

  const term = attempt(['unprocessable'], () => termOf(bytes));
  if (term !== undefined) assert.equal(isExportable(bytes), bytes[0] === 2);
  const opened = attempt(['unprocessable'], () => openSecret(() => Buffer.alloc(32, 9), IDENTITY, bytes));
  assert.equal(opened, undefined);
  const message = { enc: bytes.subarray(0, 32), ciphertext: bytes.subarray(32) };
  const plain = attempt(['invalid_request', 'unprocessable'], () => hpkeOpen(PAIR, message, Buffer.alloc(0)));
  assert.equal(plain, undefined);
  assert.deepEqual(bytes, Buffer.from(input));
}
