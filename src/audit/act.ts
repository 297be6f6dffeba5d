import type { JsonValue } from '../jcs.ts';
import type { Recordable } from './entry.ts';
import type { Receipt, Recorder } from './log.ts';

/** What the acting code says of an entry; who asked and under which request id is added by the act. */
export type ActDraft = Omit<Recordable, 'actor' | 'requestId' | 'elapsedUs'>;

/**
 * One request that does something, or tries to. All that comes of it goes through here, so that every entry names
 * its caller.
 */
export interface Act<Tx> {
  /**
   * Logs something that is not done: a denial, a refusal, a failure. It is never the answer to a repeat; `effects` is
   * what is to be remembered of it, in the same commit.
   */
  record(draft: ActDraft, effects?: (tx: Tx, receipt: Receipt) => void): Promise<Receipt>;

  /**
   * Logs a change and makes it, in one commit. What `effects` returns is the request's answer; it is kept in the same
   * commit when the request has an idempotency key, so that a repeat is answered and not done again.
   */
  commit<T extends Answer>(draft: ActDraft, effects: (tx: Tx, receipt: Receipt) => T): Promise<T>;
}

export type Answer = { readonly [name: string]: JsonValue | undefined };

/** What the service does of its own accord: at start, at stop, when a process is lost. */
export function systemAct<Tx>(recorder: Recorder<Tx>): Act<Tx> {
  return {
    record: (draft, effects) =>
      recorder.record(draft, (tx, receipt) => {
        effects?.(tx, receipt);
        return receipt;
      }),
    commit: (draft, effects) => recorder.record(draft, effects),
  };
}
