import { afterEach, describe, expect, it } from 'vitest';
import type { Key } from '../../src/keystore/keys.ts';
import { openForReading } from '../../src/storage/sqlite/database.ts';
import { keyTables } from '../../src/storage/sqlite/keys.ts';
import {
  entryOf,
  expectStatus,
  logOf,
  makeDirectory,
  type RunningService,
  type SignAnswer,
} from '../service.ts';
import { aroundEach, type ClockedService, crashAt, startClocked } from './crash.ts';
import { begin, DAY, keyOf, newestOf, POLICY, untilState } from './rotated.ts';

/** A service dies at every commit of a rotation, and is started again. */

let service: RunningService | undefined;
afterEach(async () => await service?.stop());

/** As it lies on the disk, before anything goes on. */
function keyOnDisk(data: string): Key {
  const { db, close } = openForReading(data);
  try {
    return keyTables(db)
      .keys()
      .find(({ name }) => name === 'demo')!;
  } finally {
    close();
  }
}

const primaryOf = ({
  primary,
  versions,
}: Pick<Key, 'primary'> & { versions: readonly { version: number; state: string }[] }) =>
  versions.find(({ version }) => version === primary)?.state;

/** Of all rotations in the log: each step, once more for each time that it was taken. */
function stepsInLog(data: string): string[] {
  const log = logOf(data);
  const entries = log.all().map(entryOf);
  log.close();
  return entries.flatMap(({ kind, detail }) =>
    /^(?:rotation|alert)\./.test(kind) ? [`${kind} ${JSON.stringify(detail?.['stepKey'])}`] : [],
  );
}

async function resume(data: string, clockMs = 0): Promise<ClockedService> {
  const running = await startClocked({ data, clockMs, policy: POLICY });
  service = running;
  return running;
}

/** Whoever names no version gets a signature by the primary, and it is the only one. */
async function signsAgain({ admin, demo }: RunningService): Promise<number> {
  const key = await keyOf(admin, 'demo');
  expect(primaryOf(key)).toBe('enabled');
  const signed = await demo.post<SignAnswer>('/v1/keys/demo/sign/message', { message: 'after' });
  expect(expectStatus(200, signed).key.version).toBe(key.primary);
  return key.primary;
}

describe('a rotation that goes through', () => {
  const plan = { overlap: '0s', drain: '0s', destroyAfterDays: 30 };

  it.each(
    aroundEach([
      'rotation.planned',
      'rotation.version_generated',
      'rotation.overlap_began',
      'rotation.cut_over',
      'rotation.drain_ended',
      'rotation.destruction_scheduled',
    ]),
  )('killed $when $kind', async (point) => {
    const data = makeDirectory();
    await crashAt(point, { data, policy: POLICY }, ({ admin }) => begin(admin, 'demo', { plan }));
    expect(primaryOf(keyOnDisk(data))).toBe('enabled');
    const running = await resume(data);
    const primary = await signsAgain(running);
    const rotation = await newestOf(running.admin, 'demo');
    const states = (await keyOf(running.admin, 'demo')).versions.map(({ state }) => state);
    const steps = stepsInLog(data);
    const never = point.kind === 'rotation.planned' && point.when === 'before';
    expect({ primary, state: rotation?.state, states, steps: steps.length }).toEqual(
      never
        ? { primary: 1, state: undefined, states: ['enabled'], steps: 0 }
        : { primary: 2, state: 'destroying', states: ['destroy_scheduled', 'enabled'], steps: 6 },
    );
    expect(new Set(steps).size).toBe(steps.length);
  });

  it.each(aroundEach(['rotation.completed']))('killed $when $kind', async (point) => {
    const data = makeDirectory();
    await crashAt(point, { data, policy: POLICY }, ({ admin }) =>
      begin(admin, 'demo', { plan: { ...plan, destroyAfterDays: null } }),
    );
    const running = await resume(data);
    expect(await signsAgain(running)).toBe(2);
    expect((await newestOf(running.admin, 'demo'))?.state).toBe('completed');
    expect(stepsInLog(data)).toHaveLength(6);
  });
});

