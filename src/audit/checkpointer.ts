import { fromHex, type Hex } from '../bytes.ts';
import { CountersignError } from '../errors.ts';
import { formatCheckpoint } from './tree/checkpoint.ts';
import type { Frontier } from './tree/merkle.ts';
import { formatNote, formatVkey, noteSignature } from './tree/note.ts';
import type { AuditReads, CheckpointWrites, StoredCheckpoint } from './stored-entry.ts';

/** The tree as it stands on disk. */
export interface LogTree {
  readonly size: number;
  readonly tree: Frontier;
  /** Resolves when what is stored, the log's key too, is as of this tree. */
  settled(): Promise<void>;
}

/** Signs a checkpoint's text with the log's key, which this process does not have. */
export interface CheckpointSigner {
  /** 32 bytes; undefined before the service is initialized. */
  publicKey(): Hex | undefined;
  sign(text: string): Promise<Uint8Array>;
}

/** At most one checkpoint in this time is signed unasked. */
const INTERVAL_MS = 1_000;

/** Keeps the newest signed checkpoint close behind the log. */
export class Checkpointer {
  readonly #origin: string;
  readonly #log: LogTree;
  readonly #reads: Pick<AuditReads, 'latestCheckpoint'>;
  readonly #writes: Pick<CheckpointWrites, 'saveCheckpoint'>;
  readonly #signer: CheckpointSigner;
  readonly #listeners: ((checkpoint: StoredCheckpoint) => void)[] = [];
  #timer: NodeJS.Timeout | undefined;
  #underway: Promise<StoredCheckpoint> | undefined;

  constructor(
    origin: string,
    log: LogTree,
    reads: Pick<AuditReads, 'latestCheckpoint'>,
    writes: Pick<CheckpointWrites, 'saveCheckpoint'>,
    signer: CheckpointSigner,
  ) {
    this.#origin = origin;
    this.#log = log;
    this.#reads = reads;
    this.#writes = writes;
    this.#signer = signer;
  }

  /** The verifier key (C2SP signed-note); undefined before the service is initialized. */
  vkey(): string | undefined {
    const publicKey = this.#signer.publicKey();
    return publicKey === undefined ? undefined : formatVkey(this.#origin, fromHex(publicKey));
  }

  /** Told of each new checkpoint, once it is stored. */
  onSigned(listener: (checkpoint: StoredCheckpoint) => void): void {
    this.#listeners.push(listener);
  }

  start(): void {
    this.#timer = setInterval(() => {
      // While sealed there is nobody to sign; the next one covers what came meanwhile.
      this.current().catch(() => undefined);
    }, INTERVAL_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** A checkpoint of the log as it is now. Throws `sealed` when there is nobody to sign it. */
  async current(): Promise<StoredCheckpoint> {
    const latest = this.#reads.latestCheckpoint();
    if (latest?.size === this.#log.size) return latest;
    this.#underway ??= this.#sign().finally(() => (this.#underway = undefined));
    return await this.#underway;
  }

  /** The newest checkpoint if it covers this entry, which is on disk, and else one that does. Throws `sealed`. */
  async covering(index: number): Promise<StoredCheckpoint> {
    let newest = this.#reads.latestCheckpoint() ?? (await this.current());
    // One that was under way may be of the log as it was before the entry.
    while (newest.size <= index) newest = await this.current();
    return newest;
  }

  async #sign(): Promise<StoredCheckpoint> {
    await this.#log.settled();
    // Key and tree are of one moment, so that each key signs its part: nothing may be awaited from here to `sign`.
    const publicKey = this.#signer.publicKey();
    if (publicKey === undefined)
      throw new CountersignError('sealed', 'the service is not initialized: the log has no key');
    const tree = this.#log.tree;
    const { size } = tree;
    const text = formatCheckpoint({ origin: this.#origin, size, root: tree.root() });
    const signature = noteSignature(this.#origin, fromHex(publicKey), await this.#signer.sign(text));
    const checkpoint = { size, note: formatNote(text, [signature]) };
    this.#writes.saveCheckpoint(checkpoint);
    for (const listener of this.#listeners) listener(checkpoint);
    return checkpoint;
  }
}
