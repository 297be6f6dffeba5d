import type { Act } from './act.ts';
import { Anchors, type AnchorStatus } from './anchors/anchors.ts';
import { openAnchor } from './anchors/open.ts';
import type { AnchorsSettings } from './anchors/settings.ts';
import type { Coverage } from './gate.ts';
import { historyOf } from './history.ts';
import { SplitView, type Evidence, type EvidenceReads, type EvidenceWrites } from './split-view.ts';
import type { AuditReads, CheckpointWrites, StoredCheckpoint, TreeReads } from './stored-entry.ts';
import { WitnessClient } from './witness/client.ts';
import type { Hold } from './witness/held.ts';
import { WitnessPanel, type WitnessStatus } from './witness/panel.ts';
import type { WitnessSettings } from './witness/settings.ts';

export interface OutsideSettings {
  readonly witnesses?: WitnessSettings | undefined;
  readonly anchors?: AnchorsSettings | undefined;
}

export interface OutsideParts {
  readonly origin: string;
  readonly log: { readonly size: number };
  readonly reads: AuditReads & TreeReads & EvidenceReads;
  readonly writes: Pick<CheckpointWrites, 'saveCosigned'>;
  /** A checkpoint of the log as it is now. Throws `sealed`. */
  readonly current: () => Promise<StoredCheckpoint>;
  readonly act: Act<EvidenceWrites>;
  /** Told of evidence that is new. */
  readonly onSplitView: (evidence: Evidence) => void;
}

/** What a rollback could hide from everybody outside. */
export interface Exposure {
  /** After the newest checkpoint that somebody outside holds. */
  readonly entries: number;
  /** Age of the oldest of these; 0 when there are none. */
  readonly seconds: number;
}

export interface OutsideStatus {
  readonly exposed: Exposure;
  /** Absent without witnesses. */
  readonly witnessed?: Hold & {
    readonly quorum: number;
    readonly mode: WitnessSettings['mode'];
    readonly witnesses: readonly WitnessStatus[];
  };
  /** Absent without anchors. `size` is the largest of the anchors'. */
  readonly anchored?: { readonly size: number; readonly anchors: readonly AnchorStatus[] };
}

/** How long whoever asks for a checkpoint or a proof waits for its cosignatures. */
const SETTLE_MS = 500;
/** How long a stop waits for the last checkpoint to be held outside. */
const FAREWELL_MS = 2_000;

/** All that is kept of the log where its operator can't change it, and what comes of it when that does not fit. */
export class Outside implements Coverage {
  readonly splitView: SplitView;
  readonly #settings: OutsideSettings;
  readonly #parts: OutsideParts;
  readonly #panel: WitnessPanel | undefined;
  readonly #anchors: Anchors | undefined;

  /** Throws `invalid_request` for CA files that can't be read. */
  constructor(settings: OutsideSettings, parts: OutsideParts) {
    const { witnesses, anchors } = settings;
    const { origin, log, reads, writes, current, act, onSplitView } = parts;
    const history = historyOf(log, reads.nodes);
    this.#settings = settings;
    this.#parts = parts;
    this.splitView = new SplitView(reads, act, onSplitView);
    this.#panel =
      witnesses &&
      new WitnessPanel(witnesses, {
        clients: witnesses.witnesses.map((witness) => new WitnessClient(witness, history)),
        store: {
          checkpoint: (size) => reads.checkpoint(size),
          cosignedCheckpoints: (limit) => reads.cosignedCheckpoints(limit),
          saveCosigned: (checkpoint) => writes.saveCosigned(checkpoint),
        },
        current,
        splitView: this.splitView,
      });
    this.#anchors =
      anchors &&
      new Anchors({
        anchors: anchors.to.map(openAnchor),
        everySeconds: anchors.everySeconds,
        reads,
        own: { origin, history },
        splitView: this.splitView,
      });
  }

  /** Why nothing is to be signed. */
  get hindrance(): string | undefined {
    return this.splitView.hindrance ?? this.#panel?.hindrance;
  }

  /** Hears what is held outside before anything is signed, for some seconds at most. */
  async start(newest: StoredCheckpoint | undefined): Promise<void> {
    await Promise.all([this.#panel?.start(newest), this.#anchors?.start()]);
  }

  /** @param last the checkpoint that is to be held outside while the service is down. */
  async stop(last: StoredCheckpoint | undefined): Promise<void> {
    if (last !== undefined) await this.#panel?.settled(last, FAREWELL_MS);
    this.#panel?.stop();
    await this.#anchors?.stop(FAREWELL_MS);
  }

  /** A new checkpoint of the log. */
  offer(checkpoint: StoredCheckpoint): void {
    this.#panel?.offer(checkpoint);
  }

  /** A checkpoint over this entry that enough witnesses have cosigned, where there is one. */
  heldOver(index: number): StoredCheckpoint | undefined {
    const size = this.#panel?.held.size ?? 0;
    return size > index ? this.#parts.reads.checkpoint(size) : undefined;
  }

  /** The same with the cosignatures that it has, which a new one gets a moment for. */
  async settled(checkpoint: StoredCheckpoint): Promise<StoredCheckpoint> {
    return (await this.#panel?.settled(checkpoint, SETTLE_MS)) ?? checkpoint;
  }

  isCovered(index: number): boolean {
    return this.#panel?.isCovered(index) ?? true;
  }

  async covered(index: number): Promise<void> {
    await this.#panel?.covered(index);
  }

  status(): OutsideStatus {
    const { witnesses } = this.#settings;
    const anchors = this.#anchors?.status();
    return {
      exposed: this.#exposure(),
      ...(witnesses !== undefined &&
        this.#panel !== undefined && {
          witnessed: {
            ...this.#panel.held,
            quorum: witnesses.quorum,
            mode: witnesses.mode,
            witnesses: this.#panel.members(),
          },
        }),
      ...(anchors !== undefined && { anchored: { size: sizeOf(anchors), anchors } }),
    };
  }

  #exposure(): Exposure {
    const { log, reads } = this.#parts;
    const held = Math.max(this.#panel?.held.size ?? 0, sizeOf(this.#anchors?.status() ?? []));
    const oldest = held >= log.size ? undefined : reads.entry(held);
    if (oldest === undefined) return { entries: 0, seconds: 0 };
    const { time } = JSON.parse(Buffer.from(oldest.bytes).toString('utf8')) as { readonly time: string };
    return { entries: log.size - held, seconds: Math.max(0, (Date.now() - Date.parse(time)) / 1_000) };
  }
}

function sizeOf(anchors: readonly AnchorStatus[]): number {
  return Math.max(0, ...anchors.map(({ size }) => size));
}
