import { createHash } from 'node:crypto';
import { fromHex, toHex, type Hex } from '../bytes.ts';
import { CountersignError } from '../errors.ts';
import { intentToJson } from '../intent/codec.ts';
import type { Intent } from '../intent/intent.ts';
import { canonicalize, type JsonValue } from '../jcs.ts';

/** Byte strings up to this long are in the entry as they are. */
const MAX_INLINE_DATA_BYTES = 16_384;
/** Leaves room in an entry of 65,535 bytes for everything that is not the intent. */
const MAX_INTENT_BYTES = 48_000;

/**
 * The intent as an audit entry keeps it: long calldata or message bytes by SHA-256 and length. Throws
 * `payload_too_large`, before anything is decided, when the rest does not fit in an entry: what can't be logged is
 * not signed.
 */
export function intentForLog(intent: Intent): JsonValue {
  const json = shorten(intent);
  const length = Buffer.byteLength(canonicalize(json));
  if (length > MAX_INTENT_BYTES) {
    throw new CountersignError(
      'payload_too_large',
      `the request takes ${length} bytes in the audit log, and ${MAX_INTENT_BYTES} is the most`,
    );
  }
  return json;
}

function shorten(intent: Intent): JsonValue {
  const json = intentToJson(intent);
  if (intent.operation === 'message' && isLong(intent.data)) return { ...summary(intent.data) };
  if (intent.operation === 'transaction' && isLong(intent.transaction.data)) {
    const { transaction } = json as { transaction: { readonly [name: string]: JsonValue } };
    const { data: _, ...rest } = transaction;
    return { transaction: { ...rest, ...summary(intent.transaction.data) } };
  }
  return json;
}

function isLong(data: Hex): boolean {
  return (data.length - 2) / 2 > MAX_INLINE_DATA_BYTES;
}

function summary(data: Hex): { dataHash: Hex; dataLength: number } {
  const bytes = fromHex(data);
  return { dataHash: toHex(createHash('sha256').update(bytes).digest()), dataLength: bytes.length };
}
