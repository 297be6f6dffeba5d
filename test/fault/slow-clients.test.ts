import { execFile, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  entryOf,
  expectStatus,
  logOf,
  makeDirectory,
  startService,
  until,
  type RunningService,
} from '../service.ts';

/** Well-known tools of others: what http-hostile.test.ts does is what its author thought of. */

const SLOW = 300;
/** Often enough to be there whenever others are held up, and no load of its own. */
const PAUSE_MS = 50;
/** Of `LIMITS` in src/http/server.ts: the time for headers and for a whole request, and between two looks at them. */
const HEADERS_S = 10;
const REQUEST_S = 30;
const CHECK_S = 5;
/** For the tool to open all of them, and for a machine that does other things meanwhile. */
const SPARE_S = 5;
const READS_S = 20;
/** What the tool has closed is noticed at once, or at the next look. */
const GONE_MS = (CHECK_S + SPARE_S) * 1_000;
/** Handles that come and go with other things than the attack. */
const OTHER_HANDLES = 5;

/** More than may wait (`load.burst`), so that some have to be refused. */
const BUSY = 400;
const ASKING_S = 5;
/** Until all that was asked is answered, however slow the machine; nothing is asked in it. */
const DRAIN_S = 3;

/** CI installs them, and must not be without them unnoticed. */
const skips = (tool: string): boolean =>
  process.env['CI'] === undefined && spawnSync(tool, ['-h']).error !== undefined;

/** Throws when it does not end well; a test that fails before does not leave it behind. @returns what it printed. */
async function runTool(tool: string, args: readonly string[]): Promise<string> {
  return await new Promise((resolve, reject) => {
    const child = execFile(tool, args, (error, stdout) => {
      if (error === null) resolve(stripVTControlCharacters(stdout));
      else reject(new Error(`${tool}: ${error.message}\n${stdout}`));
    });
    onTestFinished(() => void child.kill());
  });
}

const handlesOf = ({ pid }: RunningService): number => readdirSync(`/proc/${pid}/fd`).length;

async function sign({ demo }: RunningService, message: string): Promise<number> {
  return (await demo.post('/v1/keys/demo/sign/message', { message })).status;
}

function signaturesIn(data: string): number {
  const log = logOf(data);
  const done = log.all().filter((stored) => {
    const { kind, outcome } = entryOf(stored);
    return kind === 'sign' && outcome === 'done';
  });
  log.close();
  return done.length;
}

interface Second {
  readonly connected: number;
  /** Of the tool's own probe; it writes the number of connections for yes, 0 for no. */
  readonly available: number;
}

function secondsOf(csv: string): readonly Second[] {
  const [head, ...rows] = csv.trim().split('\n');
  expect(head).toBe('Seconds,Closed,Pending,Connected,Service Available');
  return rows.map((row) => {
    const [, , , connected = NaN, available = NaN] = row.split(',').map(Number);
    return { connected, available };
  });
}

const HEADERS = ['-H', '-i', '2', '-l', String(HEADERS_S + CHECK_S + SPARE_S)];
const BODIES = ['-B', '-i', '2', '-s', '5000', '-l', String(REQUEST_S + CHECK_S + SPARE_S)];
// Ten answers in a row are more than the kernel takes of them: the rest stands in the service's own buffers.
const READS = ['-X', '-k', '10', '-n', '1', '-z', '64', '-w', '512', '-y', '1024', '-l', String(READS_S)];

