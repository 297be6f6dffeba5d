import { isUtf8 } from 'node:buffer';
import { asBuffer } from '../../bytes.ts';
import { isCanonical, type JsonValue } from '../../jcs.ts';
import { MAX_ENTRY_BYTES } from '../entry.ts';
import type { StoredEntry } from '../stored-entry.ts';
import { leafHash } from '../tree/merkle.ts';
import { LogFault } from './fault.ts';
import type { EntryFields } from './fields.ts';
import { scanEntry, type Outline } from './scan.ts';

/** An entry whose place in storage, leaf hash and form are right; what it says is still to be checked. */
export interface OpenEntry {
  readonly outline: Outline;
  readonly leafHash: Buffer;
}

export function openEntry({ index, bytes, leafHash: stored }: StoredEntry, expected: number): OpenEntry {
  if (index !== expected) {
    throw LogFault.ofEntry(expected, 'index_gap', `is not there: entry ${index} is in its place`);
  }
  if (bytes.length > MAX_ENTRY_BYTES) {
    throw LogFault.ofEntry(index, 'too_large', `has over ${MAX_ENTRY_BYTES} bytes`);
  }
  const leaf = leafHash(bytes);
  if (!leaf.equals(stored)) {
    throw LogFault.ofEntry(
      index,
      'leaf_hash',
      'was changed: its bytes do not have the leaf hash stored with it',
    );
  }
  const outline = scanEntry(bytes);
  if (outline === undefined) throw malformed(index, bytes);
  return { outline, leafHash: leaf };
}

/** The members of an entry whose form has been checked. */
export function readEntry(bytes: Uint8Array): EntryFields {
  return JSON.parse(asBuffer(bytes).toString('utf8')) as EntryFields;
}

/** In which way an entry that the scan refuses is not what an entry is. */
function malformed(index: number, bytes: Uint8Array): LogFault {
  if (!isUtf8(bytes)) return LogFault.ofEntry(index, 'not_utf8', 'is not UTF-8');
  const text = asBuffer(bytes).toString('utf8');
  const value = parseJson(text);
  if (value === undefined) return LogFault.ofEntry(index, 'not_json', 'is not JSON');
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!isObject && isCanonical(text, value)) {
    return LogFault.ofEntry(index, 'entry_shape', 'is not a JSON object');
  }
  return LogFault.ofEntry(index, 'not_canonical', 'is not canonical JSON (RFC 8785)');
}

/** Undefined for what is not JSON. */
function parseJson(text: string): JsonValue | undefined {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return undefined;
  }
}
