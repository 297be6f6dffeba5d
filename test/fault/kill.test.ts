import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { verifyMessage } from 'ethers';
import { afterAll, describe, expect, test } from 'vitest';
import { checkSignedEntry } from '../../src/audit/verify/entry.ts';
import type { EntryFields } from '../../src/audit/verify/fields.ts';
import { verifyLog } from '../../src/audit/verify/log.ts';
import {
  entryOf,
  expectStatus,
  LAUNCHER,
  logOf,
  makeDirectory,
  startService,
  untilGone,
  type Answer,
  type Client,
  type Problem,
  type RunningService,
  type SignAnswer,
} from '../service.ts';

const ROUNDS = Number(process.env['KILL_ROUNDS'] ?? 200);
const CALLERS = 16;
const KILL_AFTER_MS = { least: 100, most: 400 };
/** Beside other work a round takes up to five seconds. */
const ROUND_MS = 10_000;
const SIGNER_GONE_MS = 2_000;
const RECIPIENTS = [`0x${'11'.repeat(20)}`, `0x${'22'.repeat(20)}`] as const;

/** One thing to sign. Its name is its idempotency key, so that a repeat of it is the same request. */
interface Job {
  readonly name: string;
  readonly operation: 'message' | 'transaction';
  readonly body: object;
}

/** What a caller was told. */
interface Released {
  readonly job: Job;
  readonly answer: SignAnswer;
  readonly replayed: boolean;
}

let service: RunningService | undefined;
afterAll(async () => await service?.kill());

describe('kill -9 of the API process under load', () => {
  test(
    `${ROUNDS} times: nothing that was released is missing from the log`,
    async () => {
      const jobs = jobSource();
      /** Signed in the log, by digest: the index of the entry. */
      const logged = new Map<string, number>();
      /** The one transaction of each nonce, by digest. */
      const nonces = new Map<string, string>();
      let unanswered: readonly Job[] = [];
      let vkey = '';
      let size = 0;
      const totals = {
        released: 0,
        replayed: 0,
        conflicts: 0,
        resent: 0,
        loadMs: 0,
        slowestSigner: 0,
        slowestStart: 0,
      };
      const data = makeDirectory();

      for (let round = 1; round <= ROUNDS; round += 1) {
        const starting = Date.now();
        service = await startService({ data, logLevel: 'silent' });
        const startMs = Date.now() - starting;
        expectStatus(200, await service.demo.get('/readyz'));
        vkey ||= (await service.demo.get<string>('/v1/audit/key')).body.trim();

        // Killed within a second, the service signs none of its own accord; and this one has been seen outside.
        const trusted = expectStatus(200, await service.admin.get<string>('/v1/audit/checkpoint'));
        const { signerPid } = service;
        const load = startLoad(service.demo, jobs, unanswered);
        const delay = KILL_AFTER_MS.least + Math.random() * (KILL_AFTER_MS.most - KILL_AFTER_MS.least);
        const loadStarted = Date.now();
        await sleep(delay);
        await service.kill();
        const killed = Date.now();
        expect(await untilGone(signerPid, SIGNER_GONE_MS), 'the signer process outlives its service').toBe(
          true,
        );
        const signerMs = Date.now() - killed;
        const outcome = await load.ended;
        unanswered = outcome.unanswered;

        const log = logOf(data);
        try {
          const entries = log.all();
          const first = size;
          // Before this round's entries the signatures were checked in their own round.
          const checkSigned = (entry: EntryFields): ReturnType<typeof checkSignedEntry> =>
            Number(entry['index']) < first ? { ok: true, digestRecomputed: true } : checkSignedEntry(entry);
          expect(await verifyLog(log, { vkey, trusted, checkSigned })).toMatchObject({
            ok: true,
            size: entries.length,
          });

          for (const stored of entries.slice(first)) {
            const entry = entryOf(stored);
            if (entry.kind !== 'sign' || entry.outcome !== 'done') continue;
            const { digest } = entry as { digest: string };
            expect(
              logged.get(digest),
              `signed twice: entries ${logged.get(digest)} and ${stored.index}`,
            ).toBeUndefined();
            logged.set(digest, stored.index);
            if (entry.operation !== 'transaction') continue;
            const { transaction } = entry.intent as { transaction: { nonce: string } };
            expect(
              nonces.get(transaction.nonce),
              `two transactions of nonce ${transaction.nonce}`,
            ).toBeUndefined();
            nonces.set(transaction.nonce, digest);
          }
          for (const { answer } of outcome.released) {
            const stored = entries[answer.receipt.index];
            expect(stored, `entry ${answer.receipt.index} was released and is not in the log`).toBeDefined();
            expect(Buffer.from(stored!.leafHash).toString('hex')).toBe(answer.receipt.leafHash);
            const { digest, signature, requestId } = entryOf(stored!);
            expect({ digest, signature, requestId }).toEqual({
              digest: answer.digest,
              signature: answer.signature,
              requestId: answer.requestId,
            });
          }
          size = entries.length;
        } finally {
          log.close();
        }

        totals.released += outcome.released.length;
        totals.replayed += outcome.released.filter(({ replayed }) => replayed).length;
        totals.conflicts += outcome.conflicts;
        totals.resent += unanswered.length;
        totals.loadMs += killed - loadStarted;
        totals.slowestSigner = Math.max(totals.slowestSigner, signerMs);
        totals.slowestStart = Math.max(totals.slowestStart, startMs);
        console.log(
          `round ${round}/${ROUNDS}: up in ${startMs} ms, killed ${Math.round(delay)} ms later, ${outcome.released.length} released, ` +
            `${outcome.conflicts} nonce conflicts, ${unanswered.length} without answer, signer gone in ${signerMs} ms, log ${size}`,
        );
      }

      expect(totals.released).toBeGreaterThan(ROUNDS * CALLERS);
      expect(totals.conflicts).toBeGreaterThan(0);
      // A kill that never falls between commit and answer would not test the idempotency keys.
      expect(totals.replayed).toBeGreaterThan(0);

      service = await startService({ data, logLevel: 'silent' });
      await service.stop();
      const log = logOf(data);
      const started = Date.now();
      const report = await verifyLog(log, { vkey });
      log.close();
      expect(report).toMatchObject({
        ok: true,
        signatures: logged.size,
        digestsNotRecomputed: 0,
        unsignedTail: 0,
      });
      console.log(
        `whole log verified in ${Date.now() - started} ms: ${JSON.stringify({ ...totals, signatures: logged.size, size })}`,
      );
    },
    ROUNDS * ROUND_MS,
  );
});

