import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startService, type RunningService } from '../service.ts';
import { cliFor, jsonOf, type Cli } from './run.ts';

interface Rotation {
  readonly id: string;
  readonly state: string;
}

let service: RunningService;
let cli: Cli;
beforeAll(async () => {
  service = await startService();
  cli = cliFor(service.url, path.join(service.data, 'admin.token'));
});
afterAll(async () => await service.stop());

test('a key is rotated, advanced and aborted from the command line', async () => {
  const shown = await cli('key rotate demo --dry-run --destroy-after never --wait person:cutover');
  expect(shown).toMatchObject({ stderr: '', code: 0 });
  expect(shown.stdout).toContain('whose address is not known before it is made');
  expect(shown.stdout).not.toContain('is destroyed');

  // There is nobody to ask; the plan is shown all the same.
  const unasked = await cli('key rotate demo');
  expect(unasked.code).toBe(1);
  expect(unasked.stderr).toContain('Steps:');
  expect(unasked.stderr).toContain('there is no terminal to ask on: give --yes');

  const begun = await cli('key rotate demo --yes --overlap 0s --wait person:cutover --json');
  const { id, state } = jsonOf(begun) as Rotation;
  expect(state).toBe('overlap');
  expect((await cli('rotation list --key demo')).stdout).toContain(`${id}  demo  overlap  cutover at`);
  expect((await cli(`rotation advance ${id} --step disable`)).stderr).toContain(
    'the step that comes next is cutover',
  );
  expect((await cli(`rotation advance ${id} --step cutover`)).stdout).toContain('draining since');
  expect(jsonOf(await cli(`rotation abort ${id} --reason no --json`))).toMatchObject({ state: 'aborted' });
  // It is over, so that there is nothing to wait for.
  expect((await cli(`rotation show ${id} --follow`)).stdout).toContain('note');
});

test('an emergency takes its reason, and one call', async () => {
  expect((await cli('key rotate demo --emergency --yes')).stderr).toContain('--emergency takes --reason');
  const done = jsonOf(await cli('key rotate demo --emergency --reason leaked --yes --json'));
  expect(done).toMatchObject({ state: 'completed', mode: 'emergency' });
});

test.each(['person', 'nobody:cutover', 'webhook:cutover', 'webhook:a:b:cutover'])(
  '--wait %s is not understood',
  async (wait) => {
    const refused = await cli(`key rotate demo --dry-run --wait ${wait}`);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain(`--wait ${wait}: write person:STEP`);
  },
);

test('a key gets a schedule, and loses it', async () => {
  await cli('key create regular');
  const set = await cli('key schedule regular --every 90 --window Europe/Zurich,mon+tue,09:00-17:00');
  expect(set).toMatchObject({ stderr: '', code: 0 });
  expect(set.stdout).toContain('every 90 days');
  expect(jsonOf(await cli('key show regular --json'))).toMatchObject({
    rotation: {
      everyDays: 90,
      window: { tz: 'Europe/Zurich', days: ['mon', 'tue'], from: '09:00', to: '17:00' },
    },
  });
  expect((await cli('key schedule regular --every 9 --never')).code).toBe(1);
  expect((await cli('key schedule regular')).stderr).toContain('give --every DAYS');
  expect((await cli('key schedule regular --every 9 --window Mars/Base,mon,09:00-10:00')).stderr).toContain(
    'IANA',
  );
  expect(jsonOf(await cli('key schedule regular --never --json'))).not.toHaveProperty('rotation');
});
