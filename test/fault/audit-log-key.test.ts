import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, test } from 'vitest';
import { verifyLog, type VerifyReport } from '../../src/audit/verify/log.ts';
import { openLogReader } from '../../src/storage/sqlite/log-reader.ts';
import { startService, type RunningService } from '../service.ts';

const ROUNDS = 8;
/** A rotation takes a few milliseconds: at some of these it has not begun, at some it has ended. */
const DELAYS_MS = [0, 1, 2, 3, 4, 6, 9, 15];

let service: RunningService | undefined;
afterAll(async () => await service?.stop());

async function verify(data: string, vkey: string): Promise<VerifyReport> {
  const log = openLogReader(data);
  try {
    return await verifyLog(log.source, { vkey });
  } finally {
    log.close();
  }
}

describe('a service that is killed while the log’s key is rotated', () => {
  test('has one key after it, the one that its log leads to', async () => {
    service = await startService();
    const { data } = service;
    const first = (await service.admin.get<string>('/v1/audit/key')).body.trim();
    const seen = new Set([first]);
    for (let round = 0; round < ROUNDS; round++) {
      const load = Array.from({ length: 8 }, (_, i) =>
        service!.demo.post('/v1/keys/demo/sign/message', { message: `${round} ${i}` }),
      );
      const rotation = service.admin.post('/v1/sys/rotate-log-key', { reason: 'killed' });
      const asked = Promise.allSettled([rotation, ...load]);
      await sleep(DELAYS_MS[round]);
      await service.kill();
      await asked;

      const killed = await verify(data, first);
      expect(killed).toMatchObject({ ok: true });
      service = await startService({ data });
      const now = (await service.admin.get<string>('/v1/audit/key')).body.trim();
      expect(now).toBe((killed as { currentVkey: string }).currentVkey);
      seen.add(now);
      // It signs with the one that it has.
      await service.admin.get('/v1/audit/checkpoint');
      expect(await verify(data, first)).toMatchObject({ ok: true, currentVkey: now });
    }
    const report = await verify(data, first);
    expect(report).toMatchObject({ ok: true, keyRotations: seen.size - 1 });
  });
});
