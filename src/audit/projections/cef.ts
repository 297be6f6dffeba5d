import { isIPv4, isIPv6 } from 'node:net';
import { canonicalize } from '../../jcs.ts';
import type { Entry } from '../entry.ts';
import { reasonOf, severityOf, viewOf, type Severity } from './kinds.ts';
import type { ReadEntry } from './read-entry.ts';
import { visible } from './text.ts';

/** Of ArcSight, 0 to 10. */
const SEVERITIES: { readonly [severity in Severity]: number } = { 1: 2, 2: 3, 3: 5, 4: 8, 5: 10 };

/** What ArcSight keeps of `msg` and `reason`, and of a custom string. */
const MAX_TEXT = 1_023;
const MAX_CUSTOM = 4_000;

/**
 * `CEF:0|Countersign|countersign|version|kind|name|severity|extension`, as in ArcSight's Common Event Format, revision
 * 25. A summary: it has no place for the intent; `externalId` is the index of the whole entry.
 */
export function toCef({ index, leafHash, entry }: ReadEntry): string {
  const { kind, service } = entry;
  const header = ['CEF:0', 'Countersign', 'countersign', service.version, kind, viewOf(entry).name];
  const fields = [...header.map(headerText), SEVERITIES[severityOf(entry)]];
  return `${fields.join('|')}|${extension(index, leafHash, entry)}`;
}

function extension(index: number, leafHash: string, entry: Entry): string {
  const { actor, key, operation, decision, detail, requestId, transactionHash, digest } = entry;
  const fields: (readonly [string, string | number | undefined])[] = [
    ['rt', Date.parse(entry.time)],
    ['externalId', index],
    ['outcome', entry.outcome],
    ['act', operation],
    ['suser', actor?.principal],
    ['suid', actor?.principalId],
    ['spriv', actor?.roles?.join(',')],
    ['dvchost', entry.service.node],
    ['reason', clip(reasonOf(entry), MAX_TEXT)],
    ['msg', clip(detail === undefined ? undefined : canonicalize(detail), MAX_TEXT)],
  ];
  const address = actor?.address;
  if (address !== undefined && isIPv4(address)) fields.push(['src', address]);
  if (address !== undefined && isIPv6(address)) labelled(fields, 'c6a2', 'Source IPv6 Address', address);
  labelled(fields, 'cs1', 'key', key?.name);
  labelled(fields, 'cs2', 'rule', decision?.rule);
  labelled(fields, 'cs3', 'requestId', requestId);
  labelled(fields, 'cs4', 'leafHash', leafHash);
  labelled(
    fields,
    'cs5',
    transactionHash === undefined ? 'digest' : 'transactionHash',
    transactionHash ?? digest,
  );
  labelled(fields, 'cs6', 'keyAddress', key?.address);
  labelled(fields, 'cn1', 'keyVersion', key?.version);
  labelled(fields, 'cn2', 'policyRevision', decision?.policyRevision);
  return fields
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${value === undefined ? '' : extensionText(String(value))}`)
    .join(' ');
}

function labelled(
  fields: (readonly [string, string | number | undefined])[],
  name: string,
  label: string,
  value: string | number | undefined,
): void {
  if (value === undefined) return;
  fields.push([`${name}Label`, label], [name, typeof value === 'string' ? clip(value, MAX_CUSTOM) : value]);
}

/** A header knows two escapes, and no line ends. */
function headerText(text: string): string {
  return visible(text).replaceAll('\\', '\\\\').replaceAll('|', '\\|');
}

/** `\n` and `\r` are the format's own; all else that is unsafe is made visible. */
function extensionText(text: string): string {
  return text
    .split(/(\r|\n)/)
    .map((part) => {
      if (part === '\n') return '\\n';
      if (part === '\r') return '\\r';
      return visible(part).replaceAll('\\', '\\\\').replaceAll('=', '\\=');
    })
    .join('');
}

/** Never in the middle of a surrogate pair. */
function clip(text: string | undefined, length: number): string | undefined {
  if (text === undefined || text.length <= length) return text;
  const end = text.slice(0, length - 1);
  return `${/[\uD800-\uDBFF]$/.test(end) ? end.slice(0, -1) : end}…`;
}
