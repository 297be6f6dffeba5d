import { CountersignError } from '../errors.ts';
import type { Wait } from './plan.ts';
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

/** Throws `unprocessable` for a wait for what is not known here. */
export function requireKnown({ webhooks, conditions }: Askers, waits: readonly Wait[]): void {
  for (const [index, wait] of waits.entries()) {
    if (wait.type === 'webhook' && !webhooks.has(wait.webhook))
      throw unknown(index, 'webhook', wait.webhook, 'rotation.webhooks of the configuration has', webhooks);
    if (wait.type === 'condition' && !conditions.has(wait.condition))
      throw unknown(index, 'condition', wait.condition, 'this service can read', conditions);
  }
}

function unknown(
  index: number,
  field: 'webhook' | 'condition',
  name: string,
  who: string,
  known: ReadonlyMap<string, unknown>,
): CountersignError {
  const message = `there is no ${field} "${name}": ${who} ${[...known.keys()].join(', ') || 'none'}`;
  const path = `plan.waits.${index}.${field}`;
  return new CountersignError('unprocessable', `${path}: ${message}`, [{ path, message }]);
}
