import type { Act } from '../audit/act.ts';
import { CountersignError } from '../errors.ts';
import type { Key, KeyReads, KeyVersion, KeyWrites } from '../keystore/keys.ts';
import { move, originsOf } from '../keystore/life-cycle.ts';
import { type KeyDirectory, subjectOf, versionOf } from './directory.ts';

export interface DestructionParts {
  readonly reads: Pick<KeyReads, 'dueForDestruction' | 'destroyedVersions'>;
  readonly directory: KeyDirectory;
  /** Nobody asks for it at that moment: the service does it of its own accord. */
  readonly act: Act<KeyWrites>;
  /** When it returns, no process holds the opened key of the version. */
  readonly forget: (key: Key, version: KeyVersion) => Promise<void>;
  /**
   * Empties what the storage has beside its tables of older states, where erased bytes still stand. False while somebody
   * reads there, and it has to be tried again.
   */
  readonly flushErased: () => boolean;
}

/** Destroys the versions whose time has come. All that it goes by is in the storage, so that a restart changes nothing. */
export class Destruction {
  readonly #parts: DestructionParts;
  /** So many destroyed versions there were when what is left of them was flushed last. */
  #flushed = 0;
  #running = false;

  constructor(parts: DestructionParts) {
    this.#parts = parts;
  }

  /** Resolves when all that were due are destroyed, and their ciphertext is nowhere. Throws `unavailable`. */
  async tick(now: Date): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    try {
      const { reads, flushErased } = this.#parts;
      for (const { keyName, version } of reads.dueForDestruction(now.toISOString()))
        await this.#destroy(keyName, version, now);
      // Those of an aborted rotation are among them.
      const destroyed = reads.destroyedVersions();
      if (destroyed !== this.#flushed && flushErased()) this.#flushed = destroyed;
    } finally {
      this.#running = false;
    }
  }

  async #destroy(name: string, number: number, now: Date): Promise<void> {
    const { directory, act, forget } = this.#parts;
    const doomed = directory.get(name);
    await forget(doomed, versionOf(doomed, number));
    const key = directory.get(name);
    const version = versionOf(key, number);
    // It was cancelled meanwhile, or given more time: many are destroyed one after the other.
    if (!isDue(version, now)) return;
    const { address, destroyAt = '', lastUsedAt, stateReason: reason = '' } = version;
    const time = now.toISOString();
    const standing = move(subjectOf(key, number), version, 'destroy', { time, reason });
    const detail = {
      from: version.state,
      to: standing.state,
      reason,
      destroyAt,
      ...(lastUsedAt !== undefined && { lastUsedAt }),
    };
    try {
      const entry = {
        kind: 'key.destroyed',
        key: { name: key.name, version: number, address },
        detail,
      } as const;
      await act.commit({ ...entry, outcome: 'done' }, (tx) => {
        tx.setKeyState(key.id, number, originsOf('destroy'), standing);
        tx.eraseSealed(key.id, number);
        return {};
      });
    } catch (error) {
      // It was cancelled just before, and that holds.
      if (error instanceof CountersignError && error.code === 'key_state') return;
      throw error;
    }
  }
}

function isDue({ state, destroyAt }: KeyVersion, now: Date): boolean {
  return state === 'destroy_scheduled' && destroyAt !== undefined && destroyAt <= now.toISOString();
}
