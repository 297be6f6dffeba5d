import type { StoredEntry } from '../stored-entry.ts';
import { Frontier, type SubtreeKeeper } from '../tree/merkle.ts';
import { parseVkey } from '../tree/note.ts';
import { TILE_HEIGHT } from '../tree/tiles.ts';
import { checkDetails, type DataReader } from './details.ts';
import { checkSignedEntry, type SignedEntryCheck } from './entry.ts';
import { LogFault, type FirstBad } from './fault.ts';
import type { EntryFields } from './fields.ts';
import { openEntry, readEntry } from './form.ts';
import { Heads } from './heads.ts';
import { KeyChain } from './key-chain.ts';
import { checkNode, checkNodesEnd, type KeptTree } from './nodes.ts';
import { Order } from './order.ts';
import type { Outline } from './scan.ts';
import { Witnessed, type WitnessedCheckpoint, type WitnessPolicy } from './witnessed.ts';

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
  /** What is kept beside the entries; absent where it cannot be had. */
  readonly data?: DataReader;
  /** The hashes kept for tiles and proofs; absent where they cannot be had. */
  readonly tree?: KeptTree;
}

export interface VerifyOptions {
  /**
   * The public key to verify with; its name is the log's origin. Pin it: a forger would bring his own. Where the log's
   * key was rotated, the keys after it are those that it leads to.
   */
  readonly vkey: string;
  /** Note of a checkpoint seen earlier. The log must still begin with the entries that it covers. */
  readonly trusted?: string;
  /** Witnesses of whom so many must have cosigned a checkpoint of the log. */
  readonly witnesses?: WitnessPolicy;
  readonly onProgress?: (done: number, total: number) => void;
  /** The check of entries that carry a signature, by default `checkSignedEntry`; false leaves it out. */
  readonly checkSigned?: ((entry: EntryFields, data?: Uint8Array) => SignedEntryCheck) | false;
}

