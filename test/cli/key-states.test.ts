import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startService, type RunningService } from '../service.ts';
import { cliFor, jsonOf, type Cli } from './run.ts';

interface Shown {
  readonly primary: number;
  readonly versions: readonly {
    readonly state: string;
    readonly stateReason?: string;
    readonly destroyAt?: string;
  }[];
}

let service: RunningService;
let admin: Cli;

beforeAll(async () => {
  service = await startService();
  admin = cliFor(service.url, path.join(service.data, 'admin.token'));
});
afterAll(async () => await service.stop());

async function statesOf(name: string): Promise<string[]> {
  return (jsonOf(await admin(`key show ${name} --json`)) as Shown).versions.map(({ state }) => state);
}

describe('key destroy', () => {
  it('says what hangs on a version, and does nothing where nobody can be asked', async () => {
    await admin('key create retired');
    await admin('key disable retired --reason old');
    const asked = await admin('key destroy retired --reason old');
    expect(asked).toMatchObject({ code: 1, stdout: '' });
    expect(asked.stderr).toContain('it is the only version of key retired');
    expect(asked.stderr).toContain('give --yes');
    expect(await statesOf('retired')).toEqual(['disabled']);
  });

  it('schedules, shows when, and cancels', async () => {
    await admin('key create spare');
    const tooEarly = await admin('key destroy spare --reason old --yes');
    expect(tooEarly.code).toBe(1);
    expect(tooEarly.stderr).toContain(
      'schedule-destruction is not possible: version 1 of key spare is enabled',
    );
    await admin('key disable spare --reason old');
    expect((await admin('key destroy spare --reason old --days 6 --yes')).code).toBe(1);
    const scheduled = jsonOf(await admin('key destroy spare --reason old --days 7 --yes --json')) as Shown;
    const [version] = scheduled.versions;
    expect(version).toMatchObject({ state: 'destroy_scheduled', stateReason: 'old' });
    const days = (Date.parse(version?.destroyAt ?? '') - Date.now()) / 86_400_000;
    expect(days).toBeGreaterThan(6.9);
    expect(days).toBeLessThanOrEqual(7);
    expect((await admin('key show spare')).stdout).toContain(version?.destroyAt);
    await admin('key destroy spare --cancel --reason needed');
    expect(await statesOf('spare')).toEqual(['disabled']);
  });
});

describe('key compromise', () => {
  it('is for good, and puts a new version in its place when asked to', async () => {
    await admin('key create stolen');
    const done = await admin('key compromise stolen --reason theft --rotate');
    expect(done).toMatchObject({ code: 0, stderr: '' });
    expect(done.stdout).toMatch(/rotation [0-9a-f-]{36} puts a new version in its place/);
    expect(jsonOf(await admin('key show stolen --json'))).toMatchObject({
      primary: 2,
      versions: [{ state: 'compromised' }, { state: 'enabled' }],
    });
    const again = await admin('key enable stolen --version 1 --reason found');
    expect(again.code).toBe(1);
    expect(again.stderr).toContain('what is possible from there: schedule-destruction');
  });
});
