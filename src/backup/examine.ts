import { verifyLog, type VerifyReport } from '../audit/verify/log.ts';
import { CountersignError } from '../errors.ts';
import { canonicalize } from '../jcs.ts';
import { snapshotFactsSchema, type BackupHeader } from './header.ts';
import { compareOutside, type HeldOutside, type Lost } from './outside.ts';
import type { SnapshotFiles } from './snapshot.ts';

/** What a backup is held against. */
export interface Trust {
  /** The verifier key that is known to be the log's first; undefined to take the backup's own word for it. */
  readonly vkey?: string | undefined;
  readonly held: readonly HeldOutside[];
}

export interface Examined {
  readonly log: VerifyReport & { readonly ok: true };
  /** The key that the log was verified with. */
  readonly vkey: string;
  readonly pinned: boolean;
  /** The source of the checkpoint that the log was seen to continue. */
  readonly continues?: string;
  readonly lost?: Lost;
}

/**
 * Checks a database that came out of a backup: the file, what the header says of it, the whole log with every
 * signature in it, and the log against what is held outside. Throws `unprocessable` for the first thing that is wrong.
 */
export async function examine(
  file: string,
  header: BackupHeader,
  files: SnapshotFiles,
  { vkey: pinned, held }: Trust,
  onProgress?: (done: number, total: number) => void,
): Promise<Examined> {
  const found = files.facts(file);
  const said = Object.fromEntries(
    Object.keys(snapshotFactsSchema.shape).map((name) => [name, header[name as keyof typeof found]]),
  );
  if (canonicalize(said) !== canonicalize(found))
    throw new CountersignError(
      'unprocessable',
      'the header of the backup does not say what its database holds',
    );
  files.requireIntact(file);
  const vkey = pinned ?? found.vkey;
  if (vkey === null) {
    const message = 'the backup is of a service that was not initialized: nothing in its log is signed';
    throw new CountersignError('unprocessable', message);
  }
  const opened = files.openLog(file);
  const { source } = opened;
  try {
    const { trusted, lost } = compareOutside(held, found, source);
    const log = await verifyLog(source, {
      vkey,
      ...(trusted !== undefined && { trusted: trusted.note }),
      ...(onProgress !== undefined && { onProgress }),
    });
    if (!log.ok) {
      const { problem, message } = log.firstBad;
      throw new CountersignError('unprocessable', `the log in the backup is bad (${problem}): ${message}`);
    }
    return {
      log,
      vkey,
      pinned: pinned !== undefined,
      ...(trusted !== undefined && { continues: trusted.source }),
      ...(lost !== undefined && { lost }),
    };
  } finally {
    opened.close();
  }
}
