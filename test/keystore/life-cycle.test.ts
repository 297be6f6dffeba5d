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
  TRANSITIONS.map((transition) => [state, transition] as const),
);

test.each(everything)('%s, %s', (state, transition) => {
  const to = PLAIN[state][transition];
  expect(destination({ state }, transition)).toBe(to);
  expect(originsOf(transition).includes(state)).toBe(to !== undefined);
  if (to === undefined) {
    expect(() => move(SUBJECT, { state }, transition, occasion(transition))).toThrow(
      expect.objectContaining({ code: 'key_state' }) as Error,
    );
    return;
  }
  expect(move(SUBJECT, { state }, transition, occasion(transition))).toMatchObject({
    state: to,
    stateReason: 'because',
    stateChangedAt: TIME,
  });
});

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

/** Every way that the transitions lead, from a version that was just made. */
function walk(transitions: readonly Transition[], visit: (standing: Standing) => void): void {
  let standing: Standing = { state: 'pending' };
  for (const transition of transitions) {
    if (destination(standing, transition) === undefined) continue;
    standing = move(SUBJECT, standing, transition, occasion(transition));
    visit(standing);
  }
}

const transitions = fc.array(fc.constantFrom(...TRANSITIONS), { maxLength: 40 });

test('no way leads from being compromised back to signing', () => {
  let reached = 0;
  fc.assert(
    fc.property(transitions, (ways) => {
      let compromised = false;
      walk(ways, (standing) => {
        compromised ||= standing.state === 'compromised';
        if (!compromised) return;
        reached += 1;
        expect(SIGNING_STATES).not.toContain(standing.state);
        expect(standing.compromisedAt).toBe(TIME);
      });
    }),
    { numRuns: 5_000 },
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
  fc.assert(
    fc.property(transitions, (ways) => {
      walk(ways, ({ state, supersededAt }) => {
        if (supersededAt !== undefined) expect(state).not.toBe('enabled');
        if (state === 'draining') expect(supersededAt).toBe(TIME);
      });
    }),
    { numRuns: 5_000 },
  );
});

test.each(KEY_VERSION_STATES)('a refusal in the state %s says what is possible', (state) => {
  const impossible = ASKED_TRANSITIONS.filter((asked) => PLAIN[state][asked] === undefined);
  const possible = ASKED_TRANSITIONS.filter((asked) => PLAIN[state][asked] !== undefined);
  expect(impossible.length).toBeGreaterThan(0);
  for (const transition of impossible) {
    let message = '';
    try {
      move(SUBJECT, { state }, transition, occasion(transition));
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message).toContain(SUBJECT);
    for (const asked of possible) expect(message).toContain(asked.replace('_', '-'));
    if (possible.length === 0) expect(message).toContain('nothing leads out');
  }
});

test('a destruction without its time is an error of ours', () => {
  const without = { time: TIME, reason: 'old' };
  expect(() => move(SUBJECT, { state: 'disabled' }, 'schedule_destruction', without)).toThrow(/time/);
});
