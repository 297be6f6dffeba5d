import { z } from 'zod';
import { pagesOf, tail } from '../../audit/pages.ts';
import { CSV_HEADER, toCsv } from '../../audit/projections/csv.ts';
import { PROJECTIONS } from '../../audit/projections/projection.ts';
import { readEntry, type Projection } from '../../audit/projections/read-entry.ts';
import { CountersignError, invalidField } from '../../errors.ts';
import { Content, type Outgoing } from '../content.ts';
import { entryFilter, entryTimes } from '../entry-filter.ts';
import { route, type Route } from '../route.ts';
import type { Service } from '../service.ts';
import { numberText } from '../shapes.ts';

const tag = 'Audit';
const READERS = ['auditor', 'admin'] as const;

/** Each holds a connection, and reads what the others read. */
const MAX_TAILS = 32;
const MAX_EXPORTS = 4;
/** Keeps what is between here and there from taking the connection for dead. */
const HEARTBEAT_MS = 15_000;
const RECONNECT_MS = 2_000;

interface Format {
  readonly mediaType: string;
  readonly header?: string;
  readonly line: Projection;
  readonly end: string;
}

const FORMATS = {
  jsonl: { mediaType: 'application/jsonl', line: PROJECTIONS.plain, end: '\n' },
  csv: { mediaType: 'text/csv; charset=utf-8; header=present', header: CSV_HEADER, line: toCsv, end: '\r\n' },
  ocsf: { mediaType: 'application/jsonl', line: PROJECTIONS.ocsf, end: '\n' },
  cef: { mediaType: 'text/plain; charset=utf-8', line: PROJECTIONS.cef, end: '\n' },
} as const satisfies { readonly [name: string]: Format };

const formatSchema = z.enum(['jsonl', 'csv', 'ocsf', 'cef']);

/** Entries in one long answer: those that come, or all that there are. */
export function auditStreamRoutes({ reads, log, closing }: Service): Route[] {
  const tails = places(MAX_TAILS, 'live tails');
  const exports = places(MAX_EXPORTS, 'exports');

  return [
    route(
      {
        method: 'GET',
        path: '/v1/audit/stream',
        tag,
        summary: 'Entries as they come',
        description:
          'Server-sent events: `id` is the index, `data` the entry with its leaf hash. Begins behind `Last-Event-ID`, at `from`, or with what comes next. Ends when the credential does.',
        access: READERS,
        readsLog: true,
        query: z.strictObject({ from: numberText(0).optional(), ...entryFilter }),
        answer: { status: 200, description: 'The events.', mediaType: 'text/event-stream' },
      },
      ({ query: { from, ...filter } }, { header, readmit }) => {
        const start = afterLastEvent(header('last-event-id')) ?? from ?? log.size;
        const write = tails.take(async (out) => {
          const signal = AbortSignal.any([out.gone, closing]);
          await out.write(`retry: ${RECONNECT_MS}\n\n`);
          for await (const page of tail(log, reads, filter, start, { signal, idleMs: HEARTBEAT_MS })) {
            if (!isAdmitted(readmit)) return;
            await out.write(page.length === 0 ? ': nothing yet\n\n' : page.map(eventOf).join(''));
          }
        });
        return new Content(write, { 'X-Accel-Buffering': 'no' });
      },
    ),
    route(
      {
        method: 'GET',
        path: '/v1/audit/export',
        tag,
        summary: 'Entries in one file',
        description:
          'All that match, up to the size of the log as it is now, which `Countersign-Export-Size` gives. `jsonl` has the entries whole; `csv`, `ocsf` (API Activity, 6003) and `cef` have what these have a place for. The export is an entry itself.',
        access: READERS,
        query: z.strictObject({
          format: formatSchema.default('jsonl'),
          from: numberText(0).default(0),
          ...entryFilter,
          ...entryTimes,
        }),
        answer: {
          status: 200,
          description: 'The file.',
          mediaType: FORMATS.jsonl.mediaType,
          otherMediaTypes: [FORMATS.csv.mediaType, FORMATS.cef.mediaType],
        },
      },
      async ({ query: { format, from, ...selection } }, { act, readmit }) => {
        const to = log.size;
        const asked = Object.entries(selection).filter(([, value]) => value !== undefined);
        const detail = { format, from, to, ...Object.fromEntries(asked) };
        await act.record({ kind: 'audit.exported', outcome: 'done', detail });
        const { mediaType, line, end, ...more }: Format = FORMATS[format];
        const write = exports.take(async (out) => {
          if (more.header !== undefined) await out.write(more.header + end);
          for await (const page of pagesOf(reads, selection, { from, to })) {
            readmit();
            await out.write(page.map((entry) => line(readEntry(entry)) + end).join(''));
          }
        });
        return new Content(write, {
          'Content-Type': mediaType,
          'Content-Disposition': `attachment; filename="countersign-audit-${from}-${to}.${format}"`,
          'Countersign-Export-Size': String(to),
        });
      },
    ),
  ];
}

/** So many at once; one more is refused before its answer begins. */
function places(
  limit: number,
  name: string,
): { take(write: (out: Outgoing) => Promise<void>): (out: Outgoing) => Promise<void> } {
  let taken = 0;
  return {
    take: (write) => {
      if (taken >= limit) {
        throw new CountersignError('rate_limited', `${limit} ${name} are under way, and no more at once`);
      }
      return async (out) => {
        taken++;
        try {
          await write(out);
        } finally {
          taken--;
        }
      };
    },
  };
}

function afterLastEvent(id: string | undefined): number | undefined {
  if (id === undefined || id === '') return undefined;
  const index = /^\d{1,15}$/.test(id) ? Number(id) : -1;
  if (index < 0) throw invalidField('Last-Event-ID', 'must be the index of an entry');
  return index + 1;
}

function eventOf(stored: Parameters<typeof readEntry>[0]): string {
  return `id: ${stored.index}\ndata: ${PROJECTIONS.plain(readEntry(stored))}\n\n`;
}

function isAdmitted(readmit: () => void): boolean {
  try {
    readmit();
    return true;
  } catch {
    return false;
  }
}
