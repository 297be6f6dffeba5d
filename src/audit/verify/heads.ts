import { CountersignError } from '../../errors.ts';
import { parseCheckpoint, type Checkpoint } from '../tree/checkpoint.ts';
import type { Frontier } from '../tree/merkle.ts';
import { parseNote, parseVkey, type Note } from '../tree/note.ts';
import { attempt } from './checkpoint.ts';
import { LogFault } from './fault.ts';
import type { KeyChain } from './key-chain.ts';

/** A checkpoint of which only the size is used, and that to know when its turn is; its signature is still to be verified. */
interface Head {
  readonly note: Note;
  readonly checkpoint: Checkpoint;
  readonly trusted: boolean;
}

/** The checkpoints of a log in the order of their sizes, each compared with the tree when that has its size. */
export class Heads {
  readonly #chain: KeyChain;
  readonly #onGood: (note: Note, size: number) => void;
  readonly #name: string;
  readonly #heads: AsyncGenerator<Head, undefined>;
  /** None are left when undefined. */
  #next: Head | undefined;
  #good: Checkpoint | undefined;

  /**
   * @param notes oldest first.
   * @param trusted the note of a checkpoint seen earlier. Throws `invalid_request` where it is not one of this log.
   * @param onGood is told of each that is signed and has the tree's root.
   */
  constructor(
    notes: AsyncIterable<string>,
    trusted: string | undefined,
    chain: KeyChain,
    onGood: (note: Note, size: number) => void,
  ) {
    this.#chain = chain;
    this.#onGood = onGood;
    this.#name = parseVkey(chain.vkey).name;
    this.#heads = this.#bySize(notes, trusted === undefined ? undefined : this.#openTrusted(trusted));
  }

  /** Size of the next one to meet. */
  get nextSize(): number | undefined {
    return this.#next?.checkpoint.size;
  }

  /** The last one that is signed and has the tree's root. */
  get good(): Checkpoint | undefined {
    return this.#good;
  }

  async start(tree: Frontier): Promise<void> {
    await this.#advance();
    await this.pass(tree);
  }

  /** Compares the tree with every checkpoint of its present size. */
  async pass(tree: Frontier): Promise<void> {
    while (this.#next?.checkpoint.size === tree.size) {
      const head = this.#next;
      if (this.#admits(head)) {
        checkRoot(head, tree, this.#good);
        this.#good = head.checkpoint;
        this.#onGood(head.note, head.checkpoint.size);
      }
      await this.#advance();
    }
  }

  /** The log has ended at this size. */
  end(size: number): void {
    const next = this.#next;
    if (next !== undefined && (next.trusted || this.#admits(next))) throw cut(next, size);
    this.#chain.end();
    if (next !== undefined) throw cut(next, size);
    if (this.#good === undefined && size > 0) {
      throw new LogFault(0, 'no_checkpoint', `no checkpoint vouches for entries 0 to ${size - 1}`, size - 1);
    }
  }

  async close(): Promise<void> {
    await this.#heads.return(undefined);
  }

  async #advance(): Promise<void> {
    this.#next = (await this.#heads.next()).value;
  }

  #admits({ note, trusted }: Head): boolean {
    if (!trusted) {
      const message = `the checkpoint after the one of size ${this.#good?.size ?? 0} is not signed by ${this.#name} with the key in force there`;
      return this.#chain.admits(
        note,
        () => new LogFault(this.#good?.size ?? 0, 'checkpoint_signature', message),
      );
    }
    const message = `the trusted checkpoint is not signed by ${this.#name} with the key in force there`;
    const refused = new CountersignError('invalid_request', message);
    const admitted = this.#chain.admits(note, () => {
      throw refused;
    });
    if (!admitted) throw refused;
    return true;
  }

  async *#bySize(notes: AsyncIterable<string>, trusted: Head | undefined): AsyncGenerator<Head, undefined> {
    let waiting = trusted;
    let last = 0;
    for await (const bytes of notes) {
      const head = this.#open(bytes, last);
      const { size } = head.checkpoint;
      if (size < last) {
        const message = `a checkpoint of size ${size} follows one of size ${last}: entries from ${size} on were taken back`;
        throw new LogFault(size, 'checkpoint_order', message, last - 1);
      }
      if (waiting !== undefined && waiting.checkpoint.size <= size) {
        yield waiting;
        waiting = undefined;
      }
      yield head;
      last = size;
    }
    if (waiting !== undefined) yield waiting;
  }

  #open(bytes: string, last: number): Head {
    const fault = (problem: 'checkpoint_malformed' | 'checkpoint_origin', what: string): LogFault =>
      new LogFault(last, problem, `the checkpoint after the one of size ${last} ${what}`);
    const opened = openHead(bytes);
    if (opened instanceof Error) throw fault('checkpoint_malformed', `is ${opened.message}`);
    const { origin } = opened.checkpoint;
    if (origin !== this.#name) {
      throw fault('checkpoint_origin', `belongs to another log, ${JSON.stringify(origin)}`);
    }
    return { ...opened, trusted: false };
  }

  #openTrusted(bytes: string): Head {
    const opened = openHead(bytes);
    const refused = (what: string): CountersignError =>
      new CountersignError('invalid_request', `the trusted checkpoint ${what}`);
    if (opened instanceof Error) throw refused(`is ${opened.message}`);
    const { origin } = opened.checkpoint;
    if (origin !== this.#name) throw refused(`belongs to another log, ${JSON.stringify(origin)}`);
    return { ...opened, trusted: true };
  }
}

function openHead(bytes: string): { readonly note: Note; readonly checkpoint: Checkpoint } | Error {
  return attempt(() => {
    const note = parseNote(bytes);
    return { note, checkpoint: parseCheckpoint(note.text) };
  });
}

function checkRoot({ checkpoint, trusted }: Head, tree: Frontier, good: Checkpoint | undefined): void {
  if (tree.root().equals(checkpoint.root)) return;
  const { size } = checkpoint;
  const problem = trusted ? 'trusted_root' : 'checkpoint_root';
  const name = `${trusted ? 'the trusted checkpoint' : 'the checkpoint'} of size ${size}`;
  if (size === 0) throw new LogFault(0, problem, `${name} has not the root of the empty tree`);
  const last = size - 1;
  if (good?.size === size) {
    const message = `${name} has another root than the checkpoint of that size which fits: two histories were signed`;
    throw new LogFault(0, problem, message, last);
  }
  const from = good?.size ?? 0;
  const message =
    `entries ${from} to ${last} are not those of ${name}: ` +
    'at least one was changed, added or removed along with its leaf hash';
  throw new LogFault(from, problem, message, last);
}

function cut({ checkpoint, trusted }: Head, size: number): LogFault {
  const name = trusted ? 'the trusted checkpoint' : 'a checkpoint';
  const message = `the log is cut: it ends before entry ${size}, and ${name} covers ${checkpoint.size} entries`;
  return new LogFault(size, 'log_cut', message, checkpoint.size - 1);
}
