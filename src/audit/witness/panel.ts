import type { Coverage } from '../gate.ts';
import { CountersignError } from '../../errors.ts';
import type { SplitView } from '../split-view.ts';
import type { AuditReads, CheckpointWrites, StoredCheckpoint } from '../stored-entry.ts';
import { cosignaturesOf, type Cosignature } from '../tree/cosignature.ts';
import { formatNote, parseNote } from '../tree/note.ts';
import type { Outcome, WitnessClient } from './client.ts';
import { backoff, type Pace } from '../sinks/backoff.ts';
import { Held, type Hold } from './held.ts';
import type { WitnessSettings } from './settings.ts';
import { Waiting } from './waiting.ts';

export interface PanelParts {
  readonly clients: readonly WitnessClient[];
  readonly store: Pick<AuditReads, 'checkpoint' | 'cosignedCheckpoints'> &
    Pick<CheckpointWrites, 'saveCosigned'>;
  /** A checkpoint of the log as it is now. Throws `sealed`. */
  readonly current: () => Promise<StoredCheckpoint>;
  readonly splitView: Pick<SplitView, 'report'>;
}

/** What is known of one witness. */
export interface WitnessStatus {
  readonly name: string;
  /** Of the newest checkpoint that it cosigned. */
  readonly size: number;
  /** Why it did not cosign when it was asked last. */
  readonly problem?: string;
}

const AFTER_FAILURE: Pace = { firstMs: 500, mostMs: 60_000 };
/** Before somebody has done something, to ask again is no use. */
const AFTER_REFUSAL: Pace = { firstMs: 60_000, mostMs: 60_000 };
/** How long a start waits to hear what the witnesses have seen. */
const FIRST_CONTACT_MS = 3_000;
/** Checkpoints that a start looks through for the newest with enough cosignatures. */
const LOOKED_THROUGH = 1_000;

interface Member {
  readonly client: WitnessClient;
  /** Size of the checkpoint that it is asked about now. */
  asked: number | undefined;
  /** Smaller checkpoints are no use to it. */
  wants: number;
  cosigned: number;
  failures: number;
  rest: NodeJS.Timeout | undefined;
  problem: string | undefined;
}

/**
 * Has checkpoints cosigned by k of n witnesses. All are asked about the same checkpoint, so that k cosignatures come
 * together on one: a newer one is next when they have, or when nobody is left who could answer. A witness that is slow
 * or dead holds the others up only while they can't make k without it.
 */
export class WitnessPanel implements Coverage {
  readonly #settings: Pick<WitnessSettings, 'quorum' | 'mode' | 'timeoutMs'>;
  readonly #parts: PanelParts;
  readonly #members: readonly Member[];
  readonly #held: Held<Member>;
  readonly #waiting = new Waiting();
  readonly #heard = new Set<Member>();
  readonly #contact = new Waiting();
  #newest: StoredCheckpoint | undefined;
  /** The one that they are asked about now. */
  #candidate: StoredCheckpoint | undefined;
  #signing = false;
  #stalled = false;
  #stopped = false;

