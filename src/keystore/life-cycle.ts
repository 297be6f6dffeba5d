import { CountersignError } from '../errors.ts';

/**
 * `pending`: made, and has never signed. `enabled`: signs. `draining`: superseded by a newer version; signs what rules with
 * `draining: true` allow. `disabled`: does not sign until it is enabled. `compromised`: somebody else may have it; never
 * signs again. `destroy_scheduled`: waits to be destroyed. `destroyed`: its ciphertext is erased; what it was stays known.
 */
export const KEY_VERSION_STATES = [
  'pending',
  'enabled',
  'disabled',
  'draining',
  'compromised',
  'destroy_scheduled',
  'destroyed',
] as const;
export type KeyVersionState = (typeof KEY_VERSION_STATES)[number];

/** The states in which a version signs. */
export const SIGNING_STATES: readonly KeyVersionState[] = ['enabled', 'draining'];

/** Where a version stands in its life. Times are RFC 3339, UTC, milliseconds. */
export interface Standing {
  readonly state: KeyVersionState;
  /** Why the state was changed last, and when. */
  readonly stateReason?: string;
  readonly stateChangedAt?: string;
  /** When another version became the primary in its place. */
  readonly supersededAt?: string;
  readonly compromisedAt?: string;
  /** When it is to be destroyed, while it waits for that. */
  readonly destroyAt?: string;
  readonly destroyedAt?: string;
}

export const TRANSITIONS = [
  'activate',
  'disable',
  'enable',
  'supersede',
  'reinstate',
  'compromise',
  'schedule_destruction',
  'cancel_destruction',
  'destroy',
  'discard',
] as const;
export type Transition = (typeof TRANSITIONS)[number];

/** Those that somebody asks for; the others are steps of a rotation, or come when they are due. */
export const ASKED_TRANSITIONS = [
  'disable',
  'enable',
  'compromise',
  'schedule_destruction',
  'cancel_destruction',
] as const satisfies readonly Transition[];
export type AskedTransition = (typeof ASKED_TRANSITIONS)[number];

interface Row {
  readonly from: readonly KeyVersionState[];
  readonly to: KeyVersionState | ((standing: Standing) => KeyVersionState);
}

/** The one table: whatever changes the state of a version goes by it. */
const TABLE: { readonly [transition in Transition]: Row } = {
  activate: { from: ['pending'], to: 'enabled' },
  disable: { from: ['enabled', 'draining'], to: 'disabled' },
  // A superseded one does not become a full one again by the way of being disabled.
  enable: {
    from: ['disabled'],
    to: ({ supersededAt }) => (supersededAt === undefined ? 'enabled' : 'draining'),
  },
  supersede: { from: ['enabled'], to: 'draining' },
  // The undo of a cutover.
  reinstate: { from: ['draining'], to: 'enabled' },
  compromise: {
    from: ['pending', 'enabled', 'disabled', 'draining', 'destroy_scheduled'],
    to: 'compromised',
  },
  // One that may sign all that it ever did is in use: it is disabled first.
  schedule_destruction: {
    from: ['pending', 'disabled', 'draining', 'compromised'],
    to: 'destroy_scheduled',
  },
  // Else scheduling and cancelling would be a way back from having been compromised.
  cancel_destruction: {
    from: ['destroy_scheduled'],
    to: ({ compromisedAt }) => (compromisedAt === undefined ? 'disabled' : 'compromised'),
  },
  destroy: { from: ['destroy_scheduled'], to: 'destroyed' },
  // Of a rotation that was aborted: it never signed, so that nothing waits.
  discard: { from: ['pending'], to: 'destroyed' },
};

/** Where a transition leads from here, or undefined where there is no such way. */
export function destination(standing: Standing, transition: Transition): KeyVersionState | undefined {
  const { from, to } = TABLE[transition];
  if (!from.includes(standing.state)) return undefined;
  return typeof to === 'function' ? to(standing) : to;
}

/** The states that a transition leads out of. */
export function originsOf(transition: Transition): readonly KeyVersionState[] {
  return TABLE[transition].from;
}

/** When and why, and for a scheduled destruction when it is due. */
export interface Occasion {
  readonly time: string;
  readonly reason: string;
  readonly destroyAt?: string;
}

/**
 * The standing after a transition. Throws `key_state`, with what is possible instead, where the table has no such way.
 *
 * @param subject how the error calls the version: `version 2 of key treasury`.
 */
export function move(
  subject: string,
  standing: Standing,
  transition: Transition,
  occasion: Occasion,
): Standing {
  const state = destination(standing, transition);
  if (state === undefined) throw new CountersignError('key_state', refusal(subject, standing, transition));
  const { supersededAt, compromisedAt, destroyAt } = datesAfter(standing, transition, occasion);
  return {
    state,
    stateReason: occasion.reason,
    stateChangedAt: occasion.time,
    ...(supersededAt !== undefined && { supersededAt }),
    ...(compromisedAt !== undefined && { compromisedAt }),
    ...(destroyAt !== undefined && { destroyAt }),
    ...(state === 'destroyed' && { destroyedAt: occasion.time }),
  };
}

/** What a version in this state is, for whoever wanted it to sign. */
export function whyNotSigning(subject: string, { state, destroyAt, destroyedAt }: Standing): string {
  if (state === 'destroyed') return `${subject} was destroyed at ${destroyedAt ?? 'a time that is not kept'}`;
  if (state === 'destroy_scheduled') return `${subject} waits to be destroyed at ${destroyAt ?? 'its time'}`;
  return `${subject} is ${state}`;
}

type Dates = Pick<Standing, 'supersededAt' | 'compromisedAt' | 'destroyAt'>;

function datesAfter(before: Dates, transition: Transition, { time, destroyAt }: Occasion): Dates {
  const { supersededAt, compromisedAt } = before;
  if (transition === 'reinstate') return { ...(compromisedAt !== undefined && { compromisedAt }) };
  const kept = {
    ...(supersededAt !== undefined && { supersededAt }),
    ...(compromisedAt !== undefined && { compromisedAt }),
  };
  if (transition === 'supersede') return { ...kept, supersededAt: time };
  if (transition === 'compromise') return { ...kept, compromisedAt: time };
  if (transition !== 'schedule_destruction') return kept;
  if (destroyAt === undefined)
    throw new CountersignError('internal', 'a destruction was scheduled without its time');
  return { ...kept, destroyAt };
}

function refusal(subject: string, standing: Standing, transition: Transition): string {
  const possible = ASKED_TRANSITIONS.filter((asked) => destination(standing, asked) !== undefined);
  const instead =
    possible.length === 0
      ? 'nothing leads out of that state'
      : `what is possible from there: ${possible.map(inWords).join(', ')}`;
  return `${inWords(transition)} is not possible: ${whyNotSigning(subject, standing)}; ${instead}`;
}

/** As routes and commands call it. */
function inWords(transition: Transition): string {
  return transition.replace('_', '-');
}
