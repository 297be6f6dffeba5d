import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { OpenBackup } from '../backup/decode.ts';
import type { Examined, Trust } from '../backup/examine.ts';
import { SEAL_KEY_PART } from '../backup/header.ts';
import { rehearse, type Rehearsal } from '../backup/rehearsal.ts';
import { restore } from '../backup/restore.ts';
import { openSqliteStorage } from '../storage/sqlite/storage.ts';
import { snapshotFiles } from '../storage/sqlite/snapshot.ts';
import type { Progress } from './progress.ts';

/** Restores into a directory that is not there yet, and opens it as a service would. @param secret is wiped. */
export async function restoreTest(
  backup: OpenBackup,
  directory: string,
  trust: Trust,
  secret: Buffer | undefined,
  progress: Progress,
): Promise<{ readonly examined: Examined; readonly sealKey: boolean; readonly rehearsal: Rehearsal }> {
  const restored = await restore({
    backup,
    target: directory,
    files: snapshotFiles,
    trust,
    // The report says what is lost, and what was pinned.
    acceptLoss: 'a test',
    acceptUnpinned: true,
    onProgress: (_, done, total) => progress.update(done, total),
  });
  const storage = openSqliteStorage(directory, () => backup.header.origin);
  try {
    const key = secret ?? (restored.sealKey ? readFileSync(path.join(directory, SEAL_KEY_PART)) : undefined);
    const rehearsal = await rehearse(storage, key, (done, total) => progress.update(done, total));
    return { examined: restored, sealKey: restored.sealKey, rehearsal };
  } finally {
    storage.close();
  }
}
