import { isUtf8 } from 'node:buffer';
import { asBuffer, fromHex, toHex, type Hex } from '../../bytes.ts';
import { OPERATIONS, type Operation } from '../../intent/intent.ts';
import { digestOf, preimageOf, serializeSigned, transactionHash } from '../../intent/preimage.ts';
import { parseIntent } from '../../intent/schema.ts';
import { isCanonical, type JsonValue } from '../../jcs.ts';
import { recoverAddress, type RecoverableSignature } from '../../secp256k1.ts';
import { MAX_ENTRY_BYTES } from '../entry.ts';
import { leafHash } from '../tree/merkle.ts';
import type { StoredEntry } from '../stored-entry.ts';

/** An entry read back from a log: an object, and nothing else is known of it. */
export interface EntryFields {
  readonly [name: string]: JsonValue | undefined;
}

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

export type EntryProblem =
  | SignedEntryProblem
  /** The stored index is not the next one: an entry is missing, doubled or out of order. */
  | 'index_gap'
  | 'too_large'
  /** The stored leaf hash is not that of the stored bytes. */
  | 'leaf_hash'
  | 'not_utf8'
  | 'not_json'
  /** Not RFC 8785: duplicate or unsorted members, white space, other spellings of numbers or strings. */
  | 'not_canonical'
  | 'entry_shape'
  | 'entry_version'
  | 'entry_index'
  | 'entry_time'
  | 'time_backwards';

/** What is wrong with an entry. Ends a verification; becomes the report, never leaves `verifyLog`. */
export class EntryFault extends Error {
  readonly firstBad: { readonly index: number; readonly problem: EntryProblem; readonly message: string };

  constructor(index: number, problem: EntryProblem, what: string) {
    super(`entry ${index} ${what}`);
    this.firstBad = { index, problem, message: this.message };
  }
}

/** Position, size, leaf hash and encoding of an entry; what it says is checked by `checkFields`. */
export function openEntry({ index, bytes, leafHash: stored }: StoredEntry, expected: number): EntryFields {
  if (index !== expected) {
    throw new EntryFault(expected, 'index_gap', `is not there: entry ${index} is in its place`);
  }
  if (bytes.length > MAX_ENTRY_BYTES) {
    throw new EntryFault(index, 'too_large', `has over ${MAX_ENTRY_BYTES} bytes`);
  }
  if (!leafHash(bytes).equals(stored)) {
    throw new EntryFault(
      index,
      'leaf_hash',
      'was changed: its bytes do not have the leaf hash stored with it',
    );
  }
  if (!isUtf8(bytes)) throw new EntryFault(index, 'not_utf8', 'is not UTF-8');
  const text = asBuffer(bytes).toString('utf8');
  const entry = parseJson(text);
  if (entry === undefined) throw new EntryFault(index, 'not_json', 'is not JSON');
  // A duplicate member is lost in parsing, so that it shows here too.
  if (!isCanonical(text, entry)) {
    throw new EntryFault(index, 'not_canonical', 'is not canonical JSON (RFC 8785)');
  }
  if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) {
    throw new EntryFault(index, 'entry_shape', 'is not a JSON object');
  }
  return entry as EntryFields;
}

/** Returns the entry's time, which the next one must not precede. */
export function checkFields(entry: EntryFields, index: number, notBefore: string): string {
  if (entry['v'] !== 1) throw new EntryFault(index, 'entry_version', 'is not of schema version 1');
  if (entry['index'] !== index) throw new EntryFault(index, 'entry_index', 'carries another index');
  if (typeof entry['kind'] !== 'string' || typeof entry['outcome'] !== 'string') {
    throw new EntryFault(index, 'entry_shape', 'has no kind or no outcome');
  }
  const time = entry['time'];
  if (typeof time !== 'string' || !isTime(time)) {
    throw new EntryFault(index, 'entry_time', 'has no time in RFC 3339 form, UTC, with milliseconds');
  }
  // Of one length and form, so that their order as strings is their order in time.
  if (time < notBefore) {
    throw new EntryFault(
      index,
      'time_backwards',
      `has the time ${time}, before that of the entry ahead of it`,
    );
  }
  return time;
}

/** Undefined for what is not JSON. */
function parseJson(text: string): JsonValue | undefined {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return undefined;
  }
}

function isTime(text: string): boolean {
  const date = new Date(text);
  return /^\d{4}-/.test(text) && !Number.isNaN(date.getTime()) && date.toISOString() === text;
}

export type SignedEntryCheck =
  | {
      readonly ok: true;
      /**
       * False when the entry does not hold the whole intent: there is none, or its calldata or message was
       * too large for an entry and stands there as `dataHash` and `dataLength` in place of `data`. The
       * signature still recovers to the key over the logged digest, but nothing here ties the two to the intent.
       */
      readonly digestRecomputed: boolean;
    }
  | { readonly ok: false; readonly problem: SignedEntryProblem; readonly message: string };

const SIGNATURE = /^0x[0-9a-f]{128}1[bc]$/;
const DIGEST = /^0x[0-9a-f]{64}$/;

/**
 * Checks an entry that has a signature or should have one: that it is low-s and recovers, over the logged
 * digest, to the key's address; that digest and transaction hash are those of the logged intent.
 */
export function checkSignedEntry(entry: EntryFields): SignedEntryCheck {
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
  if (entry['intent'] === undefined || isAbridged(entry)) return { ok: true, digestRecomputed: false };
  return checkIntent(entry, digest, signature);
}

function checkIntent(entry: EntryFields, digest: Hex, signature: RecoverableSignature): SignedEntryCheck {
  const operation = OPERATIONS.find((known) => known === entry['operation']);
  if (operation === undefined) return fail('intent_invalid', 'there is an intent of no known operation');
  const encoded = encode(operation, entry['intent'], signature);
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

/** True when the calldata of a transaction or the data of a message is given by its hash only. */
function isAbridged({ operation, intent }: EntryFields): boolean {
  if (operation !== 'transaction' && operation !== 'message') return false;
  const holder = operation === 'transaction' ? member(intent, 'transaction') : intent;
  const length = member(holder, 'dataLength');
  if (member(holder, 'data') !== undefined || member(holder, 'message') !== undefined) return false;
  return isHex(member(holder, 'dataHash'), DIGEST) && Number.isSafeInteger(length) && Number(length) > 0;
}

function member(value: JsonValue | undefined, name: string): JsonValue | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return Object.hasOwn(value, name) ? (value as EntryFields)[name] : undefined;
}

function isHex(value: JsonValue | undefined, form: RegExp): value is Hex {
  return typeof value === 'string' && form.test(value);
}

function fail(problem: SignedEntryProblem, message: string): SignedEntryCheck {
  return { ok: false, problem, message };
}
