import { hash } from 'node:crypto';
import { toHex, type Hex } from '../../bytes.ts';
import type { JsonValue } from '../../jcs.ts';
import { member, type EntryFields } from './fields.ts';

/** Calldata or a message that was too long for the entry of its request. */
export interface DataBeside {
  /** SHA-256 */
  readonly hash: Hex;
  /** Bytes. */
  readonly length: number;
}

const HASH = /^0x[0-9a-f]{64}$/;

/** What the intent of an entry names by its hash, in place of a transaction's `data` or a message. */
export function beside(entry: EntryFields): DataBeside | undefined {
  const { operation, intent } = entry;
  if (operation !== 'transaction' && operation !== 'message') return undefined;
  const holder = operation === 'transaction' ? member(intent, 'transaction') : intent;
  if (member(holder, 'data') !== undefined || member(holder, 'message') !== undefined) return undefined;
  const hash = member(holder, 'dataHash');
  const length = member(holder, 'dataLength');
  if (typeof hash !== 'string' || !HASH.test(hash)) return undefined;
  return Number.isSafeInteger(length) && Number(length) > 0
    ? { hash: hash as Hex, length: Number(length) }
    : undefined;
}

/** What is wrong with the bytes found under a hash, after "the data kept beside it"; undefined when they are right. */
export function wrongData(data: Uint8Array, named: DataBeside): string | undefined {
  if (data.length !== named.length) return `has ${data.length} bytes, not ${named.length}`;
  return toHex(hash('sha256', data, 'buffer')) === named.hash ? undefined : 'has another hash';
}

/** The intent of an entry with its data in the place of the data's hash. */
export function wholeIntent({ operation, intent }: EntryFields, data: Uint8Array): JsonValue {
  const whole = (holder: JsonValue | undefined): JsonValue => {
    const { dataHash: _hash, dataLength: _length, ...rest } = (holder ?? {}) as EntryFields;
    return { ...rest, data: toHex(data) };
  };
  return operation === 'transaction'
    ? { ...(intent as EntryFields), transaction: whole(member(intent, 'transaction')) }
    : whole(intent);
}