  constructor(settings: Pick<WitnessSettings, 'quorum' | 'mode' | 'timeoutMs'>, parts: PanelParts) {
    this.#settings = settings;
    this.#parts = parts;
    this.#members = parts.clients.map((client) => ({
      client,
      asked: undefined,
      wants: 0,
      cosigned: 0,
      failures: 0,
      rest: undefined,
      problem: undefined,
    }));
    this.#held = new Held(settings.quorum);
  }

  /**
   * Reads what was cosigned before, and asks all witnesses about the newest checkpoint, so that one that has seen a later
   * log speaks before anything is signed. Resolves when each has answered or failed, or after some seconds.
   */
  async start(newest: StoredCheckpoint | undefined): Promise<void> {
    this.#recall();
    if (newest === undefined) return;
    const contact = this.#contact.until(this.#members.length, FIRST_CONTACT_MS);
    this.offer(newest);
    await contact;
  }

  stop(): void {
    this.#stopped = true;
    for (const { rest } of this.#members) clearTimeout(rest);
  }

  /** A new checkpoint of the log, to be cosigned. */
  offer(checkpoint: StoredCheckpoint): void {
    if (this.#newest === undefined || checkpoint.size > this.#newest.size) this.#newest = checkpoint;
    this.#turn();
  }

  /** The newest checkpoint that enough witnesses have cosigned. */
  get held(): Hold {
    return this.#held.newest;
  }

  members(): WitnessStatus[] {
    return this.#members.map(({ client, cosigned, problem }) => ({
      name: client.name,
      size: cosigned,
      ...(problem !== undefined && { problem }),
    }));
  }

  /** In strict mode, why nothing is signed: what was signed could not be shown. */
  get hindrance(): string | undefined {
    if (!this.#stalled) return undefined;
    const problems = this.members().flatMap(({ name, problem }) =>
      problem === undefined ? [] : [`${name}: ${problem}`],
    );
    const { quorum } = this.#settings;
    const why = problems.length === 0 ? 'they are slow' : problems.join('; ');
    return `fewer than the ${quorum} witnesses that it takes have cosigned in time, and no signature is shown before (${why})`;
  }

  isCovered(index: number): boolean {
    return this.#settings.mode === 'async' || index < this.held.size;
  }

  async covered(index: number): Promise<void> {
    if (this.isCovered(index)) return;
    const covered = this.#waiting.until(index + 1, this.#settings.timeoutMs);
    this.#turn();
    if (await covered) return;
    this.#stalled = true;
    throw new CountersignError(
      'unavailable',
      `the signature is in the log (entry ${index}), and is not shown before ${this.#settings.quorum} witnesses have ` +
        'cosigned a checkpoint over it: repeat the request with the same Idempotency-Key',
    );
  }

  /** The checkpoint with enough cosignatures, if they come within this time, and as it is by then if not. */
  async settled(checkpoint: StoredCheckpoint, waitMs: number): Promise<StoredCheckpoint> {
    const awake = this.#members.filter(({ rest }) => rest === undefined).length;
    if (checkpoint.size > this.held.size && awake >= this.#settings.quorum) {
      await this.#waiting.until(checkpoint.size, waitMs);
    }
    return this.#parts.store.checkpoint(checkpoint.size) ?? checkpoint;
  }

  #recall(): void {
    for (const checkpoint of this.#parts.store.cosignedCheckpoints(LOOKED_THROUGH)) {
      const note = parseNote(checkpoint.note);
      for (const member of this.#members) {
        const cosignature = cosignaturesOf(note, member.client.key).at(-1);
        if (cosignature === undefined) continue;
        member.client.resumeAt(checkpoint.size);
        member.cosigned = Math.max(member.cosigned, checkpoint.size);
        this.#held.add(checkpoint.size, member, cosignature.timestamp);
      }
      if (this.held.size > 0) return;
    }
  }

  #turn(): void {
    if (this.#stopped) return;
    const candidate = this.#chooseCandidate();
    if (candidate === undefined) return;
    for (const member of this.#members) {
      if (member.asked === undefined && member.rest === undefined && candidate.size >= member.wants) {
        void this.#ask(member, candidate);
      }
    }
  }

  #chooseCandidate(): StoredCheckpoint | undefined {
    const candidate = this.#candidate;
    if (
      candidate !== undefined &&
      candidate.size > this.held.size &&
      this.#members.some(({ asked }) => asked === candidate.size)
    ) {
      return candidate;
    }
    // What came meanwhile is covered together.
    if (this.#waiting.most > (this.#newest?.size ?? 0)) this.#sign();
    if (this.#newest !== undefined && this.#newest.size > (candidate?.size ?? -1))
      this.#candidate = this.#newest;
    return this.#candidate;
  }

  #sign(): void {
    if (this.#signing) return;
    this.#signing = true;
    this.#parts
      .current()
      .finally(() => (this.#signing = false))
      .then(
        (checkpoint) => this.offer(checkpoint),
        // Sealed: there will be one when it is not.
        () => undefined,
      );
  }

  async #ask(member: Member, checkpoint: StoredCheckpoint): Promise<void> {
    member.asked = checkpoint.size;
    const outcome = await member.client.cosign(checkpoint);
    try {
      await this.#note(member, checkpoint, outcome);
    } catch (error) {
      this.#rest(member, error instanceof Error ? error.message : 'unknown error', AFTER_FAILURE);
    }
    member.asked = undefined;
    this.#contact.reach(this.#heard.add(member).size);
    this.#turn();
  }

  async #note(member: Member, checkpoint: StoredCheckpoint, outcome: Outcome): Promise<void> {
    switch (outcome.kind) {
      case 'cosigned':
        this.#take(member, checkpoint, outcome.cosignature);
        return;
      case 'behind':
        member.wants = outcome.size;
        this.#sign();
        return;
      case 'split':
        this.#rest(member, outcome.evidence.message, AFTER_REFUSAL);
        await this.#parts.splitView.report(outcome.evidence);
        return;
      case 'refused':
        this.#rest(member, outcome.problem, AFTER_REFUSAL);
        return;
      case 'failed':
        this.#rest(member, outcome.problem, AFTER_FAILURE);
    }
  }

  #take(member: Member, { size, note }: StoredCheckpoint, { line, timestamp }: Cosignature): void {
    const { store } = this.#parts;
    const { text, signatures } = parseNote(store.checkpoint(size)?.note ?? note);
    const others = signatures.filter((s) => !(s.name === line.name && s.keyHash.equals(line.keyHash)));
    store.saveCosigned({ size, note: formatNote(text, [...others, line]) });
    Object.assign(member, { cosigned: size, wants: size + 1, failures: 0, problem: undefined });
    if (!this.#held.add(size, member, timestamp)) return;
    this.#stalled = false;
    this.#waiting.reach(size);
  }

  #rest(member: Member, problem: string, pace: Pace): void {
    member.problem = problem;
    member.failures += 1;
    if (this.#stopped) return;
    member.rest = setTimeout(
      () => {
        member.rest = undefined;
        this.#turn();
      },
      backoff(pace, member.failures),
    ).unref();
  }
}
