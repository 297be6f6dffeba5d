import type { JsonValue } from '../jcs.ts';
import { dueAt, outsideWaits, stepAfter, UNDO_WORDS } from './machine.ts';
import { milliseconds, waitText, type RotationPlan, type WaitPlace } from './plan.ts';
import { isOver, type Rotation } from './rotation.ts';

export type RotationJson = { readonly [name: string]: JsonValue };

/**
 * A rotation as the API shows it.
 *
 * @param holdup why its next step is not taken although it could be, where that is known.
 */
export function rotationToJson(rotation: Rotation, holdup?: string): RotationJson {
  const { id, key, mode, state, reason, old, new: made, startedBy, note } = rotation;
  return {
    id,
    key: key.name,
    mode,
    state,
    ...(reason !== undefined && { reason }),
    old: { ...old },
    new: made === undefined ? null : { ...made },
    startedBy: startedBy?.name ?? null,
    createdAt: rotation.createdAt,
    since: rotation.since,
    plan: planToJson(rotation.plan),
    steps: rotation.steps.map(({ step, time, by }) => ({ step, time, ...(by !== undefined && { by }) })),
    next: nextOf(rotation),
    abort: isOver(rotation) ? null : abortWords(rotation),
    ...(holdup !== undefined && { holdup }),
    ...(note !== undefined && { note }),
  };
}

export function planToJson({ overlap, drain, destroyAfterDays, waits }: RotationPlan): RotationJson {
  return { overlap, drain, destroyAfterDays, waits: waits.map((wait) => ({ ...wait })) };
}

function nextOf(rotation: Rotation): JsonValue {
  if (isOver(rotation)) return null;
  const step = stepAfter(rotation);
  const due = dueAt(rotation, step);
  return {
    step,
    due: new Date(due).toISOString(),
    waits: outsideWaits(rotation, step).map(({ index, wait }) => ({
      type: wait.type,
      for: waitText(wait),
      timeoutAt: new Date(due + milliseconds(wait.timeout)).toISOString(),
      onTimeout: wait.onTimeout,
      overdue: rotation.overdue.includes(index),
    })),
  };
}

const NEXT_PLACE: { readonly [state in Rotation['state']]: WaitPlace } = {
  planned: 'generate',
  generated: 'overlap',
  overlap: 'cutover',
  draining: 'disable',
  disabled: 'destroy',
  destroying: 'destroy',
  completed: 'destroy',
  aborted: 'destroy',
};

function abortWords({ state }: Rotation): string {
  return UNDO_WORDS[NEXT_PLACE[state]];
}
