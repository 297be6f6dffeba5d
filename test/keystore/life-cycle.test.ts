import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import {
  ASKED_TRANSITIONS,
  destination,
  KEY_VERSION_STATES,
  move,
  originsOf,
  SIGNING_STATES,
  TRANSITIONS,
  whyNotSigning,
  type KeyVersionState,
  type Standing,
  type Transition,
} from '../../src/keystore/life-cycle.ts';

const TIME = '2030-01-01T00:00:00.000Z';
const LATER = '2030-02-01T00:00:00.000Z';
const SUBJECT = 'version 2 of key treasury';

type Row = { readonly [transition in Transition]?: KeyVersionState };

/** Written by hand from the design: what is not here is not possible. */
const PLAIN: { readonly [state in KeyVersionState]: Row } = {
  pending: {
    activate: 'enabled',
    compromise: 'compromised',
    schedule_destruction: 'destroy_scheduled',
    discard: 'destroyed',
  },
  enabled: { disable: 'disabled', supersede: 'draining', compromise: 'compromised' },
  disabled: {
    enable: 'enabled',
    compromise: 'compromised',
    schedule_destruction: 'destroy_scheduled',
  },
  draining: {
    disable: 'disabled',
    reinstate: 'enabled',
    compromise: 'compromised',
    schedule_destruction: 'destroy_scheduled',
  },
  compromised: { schedule_destruction: 'destroy_scheduled' },
  destroy_scheduled: {
    compromise: 'compromised',
    cancel_destruction: 'disabled',
    destroy: 'destroyed',
  },
  destroyed: {},
};

const occasion = (transition: Transition): Parameters<typeof move>[3] => ({
  time: TIME,
  reason: 'because',
  ...(transition === 'schedule_destruction' && { destroyAt: LATER }),
});

const everything = KEY_VERSION_STATES.flatMap((state) =>
  TRANSITIONS.map((transition) => ({ state, transition, to: PLAIN[state][transition] })),
);

test.each(everything)('$state, $transition: $to', ({ state, transition, to }) => {
  expect(destination({ state }, transition)).toBe(to);
  expect(originsOf(transition).includes(state)).toBe(to !== undefined);
});

test.each(everything.filter(({ to }) => to !== undefined))(
  '$transition leads from $state to $to, with when and why',
  ({ state, transition, to }) => {
    expect(move(SUBJECT, { state }, transition, occasion(transition))).toMatchObject({
      state: to,
      stateReason: 'because',
      stateChangedAt: TIME,
    });
  },
);

test.each(everything.filter(({ to }) => to === undefined))(
  '$transition leads nowhere from $state',
  ({ state, transition }) => {
    expect(() => move(SUBJECT, { state }, transition, occasion(transition))).toThrow(
      expect.objectContaining({ code: 'key_state' }) as Error,
    );
  },
);

describe('a version that another has taken the place of', () => {
  it('drains when it is enabled again, however it was disabled', () => {
    const draining = move(SUBJECT, { state: 'enabled' }, 'supersede', occasion('supersede'));
    expect(draining).toMatchObject({ state: 'draining', supersededAt: TIME });
    const disabled = move(SUBJECT, draining, 'disable', occasion('disable'));
    expect(move(SUBJECT, disabled, 'enable', occasion('enable')).state).toBe('draining');
    const scheduled = move(SUBJECT, draining, 'schedule_destruction', occasion('schedule_destruction'));
    const cancelled = move(SUBJECT, scheduled, 'cancel_destruction', occasion('cancel_destruction'));
    expect(move(SUBJECT, cancelled, 'enable', occasion('enable')).state).toBe('draining');
  });

  it('is none any more when the cutover is undone', () => {
    const draining = move(SUBJECT, { state: 'enabled' }, 'supersede', occasion('supersede'));
    expect(move(SUBJECT, draining, 'reinstate', occasion('reinstate'))).not.toHaveProperty('supersededAt');
  });
});

