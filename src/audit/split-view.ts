import type { Act } from './act.ts';
import { CountersignError } from '../errors.ts';

/** Of this log there was more, or another one: somebody outside holds a checkpoint that it does not continue, or this machine has noted how far it was. */
export interface Evidence {
  /** Who holds it: `witness <name>`, `anchor <name>` or `file <name>`. */
  readonly source: string;
  /** How many entries it covers. */
  readonly size: number;
  /** Its root, hex, where that is known. */
  readonly root?: string;
  /** What was found, in a sentence without its full stop. */
  readonly message: string;
}

export interface KnownEvidence extends Evidence {
  /** RFC 3339. */
  readonly time: string;
  /** An operator has looked. */
  readonly acknowledged: boolean;
}

export interface EvidenceReads {
  /** Oldest first. */
  evidence(): KnownEvidence[];
}

export interface EvidenceWrites {
  /** The same claim of the same source is kept once. */
  keepEvidence(evidence: Evidence, time: string): void;
  acknowledgeEvidence(): void;
}

const WHAT_TO_DO =
  'nothing is signed until an operator has found out which of the two is the log, and has said so ' +
  '(countersign audit acknowledge; docs/audit.md, "When somebody holds another log")';

/**
 * The alarm for a log that was put back, cut, or signed twice. It is kept through restarts; what was acknowledged is
 * not raised again, and anything else is.
 */
export class SplitView {
  readonly #act: Act<EvidenceWrites>;
  readonly #onReport: (evidence: Evidence) => void;
  readonly #now: () => Date;
  #known: readonly KnownEvidence[];

  /** @param onReport is told of evidence that is new. */
  constructor(
    reads: EvidenceReads,
    act: Act<EvidenceWrites>,
    onReport: (evidence: Evidence) => void,
    now: () => Date = () => new Date(),
  ) {
    this.#act = act;
    this.#onReport = onReport;
    this.#now = now;
    this.#known = reads.evidence();
  }

  /** What no operator has looked at yet. */
  standing(): KnownEvidence[] {
    return this.#known.filter(({ acknowledged }) => !acknowledged);
  }

  /** Why nothing is to be signed, or undefined when there is nothing to look at. */
  get hindrance(): string | undefined {
    const [first, ...more] = this.standing();
    if (first === undefined) return undefined;
    const others = more.length === 0 ? '' : ` (and ${more.length} more, see the entries audit.split_view)`;
    return `${first.message}${others}: ${WHAT_TO_DO}`;
  }

  /** Holds from now on, also where it can't be written. */
  async report(evidence: Evidence): Promise<void> {
    if (this.#known.some((known) => isSame(known, evidence))) return;
    const time = this.#now().toISOString();
    this.#known = [...this.#known, { ...evidence, time, acknowledged: false }];
    this.#onReport(evidence);
    const { source, size, root, message } = evidence;
    const detail = { source, size, ...(root !== undefined && { root }), reason: message };
    await this.#act
      .record({ kind: 'audit.split_view', outcome: 'failed', detail }, (tx) =>
        tx.keepEvidence(evidence, time),
      )
      // A log that can't be written says so itself.
      .catch(() => undefined);
  }

  /** By an operator who knows why it is so. Throws `conflict` when there is nothing to acknowledge. */
  async acknowledge(act: Act<EvidenceWrites>, reason: string): Promise<{ readonly acknowledged: string[] }> {
    const standing = this.standing();
    if (standing.length === 0) {
      throw new CountersignError(
        'conflict',
        'nobody holds another log than this: there is nothing to acknowledge',
      );
    }
    const acknowledged = standing.map(({ message }) => message);
    const detail = { acknowledged, reason };
    const answer = await act.commit({ kind: 'audit.split_view', outcome: 'done', detail }, (tx) => {
      // Also what could not be written when it was found.
      for (const each of standing) tx.keepEvidence(each, each.time);
      tx.acknowledgeEvidence();
      return { acknowledged };
    });
    this.#known = this.#known.map((known) =>
      standing.includes(known) ? { ...known, acknowledged: true } : known,
    );
    return answer;
  }
}

function isSame(a: Evidence, b: Evidence): boolean {
  return a.source === b.source && a.size === b.size && a.root === b.root;
}
