import { CountersignError } from '../../errors.ts';
import type { Checkpoint } from '../tree/checkpoint.ts';
import { Frontier } from '../tree/merkle.ts';
import { parseVkey } from '../tree/note.ts';
import type { StoredEntry } from '../stored-entry.ts';
import { openCheckpoint, type CheckpointProblem } from './checkpoint.ts';
import {
  checkFields,
  checkSignedEntry,
  EntryFault,
  openEntry,
  type EntryFields,
  type EntryProblem,
  type SignedEntryCheck,
} from './entry.ts';

/** Where a log is read from: its storage, a backup, an export. Nothing it gives is believed. */
export interface LogSource {
  /** How many entries to expect; for progress only. */
  readonly size: number;
  /** What the writer noted beside the entries, from the same snapshot: the log must end there, with this root. */
  readonly head?: { readonly size: number; readonly root?: Buffer };
  /**
   * Entries from this index on, in order, in pages of any size: a page waits once for all of its entries. From the
   * same snapshot as the checkpoints, or a live log looks cut.
   */
  entries(from: number): AsyncIterable<readonly StoredEntry[]>;
  /** Checkpoint notes, oldest first; or the latest only, with wider intervals when something is wrong. */
  checkpoints(): AsyncIterable<string>;
}

export interface VerifyOptions {
  /** The public key to verify with; its name is the log's origin. Pin it: a forger would bring his own. */
  readonly vkey: string;
  /** Note of a checkpoint seen earlier. The log must still begin with the entries that it covers. */
  readonly trusted?: string;
  readonly onProgress?: (done: number, total: number) => void;
  /** The check of entries that carry a signature; by default `checkSignedEntry`. */
  readonly checkSigned?: (entry: EntryFields) => SignedEntryCheck;
}

export type LogProblem =
  | EntryProblem
  | CheckpointProblem
  /** A later checkpoint covers fewer entries. */
  | 'checkpoint_order'
  | 'checkpoint_root'
  /** The trusted checkpoint's root is not the log's at that size. */
  | 'trusted_root'
  /** The log ends below a checkpoint. */
  | 'log_cut'
  /** The log has another size or root than its writer noted beside it. */
  | 'head_mismatch'
  /** The log has entries and no checkpoint, so that nothing vouches for them. */
  | 'no_checkpoint';

export interface FirstBad {
  /** The bad entry, or the first of an interval. */
  readonly index: number;
  /** Last index of the interval that holds the bad entry, when the tree tells no more than that. */
  readonly through?: number;
  readonly problem: LogProblem;
  /** One sentence. */
  readonly message: string;
}

/** Roots are hex. */
export type VerifyReport =
  | {
      readonly ok: true;
      readonly size: number;
      readonly root: string;
      /** The largest verified checkpoint; absent only when the log is empty. */
      readonly checkpoint?: { readonly size: number; readonly root: string };
      /** Entries with a signature, each recovered to its key's address. */
      readonly signatures: number;
      /** How many of these have a digest that could not be recomputed, because the entry lacks the whole intent. */
      readonly digestsNotRecomputed: number;
      /** Entries after the last checkpoint: consistent, but not yet vouched for. */
      readonly unsignedTail: number;
    }
  | {
      readonly ok: false;
      /** Entries before the run ended. */
      readonly size: number;
      readonly firstBad: FirstBad;
    };

/**
 * Reads a log once, in order and in flat memory, and checks everything that can be checked without its
 * service: order, encoding, time, leaf hashes, the signed roots, and the signatures in the entries. The
 * first thing that is wrong ends the run.
 * @throws CountersignError `invalid_request` when the options are wrong: a malformed vkey, or a trusted
 * checkpoint that is not a valid one of this key. Errors of the source pass through.
 */
export async function verifyLog(source: LogSource, options: VerifyOptions): Promise<VerifyReport> {
  parseVkey(options.vkey);
  const tree = new Frontier();
  const heads = headsBySize(source, options.vkey, openTrusted(options));
  try {
    return await run(source, options, {
      tree,
      heads,
      next: undefined,
      good: undefined,
      time: '',
      signatures: 0,
      digestsNotRecomputed: 0,
    });
  } catch (error) {
    if (!(error instanceof EntryFault || error instanceof LogFault)) throw error;
    return { ok: false, size: tree.size, firstBad: error.firstBad };
  } finally {
    await heads.return(undefined);
  }
}

/** A checkpoint whose note is verified and whose root is still to be compared. */
interface Head extends Checkpoint {
  readonly trusted: boolean;
}

/** How far a run has come, and what it has seen. */
interface Walk {
  readonly tree: Frontier;
  readonly heads: AsyncGenerator<Head, undefined>;
  /** The next one to meet; none are left when undefined. */
  next: Head | undefined;
  /** The last one whose root was the tree's. */
  good: Head | undefined;
  /** Of the last entry. */
  time: string;
  signatures: number;
  digestsNotRecomputed: number;
}

const PROGRESS_STEP = 1_000;

async function run(source: LogSource, options: VerifyOptions, walk: Walk): Promise<VerifyReport> {
  const { checkSigned = checkSignedEntry, onProgress } = options;
  const { tree } = walk;
  await advance(walk);
  await passHeads(walk);
  for await (const page of source.entries(0)) {
    for (const stored of page) {
      checkEntry(stored, walk, checkSigned);
      if (walk.next?.size === tree.size) await passHeads(walk);
      if (tree.size % PROGRESS_STEP === 0) onProgress?.(tree.size, source.size);
    }
  }
  onProgress?.(tree.size, source.size);
  checkEnd(walk);
  checkHead(source, walk);
  return {
    ok: true,
    size: tree.size,
    root: tree.root().toString('hex'),
    ...(walk.good && { checkpoint: { size: walk.good.size, root: walk.good.root.toString('hex') } }),
    signatures: walk.signatures,
    digestsNotRecomputed: walk.digestsNotRecomputed,
    unsignedTail: tree.size - (walk.good?.size ?? 0),
  };
}

