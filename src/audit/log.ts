import { hash } from 'node:crypto';
import { CountersignError } from '../errors.ts';
import {
  encodeEntry,
  entryAt,
  MAX_ENTRY_BYTES,
  type EntryDraft,
  type EntryService,
  type Recordable,
} from './entry.ts';
import type { LogHead, LogStorage } from './log-storage.ts';
import { leafHash, type Frontier } from './tree/merkle.ts';
import { TILE_HEIGHT } from './tree/tiles.ts';

/** Where an entry stands in the log; goes out with every answer. */
export interface Receipt {
  readonly index: number;
  /** RFC 6962 leaf hash, hex. */
  readonly leafHash: string;
}

/**
 * Writes an entry and its effects in one durable commit. There is no other way to get a `Tx`, so that nothing
 * can change without an entry that says so.
 */
export interface Recorder<Tx> {
  /**
   * When the promise resolves, the entry and the effects are on disk. Effects that throw reject with their own error, and
   * neither was written. A log that can't write rejects with `unavailable`: only the next start finds out whether they
   * were, and nothing of them has been shown.
   *
   * @param effects runs synchronously inside the commit; must not keep `tx`.
   */
  record<T>(draft: Recordable, effects: (tx: Tx, receipt: Receipt) => T): Promise<T>;
}

/**
 * Told of every entry at the last moment at which nothing of its commit is on disk, and at the first at which all of
 * it is and nobody has been answered. Tests end the process there.
 */
export type CommitProbe = (kind: string, when: 'before' | 'after') => void;

interface Item<Tx> {
  readonly draft: Recordable;
  readonly effects: (tx: Tx, receipt: Receipt) => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** More than this in one commit would hold everybody up. */
const MAX_BATCH = 512;
/** A commit costs as much as some entries: with fewer than these, it waits for those that are announced. */
const GATHERED = 16;
const GATHER_MS = 1;
/** Beyond this the caller is better off being told at once. */
const MAX_QUEUE = 10_000;

/** What is in a commit that is not on disk yet. */
interface Commit<Tx> {
  readonly items: readonly Item<Tx>[];
  readonly head: LogHead;
  /** Says to each caller what is to be said. */
  readonly settle: readonly (() => void)[];
  readonly written: readonly EntryDraft[];
}

/**
 * The one writer, one commit at a time: what comes while one is being flushed shares the next (group commit). After a
 * failed commit it never writes again: what an fsync lost can't be known, so the process has to start anew from what is
 * on disk.
 */
export class AuditLog<Tx> implements Recorder<Tx> {
  readonly #storage: LogStorage<Tx>;
  readonly #service: EntryService;
  readonly #now: () => Date;
  readonly #probe: CommitProbe | undefined;
  #head: LogHead;
  #queue: Item<Tx>[] = [];
  /** While a commit is being flushed, or an entry made that tells how far the log is. */
  #held = false;
  #finishing: Promise<void> | undefined;
  #announced = 0;
  #drains = false;
  #gathering: NodeJS.Timeout | undefined;
  #failure: string | undefined;
  readonly #listeners = new Set<(added: readonly EntryDraft[]) => void>();

  constructor(
    storage: LogStorage<Tx>,
    service: Omit<EntryService, 'epoch'>,
    now: () => Date = () => new Date(),
    probe?: CommitProbe,
  ) {
    this.#storage = storage;
    this.#now = now;
    this.#probe = probe;
    this.#head = storage.head();
    this.#service = { epoch: this.#head.frontier.size, ...service };
  }

  get size(): number {
    return this.#head.frontier.size;
  }

