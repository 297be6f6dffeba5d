import { canonicalize, type JsonValue } from '../jcs.ts';
import { parseCheckpoint } from '../audit/tree/checkpoint.ts';
import { HASH_BYTES } from '../audit/tree/merkle.ts';
import { parseNote } from '../audit/tree/note.ts';
import { formatTileName, parseBundle, TILE_WIDTH, tileWidth, type TileName } from '../audit/tree/tiles.ts';
import type { StoredCheckpoint, StoredEntry } from '../audit/stored-entry.ts';
import { attempt } from '../audit/verify/checkpoint.ts';
import type { LogSource } from '../audit/verify/log.ts';
import { toHex } from '../bytes.ts';
import type { AuditEntry, Page, Status } from './answers.ts';
import { ApiError, PAGE_SIZE, pagesOf, unlessMissing, type Client } from './client.ts';
import { fetchTree } from './remote-tree.ts';

/** Bundles that are asked for ahead of the one that is looked at. */
const AHEAD = 4;

/** The log of a running service as it is now. Nothing that the service says of it is believed, and that it grows is fine. */
export async function openRemoteLog(client: Client): Promise<LogSource> {
  // In this order: every checkpoint was signed over entries that were there before it.
  const newest = await newestCheckpoint(client);
  const { audit } = await client.get<Status>('/v1/sys/status');
  const { size } = audit;

  async function* entries(from: number): AsyncGenerator<readonly StoredEntry[]> {
    const last = Math.ceil(size / TILE_WIDTH);
    const underway: Promise<StoredEntry[]>[] = [];
    for (let asked = Math.floor(from / TILE_WIDTH); asked < last || underway.length > 0;) {
      while (asked < last && underway.length < AHEAD) {
        const bundle = fetchBundle(client, { index: asked, width: tileWidth(0, asked, size) });
        // Its turn comes; until then an error is nobody's.
        bundle.catch(() => undefined);
        underway.push(bundle);
        asked += 1;
      }
      const page = (await underway.shift()) ?? [];
      yield page.filter(({ index }) => index >= from);
      // What is missing shows, and what comes after it has no place.
      if (page.length === 0) return;
    }
  }

  async function* checkpoints(): AsyncGenerator<string> {
    if (newest === undefined) return;
    for await (const { size, note } of pagesOf<StoredCheckpoint>(client, '/v1/audit/checkpoints', {
      limit: PAGE_SIZE,
    })) {
      if (size >= newest.size) break;
      yield note;
    }
    yield newest.note;
  }

  const data = (sha256: Uint8Array): Promise<Uint8Array | undefined> =>
    unlessMissing(client.getBytes(`/v1/audit/data/${toHex(sha256)}`), 'not_found');
  return { size, head: { size }, entries, checkpoints, data, tree: await fetchTree(client, size) };
}

/** The first verifier key of the log as the service says, from the first rotation or as it is in force now. */
export async function firstVkey(client: Client): Promise<string> {
  const query = { kind: 'audit.key_rotated', limit: 1 };
  const { items } = await client.get<Page<AuditEntry>>('/v1/audit/entries', query);
  const entry = items[0]?.entry as { readonly detail?: { readonly oldKey?: unknown } } | undefined;
  const first = entry?.detail?.oldKey;
  return typeof first === 'string' ? first : (await client.getText('/v1/audit/key')).trimEnd();
}

/** The entries of a bundle with the leaf hashes of its tile; as far as there are any, where the service has not all of them. */
async function fetchBundle(client: Client, tile: TileName): Promise<StoredEntry[]> {
  const name = formatTileName(tile);
  const [bundle, hashes] = await Promise.all([
    unlessMissing(client.getBytes(`/v1/audit/tile/entries/${name}`), 'internal'),
    unlessMissing(client.getBytes(`/v1/audit/tile/0/${name}`), 'internal'),
  ]);
  const from = tile.index * TILE_WIDTH;
  if (bundle === undefined || hashes === undefined) return await fetchPage(client, from, tile.width);
  return parseBundle(bundle, tile.width).map((bytes, i) => ({
    index: from + i,
    bytes,
    leafHash: hashes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES),
  }));
}

async function fetchPage(client: Client, from: number, limit: number): Promise<StoredEntry[]> {
  const { items } = await client.get<Page<AuditEntry>>('/v1/audit/entries', { from, limit });
  return items.map(toStoredEntry).filter(({ index }) => index < from + limit);
}

/** Of the log as it is now, or while the service is sealed of what it was when it was signed last; undefined for none. */
async function newestCheckpoint(client: Client): Promise<StoredCheckpoint | undefined> {
  let note: string;
  try {
    note = await client.getText('/v1/audit/checkpoint');
  } catch (error) {
    if (error instanceof ApiError && error.code === 'sealed') return undefined;
    throw error;
  }
  const checkpoint = attempt(() => parseCheckpoint(parseNote(note).text));
  // A size for the loop above only. The note itself goes to the verifier, which says what is wrong with it.
  return { size: checkpoint instanceof Error ? 0 : checkpoint.size, note };
}

/** The entry's bytes again, from its JSON: RFC 8785 leaves no choice. */
function toStoredEntry({ index, leafHash, entry }: AuditEntry): StoredEntry {
  const canonical = attempt(() => canonicalize(entry as JsonValue));
  // What has no canonical form is not what was hashed.
  const text = canonical instanceof Error ? JSON.stringify(entry) : canonical;
  return { index, bytes: Buffer.from(text, 'utf8'), leafHash: Buffer.from(leafHash, 'hex') };
}
