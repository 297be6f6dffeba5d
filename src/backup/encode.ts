import { createHash, hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { SnapshotFacts, BackupHeader } from './header.ts';
import { DATABASE_PART, encodeHead, SEAL_KEY_PART } from './header.ts';

/** A snapshot that is to become a backup. */
export interface Contents {
  readonly facts: SnapshotFacts;
  /** The copy of the database. */
  readonly file: string;
  /** Of the `file` seal, when it is to be in the backup. */
  readonly sealKey?: Buffer | undefined;
  /** Of countersign. */
  readonly version: string;
}

/** Reads the copy once, for its hash. */
export async function describeContents({ facts, file, sealKey, version }: Contents): Promise<BackupHeader> {
  const digest = createHash('sha256');
  for await (const piece of createReadStream(file)) digest.update(piece as Buffer);
  const { size: length } = await stat(file);
  return {
    ...facts,
    createdAt: new Date().toISOString(),
    version,
    parts: [
      { name: DATABASE_PART, length, sha256: digest.digest('hex') },
      ...(sealKey === undefined
        ? []
        : [{ name: SEAL_KEY_PART, length: sealKey.length, sha256: hash('sha256', sealKey, 'hex') } as const]),
    ],
  };
}

/** All that is inside a backup, in pieces. */
export async function* encodeBackup(
  header: BackupHeader,
  { file, sealKey }: Pick<Contents, 'file' | 'sealKey'>,
): AsyncGenerator<Uint8Array> {
  yield encodeHead(header);
  for await (const piece of createReadStream(file)) yield piece as Buffer;
  // A copy: whoever takes it may keep it, and ours is wiped.
  if (sealKey !== undefined) yield Uint8Array.from(sealKey);
}
