import type { Act } from '../audit/act.ts';
import { CountersignError } from '../errors.ts';
import type { Key, KeyReads, RotationSchedule } from '../keystore/keys.ts';
import { keyToJson, versionOf, type KeyDirectory } from '../signer/directory.ts';
import { requireKnown, type Askers } from './asker.ts';
import type { RotationReads } from './rotation.ts';
import type { RotationService } from './rotations.ts';
import { isDue, planOf } from './schedule.ts';
import { versionRef, type RotationTx } from './steps.ts';

export interface SchedulerParts {
  readonly directory: KeyDirectory;
  readonly reads: Pick<RotationReads, 'rotations'> & Pick<KeyReads, 'scheduledKeys'>;
  readonly rotations: RotationService;
  readonly askers: Askers;
  /** What a schedule starts, nobody asked for. */
  readonly act: Act<RotationTx>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly onProblem: (keyName: string, reason: string) => void;
}

/** All that have a schedule are looked at, so that it is not done every second. */
const LOOK_MS = 60_000;

/** Starts rotations when the schedules of their keys say so. */
export class RotationScheduler {
  readonly #parts: SchedulerParts;
  #looked = 0;

  constructor(parts: SchedulerParts) {
    this.#parts = parts;
  }

  /** Rejects with what is no error of ours. */
  async tick(): Promise<void> {
    const { directory, reads, now } = this.#parts;
    const time = now();
    // A clock that was set back must not stop it.
    if (Math.abs(time - this.#looked) < LOOK_MS) return;
    this.#looked = time;
    for (const name of reads.scheduledKeys()) {
      const key = directory.get(name);
      // It was taken away meanwhile.
      if (key.rotation === undefined) continue;
      const [newest] = reads.rotations({ keyName: key.name, limit: 1 });
      if (isDue(key, newest, time)) await this.#start(key.name, key.rotation);
    }
  }

  /** Throws `unprocessable` for waits for what is not known. */
  check(schedule: RotationSchedule | undefined): void {
    if (schedule !== undefined) requireKnown(this.#parts.askers, planOf(schedule).waits);
  }

  /** Gives a key a schedule, or none any more. Throws `not_found`, and `unprocessable` for waits for what is not known. */
  async set(act: Act<RotationTx>, name: string, schedule: RotationSchedule | undefined): Promise<Key> {
    const { directory } = this.#parts;
    const key = directory.get(name);
    this.check(schedule);
    const { version, address } = versionRef(versionOf(key, key.primary));
    const detail = schedule === undefined ? { everyDays: null } : { ...schedule };
    const draft = { kind: 'rotation.schedule_changed', outcome: 'done', detail } as const;
    await act.commit({ ...draft, key: { name, version, address } }, (tx) => {
      tx.setRotationSchedule(key.id, schedule);
      return keyToJson(withSchedule(key, schedule));
    });
    return directory.get(name);
  }

  async #start(keyName: string, schedule: RotationSchedule): Promise<void> {
    const { rotations, act, onProblem } = this.#parts;
    try {
      await rotations.start(act, keyName, planOf(schedule));
    } catch (error) {
      if (!(error instanceof CountersignError)) throw error;
      onProblem(keyName, error.message);
    }
  }
}

function withSchedule(key: Key, schedule: RotationSchedule | undefined): Key {
  const { rotation: _before, ...rest } = key;
  return { ...rest, ...(schedule !== undefined && { rotation: schedule }) };
}
