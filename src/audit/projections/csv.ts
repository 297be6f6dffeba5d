import type { Entry } from '../entry.ts';
import type { ReadEntry } from './read-entry.ts';
import { reasonOf } from './kinds.ts';

type Column = readonly [name: string, value: (read: ReadEntry) => string | number | undefined];

const of =
  (value: (entry: Entry) => string | number | undefined): Column[1] =>
  ({ entry }) =>
    value(entry);

const COLUMNS: readonly Column[] = [
  ['index', ({ index }) => index],
  ['time', of(({ time }) => time)],
  ['kind', of(({ kind }) => kind)],
  ['outcome', of(({ outcome }) => outcome)],
  ['principal', of(({ actor }) => actor?.principal)],
  ['credential', of(({ actor }) => actor?.credential)],
  ['address', of(({ actor }) => actor?.address)],
  ['requestId', of(({ requestId }) => requestId)],
  ['key', of(({ key }) => key?.name)],
  ['keyVersion', of(({ key }) => key?.version)],
  ['keyAddress', of(({ key }) => key?.address)],
  ['operation', of(({ operation }) => operation)],
  ['effect', of(({ decision }) => decision?.effect)],
  ['rule', of(({ decision }) => decision?.rule)],
  ['policyRevision', of(({ decision }) => decision?.policyRevision)],
  ['reason', of(reasonOf)],
  ['digest', of(({ digest }) => digest)],
  ['transactionHash', of(({ transactionHash }) => transactionHash)],
  ['node', of(({ service }) => service.node)],
  ['epoch', of(({ service }) => service.epoch)],
  ['elapsedUs', of(({ elapsedUs }) => elapsedUs)],
  ['leafHash', ({ leafHash }) => leafHash],
];

/** The first line of an RFC 4180 file, without its end. */
export const CSV_HEADER = COLUMNS.map(([name]) => name).join(',');

/** One line of RFC 4180, without its end. A summary: the intent and the details of a kind are in the entry only. */
export function toCsv(read: ReadEntry): string {
  return COLUMNS.map(([, value]) => field(value(read))).join(',');
}

/** What would break a line or be run by a spreadsheet: text from outside may hold both. */
function field(value: string | number | undefined): string {
  if (typeof value !== 'string') return String(value ?? '');
  const line = value.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, ' ');
  const inert = /^[=+\-@]/.test(line) ? `'${line}` : line;
  return /[",']/.test(inert) ? `"${inert.replaceAll('"', '""')}"` : inert;
}
