import type { Observed } from './changes.ts';
import { milliseconds, type OutsideWait, type WaitPlace } from './plan.ts';
import { isOver, type Rotation, type RotationState, type RotationStep, type TakenStep } from './rotation.ts';

/** What a rotation does next, or what it waits for. Decided from what is kept, the key, and the time alone. */
export type Next =
  | { readonly kind: 'over' }
  | { readonly kind: 'step'; readonly step: RotationStep }
  /** The timeout of this wait has come, and was not said yet. */
  | { readonly kind: 'overdue'; readonly wait: number }
  /** The timeout of this wait has come, and the plan aborts then. */
  | { readonly kind: 'abort'; readonly wait: number }
  | {
      readonly kind: 'wait';
      readonly step: RotationStep;
      /** When time alone allows the step; milliseconds since 1970. */
      readonly due: number;
      /** Places of the waits of the plan that are still open; times are not among them. */
      readonly open: readonly number[];
      readonly sealed: boolean;
      /** The old version waits for its destruction. */
      readonly destruction: boolean;
    }
  /** Somebody changed the key meanwhile: only a person gets on from here. */
  | { readonly kind: 'blocked'; readonly step: RotationStep; readonly reason: string };

const TARGET: { readonly [step in RotationStep]: RotationState } = {
  generate: 'generated',
  overlap: 'overlap',
  cutover: 'draining',
  disable: 'disabled',
  destroy: 'destroying',
  complete: 'completed',
  // The old version is compromised, which no state of it gets over.
  replace: 'disabled',
};

export function nextStep(rotation: Rotation, observed: Observed, now: number): Next {
  if (isOver(rotation)) return { kind: 'over' };
  const step = stepAfter(rotation);
  const due = dueAt(rotation, step);
  const waits = outsideWaits(rotation, step);
  const late = waits.find(({ index, wait }) => {
    const silent = wait.onTimeout === 'stay' && rotation.overdue.includes(index);
    return !silent && now >= due + milliseconds(wait.timeout);
  });
  if (late !== undefined) {
    const { index: wait } = late;
    return rotation.overdue.includes(wait) ? { kind: 'abort', wait } : { kind: 'overdue', wait };
  }
  const reason = obstacle(rotation, step, observed);
  if (reason !== undefined) return { kind: 'blocked', step, reason };
  const open = waits.map(({ index }) => index);
  const sealed = (step === 'generate' || step === 'replace') && !observed.unsealed;
  const destruction = step === 'complete' && observed.old.state === 'destroy_scheduled';
  return now >= due && open.length === 0 && !sealed && !destruction
    ? { kind: 'step', step }
    : { kind: 'wait', step, due, open, sealed, destruction };
}

/** The step that leads out of its state. */
export function stepAfter({ state, mode, plan }: Pick<Rotation, 'state' | 'mode' | 'plan'>): RotationStep {
  switch (state) {
    case 'planned':
      return mode === 'emergency' ? 'replace' : 'generate';
    case 'generated':
      return 'overlap';
    case 'overlap':
      return 'cutover';
    case 'draining':
      return 'disable';
    case 'disabled':
      return plan.destroyAfterDays === null ? 'complete' : 'destroy';
    case 'destroying':
    case 'completed':
    case 'aborted':
    default:
      return 'complete';
  }
}

/** When time alone allows the step: milliseconds since 1970. */
export function dueAt({ since, plan }: Rotation, step: RotationStep): number {
  const start = Date.parse(since);
  const own = step === 'cutover' ? plan.overlap : step === 'disable' ? plan.drain : '0s';
  const times = plan.waits.flatMap((wait) => {
    if (wait.type !== 'time' || wait.before !== step) return [];
    return [wait.until === undefined ? start + milliseconds(wait.for ?? '0s') : Date.parse(wait.until)];
  });
  return Math.max(start + milliseconds(own), ...times);
}

/** The waits before a step that are not over, times aside. */
export function outsideWaits(
  { plan, passed }: Rotation,
  step: RotationStep,
): { readonly index: number; readonly wait: OutsideWait }[] {
  return plan.waits.flatMap((wait, index) =>
    wait.type !== 'time' && wait.before === step && !passed.some((done) => done.wait === index)
      ? [{ index, wait }]
      : [],
  );
}

/** The rotation after a step, or after its abort. */
export function afterStep(
  rotation: Rotation,
  step: RotationStep | 'abort',
  { time, by, note }: { readonly time: string; readonly by?: string | undefined; readonly note?: string },
): Rotation {
  const taken: TakenStep = {
    step,
    key: `${rotation.id}/${rotation.steps.length + 1}`,
    time,
    ...(by !== undefined && { by }),
  };
  return {
    ...rotation,
    state: step === 'abort' ? 'aborted' : TARGET[step],
    since: time,
    steps: [...rotation.steps, taken],
    ...(note !== undefined && { note }),
    revision: rotation.revision + 1,
  };
}

/** The rotation after a wait of its plan is over. */
export function afterWait(
  rotation: Rotation,
  wait: number,
  { time, by }: { readonly time: string; readonly by?: string | undefined },
): Rotation {
  const passed = [...rotation.passed, { wait, time, ...(by !== undefined && { by }) }];
  return { ...rotation, passed, revision: rotation.revision + 1 };
}

/** The rotation after it was said that a wait's timeout has come. */
export function afterTimeout(rotation: Rotation, wait: number): Rotation {
  return { ...rotation, overdue: [...rotation.overdue, wait], revision: rotation.revision + 1 };
}

/** What an abort undoes in each state, for whoever plans one. */
export const UNDO_WORDS: { readonly [place in WaitPlace]: string } = {
  generate: 'nothing to undo: there is no new version yet',
  overlap: 'the new version is discarded; it never signed',
  cutover: 'the new version is disabled; the old one was the primary all the time',
  disable: 'the old version is the primary again, and signs everything; the new one is disabled',
  destroy: 'not possible any more: the old version has been taken out of use',
};

/** What somebody did to the key that keeps the step from being taken. */
function obstacle(rotation: Rotation, step: RotationStep, observed: Observed): string | undefined {
  const { key, old, new: made } = rotation;
  const subject = (number: number | undefined): string => `version ${number ?? 0} of key ${key.name}`;
  const wanted = step === 'overlap' ? 'pending' : 'enabled';
  switch (step) {
    case 'generate':
    case 'replace':
      return observed.primary === old.version
        ? undefined
        : `${subject(old.version)} is not its primary any more`;
    case 'overlap':
    case 'cutover':
      if (observed.primary !== old.version) return `${subject(old.version)} is not its primary any more`;
      return observed.new?.state === wanted
        ? undefined
        : `${subject(made?.version)} is ${observed.new?.state ?? 'not there'}, and has to be ${wanted}`;
    case 'disable':
      return observed.old.state === 'enabled' ? `${subject(old.version)} signs again` : undefined;
    case 'destroy':
      return observed.old.state === 'enabled' || observed.old.state === 'draining'
        ? `${subject(old.version)} was enabled again: disable it, and it goes on`
        : undefined;
    case 'complete':
    default:
      return undefined;
  }
}
