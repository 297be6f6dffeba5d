import type { Act, ActDraft } from '../audit/act.ts';
import type { EntryKind } from '../audit/entry.ts';
import { CountersignError } from '../errors.ts';
import type { Key, KeyVersion, KeyWrites } from '../keystore/keys.ts';
import type { Custody } from '../signer/custody.ts';
import type { SealedKey } from '../signer/sealed-key.ts';
import { versionOf, type KeyDirectory } from '../signer/directory.ts';
import { changesOf, supersede, undoOf, writeChanges } from './changes.ts';
import type { KeyChange, Occasion, Observed } from './changes.ts';
import { afterStep, afterTimeout, afterWait } from './machine.ts';
import { waitText } from './plan.ts';
import type { RotatedVersion, Rotation, RotationStep, RotationWrites } from './rotation.ts';
import { rotationToJson } from './view.ts';

export type RotationTx = KeyWrites & RotationWrites;

/** Name of the principal who causes something; undefined where time does. */
export type By = string | undefined;

export interface StepParts {
  readonly directory: KeyDirectory;
  readonly custody: Pick<Custody, 'unsealed' | 'generate'>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly latest: () => number;
  /** Resolves when no process holds an opened key of a version that does not sign any more. */
  readonly forgotten: () => Promise<void>;
}

const DAY_MS = 86_400_000;

const KIND: { readonly [step in RotationStep]: EntryKind } = {
  generate: 'rotation.version_generated',
  overlap: 'rotation.overlap_began',
  cutover: 'rotation.cut_over',
  replace: 'rotation.cut_over',
  disable: 'rotation.drain_ended',
  destroy: 'rotation.destruction_scheduled',
  complete: 'rotation.completed',
};

/** Why a version changes, in its `stateReason`. */
function reasonOf({ id }: Pick<Rotation, 'id'>, step: RotationStep | 'abort'): string {
  return `rotation ${id}: ${step}`;
}

interface NewVersion {
  readonly version: KeyVersion;
  readonly sealed: Uint8Array;
}

/**
 * Takes the steps of rotations. Each is one commit: its entry, what it does to the key, and the rotation as it is after
 * that, all or nothing; made to the rotation that was decided on, or not at all.
 */
export class RotationSteps {
  readonly #parts: StepParts;

  constructor(parts: StepParts) {
    this.#parts = parts;
  }

  observe({ key: { name }, old, new: made }: Rotation): Observed {
    const key = this.#parts.directory.get(name);
    return {
      primary: key.primary,
      old: versionOf(key, old.version),
      ...(made !== undefined && { new: versionOf(key, made.version) }),
      unsealed: this.#parts.custody.unsealed,
    };
  }