describe('the dates of a version', () => {
  it('say when it is destroyed for as long as it waits for that', () => {
    const waiting = move(SUBJECT, { state: 'disabled' }, 'schedule_destruction', {
      time: TIME,
      reason: 'old',
      destroyAt: LATER,
    });
    expect(waiting).toMatchObject({ state: 'destroy_scheduled', destroyAt: LATER });
    expect(whyNotSigning(SUBJECT, waiting)).toContain(LATER);
    for (const transition of ['cancel_destruction', 'compromise', 'destroy'] as const)
      expect(move(SUBJECT, waiting, transition, occasion(transition))).not.toHaveProperty('destroyAt');
    const gone = move(SUBJECT, waiting, 'destroy', { time: LATER, reason: 'due' });
    expect(gone).toMatchObject({ state: 'destroyed', destroyedAt: LATER });
    expect(whyNotSigning(SUBJECT, gone)).toBe(`${SUBJECT} was destroyed at ${LATER}`);
  });

  it('keep that it was compromised, wherever it goes', () => {
    const compromised = move(SUBJECT, { state: 'enabled' }, 'compromise', occasion('compromise'));
    const waiting = move(SUBJECT, compromised, 'schedule_destruction', occasion('schedule_destruction'));
    expect(waiting.compromisedAt).toBe(TIME);
    expect(move(SUBJECT, waiting, 'cancel_destruction', occasion('cancel_destruction'))).toMatchObject({
      state: 'compromised',
      compromisedAt: TIME,
    });
  });
});

/** All standings along the transitions that are possible, from a version that was just made. */
function walk(transitions: readonly Transition[]): Standing[] {
  const standings: Standing[] = [{ state: 'pending' }];
  for (const transition of transitions) {
    const standing = standings.at(-1)!;
    if (destination(standing, transition) === undefined) continue;
    standings.push(move(SUBJECT, standing, transition, occasion(transition)));
  }
  return standings;
}

const transitions = fc.array(fc.constantFrom(...TRANSITIONS), { maxLength: 40, size: 'max' });

test('no way leads from being compromised back to signing', () => {
  let reached = 0;
  fc.assert(
    fc.property(transitions, (ways) => {
      const standings = walk(ways);
      const after = standings.slice(standings.map(({ state }) => state).indexOf('compromised'));
      const compromised = standings.some(({ state }) => state === 'compromised') ? after : [];
      reached += compromised.length;
      expect(compromised.filter(({ state }) => SIGNING_STATES.includes(state))).toEqual([]);
      expect(compromised.filter(({ compromisedAt }) => compromisedAt !== TIME)).toEqual([]);
    }),
    { numRuns: 10_000 },
  );
  expect(reached).toBeGreaterThan(1_000);
});

test('nothing leads out of being destroyed', () => {
  for (const transition of TRANSITIONS) {
    for (const more of [{}, { supersededAt: TIME }, { compromisedAt: TIME }])
      expect(destination({ state: 'destroyed', ...more }, transition)).toBeUndefined();
  }
});

test('a superseded version never signs as more than one that drains, until the cutover is undone', () => {
  let reached = 0;
  fc.assert(
    fc.property(transitions, (ways) => {
      const standings = walk(ways);
      const superseded = standings.filter(({ supersededAt }) => supersededAt !== undefined);
      reached += superseded.length;
      expect(superseded.map(({ state }) => state)).not.toContain('enabled');
      expect(superseded).toEqual(
        expect.arrayContaining(standings.filter(({ state }) => state === 'draining')),
      );
    }),
    { numRuns: 10_000 },
  );
  expect(reached).toBeGreaterThan(1_000);
});

const refusals = KEY_VERSION_STATES.flatMap((state) =>
  ASKED_TRANSITIONS.filter((asked) => PLAIN[state][asked] === undefined).map((asked) => {
    const possible = ASKED_TRANSITIONS.filter((other) => PLAIN[state][other] !== undefined);
    const instead = possible.map((other) => other.replace('_', '-')).join(', ');
    return { state, asked, instead: instead === '' ? 'nothing leads out of that state' : instead };
  }),
);

test.each(refusals)('$asked is refused for one that is $state: $instead', ({ state, asked, instead }) => {
  const refused = (): unknown => move(SUBJECT, { state }, asked, occasion(asked));
  expect(refused).toThrow(SUBJECT);
  expect(refused).toThrow(instead);
});

test('a destruction without its time is an error of ours', () => {
  const without = { time: TIME, reason: 'old' };
  expect(() => move(SUBJECT, { state: 'disabled' }, 'schedule_destruction', without)).toThrow(/time/);
});
