import type { StoredCheckpoint } from '../stored-entry.ts';

/** A place outside that keeps checkpoints. What it says by throwing is shown to operators: no secrets. */
export interface Anchor {
  readonly name: string;
  /**
   * Resolves when the checkpoint is kept there; with what is kept in its place, where something is already. Rejects when
   * it is not.
   */
  publish(checkpoint: StoredCheckpoint): Promise<string | undefined>;
  /** The newest note that is kept there, where that can be read. Rejects when it should be and can't. */
  newest?(): Promise<string | undefined>;
}

const DIGITS = 16;

/** The name of a checkpoint's file or object: names sort as sizes do. */
export function nameOf({ size }: StoredCheckpoint): string {
  return `${String(size).padStart(DIGITS, '0')}.txt`;
}

export const NAME = /^[0-9]{16}\.txt$/;
