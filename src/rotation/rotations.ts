import { randomUUID } from 'node:crypto';
import type { Act } from '../audit/act.ts';
import { CountersignError } from '../errors.ts';
import type { Key } from '../keystore/keys.ts';
import { destination } from '../keystore/life-cycle.ts';
import { versionOf } from '../signer/directory.ts';
import { requireKnown, type Askers } from './asker.ts';
import { undoOf, writeChanges, type KeyChange } from './changes.ts';
import { afterStep, afterWait, nextStep, outsideWaits, stepAfter } from './machine.ts';
import { EMERGENCY_PLAN, type RotationPlan } from './plan.ts';
import { previewOf, type PreviewParts } from './preview.ts';
import type { Rotation, RotationFilter, RotationReads, RotationState } from './rotation.ts';
import type { RotationRunner } from './runner.ts';
import {
  detailOf,
  draftOf,
  versionRef,
  type RotationSteps,
  type RotationTx,
  type StepParts,
} from './steps.ts';
import { rotationToJson, type RotationJson } from './view.ts';

/** Who asks. */
export interface Starter {
  readonly id: string;
  readonly name: string;
}

export interface RotationParts extends Pick<StepParts, 'directory' | 'now' | 'forgotten'> {
  readonly reads: RotationReads;
  readonly preview: PreviewParts;
  readonly askers: Askers;
  readonly steps: RotationSteps;
  readonly runner: RotationRunner;
}

export type RotationPage = {
  readonly items: readonly RotationJson[];
  readonly nextCursor: string | null;
};

/** What people do with rotations. What is due by itself, and what is left after a restart, the runner does. */
export class RotationService {
  readonly #parts: RotationParts;

  constructor(parts: RotationParts) {
    this.#parts = parts;
  }

