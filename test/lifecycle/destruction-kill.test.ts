import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, expect, it } from 'vitest';
import type { KeyVersion } from '../../src/keystore/keys.ts';
import { openForReading } from '../../src/storage/sqlite/database.ts';
import { keyTables } from '../../src/storage/sqlite/keys.ts';
import {
  entryOf,
  expectStatus,
  logOf,
  makeDirectory,
  startService,
  until,
  type KeyAnswer,
  type RunningService,
  type SignAnswer,
} from '../service.ts';
import { crashAt, startClocked } from './crash.ts';

/** A service dies at every commit of a destruction, and is started again. */

const DAY = 86_400_000;
const LATER = 31 * DAY;
const ROUTE = '/v1/keys/demo/versions/1';

let service: RunningService | undefined;
afterEach(async () => await service?.stop());

interface OnDisk {
  readonly version: KeyVersion;
  readonly sealed: Buffer;
}

function onDisk(data: string): OnDisk {
  const { db, close } = openForReading(data);
  try {
    const tables = keyTables(db);
    const [key] = tables.keys();
    const row = db.prepare('SELECT sealed FROM key_versions').get() as { sealed: Uint8Array };
    return { version: key!.versions[0]!, sealed: Buffer.from(row.sealed) };
  } finally {
    close();
  }
}

const kindsOf = (data: string): string[] => {
  const log = logOf(data);
  try {
    return log.all().map((stored) => entryOf(stored).kind);
  } finally {
    log.close();
  }
};

/** Whether the bytes stand anywhere in the files of the database. */
const isLeft = (data: string, bytes: Buffer): boolean =>
  ['', '-wal']
    .map((suffix) => path.join(data, `countersign.db${suffix}`))
    .some((file) => existsSync(file) && readFileSync(file).includes(bytes));

/** A data directory whose one key waits for its destruction. */
async function scheduled(): Promise<string> {
  const data = makeDirectory();
  const running = await startService({ data });
  expectStatus(200, await running.demo.post('/v1/keys/demo/sign/message', { message: 'once' }));
  expectStatus(200, await running.admin.post(`${ROUTE}/disable`, { reason: 'retired' }));
  expectStatus(200, await running.admin.post(`${ROUTE}/schedule-destruction`, { reason: 'retired' }));
  await running.stop();
  return data;
}

const stateOf = async ({ admin }: RunningService): Promise<string | undefined> =>
  expectStatus(200, await admin.get<KeyAnswer>('/v1/keys/demo')).versions[0]?.state;

it.each([
  ['before', 'disabled', 0],
  ['after', 'destroy_scheduled', 1],
] as const)('%s it is scheduled: it is %s', async (when, state, entries) => {
  const data = makeDirectory();
  await crashAt({ kind: 'key.destruction_scheduled', when }, { data }, async ({ admin }) => {
    expectStatus(200, await admin.post(`${ROUTE}/disable`, { reason: 'retired' }));
    await admin.post(`${ROUTE}/schedule-destruction`, { reason: 'retired' });
  });
  expect(onDisk(data).version.state).toBe(state);
  expect(kindsOf(data).filter((kind) => kind === 'key.destruction_scheduled')).toHaveLength(entries);
  const running = await startService({ data });
  service = running;
  expect(await stateOf(running)).toBe(state);
  // Nothing is lost of the key so far.
  if (state === 'destroy_scheduled')
    expectStatus(200, await running.admin.post(`${ROUTE}/cancel-destruction`, { reason: 'not yet' }));
  expectStatus(200, await running.admin.post(`${ROUTE}/enable`, { reason: 'needed again' }));
  expectStatus(200, await running.demo.post<SignAnswer>('/v1/keys/demo/sign/message', { message: 'again' }));
});

it.each([
  ['before', 'destroy_scheduled'],
  ['after', 'destroyed'],
] as const)(
  '%s it is destroyed: once started again it is, and nothing is left of it',
  async (when, state) => {
    const data = await scheduled();
    const { sealed } = onDisk(data);
    expect(sealed.length).toBeGreaterThan(32);
    expect(isLeft(data, sealed)).toBe(true);

    await crashAt({ kind: 'key.destroyed', when }, { data, clockMs: LATER }, () => Promise.resolve());
    const left = onDisk(data);
    expect(left.version.state).toBe(state);
    // The tombstone and the erasure are one commit: neither is there without the other.
    expect(left.sealed.length > 0).toBe(state === 'destroy_scheduled');

    const running = await startClocked({ data, clockMs: LATER });
    service = running;
    expect(await until(async () => (await stateOf(running)) === 'destroyed', 10_000)).toBe(true);
    const refused = await running.demo.post('/v1/keys/demo/sign/message', { message: 'too late' });
    expect([refused.status, refused.body.code]).toEqual([409, 'key_state']);
    expect((await running.admin.post(`${ROUTE}/cancel-destruction`, { reason: 'please' })).status).toBe(409);
    await running.stop();
    service = undefined;

    const { version, sealed: erased } = onDisk(data);
    expect(erased).toHaveLength(0);
    expect(version).toMatchObject({ state: 'destroyed', address: left.version.address });
    expect(version.lastUsedAt).toBeDefined();
    expect(isLeft(data, sealed)).toBe(false);
    expect(kindsOf(data).filter((kind) => kind === 'key.destroyed')).toHaveLength(1);
  },
);
