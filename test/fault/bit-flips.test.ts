import { randomInt } from 'node:crypto';
import {
  closeSync,
  cpSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { verifyMessage } from 'ethers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { verifyLog } from '../../src/audit/verify/log.ts';
import {
  expectStatus,
  logOf,
  makeDirectory,
  startService,
  type Problem,
  type RunningService,
  type SignAnswer,
} from '../service.ts';

const FLIPS = Number(process.env['FLIPS'] ?? 40);
const FLIP_MS = 40_000;
const KEYS = ['demo', 'second', 'third'];
const DATABASE = 'countersign.db';
const WAL = 'countersign.db-wal';

let service: RunningService | undefined;
afterAll(async () => await service?.kill());

/** Stopped in good order: all is in the database. */
const stopped = makeDirectory();
/** Killed: the last of it is in the write-ahead log. */
const killed = makeDirectory();
const addresses = new Map<string, string>();
let tokens = { admin: '', demo: '' };
let vkey = '';
let trusted = '';

beforeAll(async () => {
  service = await startService({ data: stopped });
  for (const name of KEYS) {
    if (name !== 'demo') expectStatus(201, await service.admin.post('/v1/keys', { name }));
    const message = `first of ${name}`;
    const answer = await service.demo.post<SignAnswer>(`/v1/keys/${name}/sign/message`, { message });
    addresses.set(name, expectStatus(200, answer).key.address);
  }
  vkey = expectStatus(200, await service.admin.get<string>('/v1/audit/key')).trim();
  tokens = { admin: service.adminToken, demo: service.demoToken };
  await service.stop();
  cpSync(stopped, killed, { recursive: true });
  service = await startService({ data: killed });
  for (let i = 0; i < 20; i++)
    expectStatus(
      200,
      await service.demo.post('/v1/keys/demo/sign/message', {
        message: `${i}`,
      }),
    );
  trusted = expectStatus(200, await service.admin.get<string>('/v1/audit/checkpoint'));
  await service.kill();
});

interface Flip {
  readonly file: string;
  readonly at: number;
  readonly bit: number;
}

/** Changes one bit of the file, where it is not empty. */
function flip(data: string, file: string): Flip {
  const name = path.join(data, file);
  const bytes = readFileSync(name);
  const used = [...bytes.keys()].filter((at) => bytes[at] !== 0);
  const [at, bit] = [used[randomInt(used.length)]!, randomInt(8)];
  bytes[at]! ^= 1 << bit;
  writeFileSync(name, bytes);
  return { file, at, bit };
}

function hold(isSo: boolean, what: string): void {
  if (!isSo) throw new Error(what);
}

/** Signs with every key on what is there, and tells how it went. Throws where anything but a right, logged signature came, or no reason. */
async function lifeOn(data: string): Promise<string> {
  try {
    service = await startService({ data });
  } catch (error) {
    const { message } = error as Error;
    hold(/did not start: exit code \d+: .*\S/s.test(message), `it did not end with a reason: ${message}`);
    hold(!/ {4}at .*:\d+:\d+/.test(message), `it crashed: ${message}`);
    return 'not started';
  }
  const demo = service.client(tokens.demo);
  const ready = await demo.get<{ readonly reasons?: readonly string[] }>('/readyz');
  const isReady = ready.status === 200;
  hold(isReady || /\w/.test(ready.body.reasons?.join() ?? ''), 'it is not ready without a reason');
  const released: SignAnswer[] = [];
  const refusals: string[] = [];
  for (const [name, address] of addresses) {
    const message = `again with ${name}`;
    const { status, body } = await demo.post<SignAnswer & Problem>(`/v1/keys/${name}/sign/message`, {
      message,
    });
    if (status === 200) {
      hold(verifyMessage(message, body.signature).toLowerCase() === address, 'a wrong signature');
      released.push(body);
    } else {
      refusals.push(`, ${status} ${body.code}`);
      const reason = status === 500 ? reasonIn(service.stderr(), body.requestId) : body.detail;
      hold(/\w/.test(reason), `${status} without a reason`);
    }
  }
  if (
    refusals.some((refusal) => refusal.startsWith(', 500')) &&
    service.stderr().includes('ERR_SQLITE_ERROR')
  )
    hold((await demo.get('/readyz')).status === 503, 'it met damage and says that it is ready');
  await service.kill();
  // No further back than needed: what is before may not be readable any more.
  const [first] = released;
  const leaves =
    first === undefined ? new Map<number, string>() : await leavesFrom(data, first.receipt.index);
  for (const { receipt } of released)
    hold(leaves.get(receipt.index) === receipt.leafHash, 'a signature is not in the log');
  return `${isReady ? 'ready' : 'not ready'}, ${released.length} signed${refusals.join('')}`;
}

async function leavesFrom(data: string, index: number): Promise<Map<number, string>> {
  const log = logOf(data);
  try {
    const leaves = new Map<number, string>();
    for await (const page of log.entries(index))
      for (const { index: at, leafHash } of page) leaves.set(at, Buffer.from(leafHash).toString('hex'));
    return leaves;
  } finally {
    log.close();
  }
}

/** What the service's log says of a request that failed. */
function reasonIn(lines: string, requestId: string): string {
  const line = lines.split('\n').find((each) => each.includes(requestId)) ?? '{}';
  return (JSON.parse(line) as { readonly reason?: string }).reason ?? '';
}

/** What a verification says that believes nothing of the directory, and knows a checkpoint of the killed log. */
async function verified(data: string, file: string): Promise<string> {
  let log: ReturnType<typeof logOf>;
  try {
    log = logOf(data);
  } catch {
    return 'unreadable';
  }
  try {
    const report = await verifyLog(log, {
      vkey,
      ...(file === WAL && { trusted }),
    });
    return report.ok ? 'verifies' : `bad: ${JSON.stringify(report.firstBad)}`;
  } catch (error) {
    return `unreadable: ${(error as Error).message}`;
  } finally {
    log.close();
  }
}

/** Where the tree of each table and index begins in a file of this schema. */
function trees(): { readonly name: string; readonly at: number }[] {
  const db = new DatabaseSync(path.join(stopped, DATABASE), { readOnly: true });
  try {
    const { page_size: size } = db.prepare('PRAGMA page_size').get() as { page_size: number };
    const rows = db.prepare('SELECT name, rootpage FROM sqlite_schema WHERE rootpage > 0').all();
    return (rows as { name: string; rootpage: number }[]).map(({ name, rootpage }) => ({
      name,
      at: (rootpage - 1) * size,
    }));
  } finally {
    db.close();
  }
}

test(
  'each table and index made unreadable: the service ends with a reason, or goes on without what it cannot read',
  async () => {
    const outcomes: string[] = [];
    for (const { name, at } of trees()) {
      const data = makeDirectory();
      cpSync(stopped, data, { recursive: true });
      const fd = openSync(path.join(data, DATABASE), 'r+');
      // No type of page that there is.
      writeSync(fd, Buffer.of(0x55), 0, 1, at);
      closeSync(fd);
      try {
        outcomes.push(`${name}: ${await lifeOn(data)}`);
      } catch (error) {
        throw new Error(`without ${name}`, { cause: error });
      } finally {
        await service?.kill();
        rmSync(data, { recursive: true, force: true });
      }
    }
    console.log(outcomes.join('\n'));
    // Some that are read early, and one that is read when the server listens already.
    for (const name of [
      'seal',
      'keys',
      'key_versions',
      'sqlite_autoindex_keys_2',
      'audit_head',
      'principals',
    ])
      expect(outcomes).toContain(`${name}: not started`);
    expect(outcomes.filter((outcome) => outcome.endsWith(': ready, 3 signed')).length).toBeGreaterThan(20);
  },
  80 * FLIP_MS,
);

test(
  `${FLIPS} single bits of what is on disk: no wrong and no unlogged signature, and a reason for what is refused`,
  async () => {
    const others = readdirSync(stopped).filter(
      (name) =>
        statSync(path.join(stopped, name)).isFile() &&
        statSync(path.join(stopped, name)).size > 0 &&
        !name.startsWith(DATABASE),
    );
    const outcomes: string[] = [];
    for (let round = 0; round < FLIPS; round++) {
      const kind = round % 4;
      const data = makeDirectory();
      cpSync(kind === 1 ? killed : stopped, data, { recursive: true });
      const file = kind === 1 ? WAL : kind === 3 ? others[randomInt(others.length)]! : DATABASE;
      const flipped = flip(data, file);
      try {
        const life = await lifeOn(data);
        const log = await verified(data, file);
        // Whatever its write-ahead log loses, a service knows.
        hold(
          file !== WAL || log === 'verifies' || life.startsWith('not '),
          `${life} on a log that is ${log}`,
        );
        const outcome = `${life}; the log ${log}`;
        outcomes.push(outcome);
        console.log(`${JSON.stringify(flipped)}: ${outcome}`);
      } catch (error) {
        throw new Error(`after ${JSON.stringify(flipped)}`, { cause: error });
      } finally {
        await service?.kill();
        rmSync(data, { recursive: true, force: true });
      }
    }
    expect(outcomes).toHaveLength(FLIPS);
    // Most of them hit what counts, and are noticed.
    expect(outcomes).toContainEqual(expect.stringMatching(/the log bad/));
    expect(outcomes).toContainEqual(expect.stringMatching(/not started/));
  },
  FLIPS * FLIP_MS,
);
