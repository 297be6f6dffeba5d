import type { Act } from '../act.ts';

/** How far a sink is behind. */
export interface Lag {
  readonly entries: number;
  /** Age of the oldest entry that it has not; 0 when it has all. */
  readonly seconds: number;
}

/** What a sink that is required may lag at most. */
export interface Required {
  readonly maxLagEntries?: number | undefined;
  readonly maxLagSeconds?: number | undefined;
}

/**
 * Keeps everything from being signed while a required sink is too far behind, and says so in the log, once for each
 * time. It is over when the sink has come back to half of what it may lag: at the limit itself it would come and go.
 */
export class StallGuard {
  readonly #name: string;
  readonly #required: Required;
  readonly #act: Act<unknown>;
  #stalled = false;

  constructor(name: string, required: Required, act: Act<unknown>) {
    this.#name = name;
    this.#required = required;
    this.#act = act;
  }

  /** Why nothing is signed; undefined while the sink keeps up. */
  get hindrance(): string | undefined {
    return this.#stalled
      ? `the audit sink ${this.#name}, which is required, has fallen too far behind, so nothing is signed until it has caught up`
      : undefined;
  }

  /** @param problem why the sink gets nothing, if that is known. */
  check(lag: Lag, problem: string | undefined): void {
    if (this.#stalled ? !this.#within(lag, 0.5) : this.#within(lag, 1)) return;
    this.#stalled = !this.#stalled;
    const detail = { sink: this.#name, lagEntries: lag.entries, lagSeconds: Math.round(lag.seconds) };
    const draft = this.#stalled
      ? ({
          kind: 'audit.sink_stalled',
          outcome: 'failed',
          detail: { ...detail, ...(problem !== undefined && { reason: problem }) },
        } as const)
      : ({ kind: 'audit.sink_resumed', outcome: 'done', detail } as const);
    // A log that can't be written says so itself.
    this.#act.record(draft).catch(() => undefined);
  }

  #within({ entries, seconds }: Lag, share: number): boolean {
    const { maxLagEntries = Infinity, maxLagSeconds = Infinity } = this.#required;
    return entries <= maxLagEntries * share && seconds <= maxLagSeconds * share;
  }
}