describe('kill -9 during the first start', () => {
  test.each(Array.from({ length: 15 }, (_, i) => 50 + i * 60))(
    'after %i ms: the next start completes it',
    async (delay) => {
      const data = makeDirectory();
      const child = spawn(LAUNCHER, ['start', '--data', data, '--listen', '127.0.0.1:0'], {
        stdio: 'ignore',
      });
      const ended = once(child, 'exit');
      await sleep(delay);
      child.kill('SIGKILL');
      await ended;

      service = await startService({ data });
      const message = 'after a first start that was cut off';
      const { signature, key } = expectStatus(
        200,
        await service.demo.post<SignAnswer>('/v1/keys/demo/sign/message', { message }),
      );
      expect(verifyMessage(message, signature).toLowerCase()).toBe(key.address);
      const keys = expectStatus(200, await service.admin.get<{ items: unknown[] }>('/v1/keys'));
      expect(keys.items).toHaveLength(1);
      const vkey = (await service.demo.get<string>('/v1/audit/key')).body.trim();
      await service.stop();
      const log = logOf(data);
      expect(await verifyLog(log, { vkey })).toMatchObject({ ok: true, signatures: 1 });
      log.close();
    },
  );
});

/** Messages and transactions; every fourth transaction competes with the one before it for its nonce. */
function jobSource(): () => Job {
  let count = 0;
  let nonce = 0;
  return () => {
    const name = `job-${(count += 1)}`;
    if (count % 3 === 0) return { name, operation: 'message', body: { message: name } };
    const competes = count % 4 === 1 && nonce > 0;
    if (!competes) nonce += 1;
    const transaction = {
      type: 2,
      chainId: 31337,
      nonce,
      to: RECIPIENTS[competes ? 1 : 0],
      value: `${count}`,
      gasLimit: 21_000,
      maxFeePerGas: '2000000000',
      maxPriorityFeePerGas: '1000000000',
    };
    return { name, operation: 'transaction', body: { transaction } };
  };
}

interface LoadOutcome {
  readonly released: readonly Released[];
  readonly conflicts: number;
  /** Under way when the connection broke: signed or not, their callers can't know. */
  readonly unanswered: readonly Job[];
}

/** Sixteen callers, one request after the other until the connection breaks; first what had no answer before. */
function startLoad(
  client: Client,
  next: () => Job,
  again: readonly Job[],
): { readonly ended: Promise<LoadOutcome> } {
  const released: Released[] = [];
  const unanswered: Job[] = [];
  const waiting = [...again];
  let conflicts = 0;

  const call = async (): Promise<void> => {
    for (;;) {
      const job = waiting.shift() ?? next();
      let answer: Answer<SignAnswer & Problem>;
      try {
        const headers = { 'idempotency-key': job.name };
        answer = await client.post<SignAnswer & Problem>(
          `/v1/keys/demo/sign/${job.operation}`,
          job.body,
          headers,
        );
      } catch {
        unanswered.push(job);
        return;
      }
      if (answer.status === 200) {
        released.push({
          job,
          answer: answer.body,
          replayed: answer.headers.get('idempotent-replayed') === 'true',
        });
      } else {
        const { code, detail } = expectStatus(409, answer);
        if (code !== 'nonce_conflict') throw new Error(detail);
        conflicts += 1;
      }
    }
  };
  const callers = Promise.all(Array.from({ length: CALLERS }, call));
  return { ended: callers.then(() => ({ released, conflicts, unanswered: [...unanswered, ...waiting] })) };
}