/** Roots are hex. */
export type VerifyReport =
  | {
      readonly ok: true;
      readonly size: number;
      readonly root: string;
      /** The largest verified checkpoint; absent only when the log is empty. */
      readonly checkpoint?: { readonly size: number; readonly root: string };
      /** The newest that the demanded witnesses hold; absent unless they were demanded, and when the log is empty. */
      readonly witnessed?: WitnessedCheckpoint;
      /** The key in force at the end of the log: the pinned one, or the last that it leads to. */
      readonly currentVkey: string;
      readonly keyRotations: number;
      /** Checkpoints by keys before the pinned one. What they cover is covered by later ones, which were checked. */
      readonly checkpointsNotChecked: number;
      /** Entries with a signature, each recovered to its key's address; unless that was left out. */
      readonly signatures: number;
      readonly signaturesChecked: boolean;
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
 * @throws CountersignError `invalid_request` when the options are wrong: a malformed vkey, a quorum that cannot be had, or
 * a trusted checkpoint that is not a valid one of this log. Errors of the source pass through.
 */
export async function verifyLog(source: LogSource, options: VerifyOptions): Promise<VerifyReport> {
  parseVkey(options.vkey);
  const walk = new Walk(source, options);
  try {
    return await walk.run();
  } catch (error) {
    if (!(error instanceof LogFault)) throw error;
    return { ok: false, size: walk.size, firstBad: walk.first(error).firstBad };
  } finally {
    await walk.close();
  }
}

const PROGRESS_STEP = 1_000;

/** How far a run has come, and what it has seen. */
class Walk {
  readonly #source: LogSource;
  readonly #options: VerifyOptions;
  readonly #checkSigned: (entry: EntryFields, data?: Uint8Array) => SignedEntryCheck;
  readonly #tree = new Frontier();
  readonly #order = new Order();
  readonly #chain: KeyChain;
  readonly #heads: Heads;
  readonly #witnessed: Witnessed | undefined;
  readonly #keep: SubtreeKeeper | undefined;
  /** A kept hash that is not that of its entries. Which of the two was changed, the next checkpoint tells. */
  #badNode: LogFault | undefined;
  #signatures = 0;
  #digestsNotRecomputed = 0;
  #rotations = 0;

  constructor(source: LogSource, options: VerifyOptions) {
    this.#source = source;
    this.#options = options;
    this.#checkSigned = options.checkSigned || checkSignedEntry;
    this.#chain = new KeyChain(options.vkey);
    this.#witnessed = options.witnesses && new Witnessed(options.witnesses);
    this.#heads = new Heads(source.checkpoints(), options.trusted, this.#chain, (note, size) =>
      this.#witnessed?.see(note, size),
    );
    const kept = source.tree;
    if (kept === undefined) return;
    this.#keep = (height, index, hash) => {
      if (height % TILE_HEIGHT !== 0) return;
      this.#badNode ??= checkNode(kept, height / TILE_HEIGHT, index, hash);
    };
  }

  get size(): number {
    return this.#tree.size;
  }

  async run(): Promise<VerifyReport> {
    const tree = this.#tree;
    const source = this.#source;
    const { onProgress } = this.#options;
    await this.#heads.start(tree);
    for await (const page of source.entries(0)) {
      for (const stored of page) {
        const { outline, leafHash } = openEntry(stored, tree.size);
        this.#order.check(outline, stored.bytes, tree.size);
        if (outline.signed) this.#signatures += 1;
        if (outline.detailed || outline.rotation || (outline.signed && this.#options.checkSigned !== false)) {
          await this.#checkContent(stored.bytes, outline);
        }
        tree.append(leafHash, this.#keep);
        if (this.#heads.nextSize === tree.size) await this.#passHeads();
        if (tree.size % PROGRESS_STEP === 0) onProgress?.(tree.size, source.size);
      }
    }
    onProgress?.(tree.size, source.size);
    this.#heads.end(tree.size);
    checkHead(source, tree, this.#heads.good?.size);
    if (this.#badNode !== undefined) throw this.#badNode;
    if (source.tree !== undefined) checkNodesEnd(source.tree, tree.size);
    this.#witnessed?.end(tree.size);
    return this.#report();
  }

  async close(): Promise<void> {
    await this.#heads.close();
  }

  /** Of this fault and one that is known already, the one that says more. */
  first(fault: LogFault): LogFault {
    const { problem } = fault.firstBad;
    const byRoot = problem === 'checkpoint_root' || problem === 'trusted_root';
    return byRoot ? fault : (this.#badNode ?? fault);
  }

  async #passHeads(): Promise<void> {
    await this.#heads.pass(this.#tree);
    const vouched = this.#heads.good?.size ?? 0;
    if (this.#badNode !== undefined && vouched > (this.#badNode.firstBad.through ?? 0)) throw this.#badNode;
  }

  /** What has to be read as a whole to be checked. */
  async #checkContent(bytes: Uint8Array, { signed, rotation }: Outline): Promise<void> {
    const index = this.#tree.size;
    const entry = readEntry(bytes);
    const data = await checkDetails(entry, index, this.#source.data);
    if (rotation) {
      this.#chain.rotate(entry, index, this.#tree.root(), this.#heads.good?.size ?? 0);
      this.#rotations += 1;
    }
    if (!signed || this.#options.checkSigned === false) return;
    const check = this.#checkSigned(entry, data);
    if (!check.ok) throw new LogFault(index, check.problem, `entry ${index}: ${check.message}`);
    if (!check.digestRecomputed) this.#digestsNotRecomputed += 1;
  }

  #report(): VerifyReport {
    const tree = this.#tree;
    const { good } = this.#heads;
    const witnessed = this.#witnessed?.newest;
    return {
      ok: true,
      size: tree.size,
      root: tree.root().toString('hex'),
      ...(good && { checkpoint: { size: good.size, root: good.root.toString('hex') } }),
      ...(witnessed && { witnessed }),
      currentVkey: this.#chain.vkey,
      keyRotations: this.#rotations,
      checkpointsNotChecked: this.#chain.notChecked,
      signatures: this.#signatures,
      signaturesChecked: this.#options.checkSigned !== false,
      digestsNotRecomputed: this.#digestsNotRecomputed,
      unsignedTail: tree.size - (good?.size ?? 0),
    };
  }
}

function checkHead({ head }: LogSource, tree: Frontier, vouched = 0): void {
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
  const from = vouched === size ? 0 : vouched;
  const message = `entries ${from} to ${size - 1}, or the head stored beside them, were changed: it has another root`;
  throw new LogFault(from, 'head_mismatch', message, size - 1);
}