describe('an abort', () => {
  it.each([
    ...aroundEach(['rotation.aborted']).map((point) =>
      Object.assign(point, { state: 'overlap', overlap: '24h' }),
    ),
    ...aroundEach(['rotation.aborted']).map((point) =>
      Object.assign(point, { state: 'draining', overlap: '0s' }),
    ),
  ])('in $state, killed $when', async ({ state, overlap, ...point }) => {
    const data = makeDirectory();
    await crashAt(point, { data, policy: POLICY }, async ({ admin }) => {
      const { id } = await begin(admin, 'demo', { plan: { overlap } });
      await admin.post(`/v1/rotations/${id}/abort`, { reason: 'no' });
    });
    const before = keyOnDisk(data);
    expect(primaryOf(before)).toBe('enabled');
    const running = await resume(data);
    const primary = await signsAgain(running);
    const rotation = await newestOf(running.admin, 'demo');
    const states = (await keyOf(running.admin, 'demo')).versions.map((version) => version.state);
    // Before its commit, nothing of it has happened.
    const undone = { primary: 1, states: ['enabled', 'disabled'], state: 'aborted' };
    const asItWas =
      state === 'overlap'
        ? { primary: 1, states: ['enabled', 'enabled'], state }
        : { primary: 2, states: ['draining', 'enabled'], state };
    expect({ primary, states, state: rotation?.state }).toEqual(point.when === 'before' ? asItWas : undone);
  });
});

describe('a wait', () => {
  const person = { type: 'person', before: 'cutover', timeout: '2d' };

  it.each(aroundEach(['rotation.wait_passed']))('killed $when $kind', async (point) => {
    const data = makeDirectory();
    await crashAt(point, { data, policy: POLICY }, async ({ admin }) => {
      const { id } = await begin(admin, 'demo', { plan: { overlap: '24h', waits: [person] } });
      await admin.post(`/v1/rotations/${id}/advance`, {});
    });
    const running = await resume(data, DAY + 60_000);
    const { state } = (await newestOf(running.admin, 'demo'))!;
    // Somebody said yes, and that is kept, or has to be said again.
    expect(state).toBe(point.when === 'before' ? 'overlap' : 'draining');
    await signsAgain(running);
  });

  it.each([
    ...aroundEach(['rotation.step_timed_out', 'rotation.aborted']).map((point) =>
      Object.assign(point, { onTimeout: 'abort' }),
    ),
    ...aroundEach(['alert.rotation_stalled']).map((point) => Object.assign(point, { onTimeout: 'stay' })),
  ])('whose timeout has come, killed $when $kind', async ({ onTimeout, ...point }) => {
    const data = makeDirectory();
    await crashAt(point, { data, policy: POLICY }, async (running) => {
      await begin(running.admin, 'demo', { plan: { overlap: '0s', waits: [{ ...person, onTimeout }] } });
      await running.setClock(3 * DAY);
    });
    const running = await resume(data, 3 * DAY);
    const { id } = (await newestOf(running.admin, 'demo'))!;
    await untilState(running.admin, id, onTimeout === 'abort' ? 'aborted' : 'overlap');
    expect(await signsAgain(running)).toBe(1);
    const kinds = stepsInLog(data).map((step) => step.split(' ')[0]);
    const said = onTimeout === 'abort' ? 'rotation.step_timed_out' : 'alert.rotation_stalled';
    expect(kinds.filter((kind) => kind === said)).toHaveLength(1);
  });
});

describe('an emergency', () => {
  it.each(aroundEach(['rotation.planned', 'rotation.cut_over', 'rotation.completed']))(
    'killed $when $kind',
    async (point) => {
      const data = makeDirectory();
      await crashAt(point, { data, policy: POLICY }, ({ admin }) =>
        begin(admin, 'demo', { mode: 'emergency', reason: 'leaked' }),
      );
      const onDisk = keyOnDisk(data);
      const running = await resume(data);
      const primary = await signsAgain(running);
      const never = point.kind === 'rotation.planned' && point.when === 'before';
      const state = (await newestOf(running.admin, 'demo'))?.state;
      expect({ onDisk: onDisk.versions[0]?.state, primary, state }).toEqual(
        never
          ? { onDisk: 'enabled', primary: 1, state: undefined }
          : { onDisk: 'compromised', primary: 2, state: 'completed' },
      );
    },
  );
});

it.each(aroundEach(['rotation.schedule_changed']))('a schedule, killed $when $kind', async (point) => {
  const data = makeDirectory();
  await crashAt(point, { data, policy: POLICY }, ({ admin }) =>
    admin.post('/v1/keys/demo/rotation-schedule', { rotation: { everyDays: 90 } }),
  );
  const schedule = keyOnDisk(data).rotation;
  expect(schedule).toEqual(point.when === 'before' ? undefined : { everyDays: 90 });
});
