import { CountersignError } from '../../errors.ts';
import type { History } from '../history.ts';
import { exchangeWith, type Exchange } from '../outbound.ts';
import type { Evidence } from '../split-view.ts';
import type { StoredCheckpoint } from '../stored-entry.ts';
import { parseCheckpoint, type Checkpoint } from '../tree/checkpoint.ts';
import { cosignaturesOf, parseWitnessVkey, type Cosignature } from '../tree/cosignature.ts';
import { verifyConsistency } from '../tree/merkle.ts';
import { parseNote, type Note, type VerifierKey } from '../tree/note.ts';
import { formatAddCheckpoint, MAX_ANSWER_BYTES, readAnswer, type WitnessAnswer } from './protocol.ts';
import type { WitnessSettings } from './settings.ts';

export type Outcome =
  | { readonly kind: 'cosigned'; readonly cosignature: Cosignature }
  /** It has seen a newer checkpoint of this log, of this size: send one that is as new. */
  | { readonly kind: 'behind'; readonly size: number }
  /** It holds a checkpoint that this log does not continue. */
  | { readonly kind: 'split'; readonly evidence: Evidence }
  /** `refused`: soon again is no use. */
  | { readonly kind: 'refused' | 'failed'; readonly problem: string };

/** A 409 says from where to prove; another one right after it is from a race with somebody else, or a lie. */
const TRIES = 3;
const TIMEOUT_MS = 10_000;

/** One witness. It is asked one thing at a time. */
export class WitnessClient {
  readonly key: VerifierKey;
  readonly #url: URL;
  readonly #exchange: Exchange;
  readonly #history: History;
  readonly #timeoutMs: number;
  /** Of the newest checkpoint that it is known to hold. Where that is wrong it says so. */
  #size = 0;

  /** Throws `invalid_request` when its CA file can't be read. */
  constructor(
    { vkey, url, ca }: WitnessSettings['witnesses'][number],
    history: History,
    timeoutMs: number = TIMEOUT_MS,
  ) {
    this.key = parseWitnessVkey(vkey);
    this.#url = new URL(`${url}/add-checkpoint`);
    this.#exchange = exchangeWith(this.#url.origin, ca);
    this.#history = history;
    this.#timeoutMs = timeoutMs;
  }

  get name(): string {
    return this.key.name;
  }

  /** What is known of it from before. */
  resumeAt(size: number): void {
    this.#size = Math.max(this.#size, size);
  }

  /** Asks for a cosignature of a checkpoint of this log. Never rejects. */
  async cosign({ note }: StoredCheckpoint): Promise<Outcome> {
    try {
      const parsed = parseNote(note);
      return await this.#cosign({ note, parsed, checkpoint: parseCheckpoint(parsed.text) });
    } catch (error) {
      return { kind: 'failed', problem: error instanceof Error ? error.message : 'unknown error' };
    }
  }

  async #cosign(asked: Asked): Promise<Outcome> {
    const { checkpoint } = asked;
    for (let tries = 0; tries < TRIES; tries++) {
      const old = Math.min(this.#size, checkpoint.size);
      const proof = this.#history.consistency(old, checkpoint.size);
      const answer = await this.#send(formatAddCheckpoint(old, proof, asked.note));
      if (answer.kind !== 'conflict') return this.#settle(asked, old, proof, answer);
      const { size = old } = answer;
      if (size > checkpoint.size) return this.#ahead(size);
      if (size === old) return this.#sameSize(old, checkpoint);
      this.#size = size;
    }
    return { kind: 'failed', problem: 'it names another size each time (HTTP 409)' };
  }

  #settle(
    asked: Asked,
    old: number,
    proof: readonly Buffer[],
    answer: Exclude<WitnessAnswer, { kind: 'conflict' }>,
  ): Outcome {
    const { checkpoint } = asked;
    switch (answer.kind) {
      case 'signed':
        return this.#accept(asked, answer.lines);
      case 'inconsistent':
        return this.#inconsistent(old, checkpoint, proof);
      case 'refused':
      case 'failed':
      default:
        return answer;
    }
  }

  #accept({ parsed, checkpoint }: Asked, lines: string): Outcome {
    const said = attempt(() => parseNote(`${parsed.text}\n${lines}`));
    // An empty line in the answer would make what is before it part of the text that was signed.
    if (said?.text !== parsed.text) return { kind: 'failed', problem: 'its answer is not signature lines' };
    const cosignature = cosignaturesOf(said, this.key).at(-1);
    if (cosignature === undefined) {
      return { kind: 'failed', problem: 'its answer has no valid cosignature of the configured key' };
    }
    this.#size = checkpoint.size;
    return { kind: 'cosigned', cosignature };
  }

  #ahead(size: number): Outcome {
    const ours = this.#history.size();
    if (size <= ours) return { kind: 'behind', size };
    const message =
      `witness ${this.name} has cosigned ${size} entries of this log, and the log has ${ours}: ` +
      'an older database was put back, or a second log is signed with this key';
    return { kind: 'split', evidence: { source: this.#source, size, message } };
  }

  /** It did not like the size that we sent, and names no other. */
  #sameSize(old: number, { size }: Checkpoint): Outcome {
    if (old === size) return this.#otherRoot(size);
    return { kind: 'failed', problem: `it refuses the size ${old} (HTTP 409) and names no other` };
  }

  #inconsistent(old: number, { size, root }: Checkpoint, proof: readonly Buffer[]): Outcome {
    if (old === 0)
      return { kind: 'refused', problem: 'it finds a proof wrong where none is needed (HTTP 422)' };
    // The specification has 409 for this; there are witnesses that say 422.
    if (old === size) return this.#otherRoot(size);
    // First our own house: with a proof that is right, only another root on their side is left.
    if (!verifyConsistency(old, size, this.#history.root(old), root, proof)) {
      const message = `the stored tree does not lead from ${old} entries to the checkpoint of ${size}: it was changed or damaged (countersign audit verify names the place)`;
      return { kind: 'split', evidence: { source: 'the stored tree', size, message } };
    }
    return this.#otherRoot(old);
  }

  #otherRoot(size: number): Outcome {
    const root = this.#history.root(size).toString('hex');
    const message =
      `witness ${this.name} has cosigned another history of the first ${size} entries than this log has (root ${root}): ` +
      'entries were changed, or an older database was put back and went on, or a second log is signed with this key';
    return { kind: 'split', evidence: { source: this.#source, size, message } };
  }

  get #source(): string {
    return `witness ${this.name}`;
  }

  async #send(body: Buffer): Promise<WitnessAnswer> {
    const headers = { 'content-type': 'text/plain; charset=utf-8' };
    const limits = { timeoutMs: this.#timeoutMs, maxBytes: MAX_ANSWER_BYTES };
    return readAnswer(await this.#exchange({ method: 'POST', url: this.#url, headers, body }, limits));
  }
}

/** A checkpoint to cosign. */
interface Asked {
  readonly note: string;
  readonly parsed: Note;
  readonly checkpoint: Checkpoint;
}

function attempt<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (error instanceof CountersignError) return undefined;
    throw error;
  }
}
