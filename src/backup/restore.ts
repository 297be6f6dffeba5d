import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdtempSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import path from 'node:path';
import { wipe } from '../bytes.ts';
import { CountersignError } from '../errors.ts';
import { writePrivateFile } from '../files.ts';
import type { OpenBackup } from './decode.ts';
import { examine, type Examined, type Trust } from './examine.ts';
import type { RestoredFrom } from './fence.ts';
import { DATABASE_PART, SEAL_KEY_PART } from './header.ts';
import type { SnapshotFiles } from './snapshot.ts';

/** In a directory while a restore into it is under way: no service starts on it. */
export const UNFINISHED_FILE = 'restore.unfinished';
const PARTIAL = '.partial-';

/** Steps of a restore, in their order; a crash behind any but the last leaves nothing that a service starts on. */
export const RESTORE_STAGES = [
  'begun',
  'extracted',
  'examined',
  'marked',
  'synced',
  'renamed',
  'finished',
] as const;
export type RestoreStage = (typeof RESTORE_STAGES)[number];

export interface RestoreOrder {
  readonly backup: OpenBackup;
  /** Empty, or not there. */
  readonly target: string;
  readonly files: SnapshotFiles;
  readonly trust: Trust;
  /** Why it is right to go on although entries are lost; undefined to refuse then. */
  readonly acceptLoss?: string | undefined;
  /** Whether it is right that nothing but the backup itself says whose it is. */
  readonly acceptUnpinned?: boolean | undefined;
  readonly onProgress?: (what: 'reading' | 'verifying', done: number, total: number) => void;
  /** Told of each stage when it is over: for tests, which end the process there. */
  readonly probe?: (stage: RestoreStage) => void;
}

export interface Restored extends Examined {
  readonly mark: RestoredFrom;
  /** Whether the key of the `file` seal was in the backup, and now lies in the directory. */
  readonly sealKey: boolean;
}

/** Throws `conflict` unless a restore may go into this directory. */
export function requireEmptyTarget(target: string): void {
  const parent = path.dirname(target);
  if (!existsSync(parent)) throw new CountersignError('not_found', `there is no directory ${parent}`);
  if (!existsSync(target)) return;
  if (!statSync(target).isDirectory()) throw new CountersignError('conflict', `${target} is a file`);
  const found = readdirSync(target);
  if (found.length === 0) return;
  const unfinished = found.includes(UNFINISHED_FILE)
    ? ': it is left of a restore that was broken off; remove it, and restore again'
    : ', and a restore goes into an empty directory or one that is not there';
  throw new CountersignError('conflict', `${target} is not empty${unfinished}`);
}

/** What restores into this directory that were broken off have left beside it. */
export function leftovers(target: string): string[] {
  const parent = path.dirname(target);
  const prefix = `${path.basename(target)}${PARTIAL}`;
  if (!existsSync(parent)) return [];
  return readdirSync(parent)
    .filter((name) => name.startsWith(prefix))
    .map((name) => path.join(parent, name));
}

/**
 * Makes a data directory of a backup. It is written beside the target, which it becomes when all of it is on disk and
 * has been checked. Throws `conflict` for a target that is not empty and for a loss that is not accepted, `unprocessable` where
 * nothing pins it, and as
 * `examine` and `OpenBackup.extract`.
 */
export async function restore(order: RestoreOrder): Promise<Restored> {
  const { backup, files, trust, acceptLoss, acceptUnpinned = false, onProgress, probe } = order;
  const target = path.resolve(order.target);
  requireEmptyTarget(target);
  const partial = mkdtempSync(`${target}${PARTIAL}`);
  let sealKey: Buffer | undefined;
  try {
    writePrivateFile(path.join(partial, UNFINISHED_FILE), Buffer.from(UNFINISHED_TEXT));
    probe?.('begun');
    const database = path.join(partial, DATABASE_PART);
    sealKey = await backup.extract(database, (done, total) => onProgress?.('reading', done, total));
    probe?.('extracted');
    const { header } = backup;
    const examined = await examine(database, header, files, trust, (done, total) =>
      onProgress?.('verifying', done, total),
    );
    requirePinned(examined, acceptUnpinned);
    requireAccepted(examined, acceptLoss);
    probe?.('examined');
    const mark = markOf(header, examined, acceptLoss);
    files.mark(database, mark);
    probe?.('marked');
    if (sealKey !== undefined) writePrivateFile(path.join(partial, SEAL_KEY_PART), sealKey);
    sync(database);
    sync(partial);
    probe?.('synced');
    // Takes the place of an empty directory; fails where it is not empty any more.
    renameSync(partial, target);
    sync(path.dirname(target));
    probe?.('renamed');
    rmSync(path.join(target, UNFINISHED_FILE));
    sync(target);
    probe?.('finished');
    return { ...examined, mark, sealKey: sealKey !== undefined };
  } catch (error) {
    if (error instanceof CountersignError) throw error;
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    throw new CountersignError('unavailable', `the restore into ${target} failed: ${code}`, [], error);
  } finally {
    wipe(sealKey);
    rmSync(partial, { recursive: true, force: true });
  }
}

/** A checkpoint over more than the log has says that entries are lost, and of those that are there nothing. */
function requirePinned({ pinned, continues }: Examined, accept: boolean): void {
  if (pinned || continues !== undefined || accept) return;
  throw new CountersignError(
    'unprocessable',
    'nothing that was given shows whose backup this is: a checkpoint over more entries than it has does not. Give --vkey, or a checkpoint that it continues',
  );
}

const UNFINISHED_TEXT =
  'A restore was under way here. When none is, it was broken off: remove this directory, and restore again.\n';

function requireAccepted({ lost, log }: Examined, acceptLoss: string | undefined): void {
  if (lost === undefined || acceptLoss !== undefined) return;
  throw new CountersignError(
    'conflict',
    `the backup is older than what is known of the log: it has ${log.size} entries, and ${lost.source} holds a checkpoint over ${lost.to + 1}. ` +
      `Entries ${lost.from} to ${lost.to} would be lost, and what they signed and changed forgotten: find a newer backup, or give --accept-loss REASON`,
  );
}

function markOf(
  { epoch, log, createdAt }: OpenBackup['header'],
  { lost }: Examined,
  acceptLoss: string | undefined,
): RestoredFrom {
  return {
    epoch,
    size: log.size,
    root: log.root,
    backupAt: createdAt,
    restoredAt: new Date().toISOString(),
    ...(lost !== undefined && {
      lost: { from: lost.from, to: lost.to },
      ...(acceptLoss !== undefined && { lossReason: acceptLoss }),
    }),
  };
}

function sync(place: string): void {
  const fd = openSync(place, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
