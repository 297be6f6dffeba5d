import { isUtf8 } from 'node:buffer';
import { z } from 'zod';
import { asBuffer } from '../bytes.ts';
import { CountersignError } from '../errors.ts';
import { canonicalize, isCanonical, type JsonValue } from '../jcs.ts';
import { parseWith } from '../schema.ts';

/**
 * What is inside a backup once age has opened it: the line `countersign-backup/v1`, a line of canonical JSON (RFC 8785)
 * that says what follows, and the bytes of the parts in the order in which it names them. The database comes first, so
 * that `age -d FILE | tail -n +3` begins with it.
 */
const FORMAT = 'countersign-backup/v';
const VERSION = 1;

export const DATABASE_PART = 'countersign.db';
export const SEAL_KEY_PART = 'seal.key';

/** Longer than any header of ours can be, for a bound before any work. */
const MAX_HEADER_BYTES = 64 * 1024;
const SEAL_KEY_BYTES = 32;

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 in hex');
const count = z.int().min(0);

/** What a snapshot of the database says of itself. */
export const snapshotFactsSchema = z.strictObject({
  /** Of the tables. */
  schema: z.int().min(1),
  /** The log's name in its checkpoints. */
  origin: z.string().min(1),
  /** The first verifier key of the log and the one in force; null before the service is initialized. */
  vkey: z.string().nullable(),
  currentVkey: z.string().nullable(),
  /** The fencing epoch of the service that it was taken of. */
  epoch: z.int().min(1),
  seal: z.string().nullable(),
  log: z.strictObject({ size: count, root: sha256 }),
  /** The newest signed note over the log; null when there is none. */
  checkpoint: z.string().nullable(),
  counts: z.strictObject({
    keys: count,
    keyVersions: count,
    principals: count,
    credentials: count,
    policies: count,
  }),
});
export type SnapshotFacts = z.output<typeof snapshotFactsSchema>;

const partSchema = z.strictObject({
  name: z.enum([DATABASE_PART, SEAL_KEY_PART]),
  /** Bytes. */
  length: count,
  sha256,
});
export type BackupPart = z.output<typeof partSchema>;

const headerSchema = snapshotFactsSchema.extend({
  createdAt: z.iso.datetime(),
  /** Of countersign. */
  version: z.string().max(64),
  parts: z
    .array(partSchema)
    .min(1)
    .max(2)
    .refine(
      ([database, sealKey]) =>
        database?.name === DATABASE_PART &&
        (sealKey === undefined || (sealKey.name === SEAL_KEY_PART && sealKey.length === SEAL_KEY_BYTES)),
      'must be the database, and a seal key of 32 bytes or nothing',
    ),
});
export type BackupHeader = z.output<typeof headerSchema>;

export function encodeHead(header: BackupHeader): Buffer {
  return Buffer.from(`${FORMAT}${VERSION}\n${canonicalize(header)}\n`, 'utf8');
}

/**
 * The header at the beginning of what age gave, and how many bytes it took; undefined while it is not whole yet. Throws
 * `unprocessable` for what is no backup of a version that is known here.
 */
export function decodeHead(
  bytes: Buffer,
): { readonly header: BackupHeader; readonly length: number } | undefined {
  const first = bytes.indexOf('\n');
  const line = bytes.subarray(0, Math.max(0, first)).toString('latin1');
  if ((first === -1 && bytes.length > MAX_HEADER_BYTES) || (first !== -1 && !line.startsWith(FORMAT)))
    throw notABackup('it decrypts, and holds something else');
  if (first === -1) return undefined;
  requireVersion(line.slice(FORMAT.length));
  const end = bytes.indexOf('\n', first + 1);
  if (end === -1) {
    if (bytes.length > MAX_HEADER_BYTES) throw notABackup('its header does not end');
    return undefined;
  }
  return { header: parseHeader(bytes.subarray(first + 1, end)), length: end + 1 };
}

function requireVersion(version: string): void {
  if (version === String(VERSION)) return;
  if (!/^[1-9]\d{0,8}$/.test(version)) throw notABackup('its first line names no version');
  throw new CountersignError(
    'unprocessable',
    `this backup has format version ${version}, and this countersign reads ${VERSION}: use the version that wrote it, or a newer one`,
  );
}

function parseHeader(line: Uint8Array): BackupHeader {
  if (!isUtf8(line)) throw notABackup('its header is not UTF-8');
  const text = asBuffer(line).toString('utf8');
  try {
    const value = JSON.parse(text) as JsonValue;
    if (!isCanonical(text, value)) throw notABackup('its header is not canonical JSON');
    return parseWith(headerSchema, value, 'the header of the backup');
  } catch (error) {
    if (error instanceof CountersignError && error.code === 'unprocessable') throw error;
    throw notABackup(error instanceof CountersignError ? error.message : 'its header is not JSON');
  }
}

export function partOf(header: BackupHeader, name: BackupPart['name']): BackupPart | undefined {
  return header.parts.find((part) => part.name === name);
}

/** Bytes of all that is inside. */
export function plainSize(header: BackupHeader): number {
  return header.parts.reduce((sum, { length }) => sum + length, encodeHead(header).length);
}

function notABackup(why: string): CountersignError {
  return new CountersignError('unprocessable', `this is no backup of countersign: ${why}`);
}
