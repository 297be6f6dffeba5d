import type { Act, ActDraft, Answer } from '../audit/act.ts';
import type { EntryKind } from '../audit/entry.ts';
import { CountersignError } from '../errors.ts';
import type { Key, KeyVersion, KeyWrites } from '../keystore/keys.ts';
import { move, type AskedTransition, type Occasion, type Standing } from '../keystore/life-cycle.ts';
import { changeVersion, type KeyDirectory, keyToJson, subjectOf, versionOf } from './directory.ts';

/** What somebody asks of a version. */
export interface StateChange {
  readonly transition: AskedTransition;
  readonly reason: string;
  /** Of a `schedule_destruction`: whole days from now. */
  readonly days?: number;
}

/** The shortest time that a version waits for its destruction, the usual one, and the longest. */
export const DESTRUCTION_DAYS = { least: 7, usual: 30, most: 3_650 } as const;
const DAY_MS = 24 * 60 * 60 * 1000;

const KINDS: { readonly [transition in AskedTransition]: EntryKind } = {
  disable: 'key.state_changed',
  enable: 'key.state_changed',
  compromise: 'key.compromised',
  schedule_destruction: 'key.destruction_scheduled',
  cancel_destruction: 'key.destruction_cancelled',
};

export interface KeyStatesParts {
  readonly directory: KeyDirectory;
  readonly now: () => Date;
  /** Resolves when no process holds an opened key of a version that does not sign any more. */
  readonly forgotten: () => Promise<void>;
}

/** Changes the states of key versions as people ask for it, by the table of the life cycle. */
export class KeyStates {
  readonly #parts: KeyStatesParts;

  constructor(parts: KeyStatesParts) {
    this.#parts = parts;
  }

  /**
   * It has taken effect when this returns: no signature is released after the answer of a disable, and the opened key is
   * wiped. Throws `not_found`; `invalid_request` for too few days; `key_state`, with what is possible instead, where the
   * table has no such way: that somebody tried is logged then.
   *
   * @param answerOf what is kept for a repeat of the act.
   */
  async change(
    act: Act<KeyWrites>,
    name: string,
    number: number,
    change: StateChange,
    answerOf: (key: Key) => Answer = keyToJson,
  ): Promise<Key> {
    const { directory, forgotten } = this.#parts;
    const key = directory.get(name);
    const version = versionOf(key, number);
    const { transition } = change;
    const entry = { kind: KINDS[transition], key: { name, version: number, address: version.address } };
    try {
      const standing = this.#standingAfter(key, version, change);
      const stood = standingAs(standing);
      await act.commit(
        { ...entry, outcome: 'done', detail: detailOf(version, standing, transition) },
        (tx) => {
          // Exactly the state that it was decided on: the dates of the standing are of that.
          tx.setKeyState(key.id, number, [version.state], standing);
          return answerOf(changeVersion(key, number, stood));
        },
      );
      await forgotten();
      return directory.get(name);
    } catch (error) {
      if (error instanceof CountersignError && error.code === 'key_state')
        await act.record(refused(entry, version, change, error));
      throw error;
    }
  }

  /** The key as it would be after a change. Throws as `change` does. */
  foresee(name: string, number: number, change: StateChange): Key {
    const key = this.#parts.directory.get(name);
    return changeVersion(key, number, standingAs(this.#standingAfter(key, versionOf(key, number), change)));
  }

  #standingAfter(key: Key, version: KeyVersion, change: StateChange): Standing {
    const subject = subjectOf(key, version.version);
    return move(subject, version, change.transition, this.#occasion(change));
  }

  #occasion({ transition, reason, days = DESTRUCTION_DAYS.usual }: StateChange): Occasion {
    const now = this.#parts.now();
    const time = now.toISOString();
    if (transition !== 'schedule_destruction') return { time, reason };
    if (!(days >= DESTRUCTION_DAYS.least && days <= DESTRUCTION_DAYS.most)) {
      const message = `a version waits for its destruction from ${DESTRUCTION_DAYS.least} to ${DESTRUCTION_DAYS.most} days`;
      throw new CountersignError('invalid_request', message, [{ path: 'days', message }]);
    }
    return { time, reason, destroyAt: new Date(now.getTime() + days * DAY_MS).toISOString() };
  }
}

/** Puts a version where it stands now: what was true of its standing before may not be any more. */
export function standingAs(standing: Standing): (version: KeyVersion) => KeyVersion {
  return ({ version, address, publicKey, origin, createdAt, lastUsedAt }) => {
    const used = lastUsedAt !== undefined && { lastUsedAt };
    return { version, address, publicKey, origin, createdAt, ...used, ...standing };
  };
}

function detailOf(
  { state: from, lastUsedAt }: KeyVersion,
  { state: to, stateReason: reason = '', destroyAt }: Standing,
  transition: AskedTransition,
): NonNullable<ActDraft['detail']> {
  return {
    transition,
    from,
    to,
    reason,
    ...(destroyAt !== undefined && { destroyAt }),
    ...(destroyAt !== undefined && lastUsedAt !== undefined && { lastUsedAt }),
  };
}

function refused(
  entry: Pick<ActDraft, 'kind' | 'key'>,
  { state: from }: KeyVersion,
  { transition, reason }: StateChange,
  error: CountersignError,
): ActDraft {
  return { ...entry, outcome: 'refused', detail: { transition, from, reason, why: error.message } };
}
