import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { toHex } from '../../src/bytes.ts';
import { createLog } from '../../src/log.ts';
import { FAULTS } from '../signer/wrong-signer.ts';
import { run, type Answered, type Json, type Running } from './running.ts';

/** What the service does, shows and keeps when its signer process signs wrongly, or its checker fails. */

const HERE = import.meta.dirname;
const CHECKER_ENDS = 0;
let service: Running;
let lines: string[];

afterEach(async () => await service.end());

async function start(hooks: Parameters<typeof run>[1] & object): Promise<void> {
  lines = [];
  service = await run(createLog('info', { write: (line) => void lines.push(line) }), hooks);
}

const digestOf = (...head: number[]): string =>
  toHex(Buffer.concat([Buffer.from(head), randomBytes(32 - head.length)]));
const sign = async (digest: string): Promise<Answered> =>
  await service.signer.post('/v1/keys/demo/sign/digest', { digest, purpose: 'test' });

async function untilReady(): Promise<void> {
  while ((await service.admin.get('/readyz')).status !== 200) await sleep(20);
}

async function signEntries(digest: string): Promise<Json[]> {
  return (await service.entries({ kind: 'sign' })).filter((entry) => entry.digest === digest);
}

const logged = (event: string): string[] => lines.filter((line) => line.includes(`"${event}"`));

it.each(['s', 'digest'] as const)('a wrong signature (%s) is never released nor logged', async (fault) => {
  await start({ hooks: { signerProgram: path.join(HERE, '../signer/wrong-signer.ts') } });
  expect((await sign(digestOf(1))).status).toBe(200);

  const wrong = digestOf(0xfa, 0x17, FAULTS.indexOf(fault));
  const answer = await sign(wrong);
  expect(answer.status).toBe(503);
  expect(answer.body.detail).toMatch(/wrong signature, which was refused/);
  expect(answer.text).not.toContain('"signature"');
  const { status, body } = await service.admin.get('/readyz');
  expect(status).toBe(503);
  expect(body.reasons).toContain('the signer process is not running; it is being restarted');
  await untilReady();

  const [entry, ...more] = await signEntries(wrong);
  expect(more).toEqual([]);
  expect(entry).toMatchObject({ outcome: 'failed', detail: { code: 'unavailable' } });
  expect(entry.signature).toBeUndefined();
  const [lost] = await service.entries({ kind: 'signer.lost' });
  expect(lost).toMatchObject({
    outcome: 'failed',
    detail: { reason: 'it answered with a wrong signature' },
  });
  expect(logged('signer.lost')).toHaveLength(1);
  expect((await sign(digestOf(2))).status).toBe(200);
});

it('a checker that ends: nothing unchecked is released, readyz says why, and it goes on by itself', async () => {
  await start({ hooks: { checkerProgram: new URL('../signer/faulty-checker.ts', import.meta.url) } });
  expect((await sign(digestOf(1))).status).toBe(200);
  const unchecked = digestOf(0xfa, 0x17, CHECKER_ENDS);
  const answer = await sign(unchecked);
  expect(answer.status).toBe(503);
  expect(answer.body.detail).toMatch(/checker of signatures ended/);
  const { status, body } = await service.admin.get('/readyz');
  expect(status).toBe(503);
  expect(body.reasons).toEqual([
    'signatures cannot be checked: the checker is not running; it is being restarted',
  ]);
  await untilReady();

  const [entry, ...more] = await signEntries(unchecked);
  expect(more).toEqual([]);
  expect(entry).toMatchObject({ outcome: 'failed', detail: { code: 'unavailable' } });
  expect((await service.entries({ kind: 'checker.lost' }))[0]).toMatchObject({
    detail: { reason: 'exit code 3' },
  });
  expect(logged('checker.lost')).toHaveLength(1);
  expect((await sign(digestOf(2))).status).toBe(200);
});

it('a checker that believes everything: the service does not start', async () => {
  const hooks = { checkerProgram: new URL('../signer/believing-checker.ts', import.meta.url) };
  const starting = start({ hooks });
  await expect(starting).rejects.toThrow(/self-test failed/);
  service = { end: async () => undefined } as Running;
});
