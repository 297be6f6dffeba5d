import { isUtf8 } from 'node:buffer';
import { asBuffer } from '../bytes.ts';
import { canonicalize, type JsonValue } from '../jcs.ts';
import { MAX_ENTRY_BYTES } from './entry.ts';
import { leafHash } from './merkle.ts';
import type { EntryFields } from './signed-entry.ts';
import type { StoredEntry } from './stored-entry.ts';
import { attempt, LogFault, type LogProblem } from './verify-report.ts';

/** Position, size, leaf hash and encoding of an entry; what it says is checked by `checkFields`. */
export function openEntry(stored: StoredEntry, index: number): EntryFields {
  const fault = (problem: LogProblem, what: string): LogFault =>
    new LogFault(index, problem, `entry ${index} ${what}`);
  if (stored.index !== index) throw fault('index_gap', `is not there: entry ${stored.index} is in its place`);
  if (stored.bytes.length > MAX_ENTRY_BYTES) throw fault('too_large', `has over ${MAX_ENTRY_BYTES} bytes`);
  if (!leafHash(stored.bytes).equals(stored.leafHash)) {
    throw fault('leaf_hash', 'was changed: its bytes do not have the leaf hash stored with it');
  }
  if (!isUtf8(stored.bytes)) throw fault('not_utf8', 'is not UTF-8');
  const text = asBuffer(stored.bytes).toString('utf8');
  const entry = attempt((): JsonValue => JSON.parse(text) as JsonValue);
  if (entry instanceof Error) throw fault('not_json', 'is not JSON');
  // A duplicate member is lost in parsing, so that it shows here too.
  if (attempt(() => canonicalize(entry)) !== text)
    throw fault('not_canonical', 'is not canonical JSON (RFC 8785)');
  if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) {
    throw fault('entry_shape', 'is not a JSON object');
  }
  return entry as EntryFields;
}

/** Returns the entry's time, which the next one must not precede. */
export function checkFields(entry: EntryFields, index: number, notBefore: string): string {
  const fault = (problem: LogProblem, what: string): LogFault =>
    new LogFault(index, problem, `entry ${index} ${what}`);
  if (entry['v'] !== 1) throw fault('entry_version', 'is not of schema version 1');
  if (entry['index'] !== index) throw fault('entry_index', 'carries another index');
  if (typeof entry['kind'] !== 'string' || typeof entry['outcome'] !== 'string') {
    throw fault('entry_shape', 'has no kind or no outcome');
  }
  const time = entry['time'];
  if (typeof time !== 'string' || !isTime(time)) {
    throw fault('entry_time', 'has no time in RFC 3339 form, UTC, with milliseconds');
  }
  // Of one length and form, so that their order as strings is their order in time.
  if (time < notBefore)
    throw fault('time_backwards', `has the time ${time}, before that of the entry ahead of it`);
  return time;
}

function isTime(text: string): boolean {
  const date = new Date(text);
  return /^\d{4}-/.test(text) && !Number.isNaN(date.getTime()) && date.toISOString() === text;
}
