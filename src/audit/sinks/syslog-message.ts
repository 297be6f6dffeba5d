import { severityOf, type Severity } from '../projections/kinds.ts';
import type { ReadEntry } from '../projections/read-entry.ts';
import { asciiJson, visible } from '../projections/text.ts';

export interface SyslogForm {
  /** RFC 5424, 6.2.1: 0 to 23. */
  readonly facility: number;
  /**
   * The operator's private enterprise number (IANA), under which the structured data stands. There is none without: we
   * have no number of our own, and 32473 is for examples only (RFC 5612).
   */
  readonly enterpriseNumber?: number | undefined;
}

/** RFC 5424, 6.2.1: 6 informational to 2 critical. */
const SEVERITIES: { readonly [severity in Severity]: number } = { 1: 6, 2: 5, 3: 4, 4: 3, 5: 2 };

/**
 * One message (RFC 5424, 6) with its length before it (RFC 5425, 4.3). MSGID is the kind of the entry, PROCID the run of
 * the service (the index of its first entry), MSG the line in its projection: JSON in ASCII, or CEF in UTF-8; neither
 * with a byte order mark, which those who read JSON or CEF do not expect.
 */
export function syslogFrame(
  read: ReadEntry,
  line: string,
  { facility, enterpriseNumber }: SyslogForm,
): Buffer {
  const { entry } = read;
  const priority = facility * 8 + SEVERITIES[severityOf(entry)];
  const header = [
    `<${priority}>1`,
    entry.time,
    printable(entry.service.node, 255),
    'countersign',
    String(entry.service.epoch),
    printable(entry.kind, 32),
  ];
  const data = enterpriseNumber === undefined ? '-' : structuredData(read, enterpriseNumber);
  const text = line.startsWith('{') ? asciiJson(line) : line;
  const message = Buffer.from(`${header.join(' ')} ${data} ${text}`, 'utf8');
  return Buffer.concat([Buffer.from(`${message.length} `, 'ascii'), message]);
}

/** RFC 5424, 6.3. */
function structuredData({ index, leafHash, entry }: ReadEntry, enterpriseNumber: number): string {
  const values = {
    index: String(index),
    leafHash,
    kind: entry.kind,
    outcome: entry.outcome,
    principal: entry.actor?.principal,
    address: entry.actor?.address,
    key: entry.key?.name,
    operation: entry.operation,
    rule: entry.decision?.rule,
    requestId: entry.requestId,
  };
  const parameters = Object.entries(values)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => ` ${name}="${parameterText(value ?? '')}"`);
  return `[countersign@${enterpriseNumber}${parameters.join('')}]`;
}

/** RFC 5424, 6.3.3: three characters are escaped, and no others. */
function parameterText(text: string): string {
  return visible(text).replaceAll(/["\\\]]/g, String.raw`\$&`);
}

/** PRINTUSASCII, or the NILVALUE. */
function printable(text: string, length: number): string {
  const kept = text.replaceAll(/[^!-~]/gu, '?').slice(0, length);
  return kept === '' ? '-' : kept;
}
