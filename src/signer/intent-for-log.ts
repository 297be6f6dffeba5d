import { hash } from 'node:crypto';
import { fromHex, toHex, type Hex } from '../bytes.ts';
import { CountersignError } from '../errors.ts';
import { intentToJson } from '../intent/codec.ts';
import type { Intent } from '../intent/intent.ts';
import { canonicalize, type JsonValue } from '../jcs.ts';

/** Byte strings up to this long are in the entry as they are. */
const MAX_INLINE_DATA_BYTES = 16_384;
/** Leaves room in an entry of 65,535 bytes for everything that is not the intent. */
const MAX_INTENT_BYTES = 48_000;
/** Hex digits: a message of this length, and a transaction with it and no lists, take far less room than that. */
const SURELY_FITS = 8_192;

/** An intent in an audit entry, and the bytes that it names by their hash. */
export interface LoggedIntent {
  readonly intent: JsonValue;
  readonly beside?: Uint8Array;
}

/**
 * The intent as an audit entry keeps it: long calldata or message bytes by SHA-256 and length, the bytes beside it.
 * Throws `payload_too_large`, before anything is decided, when the rest does not fit in an entry: what can't be logged
 * is not signed.
 */
export function intentForLog(intent: Intent): LoggedIntent {
  const logged = shorten(intent);
  if (isShort(intent)) return logged;
  const length = Buffer.byteLength(canonicalize(logged.intent));
  if (length > MAX_INTENT_BYTES) {
    throw new CountersignError(
      'payload_too_large',
      `the request takes ${length} bytes in the audit log, and ${MAX_INTENT_BYTES} is the most`,
    );
  }
  return logged;
}

function shorten(intent: Intent): LoggedIntent {
  const json = intentToJson(intent);
  if (intent.operation === 'message' && isLong(intent.data)) {
    const beside = fromHex(intent.data);
    return { intent: summary(beside), beside };
  }
  if (intent.operation === 'transaction' && isLong(intent.transaction.data)) {
    const { transaction } = json as { transaction: { readonly [name: string]: JsonValue } };
    const { data: _, ...rest } = transaction;
    const beside = fromHex(intent.transaction.data);
    return { intent: { transaction: { ...rest, ...summary(beside) } }, beside };
  }
  return { intent: json };
}

/** What most intents are: to measure one costs as much as to write it. */
function isShort(intent: Intent): boolean {
  if (intent.operation === 'message') return intent.data.length < SURELY_FITS;
  if (intent.operation !== 'transaction' || intent.transaction.data.length >= SURELY_FITS) return false;
  const { transaction } = intent;
  return (
    transaction.type === 0 ||
    ((transaction.type === 1 || transaction.type === 2) && transaction.accessList.length === 0)
  );
}

function isLong(data: Hex): boolean {
  return (data.length - 2) / 2 > MAX_INLINE_DATA_BYTES;
}

function summary(data: Uint8Array): { dataHash: Hex; dataLength: number } {
  return { dataHash: toHex(hash('sha256', data, 'buffer')), dataLength: data.length };
}
