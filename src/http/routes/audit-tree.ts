import { z } from 'zod';
import { CountersignError } from '../../errors.ts';
import { route, type Route } from '../route.ts';
import type { Service } from '../service.ts';
import { limitSchema, numberText, pageOf } from '../shapes.ts';

const tag = 'Audit';
const READERS = ['auditor', 'admin'] as const;

/** What vouches for the entries: signed checkpoints, the key that they are verified with. */
export function auditTreeRoutes({ reads, checkpointer }: Service): Route[] {
  return [
    route(
      {
        method: 'GET',
        path: '/v1/audit/checkpoint',
        tag,
        summary: 'Signed checkpoint of the log as it is now',
        description: 'While the service is sealed: the newest that was signed before.',
        access: READERS,
        answer: { status: 200, description: 'C2SP signed note.', mediaType: 'text/plain' },
      },
      async () => {
        try {
          return (await checkpointer.current()).note;
        } catch (error) {
          const latest = reads.latestCheckpoint();
          if (latest === undefined) throw error;
          return latest.note;
        }
      },
    ),
    route(
      {
        method: 'GET',
        path: '/v1/audit/checkpoints',
        tag,
        summary: 'All checkpoints over more than `cursor` entries',
        access: READERS,
        query: z.strictObject({ cursor: numberText(0).default(0), limit: limitSchema }),
        answer: {
          status: 200,
          description: 'Smallest first.',
          schema: pageOf(z.strictObject({ size: z.int(), note: z.string() })),
        },
      },
      ({ query: { cursor, limit } }) => {
        const items = reads.checkpointsAfter(cursor, limit);
        const last = items.at(-1);
        return {
          items: items.map(({ size, note }) => ({ size, note })),
          nextCursor: last !== undefined && items.length === limit ? String(last.size) : null,
        };
      },
    ),
    route(
      {
        method: 'GET',
        path: '/v1/audit/key',
        tag,
        summary: 'The verifier key of the log',
        description: 'Pin it: a verifier that takes it from the service trusts the service.',
        access: 'authenticated',
        answer: { status: 200, description: 'C2SP vkey.', mediaType: 'text/plain' },
      },
      () => {
        const vkey = checkpointer.vkey();
        if (vkey === undefined)
          throw new CountersignError('not_found', 'the service is not initialized: the log has no key');
        return `${vkey}\n`;
      },
    ),
  ];
}
