import type { Key, KeyVersion, KeyWrites } from '../keystore/keys.ts';
import { move, type Standing, type Transition } from '../keystore/life-cycle.ts';
import type { Rotation, RotationStep } from './rotation.ts';

/** What a step does to the key. All changes of a step are one commit, with its entry. */
export type KeyChange =
  | { readonly kind: 'move'; readonly version: number; readonly transition: Transition }
  /** Another version takes its place, and it can't drain: should it ever sign again, then as one that drains. */
  | { readonly kind: 'supersede'; readonly version: number }
  | { readonly kind: 'primary'; readonly from: number; readonly to: number };

/** How the key stands when something is decided. */
export interface Observed {
  readonly primary: number;
  readonly old: Standing;
  readonly new?: Standing;
  /** Whether the signer process can make and use keys. */
  readonly unsealed: boolean;
}

/** The changes of a step that may be taken (`nextStep`); of those that make a version, the ones beside that. */
export function changesOf({ old, new: made }: Rotation, step: RotationStep, observed: Observed): KeyChange[] {
  const of = (transition: Transition, version: number): KeyChange => ({ kind: 'move', version, transition });
  switch (step) {
    case 'overlap':
      return made === undefined ? [] : [of('activate', made.version)];
    case 'cutover':
      return made === undefined
        ? []
        : [...supersede(old.version, observed), { kind: 'primary', from: old.version, to: made.version }];
    case 'disable':
      return observed.old.state === 'draining' ? [of('disable', old.version)] : [];
    case 'destroy':
      return observed.old.state === 'disabled' || observed.old.state === 'compromised'
        ? [of('schedule_destruction', old.version)]
        : [];
    case 'replace':
    case 'generate':
    case 'complete':
    default:
      return [];
  }
}

export function supersede(version: number, { old }: Pick<Observed, 'old'>): KeyChange[] {
  if (old.state === 'enabled') return [{ kind: 'move', version, transition: 'supersede' }];
  return old.state === 'destroyed' ? [] : [{ kind: 'supersede', version }];
}

/** What an abort does to the key, or why there is none any more. */
export type Undo = { readonly changes: readonly KeyChange[] } | { readonly refused: string };

/** Exactly what the steps that were taken did is undone, and nothing that somebody else did since. */
export function undoOf({ key, state, old, new: made }: Rotation, observed: Observed): Undo {
  const disableNew: KeyChange[] =
    made !== undefined && observed.new?.state === 'enabled'
      ? [{ kind: 'move', version: made.version, transition: 'disable' }]
      : [];
  switch (state) {
    case 'planned':
      return { changes: [] };
    case 'generated':
      return {
        changes:
          made !== undefined && observed.new?.state === 'pending'
            ? [{ kind: 'move', version: made.version, transition: 'discard' }]
            : [],
      };
    case 'overlap':
      return { changes: disableNew };
    case 'draining':
      if (made === undefined || observed.primary !== made.version)
        return { refused: `version ${made?.version ?? 0} of key ${key.name} is not its primary any more` };
      if (observed.old.state !== 'draining')
        return {
          refused: `version ${old.version} of key ${key.name} is ${observed.old.state}, so it cannot become the primary again`,
        };
      return {
        changes: [
          { kind: 'move', version: old.version, transition: 'reinstate' },
          { kind: 'primary', from: made.version, to: old.version },
          ...disableNew,
        ],
      };
    case 'disabled':
    case 'destroying':
      return {
        refused: `version ${old.version} of key ${key.name} has been taken out of use: what it was asked for since was refused, and that cannot be undone. It can be enabled to drain, and its destruction cancelled, by themselves`,
      };
    case 'completed':
    case 'aborted':
    default:
      return { refused: `the rotation is ${state} already` };
  }
}

export interface Occasion {
  readonly time: string;
  readonly reason: string;
  /** Of a scheduled destruction. */
  readonly destroyAt?: string;
}

/** The key after the changes. Throws `key_state` for one that the life cycle has not. */
export function changed(key: Key, changes: readonly KeyChange[], occasion: Occasion): Key {
  let after = key;
  for (const change of changes) {
    const before = after;
    const move = (version: KeyVersion): KeyVersion =>
      change.kind !== 'primary' && version.version === change.version
        ? moved(before, version, change, occasion)
        : version;
    after =
      change.kind === 'primary'
        ? { ...before, primary: change.to }
        : { ...before, versions: before.versions.map(move) };
  }
  return after;
}

/**
 * Writes the changes, in the transaction of their entry. Throws `key_state` or `conflict` when the key does not stand as
 * `before` has it.
 */
export function writeChanges(
  tx: KeyWrites,
  before: Key,
  changes: readonly KeyChange[],
  occasion: Occasion,
): void {
  const after = changed(before, changes, occasion);
  for (const change of changes) {
    if (change.kind === 'primary') {
      tx.setPrimary(before.id, change.from, change.to);
      continue;
    }
    const [was, is] = [find(before, change.version), find(after, change.version)];
    if (was === undefined || is === undefined) continue;
    // Exactly the state that `is` was made from: its dates are of that.
    tx.setKeyState(before.id, change.version, [was.state], is);
    if (is.state === 'destroyed') tx.eraseSealed(before.id, change.version);
  }
}

function find({ versions }: Key, number: number): KeyVersion | undefined {
  return versions.find(({ version }) => version === number);
}

function moved(
  { name }: Key,
  version: KeyVersion,
  change: Exclude<KeyChange, { readonly kind: 'primary' }>,
  occasion: Occasion,
): KeyVersion {
  if (change.kind === 'supersede') return { ...version, supersededAt: version.supersededAt ?? occasion.time };
  const { address, publicKey, origin, createdAt, lastUsedAt } = version;
  const subject = `version ${version.version} of key ${name}`;
  return {
    version: version.version,
    address,
    publicKey,
    origin,
    createdAt,
    ...(lastUsedAt !== undefined && { lastUsedAt }),
    ...move(subject, version, change.transition, occasion),
  };
}
