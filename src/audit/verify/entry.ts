import { fromHex, toHex, type Hex } from '../../bytes.ts';
import { OPERATIONS, type Operation } from '../../intent/intent.ts';
import { digestOf, preimageOf, serializeSigned, transactionHash } from '../../intent/preimage.ts';
import { parseIntent } from '../../intent/schema.ts';
import type { JsonValue } from '../../jcs.ts';
import { recoverAddress, type RecoverableSignature } from '../../secp256k1.ts';
import { beside, wholeIntent } from './beside.ts';
import { member, type EntryFields } from './fields.ts';

export type SignedEntryProblem =
  /** `sign` with the outcome `done`, and no signature. */
  | 'signature_missing'
  /** A signature on an entry that is not `sign`, or that says none was made. */
  | 'signature_unexpected'
  /** Not r ‖ s ‖ v with r and s in range, s low, v 27 or 28; or without a digest or an address to check. */
  | 'signature_invalid'
  /** The signature is another key's. */
  | 'signer_mismatch'
  /** The intent does not parse. */
  | 'intent_invalid'
  /** The digest is not that of the intent. */
  | 'digest_mismatch'
  | 'transaction_hash';

export type SignedEntryCheck =
  | {
      readonly ok: true;
      /**
       * False when the whole intent is not there: the entry has none, or its calldata or message was too large for an
       * entry, stands there as `dataHash` and `dataLength` in place of `data`, and the data was not given. The signature
       * still recovers to the key over the logged digest, but nothing here ties the two to the intent.
       */
      readonly digestRecomputed: boolean;
    }
  | { readonly ok: false; readonly problem: SignedEntryProblem; readonly message: string };

const SIGNATURE = /^0x[0-9a-f]{128}1[bc]$/;
const DIGEST = /^0x[0-9a-f]{64}$/;

/**
 * Checks an entry that has a signature or should have one: that it is low-s and recovers, over the logged
 * digest, to the key's address; that digest and transaction hash are those of the logged intent.
 * @param data the bytes that the intent names by their hash, of the right hash and length.
 */
export function checkSignedEntry(entry: EntryFields, data?: Uint8Array): SignedEntryCheck {
  const signed = entry['kind'] === 'sign' && entry['outcome'] === 'done';
  if (entry['signature'] === undefined)
    return fail('signature_missing', 'a signature was made and is not there');
  if (!signed)
    return fail('signature_unexpected', 'there is a signature, and the entry says that none was made');

  const { digest } = entry;
  if (!isHex(digest, DIGEST)) return fail('signature_invalid', 'there is no digest of 32 bytes');
  const signature = readSignature(entry['signature']);
  const address = member(entry['key'], 'address');
  if (signature === undefined || typeof address !== 'string') {
    return fail('signature_invalid', 'there is no 65-byte signature, or no address to check it with');
  }
  const signer = recover(digest, signature);
  if (signer === undefined) {
    return fail('signature_invalid', 'r or s is out of range, or no key has made this signature');
  }
  if (signer !== address.toLowerCase()) {
    return fail('signer_mismatch', `the signature was made by ${signer}, not by ${address}`);
  }
  const { intent } = entry;
  if (intent === undefined || (beside(entry) !== undefined && data === undefined)) {
    return { ok: true, digestRecomputed: false };
  }
  return checkIntent(entry, data === undefined ? intent : wholeIntent(entry, data), digest, signature);
}

function checkIntent(
  entry: EntryFields,
  intent: JsonValue,
  digest: Hex,
  signature: RecoverableSignature,
): SignedEntryCheck {
  const operation = OPERATIONS.find((known) => known === entry['operation']);
  if (operation === undefined) return fail('intent_invalid', 'there is an intent of no known operation');
  const encoded = encode(operation, intent, signature);
  if (encoded === undefined) return fail('intent_invalid', `the intent is not a valid ${operation} request`);
  if (encoded.digest !== digest) {
    return fail('digest_mismatch', `the digest of the intent is ${encoded.digest}, and ${digest} was signed`);
  }
  const hash = entry['transactionHash'];
  if (hash !== undefined && hash !== encoded.transactionHash) {
    return fail('transaction_hash', 'the transaction hash is not that of the signed transaction');
  }
  return { ok: true, digestRecomputed: true };
}

/** Undefined when the intent is not one that could have been signed. */
function encode(
  operation: Operation,
  body: unknown,
  signature: RecoverableSignature,
): { digest: Hex; transactionHash?: Hex } | undefined {
  try {
    const intent = parseIntent(operation, body);
    const digest = toHex(digestOf(operation, preimageOf(intent)));
    if (intent.operation !== 'transaction') return { digest };
    return {
      digest,
      transactionHash: toHex(transactionHash(serializeSigned(intent.transaction, signature))),
    };
  } catch {
    return undefined;
  }
}

function recover(digest: Hex, signature: RecoverableSignature): Hex | undefined {
  try {
    return recoverAddress(fromHex(digest), signature);
  } catch {
    return undefined;
  }
}

function readSignature(value: JsonValue | undefined): RecoverableSignature | undefined {
  if (!isHex(value, SIGNATURE)) return undefined;
  const bytes = fromHex(value);
  return { r: bytes.subarray(0, 32), s: bytes.subarray(32, 64), yParity: bytes[64] === 27 ? 0 : 1 };
}

function isHex(value: JsonValue | undefined, form: RegExp): value is Hex {
  return typeof value === 'string' && form.test(value);
}

function fail(problem: SignedEntryProblem, message: string): SignedEntryCheck {
  return { ok: false, problem, message };
}
