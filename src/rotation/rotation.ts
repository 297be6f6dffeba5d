import type { Hex } from '../bytes.ts';
import type { RotationPlan } from './plan.ts';

/**
 * `planned`: the new version is not made yet. `generated`: it is, and does not sign. `overlap`: both sign, the old one is
 * the primary. `draining`: the new one is the primary, the old one signs what rules with `draining: true` allow.
 * `disabled`: the old one does not sign any more. `destroying`: it waits for its destruction. The last two are final.
 */
export const ROTATION_STATES = [
  'planned',
  'generated',
  'overlap',
  'draining',
  'disabled',
  'destroying',
  'completed',
  'aborted',
] as const;
export type RotationState = (typeof ROTATION_STATES)[number];

/** Each is one commit of the audit log. `replace` is all of an emergency, from the new version to the cutover. */
export const ROTATION_STEPS = [
  'generate',
  'overlap',
  'cutover',
  'disable',
  'destroy',
  'complete',
  'replace',
] as const;
export type RotationStep = (typeof ROTATION_STEPS)[number];

export interface RotatedVersion {
  readonly version: number;
  readonly address: Hex;
}

/** A step that was taken. */
export interface TakenStep {
  readonly step: RotationStep | 'abort';
  /** Its idempotency key: the rotation's id and the number of the step. */
  readonly key: string;
  /** RFC 3339, as all times here. */
  readonly time: string;
  /** Name of the principal who caused it; absent where nobody did but time. */
  readonly by?: string;
}

/** A wait of the plan that is over. */
export interface PassedWait {
  /** Its place in the plan's `waits`. */
  readonly wait: number;
  readonly time: string;
  readonly by?: string;
}

/** A key's way from one version to the next, as it is kept. All that a restart needs is in here. */
export interface Rotation {
  readonly id: string;
  readonly key: { readonly id: string; readonly name: string };
  readonly mode: 'normal' | 'emergency';
  readonly state: RotationState;
  readonly plan: RotationPlan;
  /** Of an emergency. */
  readonly reason?: string;
  readonly old: RotatedVersion;
  /** Known once it is made. */
  readonly new?: RotatedVersion;
  /** Absent where the key's schedule started it. */
  readonly startedBy?: { readonly id: string; readonly name: string };
  readonly createdAt: string;
  /** When it came into its state. */
  readonly since: string;
  readonly steps: readonly TakenStep[];
  readonly passed: readonly PassedWait[];
  /** Places of waits whose timeout has come, and was said. */
  readonly overdue: readonly number[];
  /** Why it was aborted, or what is odd about its end. */
  readonly note?: string;
  /** Counts its changes: each is made to the one that it was decided on, or not at all. */
  readonly revision: number;
}

export interface RotationFilter {
  readonly keyName?: string | undefined;
  readonly state?: RotationState | undefined;
  /** Newest first; those made before the rotation with this id. */
  readonly before?: string | undefined;
  readonly limit: number;
}

export interface RotationReads {
  rotation(id: string): Rotation | undefined;
  /** Newest first. */
  rotations(filter: RotationFilter): Rotation[];
  /** Those that are not over, oldest first. */
  openRotations(): Rotation[];
  openRotationOf(keyId: string): Rotation | undefined;
  /** The highest nonce that was signed by a version, for each chain; decimal. */
  newestNonces(
    keyId: string,
    version: number,
  ): readonly { readonly chainId: string; readonly nonce: string }[];
  /** Scopes of a limit that hold something that was charged for a time that ends after `time`. */
  usedScopes(limit: string, time: number): readonly string[];
}

export interface RotationWrites {
  /** Throws `conflict` while the key has another one that is not over. */
  insertRotation(rotation: Rotation): void;
  /** Compare and swap. Throws `conflict` unless the one that is kept has the revision of `before`. */
  saveRotation(before: Rotation, after: Rotation): void;
}

export function isOver({ state }: Pick<Rotation, 'state'>): boolean {
  return state === 'completed' || state === 'aborted';
}
