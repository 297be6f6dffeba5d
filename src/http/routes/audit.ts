import { z } from 'zod';
import { asBuffer } from '../../bytes.ts';
import { CountersignError } from '../../errors.ts';
import type { JsonValue } from '../../jcs.ts';
import type { StoredEntry } from '../../audit/stored-entry.ts';
import { entryFilter, entryTimes } from '../entry-filter.ts';
import { route, type Route } from '../route.ts';
import type { Service } from '../service.ts';
import { auditEntryShape, limitSchema, numberText, pageOf } from '../shapes.ts';

const tag = 'Audit';
const READERS = ['auditor', 'admin'] as const;

const indexSchema = numberText(0);

export function auditRoutes({ reads, log }: Service): Route[] {
  return [
    route(
      {
        method: 'GET',
        path: '/v1/audit/entries',
        tag,
        summary: 'Entries of the log',
        description:
          'In the order of the log, or the newest first with `order=desc`. `cursor` goes on where a page ended; `from` begins at an index, else a listing begins at its end of the log.',
        access: READERS,
        readsLog: true,
        query: z.strictObject({
          order: z.enum(['asc', 'desc']).default('asc'),
          from: indexSchema.optional(),
          cursor: indexSchema.optional(),
          limit: limitSchema,
          ...entryFilter,
          ...entryTimes,
        }),
        answer: { status: 200, description: 'A page.', schema: pageOf(auditEntryShape) },
      },
      async ({ query: { cursor, from, limit, order, ...filter } }) => {
        // What a status tells of already has its entry here.
        await log.settled();
        const start = cursor ?? from ?? (order === 'asc' ? 0 : Number.MAX_SAFE_INTEGER);
        const page = reads.entries({ ...filter, order, from: start, limit: limit + 1 });
        const next = page[limit];
        return {
          items: page.slice(0, limit).map(entryToJson),
          nextCursor: next === undefined ? null : String(next.index),
        };
      },
    ),
    route(
      {
        method: 'GET',
        path: '/v1/audit/entries/{index}',
        tag,
        summary: 'One entry',
        access: READERS,
        readsLog: true,
        params: z.strictObject({ index: indexSchema }),
        answer: { status: 200, description: 'The entry.', schema: auditEntryShape },
      },
      async ({ params: { index } }) => {
        await log.settled();
        const entry = reads.entry(index);
        if (entry === undefined) throw new CountersignError('not_found', `the log has no entry ${index}`);
        return entryToJson(entry);
      },
    ),
  ];
}

function entryToJson({ index, leafHash, bytes }: StoredEntry): {
  readonly index: number;
  readonly leafHash: string;
  readonly entry: JsonValue;
} {
  const entry = JSON.parse(asBuffer(bytes).toString('utf8')) as JsonValue;
  return { index, leafHash: asBuffer(leafHash).toString('hex'), entry };
}
