import type { RotatedVersion, RotationStep } from './rotation.ts';

/** What is asked before a step. */
export interface Question {
  /** Of this attempt, and of no other: an answer is to this question. */
  readonly id: string;
  readonly rotation: string;
  readonly key: string;
  readonly step: RotationStep;
  readonly old: RotatedVersion;
  readonly new: RotatedVersion | null;
}

/** Somebody, or something, that says whether a step may come. */
export interface Asker {
  /** Resolves true for a yes that can be relied on. Rejects with an `Error` whose message says why there is no answer. */
  ask(question: Question): Promise<boolean>;
}

/**
 * A condition read from a chain: the old address has no funds left, a contract has a new owner. None is there yet; plans
 * that name one are refused until one of that name is given to the service.
 */
export type ChainCondition = Asker;

/** By the names that plans call them by. */
export interface Askers {
  readonly webhooks: ReadonlyMap<string, Asker>;
  readonly conditions: ReadonlyMap<string, ChainCondition>;
}