  /** What a rotation would do. Throws as `start` does. */
  preview(keyName: string, plan: RotationPlan | 'emergency'): RotationJson {
    const key = this.#parts.directory.get(keyName);
    if (plan !== 'emergency') this.#check(key, plan);
    const mode = plan === 'emergency' ? ({ mode: plan, reason: '' } as const) : ({ mode: 'normal' } as const);
    const rotation = this.#new(key, plan === 'emergency' ? EMERGENCY_PLAN : plan, undefined, mode);
    return previewOf(this.#parts.preview, key, rotation);
  }

  /**
   * Begins a rotation. It is answered as it is planned; as far as nothing has to be waited for it has gone on when this
   * returns. Throws `not_found`, `conflict` while the key is being rotated already, `key_state` for a primary that will
   * never sign again, and `unprocessable` for a plan that waits for what is not known here.
   */
  async start(
    act: Act<RotationTx>,
    keyName: string,
    plan: RotationPlan,
    starter?: Starter,
  ): Promise<RotationJson> {
    const { directory, reads, runner } = this.#parts;
    const key = directory.get(keyName);
    this.#check(key, plan);
    if (reads.openRotationOf(key.id) !== undefined)
      throw new CountersignError('conflict', `key ${keyName} is being rotated already`);
    const rotation = this.#new(key, plan, starter, { mode: 'normal' });
    const draft = draftOf('rotation.planned', rotation, rotation.old, detailOf(rotation));
    const answer = await act.commit(draft, (tx) => {
      tx.insertRotation(rotation);
      return rotationToJson(rotation);
    });
    await runner.drive(rotation.id);
    return answer;
  }

  /**
   * Takes the primary out of use for good, in the commit that plans the rotation, and puts a new version in its place as
   * soon as the signer process can make one. An open rotation of the key ends with it. Throws `not_found`, and `conflict`
   * while an emergency is under way already, or where the primary is not the version that was meant.
   */
  async startEmergency(
    act: Act<RotationTx>,
    keyName: string,
    reason: string,
    starter?: Starter,
    meant?: number,
  ): Promise<RotationJson> {
    const { directory, reads, runner, forgotten } = this.#parts;
    const known = reads.openRotationOf(directory.get(keyName).id);
    const answer = await runner.alone(known?.id ?? keyName, async () => {
      const key = directory.get(keyName);
      // A cutover may have been under way: the version that is leaked is the one that was meant.
      if (meant !== undefined && key.primary !== meant)
        throw new CountersignError('conflict', `version ${meant} is not the primary of its key any more`);
      const open = reads.openRotationOf(key.id);
      if (open?.mode === 'emergency')
        throw new CountersignError(
          'conflict',
          `an emergency rotation of key ${keyName} is under way already`,
        );
      const rotation = this.#new(key, EMERGENCY_PLAN, starter, { mode: 'emergency', reason });
      const changes = [...compromise(key), ...this.#ending(open, key)];
      const occasion = { time: rotation.createdAt, reason };
      const note = `an emergency: ${reason}`;
      const ended = open && afterStep(open, 'abort', { time: occasion.time, by: starter?.name, note });
      const detail = { ...detailOf(rotation), reason, ...(open !== undefined && { ends: open.id }) };
      const draft = draftOf('rotation.planned', rotation, rotation.old, detail);
      const planned = await act.commit(draft, (tx) => {
        writeChanges(tx, key, changes, occasion);
        if (open !== undefined && ended !== undefined) tx.saveRotation(open, ended);
        tx.insertRotation(rotation);
        return rotationToJson(rotation);
      });
      await forgotten();
      return planned;
    });
    await runner.drive(answer['id'] as string);
    return answer;
  }

  /**
   * Says that what waits for a person may go on. Throws `not_found`, `conflict` when nothing waits for a person, or
   * another step comes next than `step`, and `forbidden` for the starter where the plan wants somebody else.
   */
  async advance(
    act: Act<RotationTx>,
    id: string,
    { step, by }: { readonly step?: string | undefined; readonly by: Starter },
  ): Promise<RotationJson> {
    const { steps, runner, now } = this.#parts;
    const answer = await runner.alone(id, async () => {
      const rotation = this.#require(id);
      const next = nextStep(rotation, steps.observe(rotation), now());
      if (next.kind === 'over') throw new CountersignError('conflict', `the rotation is ${rotation.state}`);
      const comes = stepAfter(rotation);
      if (step !== undefined && step !== comes)
        throw new CountersignError('conflict', `the step that comes next is ${comes}, not ${step}`);
      const wait = outsideWaits(rotation, comes).find(({ wait: { type } }) => type === 'person');
      if (wait === undefined)
        throw new CountersignError('conflict', `nothing waits for a person before ${comes}`);
      if (wait.wait.type === 'person' && wait.wait.notStarter && rotation.startedBy?.id === by.id)
        throw new CountersignError('forbidden', 'whoever started the rotation may not advance this step');
      const time = new Date(now()).toISOString();
      const passed = afterWait(rotation, wait.index, { time, by: by.name });
      const then = nextStep(passed, steps.observe(passed), now());
      // What keeps it back is told at once, and not found out later.
      if (then.kind === 'blocked') throw new CountersignError('key_state', then.reason);
      return then.kind === 'step'
        ? await steps.take(act, passed, then.step, by.name, rotation)
        : await steps.pass(act, rotation, wait.index, by.name);
    });
    await runner.drive(id);
    return rotationToJson(answer);
  }

  /** Ends a rotation and undoes it. Throws `not_found`, and `conflict` with the reason when it can't be undone any more. */
  async abort(act: Act<RotationTx>, id: string, reason: string, by: Starter): Promise<RotationJson> {
    const { steps, runner } = this.#parts;
    const aborted = await runner.alone(
      id,
      async () => await steps.abort(act, this.#require(id), reason, by.name),
    );
    return rotationToJson(aborted);
  }

  /** Throws `not_found`. */
  get(id: string): RotationJson {
    const rotation = this.#require(id);
    return rotationToJson(rotation, this.#parts.runner.holdup(rotation));
  }

  /** Newest first. */
  list(filter: {
    readonly keyName?: string | undefined;
    readonly state?: RotationState | undefined;
    readonly before?: string | undefined;
    readonly limit: number;
  }): RotationPage {
    const found = this.#parts.reads.rotations({
      ...filter,
      limit: filter.limit + 1,
    } satisfies RotationFilter);
    const items = found.slice(0, filter.limit);
    return {
      items: items.map((rotation) => rotationToJson(rotation, this.#parts.runner.holdup(rotation))),
      nextCursor: found.length > items.length ? (items.at(-1)?.id ?? null) : null,
    };
  }

  #require(id: string): Rotation {
    const rotation = this.#parts.reads.rotation(id);
    if (rotation === undefined) throw new CountersignError('not_found', `there is no rotation ${id}`);
    return rotation;
  }

  #check(key: Key, { waits }: RotationPlan): void {
    const { state } = versionOf(key, key.primary);
    if (state !== 'enabled' && state !== 'disabled') {
      throw new CountersignError(
        'key_state',
        `the primary, version ${key.primary} of key ${key.name}, is ${state}: rotate it with mode emergency`,
      );
    }
    requireKnown(this.#parts.askers, waits);
  }

  #new(
    key: Key,
    plan: RotationPlan,
    starter: Starter | undefined,
    mode: Pick<Rotation, 'mode' | 'reason'>,
  ): Rotation {
    const time = new Date(this.#parts.now()).toISOString();
    return {
      id: randomUUID(),
      key: { id: key.id, name: key.name },
      ...mode,
      state: 'planned',
      plan,
      old: versionRef(versionOf(key, key.primary)),
      ...(starter !== undefined && { startedBy: { id: starter.id, name: starter.name } }),
      createdAt: time,
      since: time,
      steps: [],
      passed: [],
      overdue: [],
      revision: 1,
    };
  }

  /** An emergency comes before: what of an open rotation can be undone is, but for what concerns the primary. */
  #ending(open: Rotation | undefined, key: Key): readonly KeyChange[] {
    if (open === undefined || open.state === 'draining') return [];
    const undo = undoOf(open, this.#parts.steps.observe(open));
    if ('refused' in undo) return [];
    return undo.changes.filter((change) => change.kind !== 'primary' && change.version !== key.primary);
  }
}

function compromise(key: Key): KeyChange[] {
  const version = key.primary;
  return destination(versionOf(key, version), 'compromise') === undefined
    ? []
    : [{ kind: 'move', version, transition: 'compromise' }];
}