describe.skipIf(skips('slowhttptest'))('slowhttptest (skipped where it is not installed)', () => {
  test.each([
    { name: 'headers', args: HEADERS, route: '/v1/me', end: 'No open connections left' },
    { name: 'bodies', args: BODIES, route: '/v1/keys/demo/sign/message', end: 'No open connections left' },
    // Somebody who takes a little each second is within the limits, and keeps the connection.
    { name: 'reads', args: READS, route: '/openapi.json', end: 'Hit test time limit' },
  ])(
    `slow $name on ${SLOW} connections: others sign, nothing is left of them, and the stop is clean`,
    async ({ args, route, end }) => {
      const service = await startService();
      expectStatus(200, await service.client().get('/readyz'));
      const statuses = [await sign(service, 'before')];
      const before = handlesOf(service);

      const report = path.join(makeDirectory(), 'report');
      // The tool has no option for a header, but writes a media type as it is. Without a credential there is an
      // answer before the body, and nothing to be slow with.
      const type = `application/json\r\nAuthorization: Bearer ${service.demoToken}`;
      const connections = ['-c', String(SLOW), '-r', String(SLOW)];
      const attack = [...args, ...connections, '-f', type, '-p', '3', '-g', '-o', report];
      const attacking = runTool('slowhttptest', [...attack, '-u', service.url + route]);
      const isOver = async (): Promise<boolean> =>
        (await Promise.race([attacking, sleep(PAUSE_MS)])) !== undefined;
      while (!(await isOver())) statuses.push(await sign(service, `${statuses.length}`));
      const output = await attacking;
      const seconds = secondsOf(readFileSync(`${report}.csv`, 'utf8'));

      // Otherwise there was no attack.
      expect(Math.max(...seconds.map(({ connected }) => connected))).toBe(SLOW);
      expect([...new Set(seconds.map(({ available }) => available))]).toEqual([SLOW]);
      expect(output).not.toMatch(/service available:\s+NO/);
      // Where the limits hold, it runs out of connections before its own time is over.
      expect(/^Exit status:\s*(.+)$/m.exec(output)?.[1]).toBe(end);
      expect(await until(() => handlesOf(service) <= before + OTHER_HANDLES, GONE_MS)).toBe(true);
      expectStatus(200, await service.client().get('/readyz'));
      statuses.push(await sign(service, 'after'));
      expect(statuses.filter((status) => status !== 200)).toEqual([]);
      expect(signaturesIn(service.data)).toBe(statuses.length);
      await service.stop();
      expect(service.stderr()).toBe('');
      console.log(`${statuses.length} signatures beside it; it ended after ${seconds.length - 1} s: ${end}`);
    },
  );
});

/** What the script prints at its end. */
interface Load {
  readonly asked: number;
  readonly statuses: Readonly<Record<string, number>>;
  /** Connections that were not made, or broke. */
  readonly broken: number;
}

// wrk goes on asking until its time is over, and would leave what is under way then: signed, logged, and not counted.
// So each connection that would ask after that waits instead, for longer than wrk goes on.
const scriptFor = (token: string): string => `
wrk.method = 'POST'
wrk.headers['Authorization'] = 'Bearer ${token}'
wrk.headers['Content-Type'] = 'application/json'
wrk.body = '{"message":"wrk"}'
local threads = {}
function setup(thread) table.insert(threads, thread) end
function init()
  asked, statuses, over = 0, {}, os.time() + ${ASKING_S}
end
function delay()
  if os.time() >= over then return 3600000 end
  asked = asked + 1
  return 0
end
function response(status)
  statuses[status] = (statuses[status] or 0) + 1
end
function done(summary)
  local thread, counts = threads[1], {}
  for status, count in pairs(thread:get('statuses')) do
    table.insert(counts, string.format('"%d":%d', status, count))
  end
  local errors = summary.errors
  print(string.format('load: {"asked":%d,"statuses":{%s},"broken":%d}', thread:get('asked'),
    table.concat(counts, ','), errors.connect + errors.read + errors.write))
end
`;

describe.skipIf(skips('wrk'))('wrk (skipped where it is not installed)', () => {
  test(`${BUSY} connections that ask as fast as they are answered: signed and logged, or turned away, and nothing else`, async () => {
    const service = await startService();
    const before = handlesOf(service);
    const script = path.join(makeDirectory(), 'wrk.lua');
    writeFileSync(script, scriptFor(service.demoToken), { mode: 0o600 });
    const args = ['-t', '1', '-c', String(BUSY), '-d', String(ASKING_S + DRAIN_S), '-s', script];
    const url = `${service.url}/v1/keys/demo/sign/message`;
    const output = await runTool('wrk', [...args, url]);
    const { asked, statuses, broken } = JSON.parse(/^load: (.+)$/m.exec(output)?.[1] ?? '{}') as Load;
    const { 200: signed = 0, 503: shed = 0, ...others } = statuses;
    console.log(`${signed} signed, ${shed} turned away`);

    expect(others).toEqual({});
    expect(broken).toBe(0);
    expect(signed + shed).toBe(asked);
    expect(signed).toBeGreaterThan(0);
    expect(shed).toBeGreaterThan(0);
    expect(signaturesIn(service.data)).toBe(signed);
    const metrics = expectStatus(200, await service.client().get<string>('/metrics'));
    expect(metrics).toContain(`countersign_shed_requests_total ${shed}\n`);
    expect(await until(() => handlesOf(service) <= before + OTHER_HANDLES, GONE_MS)).toBe(true);
    expectStatus(200, await service.client().get('/readyz'));
    expect(await sign(service, 'after')).toBe(200);
    await service.stop();
    expect(service.stderr()).toBe('');
  });
});