  /**
   * Takes the step that `nextStep` says. Throws `key_state` or `conflict` when the key or the rotation has been changed
   * meanwhile, `sealed` or `unavailable` where the new version can't be made now.
   *
   * @param before as it is kept, where `rotation` is what it has just become: both are written as one.
   */
  async take(
    act: Act<RotationTx>,
    rotation: Rotation,
    step: RotationStep,
    by: By,
    before = rotation,
  ): Promise<Rotation> {
    const key = this.#parts.directory.get(rotation.key.name);
    const makes = step === 'generate' || step === 'replace';
    const made = makes ? await this.#generate(key, step === 'replace' ? 'enabled' : 'pending') : undefined;
    const time = new Date(this.#parts.now()).toISOString();
    const after = {
      ...afterStep(rotation, step, { time, by }),
      ...(made !== undefined && { new: versionRef(made.version) }),
    };
    const observed = this.observe(rotation);
    const changes =
      step === 'replace' && made !== undefined
        ? this.#replacing(rotation, made.version, observed)
        : changesOf(rotation, step, observed);
    const days = rotation.plan.destroyAfterDays ?? 0;
    const destroyAt = new Date(this.#parts.latest() + days * DAY_MS).toISOString();
    const occasion = { time, reason: reasonOf(rotation, step), destroyAt };
    const about = step === 'disable' || step === 'destroy' ? after.old : (after.new ?? after.old);
    const end = step === 'complete' ? { oldState: observed.old.state } : {};
    const detail = { ...detailOf(after), ...(step === 'destroy' && { destroyAt }), ...end };
    const draft = draftOf(KIND[step], after, about, detail);
    await this.#commit(act, draft, { key, made, changes, occasion }, before, after);
    return after;
  }

  /** Throws `conflict` when there is nothing to undo any more, with why. */
  async abort(act: Act<RotationTx>, rotation: Rotation, reason: string, by: By): Promise<Rotation> {
    const undo = undoOf(rotation, this.observe(rotation));
    if ('refused' in undo) throw new CountersignError('conflict', `it cannot be aborted: ${undo.refused}`);
    const key = this.#parts.directory.get(rotation.key.name);
    const time = new Date(this.#parts.now()).toISOString();
    const after = afterStep(rotation, 'abort', { time, by, note: reason });
    const detail = { ...detailOf(after), reason, state: rotation.state };
    const draft = draftOf('rotation.aborted', after, after.old, detail);
    const occasion = { time, reason: reasonOf(rotation, 'abort') };
    await this.#commit(act, draft, { key, changes: undo.changes, occasion }, rotation, after);
    return after;
  }

  /** Notes that a wait of the plan is over. */
  async pass(act: Act<RotationTx>, rotation: Rotation, wait: number, by: By): Promise<Rotation> {
    const time = new Date(this.#parts.now()).toISOString();
    const after = afterWait(rotation, wait, { time, by });
    const detail = { ...detailOf(after), wait: describeWait(after, wait) };
    await this.#save(act, draftOf('rotation.wait_passed', after, after.old, detail), rotation, after);
    return after;
  }

  /** Says that the timeout of a wait has come: an alert where nothing else happens. */
  async overdue(act: Act<RotationTx>, rotation: Rotation, wait: number): Promise<Rotation> {
    const after = afterTimeout(rotation, wait);
    const planned = rotation.plan.waits[wait];
    const aborts = planned !== undefined && planned.type !== 'time' && planned.onTimeout === 'abort';
    const kind = aborts ? 'rotation.step_timed_out' : 'alert.rotation_stalled';
    const detail = {
      ...detailOf(after),
      wait: describeWait(after, wait),
      onTimeout: aborts ? 'abort' : 'stay',
    };
    await this.#save(act, draftOf(kind, after, after.old, detail), rotation, after);
    return after;
  }

  async #generate(key: Key, state: 'pending' | 'enabled'): Promise<NewVersion> {
    const version = Math.max(...key.versions.map((each) => each.version)) + 1;
    const made: SealedKey = await this.#parts.custody.generate({
      keyId: key.id,
      version,
      curve: 'secp256k1',
      exportable: key.exportable,
    });
    const createdAt = new Date(this.#parts.now()).toISOString();
    const { address, publicKey, sealed } = made;
    return { version: { version, address, publicKey, state, origin: 'generated', createdAt }, sealed };
  }

  #replacing({ old }: Rotation, { version }: KeyVersion, observed: Observed): KeyChange[] {
    return [...supersede(old.version, observed), { kind: 'primary', from: old.version, to: version }];
  }

  async #save(act: Act<RotationTx>, draft: ActDraft, before: Rotation, after: Rotation): Promise<void> {
    await act.commit(draft, (tx) => {
      tx.saveRotation(before, after);
      return rotationToJson(after);
    });
  }

  async #commit(
    act: Act<RotationTx>,
    draft: ActDraft,
    { key, made, changes, occasion }: KeyWork,
    before: Rotation,
    after: Rotation,
  ): Promise<void> {
    await act.commit(draft, (tx) => {
      if (made !== undefined) tx.addVersion(key.id, made.version, made.sealed);
      writeChanges(tx, key, changes, occasion);
      tx.saveRotation(before, after);
      return rotationToJson(after);
    });
    await this.#parts.forgotten();
  }
}

interface KeyWork {
  readonly key: Key;
  readonly made?: NewVersion | undefined;
  readonly changes: readonly KeyChange[];
  readonly occasion: Occasion;
}

export function draftOf(
  kind: EntryKind,
  { key: { name } }: Pick<Rotation, 'key'>,
  { version, address }: RotatedVersion,
  detail: NonNullable<ActDraft['detail']>,
): ActDraft {
  return { kind, outcome: 'done', key: { name, version, address }, detail };
}

/** What all entries of a rotation say. */
export function detailOf(rotation: Rotation): NonNullable<ActDraft['detail']> {
  const { id, mode, old, new: made, steps } = rotation;
  const step = steps.at(-1);
  return {
    rotation: id,
    mode,
    ...(step !== undefined && { step: step.step, stepKey: step.key }),
    oldVersion: old.version,
    oldAddress: old.address,
    ...(made !== undefined && { newVersion: made.version, newAddress: made.address }),
  };
}

function describeWait({ plan }: Rotation, place: number): string {
  const wait = plan.waits[place];
  return wait === undefined ? 'a wait that the plan has not' : `${waitText(wait)} before ${wait.before}`;
}

export function versionRef({ version, address }: KeyVersion): RotatedVersion {
  return { version, address };
}
