import { randomBytes, randomInt } from 'node:crypto';
import {
  appendFileSync,
  closeSync,
  cpSync,
  openSync,
  readFileSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
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

/** What a start on it leaves, after one more signature. */
async function startedOn(data: string): Promise<{ readonly size: number; readonly leaves: string[] }> {
  service = await startService({ data });
  expectStatus(200, await service.client().get('/readyz'));
  expectStatus(200, await service.demo.post('/v1/keys/demo/sign/message', { message: 'afterwards' }));
  await service.stop();
  const log = logOf(data);
  // Whatever was lost, what is there is a log without holes.
  expect(await verifyLog(log, { vkey })).toMatchObject({ ok: true });
  const leaves = log.all().map(({ leafHash }) => Buffer.from(leafHash).toString('hex'));
  log.close();
  return { size: leaves.length, leaves };
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
    const { leaves } = await startedOn(data);
    for (const { receipt } of released) expect(leaves[receipt.index]).toBe(receipt.leafHash);
  });

  it.each(Array.from({ length: TORN }, (_, i) => i % 2 === 0))(
    'within what was answered: the log is whole up to there, and whoever holds a checkpoint sees it (cut: %s)',
    async (cut) => {
      const data = copy();
      const wal = walOf(data);
      // In its second half: the commits of the first start are in the first.
      const from = randomInt(Math.floor(end / 2), end - 1);
      if (cut) truncateSync(wal, from);
      else garble(wal, from, Math.min(4_096, statSync(wal).size - from));
      const { leaves } = await startedOn(data);
      const lost = released.filter(({ receipt }) => leaves[receipt.index] !== receipt.leafHash);
      expect(lost.length, `torn at ${from} of ${end}`).toBeGreaterThan(0);
      const log = logOf(data);
      const report = await verifyLog(log, { vkey, trusted });
      log.close();
      expect(report, `torn at ${from} of ${end}`).toMatchObject({ ok: false });
    },
  );
});
