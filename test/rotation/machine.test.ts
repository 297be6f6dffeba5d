import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Key, KeyVersion } from '../../src/keystore/keys.ts';
import { destination, TRANSITIONS, type Transition } from '../../src/keystore/life-cycle.ts';
import { changed, changesOf, undoOf, type KeyChange, type Observed } from '../../src/rotation/changes.ts';
import { afterStep, afterTimeout, afterWait, nextStep } from '../../src/rotation/machine.ts';
import { planSchema, type RotationPlan } from '../../src/rotation/plan.ts';
import type { Rotation, RotationStep } from '../../src/rotation/rotation.ts';

const START = Date.parse('2027-01-01T00:00:00.000Z');
/** Nothing leads from these to signing. */
const GONE: ReadonlySet<string> = new Set(['compromised', 'destroy_scheduled', 'destroyed']);
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const at = (time: number): string => new Date(time).toISOString();

const version = (number: number, state: KeyVersion['state']): KeyVersion => ({
  version: number,
  address: `0x${String(number).padStart(40, '0')}`,
  publicKey: '0x04',
  state,
  origin: 'generated',
  createdAt: at(START),
});

const KEY: Key = {
  id: 'k',
  name: 'treasury',
  tags: [],
  createdAt: at(START),
  primary: 1,
  exportable: false,
  canary: false,
  versions: [version(1, 'enabled')],
};

function rotationOf(plan: RotationPlan): Rotation {
  return {
    id: 'r',
    key: { id: 'k', name: 'treasury' },
    mode: 'normal',
    state: 'planned',
    plan,
    old: { version: 1, address: version(1, 'enabled').address },
    createdAt: at(START),
    since: at(START),
    steps: [],
    passed: [],
    overdue: [],
    revision: 1,
  };
}

interface World {
  readonly key: Key;
  readonly rotation: Rotation;
  readonly now: number;
}

function observe({ key, rotation }: World): Observed {
  const find = (number: number): KeyVersion => key.versions.find((each) => each.version === number)!;
  return {
    primary: key.primary,
    old: find(rotation.old.version),
    ...(rotation.new !== undefined && { new: find(rotation.new.version) }),
    unsealed: true,
  };
}

const occasion = (now: number) => ({ time: at(now), reason: 'test', destroyAt: at(now + 30 * DAY) });

function take(world: World, step: RotationStep): World {
  const { rotation, now } = world;
  const changes: readonly KeyChange[] = changesOf(rotation, step, observe(world));
  const after = afterStep(rotation, step, { time: at(now) });
  if (step !== 'generate')
    return { ...world, key: changed(world.key, changes, occasion(now)), rotation: after };
  const made = version(2, 'pending');
  const { address } = made;
  return {
    ...world,
    key: { ...world.key, versions: [...world.key.versions, made] },
    rotation: { ...after, new: { version: 2, address } },
  };
}

/** Takes steps until something is waited for. */
function run(world: World): World {
  for (let now = world; ;) {
    const next = nextStep(now.rotation, observe(now), now.now);
    if (next.kind === 'step') now = take(now, next.step);
    else if (next.kind === 'overdue') now = { ...now, rotation: afterTimeout(now.rotation, next.wait) };
    else if (next.kind === 'abort') {
      const aborted = abort(now);
      if (aborted === undefined) return now;
      now = aborted;
    } else return now;
  }
}

function abort(world: World): World | undefined {
  const undo = undoOf(world.rotation, observe(world));
  if ('refused' in undo) return undefined;
  return {
    ...world,
    key: changed(world.key, undo.changes, occasion(world.now)),
    rotation: afterStep(world.rotation, 'abort', { time: at(world.now) }),
  };
}

const begin = (plan: object = {}): World =>
  run({ key: KEY, rotation: rotationOf(planSchema.parse(plan)), now: START });
const later = (world: World, ms: number): World => run({ ...world, now: world.now + ms });
const states = ({ key }: World): string[] => key.versions.map(({ state }) => state);

