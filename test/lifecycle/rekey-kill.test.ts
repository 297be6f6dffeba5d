import { cpSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openForReading } from '../../src/storage/sqlite/database.ts';
import { sealTables } from '../../src/storage/sqlite/system.ts';
import { expectStatus, makeDirectory, startService, type Client, type RunningService } from '../service.ts';
import { aroundEach, crashAt, type Point } from './crash.ts';

/** A seal is changed from shares to other shares, and the service dies at every commit of that. */

interface Answer {
  readonly shares: readonly string[];
}

let base: string;
let old: readonly string[];
let service: RunningService | undefined;

beforeAll(async () => {
  base = makeDirectory();
  const running = await startService({ data: base });
  const sealKey = `0x${readFileSync(path.join(base, 'seal.key')).toString('hex')}`;
  old = (await startChange(running.admin, { current: { sealKey } })).shares;
  for (const share of old.slice(0, 2)) await give(running.admin, '/rekey/verify', share);
  await running.stop();
  rmSync(path.join(base, 'seal.key'));
});
afterEach(async () => await service?.stop());

async function startChange(admin: Client, current: object = {}): Promise<Answer> {
  const seal = { type: 'shamir', shares: 3, threshold: 2 };
  return expectStatus(200, await admin.post<Answer>('/v1/sys/rekey', { seal, ...current }));
}

async function give(admin: Client, step: string, share: string): Promise<Answer> {
  return expectStatus(200, await admin.post<Answer>(`/v1/sys${step}`, { share }));
}

/** The whole change. `fresh` gets the new shares as soon as somebody has them. */
async function change(admin: Client, fresh: string[]): Promise<void> {
  for (const share of old.slice(1)) await give(admin, '/unseal', share);
  await startChange(admin);
  expect((await give(admin, '/rekey/authorize', old[0]!)).shares).toBeUndefined();
  fresh.push(...(await give(admin, '/rekey/authorize', old[2]!)).shares);
  for (const share of fresh.slice(0, 2)) await give(admin, '/rekey/verify', share);
}

function setOf(data: string): string {
  const { db, close } = openForReading(data);
  try {
    const { config } = sealTables(db).seal()!;
    const { count } = db.prepare('SELECT count(*) AS count FROM seal').get() as { count: number };
    expect({ count, type: config.type }).toEqual({ count: 1, type: 'shamir' });
    return config.type === 'shamir' ? config.set : '';
  } finally {
    close();
  }
}

// Two shares unseal, two authorize, two verify.
const shares = [3, 4, 5, 6].flatMap((nth): Point[] => [
  { kind: 'seal.share_given', when: 'before', nth },
  { kind: 'seal.share_given', when: 'after', nth },
]);
const points = [
  ...aroundEach(['seal.rekey_started', 'seal.rekey_authorized', 'seal.rekeyed']),
  ...shares,
].map(({ kind, when, nth = 1 }) => ({ kind, when, nth }));

describe('a service that is killed while its seal is changed', () => {
  it.each(points)('$when $kind $nth has the old seal or the new one, whole', async (point) => {
    const data = path.join(makeDirectory(), 'data');
    cpSync(base, data, { recursive: true });
    const before = setOf(data);
    const fresh: string[] = [];
    await crashAt(point, { data }, async ({ admin }) => await change(admin, fresh));

    const changed = point.kind === 'seal.rekeyed' && point.when === 'after';
    expect(setOf(data) === before).toBe(!changed);
    service = await startService({ data });
    const [right, wrong] = changed ? [fresh, old] : [old, fresh];
    // Nobody may have the new shares yet.
    for (const share of wrong.slice(0, 2)) {
      const { status } = await service.admin.post('/v1/sys/unseal', { share });
      expect(status).toBe(422);
    }
    expect((await service.admin.get<{ rekey: unknown }>('/v1/sys/rekey')).body.rekey).toBeNull();
    for (const share of right.slice(0, 2)) await give(service.admin, '/unseal', share);
    expectStatus(200, await service.demo.post('/v1/keys/demo/sign/message', { message: 'after' }));

    // The change can be made (again) from where it stands.
    if (changed) return;
    expectStatus(200, await service.admin.post('/v1/sys/seal', {}));
    const again: string[] = [];
    await change(service.admin, again);
    expectStatus(200, await service.admin.post('/v1/sys/seal', {}));
    for (const share of again.slice(1)) await give(service.admin, '/unseal', share);
    expectStatus(200, await service.demo.post('/v1/keys/demo/sign/message', { message: 'changed' }));
  });
});
