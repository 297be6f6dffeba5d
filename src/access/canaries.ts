import type { Act, ActDraft } from '../audit/act.ts';
import type { EntryDraft } from '../audit/entry.ts';
import type { Recorder } from '../audit/log.ts';
import { CountedByCaller } from './counted-entries.ts';
import type { Principal } from './principals.ts';

/** Entries of their own for one thief and one canary: the first is written at once, whatever came before it. */
const ALERTS = { burst: 20, perSecond: 1 };
/** Those beyond are in the log, as one number, after this time at the latest. */
const SUMMARY_MS = 1_000;

/** Raises an alert in the log for every use of a key or a credential that nobody has a reason to use. */
export class CanaryAlarms {
  readonly #alerts: CountedByCaller;

  /** @param now milliseconds of a clock that does not step back. */
  constructor(recorder: Recorder<unknown>, now: () => number = () => performance.now()) {
    this.#alerts = new CountedByCaller(recorder, { limit: ALERTS, summaryMs: SUMMARY_MS, now });
  }

  /**
   * Resolves when the alert is on disk; at once for one that is counted only. Throws `unavailable`.
   *
   * @param asked what the key was asked for.
   */
  async keyUsed(
    act: Act<unknown>,
    { id: principalId, name: principal }: Pick<Principal, 'id' | 'name'>,
    asked: Omit<ActDraft, 'kind' | 'outcome'>,
    kind: 'alert.canary_key_used' | 'alert.destruction_pending_used' = 'alert.canary_key_used',
  ): Promise<void> {
    const alert = { ...asked, kind, outcome: 'denied' } as const;
    const counted = { ...alert, actor: { principal, principalId } };
    // The act adds the credential and where it came from.
    await this.#alerts.record(counted, { key: asked.key?.name ?? '' }, () => act.record(alert));
  }

  /**
   * The same for a credential.
   *
   * @param draft with an actor.
   */
  async credentialUsed(draft: Pick<EntryDraft, 'actor' | 'requestId' | 'detail'>): Promise<void> {
    await this.#alerts.record({ ...draft, kind: 'alert.canary_credential_used', outcome: 'denied' });
  }

  /** Writes the alerts of uses that were counted only, if there are any. While the log can't write, they wait. */
  async flush(): Promise<void> {
    await this.#alerts.flush();
  }
}
