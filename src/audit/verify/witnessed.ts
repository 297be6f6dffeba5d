import { CountersignError } from '../../errors.ts';
import { countCosignatures, parseWitnessVkey } from '../tree/cosignature.ts';
import type { Note } from '../tree/note.ts';
import { LogFault } from './fault.ts';

/** Whose cosignatures are demanded, and of how many of them. */
export interface WitnessPolicy {
  /** Verifier keys of witnesses (C2SP tlog-cosignature), from elsewhere than the log. */
  readonly vkeys: readonly string[];
  readonly quorum: number;
}

/** A checkpoint of the log that enough witnesses have cosigned. */
export interface WitnessedCheckpoint {
  readonly size: number;
  /** Of the witnesses. */
  readonly names: readonly string[];
}

/**
 * The names of those who cosigned a note.
 * @throws CountersignError `invalid_request` for a policy that is none; `unprocessable` when they are too few.
 */
export function requireCosigned(note: Note, policy: WitnessPolicy): readonly string[] {
  checkPolicy(policy);
  const { count, names } = countCosignatures(note, policy.vkeys);
  if (count >= policy.quorum) return names;
  const by = count === 0 ? 'none' : names.join(', ');
  throw new CountersignError(
    'unprocessable',
    `its checkpoint is cosigned by ${count} of these witnesses (${by}), and ${policy.quorum} are demanded`,
  );
}

/** Looks among the checkpoints of a log, each verified against its tree, for the newest that enough witnesses hold. */
export class Witnessed {
  readonly #policy: WitnessPolicy;
  #newest: WitnessedCheckpoint | undefined;

  /** Throws `invalid_request` for a policy that is none. */
  constructor(policy: WitnessPolicy) {
    checkPolicy(policy);
    this.#policy = policy;
  }

  get newest(): WitnessedCheckpoint | undefined {
    return this.#newest;
  }

  see(note: Note, size: number): void {
    const { count, names } = countCosignatures(note, this.#policy.vkeys);
    if (count >= this.#policy.quorum) this.#newest = { size, names };
  }

  /** The log has ended at this size. Throws a `LogFault` when it has entries and none is held. */
  end(size: number): void {
    if (this.#newest !== undefined || size === 0) return;
    const { quorum, vkeys } = this.#policy;
    const message = `no checkpoint of this log is cosigned by ${quorum} of the ${vkeys.length} witnesses that were named`;
    throw new LogFault(0, 'not_cosigned', message, size - 1);
  }
}

function checkPolicy({ vkeys, quorum }: WitnessPolicy): void {
  const keys = new Set(vkeys.map((vkey) => parseWitnessVkey(vkey).publicKey.toString('hex')));
  if (Number.isSafeInteger(quorum) && quorum >= 1 && quorum <= keys.size) return;
  throw new CountersignError(
    'invalid_request',
    `a quorum of ${quorum} cannot be had of ${keys.size} witnesses with keys of their own`,
  );
}