function checkEntry(
  stored: StoredEntry,
  walk: Walk,
  checkSigned: (entry: EntryFields) => SignedEntryCheck,
): void {
  const index = walk.tree.size;
  const entry = openEntry(stored, index);
  walk.time = checkFields(entry, index, walk.time);
  if (mustBeSigned(entry)) {
    const check = checkSigned(entry);
    if (!check.ok) throw new LogFault(index, check.problem, `entry ${index}: ${check.message}`);
    walk.signatures += 1;
    if (!check.digestRecomputed) walk.digestsNotRecomputed += 1;
  }
  walk.tree.append(Buffer.from(stored.leafHash));
}

async function advance(walk: Walk): Promise<void> {
  walk.next = (await walk.heads.next()).value;
}

/** Compares the tree with every checkpoint of its present size. */
async function passHeads(walk: Walk): Promise<void> {
  while (walk.next?.size === walk.tree.size) {
    checkRoot(walk.next, walk.tree, walk.good);
    walk.good = walk.next;
    await advance(walk);
  }
}

function checkEnd({ tree: { size }, next, good }: Walk): void {
  if (next !== undefined) throw cut(next, size);
  if (good === undefined && size > 0) {
    throw new LogFault(0, 'no_checkpoint', `no checkpoint vouches for entries 0 to ${size - 1}`, size - 1);
  }
}

function checkHead({ head }: LogSource, { tree, good }: Walk): void {
  if (head === undefined) return;
  const { size } = tree;
  const noted = `the head stored beside the entries counts ${head.size}`;
  if (size < head.size) {
    throw new LogFault(
      size,
      'head_mismatch',
      `the log is cut: it has ${size} entries, and ${noted}`,
      head.size - 1,
    );
  }
  if (size > head.size) {
    const message = `entries ${head.size} to ${size - 1} were added, or the head was put back: ${noted}`;
    throw new LogFault(head.size, 'head_mismatch', message, size - 1);
  }
  if (head.root === undefined || tree.root().equals(head.root)) return;
  // What a checkpoint vouches for is as it was signed: then it is the head that was changed.
  const from = good?.size === size ? 0 : (good?.size ?? 0);
  const message = `entries ${from} to ${size - 1}, or the head stored beside them, were changed: it has another root`;
  throw new LogFault(from, 'head_mismatch', message, size - 1);
}

/** Verified checkpoints in the order of their sizes, the trusted one among them. */
async function* headsBySize(
  source: LogSource,
  vkey: string,
  trusted: Checkpoint | undefined,
): AsyncGenerator<Head, undefined> {
  let waiting = trusted;
  let last = 0;
  for await (const note of source.checkpoints()) {
    const checkpoint = openCheckpoint(note, vkey);
    if ('problem' in checkpoint) {
      const message = `the checkpoint after the one of size ${last} ${checkpoint.message}`;
      throw new LogFault(last, checkpoint.problem, message);
    }
    const { size } = checkpoint;
    if (size < last) {
      const message = `a checkpoint of size ${size} follows one of size ${last}: entries from ${size} on were taken back`;
      throw new LogFault(size, 'checkpoint_order', message, last - 1);
    }
    if (waiting !== undefined && waiting.size <= size) {
      yield { ...waiting, trusted: true };
      waiting = undefined;
    }
    yield { ...checkpoint, trusted: false };
    last = size;
  }
  if (waiting !== undefined) yield { ...waiting, trusted: true };
}

function openTrusted({ trusted, vkey }: VerifyOptions): Checkpoint | undefined {
  if (trusted === undefined) return undefined;
  const checkpoint = openCheckpoint(trusted, vkey);
  if (!('problem' in checkpoint)) return checkpoint;
  throw new CountersignError('invalid_request', `the trusted checkpoint ${checkpoint.message}`);
}

function checkRoot(head: Head, tree: Frontier, good: Head | undefined): void {
  if (tree.root().equals(head.root)) return;
  const problem = head.trusted ? 'trusted_root' : 'checkpoint_root';
  const name = `${head.trusted ? 'the trusted checkpoint' : 'the checkpoint'} of size ${head.size}`;
  if (head.size === 0) throw new LogFault(0, problem, `${name} has not the root of the empty tree`);
  const last = head.size - 1;
  if (good?.size === head.size) {
    const message = `${name} has another root than the checkpoint of that size which fits: two histories were signed`;
    throw new LogFault(0, problem, message, last);
  }
  const from = good?.size ?? 0;
  const message =
    `entries ${from} to ${last} are not those of ${name}: ` +
    'at least one was changed, added or removed along with its leaf hash';
  throw new LogFault(from, problem, message, last);
}

function cut(head: Head, size: number): LogFault {
  const name = head.trusted ? 'the trusted checkpoint' : 'a checkpoint';
  const message = `the log is cut: it ends before entry ${size}, and ${name} covers ${head.size} entries`;
  return new LogFault(size, 'log_cut', message, head.size - 1);
}

function mustBeSigned(entry: EntryFields): boolean {
  return entry['signature'] !== undefined || (entry['kind'] === 'sign' && entry['outcome'] === 'done');
}

/** What no single entry shows. Ends a verification; becomes the report, never leaves `verifyLog`. */
class LogFault extends Error {
  readonly firstBad: FirstBad;

  constructor(index: number, problem: LogProblem, message: string, through?: number) {
    super(message);
    this.firstBad = { index, problem, message, ...(through !== undefined && { through }) };
  }
}
