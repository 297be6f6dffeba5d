import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { z } from 'zod';
import { CountersignError } from '../../errors.ts';
import { ServedTree } from '../../audit/served-tree.ts';
import { MAX_TILE_LEVEL, parseTileName } from '../../audit/tree/tiles.ts';
import { Content } from '../content.ts';
import { route, type Route } from '../route.ts';
import type { Service } from '../service.ts';
import { limitSchema, numberText, pageOf } from '../shapes.ts';

const tag = 'Audit';
const READERS = ['auditor', 'admin'] as const;

const BYTES = 'application/octet-stream';
/** What a name stands for never changes; and it is for this caller only. */
const FOREVER = { 'Cache-Control': 'private, max-age=31536000, immutable' };

const tileSchema = z
  .string()
  .transform((text, context) => {
    try {
      return parseTileName(text);
    } catch (error) {
      if (!(error instanceof CountersignError)) throw error;
      context.addIssue(error.message);
      return z.NEVER;
    }
  })
  .meta({
    type: 'string',
    description:
      'Index of the tile, in steps of three digits, all but the last with an `x` before them; `.p/` and the width, 1 to 255, for a partial tile.',
    examples: ['x001/x234/067', '000.p/17'],
  });

const sha256Schema = z
  .string()
  .regex(/^0x[0-9a-f]{64}$/, 'must be 0x and 64 lower-case hex digits')
  .meta({ description: 'SHA-256 of the bytes: `dataHash` in the entry.' });

/** What vouches for the entries: the tree over them, signed checkpoints, the key that they are verified with. */
export function auditTreeRoutes({ reads, log, checkpointer, outside }: Service): Route[] {
  const tree = new ServedTree(() => log.size, reads);
  return [
    route(
      {
        method: 'GET',
        path: '/v1/audit/tile/entries/{tile}',
        rest: 'tile',
        tag,
        summary: 'Entries of the log in a bundle of 256',
        description:
          'A C2SP tlog-tiles entry bundle, of the log whose prefix is `/v1/audit`: each entry’s bytes, as hashed, behind their length as a big-endian uint16. Compressed for who accepts gzip.',
        access: READERS,
        readsLog: true,
        params: z.strictObject({ tile: tileSchema }),
        answer: { status: 200, description: 'The bundle.', mediaType: BYTES },
      },
      async ({ params: { tile } }, { header }) => {
        const bundle = tree.bundle(tile);
        const varies = { ...FOREVER, Vary: 'Accept-Encoding' };
        if (!acceptsGzip(header('accept-encoding'))) return new Content(bundle, varies);
        return new Content(await compress(bundle), { ...varies, 'Content-Encoding': 'gzip' });
      },
    ),
    route(
      {
        method: 'GET',
        path: '/v1/audit/tile/{level}/{tile}',
        rest: 'tile',
        tag,
        summary: 'Hashes of the tree in a tile of 256',
        description:
          'A C2SP tlog-tiles tile: SHA-256 hashes of 32 bytes one after the other, at level 0 the leaf hashes of entries, above it the roots of the full tiles below.',
        access: READERS,
        params: z.strictObject({ level: numberText(0, MAX_TILE_LEVEL), tile: tileSchema }),
        answer: { status: 200, description: 'The tile.', mediaType: BYTES },
      },
      ({ params: { level, tile } }) => new Content(tree.tile(level, tile), FOREVER),
    ),
    route(
      {
        method: 'GET',
        path: '/v1/audit/entries/{index}/proof',
        tag,
        summary: 'Proof that an entry is in the log',
        description:
          'A C2SP tlog-proof, against the newest signed checkpoint; one is signed where the entry is newer. It is checked offline, with the entry or a receipt and the verifier key: `countersign audit proof verify`.',
        access: READERS,
        params: z.strictObject({ index: numberText(0) }),
        answer: { status: 200, description: 'The proof.', mediaType: 'text/plain' },
      },
      async ({ params: { index } }) => {
        if (index >= log.size) throw new CountersignError('not_found', `the log has no entry ${index}`);
        const checkpoint =
          outside.heldOver(index) ?? (await outside.settled(await checkpointer.covering(index)));
        return tree.proof(index, checkpoint);
      },
    ),
    route(
      {
        method: 'GET',
        path: '/v1/audit/data/{sha256}',
        tag,
        summary: 'Bytes kept beside an entry that they are too long for',
        access: READERS,
        readsLog: true,
        params: z.strictObject({ sha256: sha256Schema }),
        answer: { status: 200, description: 'The bytes.', mediaType: BYTES },
      },
      ({ params: { sha256 } }) => {
        const data = reads.data(Buffer.from(sha256.slice(2), 'hex'));
        if (data === undefined) throw new CountersignError('not_found', `nothing is kept under ${sha256}`);
        return new Content(data, FOREVER);
      },
    ),
    route(
      {
        method: 'GET',
        path: '/v1/audit/checkpoint',
        tag,
        summary: 'Signed checkpoint of the log as it is now',
        description:
          'With the cosignatures of witnesses that come within half a second, where there are witnesses. While the service is sealed: the newest that was signed before.',
        access: READERS,
        answer: { status: 200, description: 'C2SP signed note.', mediaType: 'text/plain' },
      },
      async () => {
        try {
          return (await outside.settled(await checkpointer.current())).note;
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

const compress = promisify(gzip);

/** RFC 9110 §12.5.3, as far as it matters here: named, and not with the weight of zero. */
function acceptsGzip(header = ''): boolean {
  return header
    .split(',')
    .some((coding) => /^\s*(?:x-)?gzip\s*(?:;\s*q=(?!0(?:\.0*)?\s*$).*)?$/i.test(coding));
}
