import {
  closeSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs';
import type { Command } from 'commander';
import { parseCheckpoint } from '../audit/tree/checkpoint.ts';
import { parseNote } from '../audit/tree/note.ts';
import type { StoredEntry } from '../audit/stored-entry.ts';
import { beside } from '../audit/verify/beside.ts';
import type { EntryFields } from '../audit/verify/fields.ts';
import type { LogSource } from '../audit/verify/log.ts';
import { asBuffer, fromHex } from '../bytes.ts';
import { CountersignError, invalidField } from '../errors.ts';
import type { ArchiveWriter } from '../storage/sqlite/archive.ts';
import type { Client, Query } from './client.ts';
import { filterOf, type FilterFlags } from './entry-filter.ts';
import { openLog, type LogPlace } from './log-place.ts';
import { createProgress, type Progress } from './progress.ts';
import { whyNot } from './secrets.ts';
import { openSession, type Host } from './session.ts';

export const EXPORT_FORMATS = ['jsonl', 'csv', 'ocsf', 'cef', 'archive'] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

export interface ExportFlags extends LogPlace, FilterFlags {
  readonly format: ExportFormat;
  readonly output: string;
  readonly resume?: boolean;
  readonly since?: string;
  readonly until?: string;
}

interface Exported {
  readonly format: ExportFormat;
  readonly output: string;
  /** Of the log when it was exported; of an archive, the entries in it. */
  readonly entries: number;
}

export async function auditExport(host: Host, flags: ExportFlags, command: Command): Promise<void> {
  const session = openSession(host, command);
  const { format, output, resume = false, data, archive, since, until } = flags;
  const filter = { ...filterOf(flags), since, until };
  const progress = createProgress(session.terminal, 'exporting entries:');
  let entries: number;
  try {
    if (format === 'archive') {
      if (Object.values(filter).some((value) => value !== undefined)) {
        throw new CountersignError('invalid_request', 'an archive has the whole log: it takes no filter');
      }
      entries = await exportArchive(output, { data, archive }, () => session.client(), progress);
    } else {
      if (data !== undefined || archive !== undefined) {
        throw invalidField('--format', 'from a directory or an archive only "archive" can be made');
      }
      entries = await exportLines(session.client(), { format, output, resume, filter }, progress);
    }
  } finally {
    progress.end();
  }
  const exported: Exported = { format, output, entries };
  session.print(exported, () => `${output}: of a log of ${entries} entries`);
}

/** Begins an archive, or brings one up to date. */
async function exportArchive(
  file: string,
  place: LogPlace,
  client: () => Client,
  progress: Progress,
): Promise<number> {
  const log = await openLog(place, client);
  try {
    if (log.vkey === undefined)
      throw new CountersignError('unprocessable', 'this log has no verifier key: nothing in it is signed');
    const { writeArchive } = await import('../storage/sqlite/archive.ts');
    const archive = writeArchive(file, log.vkey);
    try {
      await copyLog(log.source, archive, progress);
      return archive.size;
    } finally {
      archive.close();
    }
  } finally {
    log.close();
  }
}

/** As many entries as the newest checkpoint covers: what it does not vouch for is left for the next time. */
async function copyLog(source: LogSource, archive: ArchiveWriter, progress: Progress): Promise<void> {
  let covered = 0;
  for await (const note of source.checkpoints()) {
    const { size } = parseCheckpoint(parseNote(note).text);
    archive.addCheckpoint({ size, note });
    covered = size;
  }
  if (archive.size >= covered) return;
  for await (const page of source.entries(archive.size)) {
    const wanted = page.filter(({ index }) => index < covered);
    archive.add(wanted, await dataOf(wanted, source));
    progress.update(archive.size, covered);
    if (archive.size >= covered) return;
  }
  if (archive.size < covered) {
    throw new CountersignError(
      'unprocessable',
      `the log ends before entry ${archive.size}, and its newest checkpoint covers ${covered}`,
    );
  }
}

async function dataOf(
  entries: readonly StoredEntry[],
  source: LogSource,
): Promise<{ sha256: Uint8Array; data: Uint8Array }[]> {
  const found: { sha256: Uint8Array; data: Uint8Array }[] = [];
  for (const { bytes } of entries) {
    const text = asBuffer(bytes);
    const named = text.includes('"dataHash"')
      ? beside(JSON.parse(text.toString('utf8')) as EntryFields)
      : undefined;
    if (named === undefined) continue;
    const sha256 = fromHex(named.hash);
    const data = await source.data?.(sha256);
    // What is missing is for the verification to say.
    if (data !== undefined) found.push({ sha256, data });
  }
  return found;
}

interface LinesExport {
  readonly format: Exclude<ExportFormat, 'archive'>;
  readonly output: string;
  readonly resume: boolean;
  readonly filter: Query;
}

/** Into a file beside it, which takes its name when it is whole. */
async function exportLines(
  client: Client,
  { format, output, resume, filter }: LinesExport,
  progress: Progress,
): Promise<number> {
  const partial = `${output}.partial`;
  if (existsSync(output)) throw invalidField('--output', `${output} exists: give another name`);
  if (existsSync(partial) && !resume) {
    throw invalidField(
      '--output',
      `${partial} is what is left of an export: go on with it by --resume, or remove it`,
    );
  }
  const begun = resume ? readBegun(partial, format) : { bytes: 0, next: 0 };
  const { headers, body } = await client.getStream('/v1/audit/export', {
    ...filter,
    format,
    from: begun.next,
  });
  const size = Number(headers['countersign-export-size']);
  const file = openPartial(partial, begun.bytes);
  try {
    let at = begun.bytes;
    let last = begun.next;
    let skipLine = begun.bytes > 0 && format === 'csv';
    for await (const chunk of body) {
      let piece = chunk;
      if (skipLine) {
        const end = piece.indexOf('\n');
        piece = end === -1 ? piece.subarray(piece.length) : piece.subarray(end + 1);
        skipLine = end === -1;
      }
      for (let written = 0; written < piece.length;) {
        const count = writeSync(file, piece, written, piece.length - written, at);
        written += count;
        at += count;
      }
      last = lastIndexIn(piece, format) ?? last;
      progress.update(last, size);
    }
    fsyncSync(file);
  } catch (error) {
    throw resumable(error, partial);
  } finally {
    closeSync(file);
  }
  renameSync(partial, output);
  return size;
}

function resumable(error: unknown, partial: string): unknown {
  if (!(error instanceof CountersignError)) {
    return new CountersignError(
      'invalid_request',
      `${partial} cannot be written: ${whyNot(error)}; go on with --resume`,
      [],
      error,
    );
  }
  return new CountersignError(
    error.code,
    `${error.message}; what came is in ${partial}: go on with --resume`,
    [],
    error,
  );
}

/** How far an export has come: its whole lines, and the index behind the last of them. */
function readBegun(
  partial: string,
  format: LinesExport['format'],
): { readonly bytes: number; readonly next: number } {
  if (!existsSync(partial)) return { bytes: 0, next: 0 };
  const content = readFileSync(partial);
  const bytes = content.lastIndexOf('\n') + 1;
  const last = lastIndexIn(content.subarray(0, bytes), format);
  return last === undefined ? { bytes: 0, next: 0 } : { bytes, next: last + 1 };
}

function openPartial(partial: string, bytes: number): number {
  try {
    const file = openSync(partial, bytes > 0 ? 'r+' : 'w', 0o600);
    ftruncateSync(file, bytes);
    return file;
  } catch (error) {
    throw new CountersignError(
      'invalid_request',
      `${partial} cannot be written: ${whyNot(error)}`,
      [],
      error,
    );
  }
}

/** Where the index stands in a line of each format. */
const INDEX_IN: { readonly [format in LinesExport['format']]: RegExp } = {
  jsonl: /"index":(\d+),"leafHash":"[0-9a-f]{64}"\}\s*$/,
  csv: /^(\d+),/,
  ocsf: /"sequence":(\d+)/,
  cef: /\bexternalId=(\d+)/,
};

/** Of the last whole line in the bytes. */
function lastIndexIn(bytes: Buffer, format: LinesExport['format']): number | undefined {
  const end = bytes.lastIndexOf('\n');
  if (end < 0) return undefined;
  const begin = bytes.lastIndexOf('\n', end - 1) + 1;
  const index = INDEX_IN[format].exec(bytes.subarray(begin, end).toString('utf8'))?.[1];
  return index === undefined ? undefined : Number(index);
}
