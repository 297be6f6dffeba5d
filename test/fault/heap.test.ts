import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, test } from 'vitest';
import {
  entryOf,
  expectStatus,
  LAUNCHER,
  logOf,
  makeDirectory,
  startService,
  untilGone,
  type RunningService,
} from '../service.ts';

const LOAD_MS = 8_000;
const MIB = 1024 * 1024;
/** Objects and lists without end, which are none of them an item. */
const HOSTILE = `{"items":[${'{"a":[],"b":{}},'.repeat(Math.floor(MIB / 20))}0]}`;

let service: RunningService | undefined;
afterAll(async () => await service?.kill());

interface Outcome {
  /** How it ended, if it did. */
  readonly ending: string;
  readonly said: string;
  /** Indexes of the entries of signatures that left. */
  readonly released: readonly number[];
}

/** All threads of both processes have such a heap. */
async function underLoad(data: string, megabytes: number): Promise<Outcome> {
  const program = ['env', `NODE_OPTIONS=--max-old-space-size=${megabytes}`, LAUNCHER, 'start'] as const;
  const released: number[] = [];
  let limited: RunningService;
  try {
    limited = await startService({ data, logLevel: 'error', program });
  } catch (error) {
    return { ending: 'at the start', said: String(error), released };
  }
  service = limited;
  const load = new AbortController();
  let ending = 'none';
  const watch = async (): Promise<void> => {
    ending = await limited.ended;
    load.abort();
  };
  void watch();
  const again = async (ask: () => Promise<void>): Promise<void> => {
    while (!load.signal.aborted) await ask().catch(async () => await sleep(20));
  };
  const sign = async (): Promise<void> => {
    const { status, body } = await limited.demo.post<{ receipt: { index: number } }>(
      '/v1/keys/demo/sign/message',
      { message: 'under load' },
    );
    if (status === 200) released.push(body.receipt.index);
  };
  const loads = Promise.all([
    ...Array.from({ length: 16 }, () =>
      again(async () => void (await limited.demo.post('/v1/sign/batch', HOSTILE))),
    ),
    ...Array.from({ length: 8 }, () => again(sign)),
  ]);
  await Promise.race([sleep(LOAD_MS), limited.ended]);
  load.abort();
  await loads;
  const outcome = ending;
  // What holds out has to be well afterwards.
  if (outcome === 'none') await sign();
  await limited.kill();
  await untilGone(limited.pid, 10_000);
  return { ending: outcome, said: limited.stderr(), released };
}

test.each([
  [192, 'holds out', /^none$/, /^/],
  [24, 'ends, and says why', /^(?:at the start|signal SIGABRT|exit code \d+)$/, /heap/i],
] as const)(
  'a heap of %i MB %s under hostile bodies and load: nothing that left is unlogged, and it starts again',
  async (megabytes, _, ending, said) => {
    const data = makeDirectory();
    const outcome = await underLoad(data, megabytes);
    console.log(`${megabytes} MB: ${outcome.released.length} signed, end: ${outcome.ending}`);
    expect(outcome.ending).toMatch(ending);
    expect(outcome.said).toMatch(said);

    service = await startService({ data, logLevel: 'error' });
    expectStatus(200, await service.client().get('/readyz'));
    expectStatus(200, await service.demo.post('/v1/keys/demo/sign/message', { message: 'afterwards' }));
    await service.stop();
    const log = logOf(data);
    const entries = log.all().map(entryOf);
    log.close();
    for (const index of outcome.released)
      expect(entries[index]).toMatchObject({ kind: 'sign', outcome: 'done' });
  },
);