describe('the steps of a rotation', () => {
  test('come when their times have come, one after the other', () => {
    let world = begin();
    expect([world.rotation.state, ...states(world)]).toEqual(['overlap', 'enabled', 'enabled']);
    world = later(world, DAY - 1);
    expect(world.rotation.state).toBe('overlap');
    world = later(world, 1);
    expect([world.rotation.state, world.key.primary, ...states(world)]).toEqual([
      'draining',
      2,
      'draining',
      'enabled',
    ]);
    world = later(world, 7 * DAY);
    expect([world.rotation.state, ...states(world)]).toEqual(['destroying', 'destroy_scheduled', 'enabled']);
    expect(nextStep(world.rotation, observe(world), world.now + 99 * DAY)).toMatchObject({
      kind: 'wait',
      destruction: true,
    });
    const destroyed = changed(
      world.key,
      [{ kind: 'move', version: 1, transition: 'destroy' }],
      occasion(world.now),
    );
    expect(run({ ...world, key: destroyed }).rotation.state).toBe('completed');
  });

  test('have a key each, which is never one of another step', () => {
    const { rotation } = later(later(begin(), DAY), 7 * DAY);
    expect(rotation.steps.map(({ step }) => step)).toEqual([
      'generate',
      'overlap',
      'cutover',
      'disable',
      'destroy',
    ]);
    expect(new Set(rotation.steps.map(({ key }) => key)).size).toBe(5);
  });

  test('that need the signer process wait while it is sealed, and others do not', () => {
    const world: World = { key: KEY, rotation: rotationOf(planSchema.parse({})), now: START };
    expect(nextStep(world.rotation, { ...observe(world), unsealed: false }, START)).toMatchObject({
      kind: 'wait',
      sealed: true,
    });
    const overlap = begin();
    const next = nextStep(overlap.rotation, { ...observe(overlap), unsealed: false }, START + DAY);
    expect(next).toEqual({ kind: 'step', step: 'cutover' });
  });

  test('wait for the later of two times, and for what may never come', () => {
    const plan = {
      overlap: '1h',
      waits: [
        { type: 'time', before: 'cutover', for: '3h' },
        { type: 'time', before: 'cutover', until: at(START + 2 * HOUR) },
        { type: 'person', before: 'cutover' },
      ],
    };
    const world = later(begin(plan), 3 * HOUR);
    expect(nextStep(world.rotation, observe(world), world.now)).toMatchObject({ kind: 'wait', open: [2] });
    const passed = { ...world, rotation: afterWait(world.rotation, 2, { time: at(world.now) }) };
    expect(nextStep(passed.rotation, observe(passed), world.now - 1)).toMatchObject({
      kind: 'wait',
      open: [],
    });
    expect(run(passed).rotation.state).toBe('draining');
  });

  test.each([
    ['stay', 'overlap', ['enabled', 'enabled']],
    ['abort', 'aborted', ['enabled', 'disabled']],
  ])('whose wait has timed out: %s', (onTimeout, state, expected) => {
    const waits = [{ type: 'person', before: 'cutover', timeout: '1d', onTimeout }];
    const early = later(begin({ overlap: '1h', waits }), DAY + HOUR - 1);
    expect(early.rotation.overdue).toEqual([]);
    const late = later(early, 1);
    expect([late.rotation.state, states(late), late.rotation.overdue]).toEqual([state, expected, [0]]);
    expect(later(late, DAY).rotation.overdue).toEqual([0]);
  });
});

describe('an abort undoes exactly what was done', () => {
  test.each([
    ['generate', ['enabled']],
    ['overlap', ['enabled', 'destroyed']],
    ['cutover', ['enabled', 'disabled']],
    ['disable', ['enabled', 'disabled']],
  ])('before %s', (before, expected) => {
    const world = begin({ overlap: '0s', drain: '0s', waits: [{ type: 'person', before }] });
    const aborted = abort(world)!;
    expect([aborted.key.primary, ...states(aborted)]).toEqual([1, ...expected]);
    expect(aborted.key.versions[0]?.supersededAt).toBeUndefined();
    expect(aborted.rotation.state).toBe('aborted');
    expect(nextStep(aborted.rotation, observe(aborted), START + 99 * DAY)).toEqual({ kind: 'over' });
  });

  test('before destroy is refused', () => {
    const world = begin({ overlap: '0s', drain: '0s', waits: [{ type: 'person', before: 'destroy' }] });
    expect(abort(world)).toBeUndefined();
  });
});

