import { ApiError, PAGE_SIZE, pagesOf, type Client } from './client.ts';
import { canonicalize, type JsonValue } from '../jcs.ts';
import { parseCheckpoint } from '../audit/tree/checkpoint.ts';
import { parseNote } from '../audit/tree/note.ts';
import type { StoredCheckpoint, StoredEntry } from '../audit/stored-entry.ts';
import type { LogSource } from '../audit/verify/log.ts';
import { attempt } from '../audit/verify/checkpoint.ts';
import type { AuditEntry, Page, Status } from './answers.ts';

/** The log of a running service as it is now. Nothing that the service says of it is believed, and that it grows is fine. */
export async function openRemoteLog(client: Client): Promise<LogSource> {
  // In this order: every checkpoint was signed over entries that were there before it.
  const newest = await newestCheckpoint(client);
  const { audit } = await client.get<Status>('/v1/sys/status');
  const { size } = audit;

  async function* entries(from: number): AsyncGenerator<readonly StoredEntry[]> {
    for (let next = from; next < size;) {
      const query = { from: next, limit: Math.min(PAGE_SIZE, size - next) };
      const { items } = await client.get<Page<AuditEntry>>('/v1/audit/entries', query);
      yield items.map(toStoredEntry).filter(({ index }) => index < size);
      const last = items.at(-1);
      if (last === undefined || last.index < next) return;
      next = last.index + 1;
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

  return { size, head: { size }, entries, checkpoints };
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
