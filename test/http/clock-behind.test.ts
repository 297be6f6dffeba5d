import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { must, run, SILENT, type Running } from './running.ts';

const DAY = 86_400_000;

let service: Running;
beforeAll(async () => {
  vi.useFakeTimers({ toFake: ['Date'], shouldAdvanceTime: false });
  service = await run(SILENT);
});
afterAll(async () => {
  await service.end();
  vi.useRealTimers();
});

test('a clock that is behind shortens no waiting time', async () => {
  const right = Date.now();
  must(await service.admin.post('/v1/keys', { name: 'retired' }));
  must(await service.admin.post('/v1/keys/retired/versions/1/disable', { reason: 'old' }));
  // As after a start whose clock was reset; the log knows the later time.
  vi.setSystemTime(right - 40 * DAY);
  await service.restart();
  const path = '/v1/keys/retired/versions/1/schedule-destruction';
  const { body } = must(await service.admin.post(path, { reason: 'old', days: 7 }));
  expect(Date.parse(body.versions[0].destroyAt)).toBeGreaterThanOrEqual(right + 7 * DAY);
  // It is set right, and the service looks at what is due.
  vi.setSystemTime(right + 1_000);
  await service.restart();
  expect(must(await service.admin.get('/v1/keys/retired')).body.state).toBe('destroy_scheduled');
});