describe('whatever happens to the key meanwhile', () => {
  const duration = fc.constantFrom('0s', '1h', '2d');
  const wait = fc.record({
    type: fc.constant('person' as const),
    before: fc.constantFrom('generate', 'overlap', 'cutover', 'disable', 'destroy'),
    timeout: fc.constantFrom('1h', '3d'),
  });
  const act = fc.oneof(
    fc.record({ kind: fc.constant('time' as const), ms: fc.integer({ min: 0, max: 10 * DAY }) }),
    fc.record({ kind: fc.constant('pass' as const) }),
    fc.record({ kind: fc.constant('abort' as const) }),
    fc.record({
      kind: fc.constant('person' as const),
      version: fc.constantFrom(1, 2),
      transition: fc.constantFrom(
        ...TRANSITIONS.filter(
          (each): each is Transition => !['activate', 'supersede', 'reinstate', 'discard'].includes(each),
        ),
      ),
    }),
  );

  function perform(world: World, act_: typeof act extends fc.Arbitrary<infer T> ? T : never): World {
    switch (act_.kind) {
      case 'time':
        return { ...world, now: world.now + act_.ms };
      case 'pass': {
        const next = nextStep(world.rotation, observe(world), world.now);
        const open = next.kind === 'wait' ? next.open[0] : undefined;
        return open === undefined
          ? world
          : { ...world, rotation: afterWait(world.rotation, open, { time: at(world.now) }) };
      }
      case 'abort':
        return abort(world) ?? world;
      case 'person':
      default: {
        const found = world.key.versions.find((each) => each.version === act_.version);
        if (found === undefined || destination(found, act_.transition) === undefined) return world;
        const change = { kind: 'move', version: act_.version, transition: act_.transition } as const;
        return { ...world, key: changed(world.key, [change], occasion(world.now)) };
      }
    }
  }

  test('no step but the cutover makes a primary, no primary is one that never signed, none comes back from the dead', () => {
    fc.assert(
      fc.property(
        fc.record({ overlap: duration, drain: duration, waits: fc.array(wait, { maxLength: 4 }) }),
        fc.array(act, { maxLength: 24 }),
        (plan, acts) => {
          let world = begin(plan);
          const dead = new Set<number>();
          let touched = false;
          for (const each of acts) {
            touched ||= each.kind === 'person';
            const before = world;
            world = run(perform(world, each));
            const risen = world.key.versions.filter(
              ({ version: number, state }) => dead.has(number) && !GONE.has(state),
            );
            expect(risen).toEqual([]);
            for (const { version: number, state } of world.key.versions)
              if (state === 'compromised' || state === 'destroyed') dead.add(number);
            const primary = world.key.versions.find((each) => each.version === world.key.primary);
            expect(primary).toBeDefined();
            expect(primary?.state).not.toBe('pending');
            const cut = world.rotation.steps.some(({ step }) => step === 'cutover');
            const undone = world.rotation.state === 'aborted';
            expect(world.key.primary).toBe(cut && !undone ? 2 : 1);
            // As long as nobody else has touched it, the key can sign, and only in the overlap do two sign everything.
            const full = world.key.versions.filter(({ state }) => state === 'enabled').length;
            const wanted = { primary: 'enabled', full: world.rotation.state === 'overlap' ? 2 : 1 };
            expect(touched ? wanted : { primary: primary?.state, full }).toEqual(wanted);
            expect(world.rotation.revision).toBeGreaterThanOrEqual(before.rotation.revision);
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});