  /** Why the log can't write any more, or undefined while it can. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** Why nothing should be begun now whose entry would have to be taken, or undefined while there is room. */
  get hindrance(): string | undefined {
    if (this.#failure !== undefined) return UNWRITABLE;
    return this.#queue.length >= MAX_QUEUE ? CROWDED : undefined;
  }

  /** The tree as it stands on disk. */
  get tree(): Frontier {
    return this.#head.frontier;
  }

  /**
   * Resolves when all that was committed is on disk. Until the turn ends, what is read from the storage is as of the tree: an
   * entry of a change of the log's key is in both, or in neither.
   */
  async settled(): Promise<void> {
    while (this.#finishing !== undefined) await this.#finishing;
  }

  /**
   * Calls `listener` whenever entries have been added, after their callers have been answered. It must be quick, and
   * not throw. Returns what ends it.
   */
  onAppend(listener: (added: readonly EntryDraft[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  record<T>(draft: Recordable, effects: (tx: Tx, receipt: Receipt) => T): Promise<T> {
    const { hindrance } = this;
    if (hindrance !== undefined) return Promise.reject(new CountersignError('unavailable', hindrance));
    return new Promise((resolve, reject) => {
      this.#queue.push({ draft, effects, resolve: resolve as (value: unknown) => void, reject });
      this.#drainSoon();
    });
  }

  /**
   * Says that an entry is on its way, so that a commit may wait a little for it. Whoever has said so calls what this
   * returns, once, when it has come or will not.
   */
  announce(): () => void {
    this.#announced++;
    return () => void this.#announced--;
  }

  /**
   * For what is written beside the entries (a checkpoint, a clean-up), under the same rule: never after a failed
   * write. Throws `unavailable`.
   */
  writeBeside(write: () => void): void {
    if (this.#failure !== undefined) throw unavailable();
    try {
      write();
    } catch (error) {
      this.#fail(error, []);
      throw unavailable();
    }
  }

  #fail(error: unknown, batch: readonly Item<Tx>[]): void {
    this.#failure = error instanceof Error ? error.message : 'the storage failed';
    for (const item of [...batch, ...this.#queue]) item.reject(unavailable());
    this.#queue = [];
  }

  /** In a turn of its own: whoever was answered now changes what the next commit is about. */
  #drainSoon(): void {
    if (this.#drains || this.#held) return;
    this.#drains = true;
    setImmediate(() => {
      this.#drains = false;
      if (this.#announced === 0 || this.#queue.length >= GATHERED) this.#drain();
      else this.#gathering ??= setTimeout(() => this.#drain(), GATHER_MS);
    });
  }

  #drain(): void {
    clearTimeout(this.#gathering);
    this.#gathering = undefined;
    const [first] = this.#queue;
    // A failure has emptied it.
    if (this.#held || first === undefined) return;
    if (first.draft.over !== undefined) {
      void this.#complete(first, first.draft.over);
      return;
    }
    const upTo = this.#queue.slice(0, MAX_BATCH).findIndex(({ draft }) => draft.over !== undefined);
    const items = this.#queue.slice(0, upTo === -1 ? MAX_BATCH : upTo);
    this.#queue = this.#queue.slice(items.length);
    try {
      this.#finishing = this.#finish(this.#write(items)).finally(() => (this.#finishing = undefined));
    } catch (error) {
      this.#fail(error, items);
    }
  }

  /** Nothing is shown of a commit, and none begun behind it, before it is on disk. Never rejects. */
  async #finish({ items, head, settle, written }: Commit<Tx>): Promise<void> {
    this.#held = true;
    try {
      await this.#storage.flush();
    } catch (error) {
      this.#fail(error, items);
      return;
    }
    // A write beside the log has failed meanwhile; what was flushed is on disk all the same.
    this.#head = head;
    this.#held = false;
    if (this.#probe !== undefined) for (const { kind } of written) this.#probe(kind, 'after');
    for (const release of settle) release();
    for (const listener of this.#listeners) listener(written);
    if (this.#queue.length > 0) this.#drainSoon();
  }

  /** Holds the log until the first entry of the queue has its detail, or is given up. */
  async #complete(item: Item<Tx>, over: NonNullable<Recordable['over']>): Promise<void> {
    this.#held = true;
    const made: Item<Tx>[] = [];
    try {
      const { over: _, ...draft } = item.draft;
      made.push({ ...item, draft: { ...draft, detail: await over(this.#head.frontier.clone()) } });
    } catch (error) {
      item.reject(error);
    }
    this.#held = false;
    // Else a failure has emptied the queue meanwhile, and told everybody.
    if (this.#queue[0] === item) this.#queue.splice(0, 1, ...made);
    this.#drain();
  }

  #write(items: readonly Item<Tx>[]): Commit<Tx> {
    const settle: (() => void)[] = [];
    const written: EntryDraft[] = [];
    const frontier = this.#head.frontier.clone();
    // A clock that steps back must not make the log's order look wrong.
    const now = this.#now().toISOString();
    const time = now > this.#head.time ? now : this.#head.time;
    const head = { frontier, time };
    this.#storage.commit((tx) => {
      for (const item of items) {
        try {
          const value = this.#storage.nested(() => {
            const { beside } = item.draft;
            const entry = entryAt({ index: frontier.size, time, service: this.#service }, item.draft);
            const bytes = encodeEntry(entry);
            if (bytes.length > MAX_ENTRY_BYTES) {
              throw new CountersignError(
                'payload_too_large',
                `the audit entry would take ${bytes.length} bytes`,
              );
            }
            const leaf = leafHash(bytes);
            const value = item.effects(tx, { index: entry.index, leafHash: leaf.toString('hex') });
            tx.appendEntry(entry, bytes, leaf);
            if (beside !== undefined) tx.keepData(hash('sha256', beside, 'buffer'), beside);
            frontier.append(leaf, (height, at, hash) => {
              if (height % TILE_HEIGHT === 0) tx.keepNode(height / TILE_HEIGHT, at, hash);
            });
            return value;
          });
          settle.push(() => item.resolve(value));
          written.push(item.draft);
        } catch (error) {
          if (!(error instanceof CountersignError)) throw error;
          settle.push(() => item.reject(error));
        }
      }
      tx.saveHead(head);
      if (this.#probe !== undefined) for (const { kind } of written) this.#probe(kind, 'before');
    });
    return { items, head, settle, written };
  }
}

const UNWRITABLE = 'the audit log cannot be written, so nothing is decided or signed';
const CROWDED = 'too many decisions wait to be logged; try again';

function unavailable(): CountersignError {
  return new CountersignError('unavailable', UNWRITABLE);
}
