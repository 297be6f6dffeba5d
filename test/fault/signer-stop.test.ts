import { verifyMessage } from 'ethers';
import { afterAll, expect, test } from 'vitest';
import {
  expectStatus,
  logOf,
  startService,
  until,
  untilGone,
  type Answer,
  type KeyAnswer,
  type Problem,
  type RunningService,
  type SignAnswer,
} from '../service.ts';

const CALLERS = 16;
/** The supervisor gives a request 5 s, and looks every half second; the rest is the machine's. */
const BOUND_MS = 15_000;
const RECOVERY_MS = 30_000;

let service: RunningService | undefined;
afterAll(async () => await service?.kill());

interface Asked {
  readonly message: string;
  readonly ms: number;
  readonly answer: Answer<SignAnswer & Problem>;
}

test('a signer process that stands still under load: every request is answered in time, what was signed is logged, and it goes on by itself', async () => {
  const running = await startService();
  service = running;
  const { address } = expectStatus(200, await running.demo.get<KeyAnswer>('/v1/keys/demo')).versions[0]!;
  const asked: Asked[] = [];
  const ended = new AbortController();
  const drive = async (caller: number): Promise<void> => {
    for (let i = 0; !ended.signal.aborted; i += 1) {
      const message = `${caller}, ${i}`;
      const begun = performance.now();
      const answer = await running.demo.post<SignAnswer & Problem>('/v1/keys/demo/sign/message', { message });
      asked.push({ message, ms: performance.now() - begun, answer });
      // Whoever is refused asks again a little later.
      if (answer.status !== 200) await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  const driving = Promise.all(Array.from({ length: CALLERS }, (_, caller) => drive(caller)));
  const signed = (): number => asked.filter(({ answer }) => answer.status === 200).length;
  expect(await until(() => signed() > 200, RECOVERY_MS)).toBe(true);

  const stopped = running.signerPid;
  process.kill(stopped, 'SIGSTOP');
  const reasons = new Set<string>();
  const isReady = async (): Promise<boolean> => {
    const { status, body } = await running.client().get<{ readonly reasons?: readonly string[] }>('/readyz');
    for (const reason of body.reasons ?? []) reasons.add(reason);
    return status === 200;
  };
  expect(await until(async () => !(await isReady()), BOUND_MS)).toBe(true);
  expect(await untilGone(stopped, BOUND_MS)).toBe(true);
  expect(await until(isReady, RECOVERY_MS)).toBe(true);
  const before = signed();
  expect(await until(() => signed() > before + 200, RECOVERY_MS)).toBe(true);
  ended.abort();
  await driving;

  expect([...reasons].some((reason) => reason.includes('signer process'))).toBe(true);
  expect(Math.max(...asked.map(({ ms }) => ms))).toBeLessThan(BOUND_MS);
  const refused = asked.filter(({ answer }) => answer.status !== 200).map(({ answer }) => answer);
  expect(refused.length).toBeGreaterThanOrEqual(CALLERS);
  expect([...new Set(refused.map(({ status, body }) => `${status} ${body.code}`))]).toEqual([
    '503 unavailable',
  ]);
  expect([...new Set(refused.map(({ headers }) => headers.get('retry-after')))]).toEqual(['1']);

  const log = logOf(running.data);
  try {
    const leaves = new Map<number, string>();
    for await (const page of log.entries(0))
      for (const { index, leafHash } of page) leaves.set(index, Buffer.from(leafHash).toString('hex'));
    const wrong = asked.filter(({ message, answer: { status, body } }) => {
      if (status !== 200) return false;
      const isSigned = verifyMessage(message, body.signature).toLowerCase() === address;
      return !isSigned || leaves.get(body.receipt.index) !== body.receipt.leafHash;
    });
    expect(wrong).toEqual([]);
  } finally {
    log.close();
  }
  console.log(
    `${signed()} signed, ${refused.length} refused, the slowest answer after ${Math.max(...asked.map(({ ms }) => ms)).toFixed(0)} ms`,
  );
}, 120_000);
