import { afterAll, beforeAll, expect, test } from 'vitest';
import { runAccess, type AccessHarness, type Called } from './access-service.ts';

let service: AccessHarness;
beforeAll(async () => {
  service = await runAccess();
});
afterAll(() => service.end());

test('smoke', async () => {
  const { body } = await service.call('GET', '/v1/me', { token: service.adminToken });
  expect(body.name).toBe('admin');
});
