import { randomBytes, randomInt } from 'node:crypto';
import {
  appendFileSync,
  closeSync,
  cpSync,
  openSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { verifyLog } from '../../src/audit/verify/log.ts';
import {
  expectStatus,
  logOf,
  makeDirectory,
  startService,
  type RunningService,
  type SignAnswer,
} from '../service.ts';

const SIGNED = 40;
const TORN = 8;
const HEADER = 32;

let service: RunningService | undefined;
afterAll(async () => await service?.kill());

const killed = makeDirectory();
const released: SignAnswer[] = [];
let vkey = '';
let trusted = '';
/** The end of the last frame of the newest commit. */
let end = 0;

const walOf = (data: string): string => path.join(data, 'countersign.db-wal');

beforeAll(async () => {
  service = await startService({ data: killed });
  vkey = expectStatus(200, await service.admin.get<string>('/v1/audit/key')).trim();
  for (let i = 0; i < SIGNED; i++) {
    const answer = await service.demo.post<SignAnswer>('/v1/keys/demo/sign/message', { message: `${i}` });
    released.push(expectStatus(200, answer));
  }
  trusted = expectStatus(200, await service.admin.get<string>('/v1/audit/checkpoint'));
  await service.kill();
  end = lastCommit(readFileSync(walOf(killed)));
});

/** @see https://www.sqlite.org/walformat.html: a frame counts while its salts are the header's. */
function lastCommit(wal: Buffer): number {
  const frame = 24 + wal.readUInt32BE(8);
  let committed = HEADER;
  for (let at = HEADER; at + frame <= wal.length; at += frame) {
    if (!wal.subarray(at + 8, at + 16).equals(wal.subarray(16, 24))) break;
    if (wal.readUInt32BE(at + 4) !== 0) committed = at + frame;
  }
  return committed;
}

function copy(): string {
  const data = makeDirectory();
  cpSync(killed, data, { recursive: true });
  return data;
}

async function signOnce(on: RunningService): Promise<{ readonly status: number }> {
  return await on.demo.post('/v1/keys/demo/sign/message', { message: 'afterwards' });
}

/** Stops it. Whatever was lost, what is there is a log without holes. */
async function leavesOf(on: RunningService): Promise<string[]> {
  await on.stop();
  const log = logOf(on.data);
  expect(await verifyLog(log, { vkey })).toMatchObject({ ok: true });
  const leaves = log.all().map(({ leafHash }) => Buffer.from(leafHash).toString('hex'));
  log.close();
  return leaves;
}

/** What every start says, also the next ones, until an operator has looked. */
async function expectLoss(on: RunningService): Promise<void> {
  const ready = await on.client().get<{ readonly reasons: string[] }>('/readyz');
  expect(ready).toMatchObject({
    status: 503,
    body: { reasons: [expect.stringMatching(/^\d+ entries were on disk/)] },
  });
  expect(await signOnce(on)).toMatchObject({ status: 503 });
}

function garble(file: string, from: number, length: number): void {
  const fd = openSync(file, 'r+');
  writeSync(fd, randomBytes(length), 0, length, from);
  closeSync(fd);
}

describe('a write-ahead log that is torn', () => {
  it.each([
    ['rubbish follows it', (wal: string) => appendFileSync(wal, randomBytes(5_000))],
    [
      'a frame follows that was begun',
      (wal: string) => {
        truncateSync(wal, end);
        const frame = readFileSync(wal).subarray(HEADER, HEADER + 1_000);
        appendFileSync(wal, frame);
      },
    ],
    ['nothing follows', (wal: string) => truncateSync(wal, end)],
  ])('behind what was answered (%s): nothing is lost', async (_, tear) => {
    const data = copy();
    tear(walOf(data));
    service = await startService({ data });
    expectStatus(200, await service.client().get('/readyz'));
    expect(await signOnce(service)).toMatchObject({ status: 200 });
    const leaves = await leavesOf(service);
    for (const { receipt } of released) expect(leaves[receipt.index]).toBe(receipt.leafHash);
  });

  it.each(Array.from({ length: TORN }, (_, i) => i % 2 === 0))(
    'within what was answered: nothing is signed until an operator has looked, and whoever holds a checkpoint sees it (cut: %s)',
    async (cut) => {
      const data = copy();
      const wal = walOf(data);
      // In its second half: the commits of the first start are in the first.
      const from = randomInt(Math.floor(end / 2), end - 1);
      if (cut) truncateSync(wal, from);
      else garble(wal, from, Math.min(4_096, statSync(wal).size - from));
      const torn = readFileSync(wal);
      writeFileSync(`${wal}.torn.part`, torn.subarray(0, torn.length / 2));
      service = await startService({ data });
      await expectLoss(service);
      await service.kill();
      expect(readFileSync(`${wal}.torn`)).toEqual(torn);
      service = await startService({ data });
      await expectLoss(service);
      expect(readFileSync(`${wal}.torn`)).toEqual(torn);
      const known = await service.admin.post('/v1/audit/split-view/acknowledge', { reason: 'a disk broke' });
      expectStatus(200, known);
      expect(await signOnce(service)).toMatchObject({ status: 200 });
      const leaves = await leavesOf(service);
      const lost = released.filter(({ receipt }) => leaves[receipt.index] !== receipt.leafHash);
      expect(lost.length, `torn at ${from} of ${end}`).toBeGreaterThan(0);
      const log = logOf(data);
      const report = await verifyLog(log, { vkey, trusted });
      log.close();
      expect(report, `torn at ${from} of ${end}`).toMatchObject({ ok: false });
      service = await startService({ data });
      expectStatus(200, await service.client().get('/readyz'));
      await service.stop();
    },
  );
});

test('an older database that is put back: nothing is signed until an operator has looked', async () => {
  const data = copy();
  service = await startService({ data });
  await service.stop();
  const database = path.join(data, 'countersign.db');
  const older = path.join(makeDirectory(), 'older.db');
  cpSync(database, older);
  service = await startService({ data });
  expect(await signOnce(service)).toMatchObject({ status: 200 });
  await service.stop();
  cpSync(older, database);
  service = await startService({ data });
  await expectLoss(service);
  await service.stop();
});
