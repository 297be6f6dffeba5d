import assert from 'node:assert/strict';
import { isUtf8 } from 'node:buffer';
import { checkSignedEntry } from '../../../src/audit/verify/entry.ts';
import type { EntryFields } from '../../../src/audit/verify/fields.ts';
import { scanEntry } from '../../../src/audit/verify/scan.ts';
import { canonicalize, type JsonValue } from '../../../src/jcs.ts';
import { jsonOf } from '../attempt.ts';

/** Entries of the log: one pass over the bytes takes what parsing and writing again gives, and nothing else. */
export function fuzz(bytes: Uint8Array): void {
  const outline = scanEntry(bytes);
  const value = isUtf8(bytes) ? (jsonOf(bytes) as JsonValue | undefined) : undefined;
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  assert.equal(outline !== undefined, isObject && isCanonicalText(bytes, value));
  if (outline === undefined) return;
  const entry = value as EntryFields;
  assert.equal(outline.versionOne, entry['v'] === 1);
  assert.equal(outline.named, typeof entry['kind'] === 'string' && typeof entry['outcome'] === 'string');
  const signed =
    (entry['kind'] === 'sign' && entry['outcome'] === 'done') || entry['signature'] !== undefined;
  assert.equal(outline.signed, signed);
  const { index } = entry;
  if (Number.isInteger(index) && (index as number) >= 0 && (index as number) < 1e15) {
    assert.equal(outline.index, index);
  }
  const check = checkSignedEntry(entry);
  if (check.ok) assert.ok(outline.signed);
}

function isCanonicalText(bytes: Uint8Array, value: JsonValue): boolean {
  try {
    return Buffer.from(canonicalize(value), 'utf8').equals(bytes);
  } catch {
    return false;
  }
}
