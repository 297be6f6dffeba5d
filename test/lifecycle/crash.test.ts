import { afterEach, expect, it } from 'vitest';
import {
  entryOf,
  expectStatus,
  logOf,
  makeDirectory,
  startService,
  type RunningService,
} from '../service.ts';
import { crashAt, startClocked } from './crash.ts';

let service: RunningService | undefined;
afterEach(async () => await service?.stop());

const keyCount = async (running: RunningService): Promise<number> =>
  expectStatus(200, await running.admin.get<{ items: unknown[] }>('/v1/keys')).items.length;

it.each([
  ['before', 2],
  ['after', 3],
] as const)('a service that dies %s the commit has %i keys then', async (when, keys) => {
  const data = makeDirectory();
  // The first is the demo key of the first start.
  await crashAt({ kind: 'key.created', when, nth: 3 }, { data }, async ({ admin }) => {
    for (const name of ['second', 'third', 'fourth'])
      expectStatus(201, await admin.post('/v1/keys', { name }));
  });
  service = await startService({ data });
  expect(await keyCount(service)).toBe(keys);
});

it('a point that is not reached is an error', async () => {
  const nothing = crashAt({ kind: 'key.created', when: 'after', nth: 9 }, { data: makeDirectory() }, () =>
    Promise.reject(new Error('the work failed')),
  );
  await expect(nothing).rejects.toThrow('the work failed');
});

it('the point may be in the start itself', async () => {
  const data = makeDirectory();
  await crashAt({ kind: 'service.started', when: 'before' }, { data }, () =>
    Promise.reject(new Error('it was not to start')),
  );
  const log = logOf(data);
  expect(log.size).toBe(0);
  log.close();
});

it('a clock is moved before the start and while it runs', async () => {
  const day = 86_400_000;
  const data = makeDirectory();
  const running = await startClocked({ data, clockMs: 2 * day });
  service = running;
  await running.setClock(5 * day);
  expectStatus(201, await running.admin.post('/v1/keys', { name: 'later' }));
  const log = logOf(data);
  const times = log.all().map((entry) => (Date.parse(entryOf(entry).time) - Date.now()) / day);
  log.close();
  expect(Math.round(times.at(0)!)).toBe(2);
  expect(Math.round(times.at(-1)!)).toBe(5);
});
