import * as secp256k1 from '@noble/secp256k1';
import { SigningKey, Transaction, hashMessage, recoverAddress, verifyMessage } from 'ethers';
import { describe, expect, it } from 'vitest';
import type { EntryDraft } from '../../../src/audit/entry.ts';
import { checkSignedEntry } from '../../../src/audit/verify/entry.ts';
import type { EntryFields } from '../../../src/audit/verify/fields.ts';
import { OPERATIONS } from '../../../src/intent/intent.ts';
import { canonicalize, type JsonValue } from '../../../src/jcs.ts';
import { BODIES, signedDraft, testKey } from '../memory-log.ts';

/** Through the log's own encoding, as a verifier sees it. */
function logged(draft: EntryDraft, changes: object = {}): EntryFields {
  const json = canonicalize({ ...draft, ...changes } as unknown as JsonValue);
  return JSON.parse(json) as EntryFields;
}

function edit(hex: string, at: number, digits: string): string {
  return hex.slice(0, at) + digits + hex.slice(at + digits.length);
}

const transaction = signedDraft('transaction', BODIES.transaction);
const message = signedDraft('message', BODIES.message);
const ORDER = secp256k1.Point.CURVE().n;

describe('a good entry', () => {
  it.each(OPERATIONS)('%s', (operation) => {
    const entry = logged(signedDraft(operation, BODIES[operation]));
    expect(checkSignedEntry(entry)).toEqual({ ok: true, digestRecomputed: true });
  });

  it('signed by ethers, which shares no code with the check', () => {
    const { privateKey, address } = testKey(9);
    const key = new SigningKey(privateKey);
    const { transaction: body } = BODIES.transaction;
    const tx = Transaction.from({ ...body, nonce: Number(body.nonce) });
    tx.signature = key.sign(tx.unsignedHash);
    const entry = logged(transaction, {
      key: { name: 'k', address },
      digest: tx.unsignedHash,
      signature: tx.signature.serialized,
      transactionHash: tx.hash,
    });
    expect(recoverAddress(tx.unsignedHash, tx.signature).toLowerCase()).toBe(address);
    expect(checkSignedEntry(entry)).toEqual({ ok: true, digestRecomputed: true });
    const text = BODIES.message.message;
    const signature = key.sign(hashMessage(text)).serialized;
    expect(verifyMessage(text, signature).toLowerCase()).toBe(address);
    expect(
      checkSignedEntry(
        logged(message, { key: { name: 'k', address }, signature, digest: hashMessage(text) }),
      ),
    ).toEqual({ ok: true, digestRecomputed: true });
  });

  it('may write its address with a checksum', () => {
    const address = transaction.key!.address!.toUpperCase().replace('0X', '0x');
    expect(checkSignedEntry(logged(transaction, { key: { name: 'k', address } }))).toMatchObject({
      ok: true,
    });
  });

  it('without its whole intent is recovered only', () => {
    const recovered = { ok: true, digestRecomputed: false };
    const dataHash = `0x${'11'.repeat(32)}`;
    const { data: _, ...rest } = BODIES.transaction.transaction;
    expect(checkSignedEntry(logged(transaction, { intent: undefined }))).toEqual(recovered);
    expect(
      checkSignedEntry(
        logged(transaction, { intent: { transaction: { ...rest, dataHash, dataLength: 70_000 } } }),
      ),
    ).toEqual(recovered);
    expect(checkSignedEntry(logged(message, { intent: { dataHash, dataLength: 70_000 } }))).toEqual(
      recovered,
    );
  });
});

describe('a bad entry', () => {
  const { signature, digest } = transaction as { signature: string; digest: string };
  const highS = (ORDER - BigInt(`0x${signature.slice(66, 130)}`)).toString(16).padStart(64, '0');
  const flippedV = signature.endsWith('1b') ? '1c' : '1b';
  const dataHash = `0x${'11'.repeat(32)}`;
  const altered = { transaction: { ...BODIES.transaction.transaction, value: '1' } };

  it.each([
    ['no signature', 'signature_missing', { signature: undefined }],
    ['another kind', 'signature_unexpected', { kind: 'key.created' }],
    ['another outcome', 'signature_unexpected', { outcome: 'denied' }],
    ['no digest', 'signature_invalid', { digest: undefined }],
    ['a short digest', 'signature_invalid', { digest: digest.slice(0, -2) }],
    ['no key', 'signature_invalid', { key: undefined }],
    ['no address', 'signature_invalid', { key: { name: 'treasury' } }],
    ['a null signature', 'signature_invalid', { signature: null }],
    ['64 bytes', 'signature_invalid', { signature: signature.slice(0, -2) }],
    ['66 bytes', 'signature_invalid', { signature: `${signature}00` }],
    ['no hex', 'signature_invalid', { signature: edit(signature, 10, 'zz') }],
    ['a v of 29', 'signature_invalid', { signature: edit(signature, 130, '1d') }],
    ['a v of 0', 'signature_invalid', { signature: edit(signature, 130, '00') }],
    ['r of zero', 'signature_invalid', { signature: edit(signature, 2, '0'.repeat(64)) }],
    ['r of the group order', 'signature_invalid', { signature: edit(signature, 2, ORDER.toString(16)) }],
    ['s of zero', 'signature_invalid', { signature: edit(signature, 66, '0'.repeat(64)) }],
    ['a high s', 'signature_invalid', { signature: edit(edit(signature, 66, highS), 130, flippedV) }],
    ['the other v', 'signer_mismatch', { signature: edit(signature, 130, flippedV) }],
    ['another address', 'signer_mismatch', { key: { name: 'k', address: testKey(2).address } }],
    ['the digest of another', 'signer_mismatch', { digest: message.digest }],
    ['an altered intent', 'digest_mismatch', { intent: altered }],
    [
      'a message that was not signed',
      'digest_mismatch',
      { ...message, intent: { message: 'Hello, Wörld!' } },
    ],
    ['no operation', 'intent_invalid', { operation: undefined }],
    ['an unknown operation', 'intent_invalid', { operation: 'sign' }],
    ['the intent of another operation', 'intent_invalid', { operation: 'message' }],
    ['an intent with a field too many', 'intent_invalid', { intent: { ...BODIES.transaction, more: 1 } }],
    [
      'data and its hash',
      'intent_invalid',
      { intent: { transaction: { ...BODIES.transaction.transaction, dataHash, dataLength: 4 } } },
    ],
    ['a hash beside the transaction', 'intent_invalid', { intent: { ...altered, dataHash, dataLength: 4 } }],
    ['another transaction hash', 'transaction_hash', { transactionHash: dataHash }],
    ['a transaction hash on a message', 'transaction_hash', { ...message, transactionHash: dataHash }],
  ])('%s', (_name, problem, changes) => {
    expect(checkSignedEntry(logged(transaction, changes))).toMatchObject({ ok: false, problem });
  });

  it('does not take typed data by its hash', () => {
    const typed = signedDraft('typed-data', BODIES['typed-data']);
    expect(checkSignedEntry(logged(typed, { intent: { dataHash, dataLength: 5 } }))).toMatchObject({
      ok: false,
      problem: 'intent_invalid',
    });
  });
});
