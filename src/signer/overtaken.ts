import { CountersignError } from '../errors.ts';
import type { Key, KeyVersion, KeyWrites } from '../keystore/keys.ts';

/** The state of the version changed between the decision and the commit: what was decided is about another state. */
export class Overtaken extends CountersignError {}

/** So often a request is decided at most: whoever changes a key so often has a reason to. */
const MAX_TRIES = 4;

/**
 * Runs the attempt, and again while the key changes under it.
 *
 * @param attempt is told whether it is the last; an earlier one that throws `Overtaken` has left nothing behind.
 */
export async function whileOvertaken<T>(attempt: (last: boolean) => Promise<T>): Promise<T> {
  for (let tries = 1; tries < MAX_TRIES; tries++) {
    try {
      return await attempt(false);
    } catch (error) {
      if (!(error instanceof Overtaken)) throw error;
    }
  }
  return await attempt(true);
}

/** Throws `Overtaken` unless the version is still in the state that it was decided in. */
export function markUsed(tx: KeyWrites, key: Key, { version, state }: KeyVersion, time: string): void {
  try {
    tx.markUsed(key.id, version, state, time);
  } catch (error) {
    if (error instanceof CountersignError) throw new Overtaken(error.code, error.message);
    throw error;
  }
}
