import { cpSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, test } from 'vitest';
import type { Entry } from '../../src/audit/entry.ts';
import { countCosignatures } from '../../src/audit/tree/cosignature.ts';
import { parseNote, verifyNote } from '../../src/audit/tree/note.ts';
import { parseProof } from '../../src/audit/tree/proof.ts';
import { runCli } from '../cli/run.ts';
import {
  addPrincipal,
  expectStatus,
  logOf,
  makeDirectory,
  until,
  type Answer,
  type Client,
  type Problem,
  type RunningService,
  type SignAnswer,
} from '../service.ts';
import { makeWitnessed, statusOf, type Witnessed } from './witnessed.ts';

const SIGN = '/v1/keys/demo/sign/message';
const LONG = 20_000;

const running = new Set<RunningService>();
const made = new Set<Witnessed>();
afterAll(async () => {
  await Promise.all([...running].map(async (service) => await service.stop().catch(() => undefined)));
  for (const { witnesses } of made) for (const witness of witnesses) await witness.stop();
});

async function witnessed(options: Parameters<typeof makeWitnessed>[0]): Promise<Witnessed> {
  const watched = await makeWitnessed(options);
  made.add(watched);
  return {
    ...watched,
    start: async () => {
      const service = await watched.start();
      running.add(service);
      return service;
    },
  };
}

const sign = async (client: Client, message: string, key?: string): Promise<Answer<SignAnswer & Problem>> =>
  await client.post<SignAnswer & Problem>(
    SIGN,
    { message },
    key === undefined ? {} : { 'idempotency-key': key },
  );

function entriesOf(data: string, kind: string): Entry[] {
  const log = logOf(data);
  try {
    return log
      .all()
      .map(({ bytes }) => JSON.parse(Buffer.from(bytes).toString('utf8')) as Entry)
      .filter((entry) => entry.kind === kind);
  } finally {
    log.close();
  }
}

const metric = async (service: RunningService, name: string): Promise<number | undefined> => {
  const { body } = await service.client().get<string>('/metrics');
  const line = body.split('\n').find((each) => each.startsWith(`${name} `) || each.startsWith(`${name}{`));
  return line === undefined ? undefined : Number(line.slice(line.lastIndexOf(' ')));
};

describe('witnesses that nothing waits for', () => {
  test('cosign the checkpoints and proofs that are served, and a dead one is seen and holds nothing up', async () => {
    const { witnesses, vkey, start } = await witnessed({ count: 3, quorum: 2 });
    const vkeys = witnesses.map((witness) => witness.vkey);
    const service = await start();
    const signed = expectStatus(200, await sign(service.demo, 'one'));

    const note = parseNote(expectStatus(200, await service.admin.get<string>('/v1/audit/checkpoint')));
    expect(verifyNote(note, vkey)).toBe(true);
    expect(countCosignatures(note, vkeys).count).toBeGreaterThanOrEqual(2);
    const proof = await service.admin.get<string>(`/v1/audit/entries/${signed.receipt.index}/proof`);
    const { checkpoint } = parseProof(expectStatus(200, proof));
    expect(countCosignatures(checkpoint, vkeys).count).toBeGreaterThanOrEqual(2);

    const proofFile = path.join(makeDirectory(), 'one.tlog-proof');
    writeFileSync(proofFile, expectStatus(200, proof));
    const demand = [...vkeys.flatMap((each) => ['--witness', each]), '--quorum'];
    const leaf = ['--leaf-hash', signed.receipt.leafHash];
    const proofVerify = ['audit', 'proof', 'verify', proofFile, '--vkey', vkey, ...leaf, ...demand];
    expect(await runCli([...proofVerify, '2'])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^cosigned by +witness\.test\/w\d, witness\.test\/w\d/m),
    });
    const logVerify = ['audit', 'verify', '--data', service.data, '--vkey', vkey, ...demand];
    expect(await runCli([...logVerify, '2'])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^cosigned +\d+ entries by witness\.test\/w\d, witness\.test\/w\d/m),
    });
    const session = ['--url', service.url, '--token-file', path.join(service.data, 'admin.token')];
    expect(await runCli(['audit', 'verify', ...session, '--vkey', vkey, ...demand, '2'])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^cosigned +\d+ entries by witness/m),
    });
    expect((await runCli([...logVerify, '4'])).stderr).toContain('cannot be had of 3 witnesses');

    await witnesses[0]!.stop();
    expectStatus(200, await sign(service.demo, 'two'));
    const isBehind = async (): Promise<boolean> =>
      (await statusOf(service)).audit.witnessed.witnesses[0]!.problem === 'ECONNREFUSED';
    expect(await until(isBehind, LONG)).toBe(true);
    const { audit } = await statusOf(service);
    expect(audit.witnessed).toMatchObject({ quorum: 2, mode: 'async' });
    expect(audit.witnessed.size).toBeGreaterThan(signed.receipt.index);
    expect(await metric(service, 'countersign_audit_witness_up{name="witness.test/w1"}')).toBe(0);
    expect(await metric(service, 'countersign_audit_witness_up{name="witness.test/w2"}')).toBe(1);

    await witnesses[1]!.stop();
    const { size } = (await statusOf(service)).audit.witnessed;
    const last = expectStatus(200, await sign(service.demo, 'three'));
    expect(last.receipt.index).toBeGreaterThanOrEqual(size);
    expect(await metric(service, 'countersign_audit_exposed_entries')).toBeGreaterThan(0);
    await sleep(20);
    expect(await metric(service, 'countersign_audit_exposed_seconds')).toBeGreaterThan(0);

    await witnesses[0]!.start();
    expect(
      await until(async () => (await statusOf(service)).audit.witnessed.size > last.receipt.index, LONG),
    ).toBe(true);
    await service.stop();
    // What was logged up to the stop is held outside while the service is down.
    expect(witnesses[0]!.size()).toBe(entriesOf(service.data, 'service.stopped').at(-1)!.index + 1);
  });
});

describe('witnesses that signatures wait for', () => {
  test('have each signature before it is shown', async () => {
    const { witnesses, start } = await witnessed({ count: 3, quorum: 2, mode: 'strict' });
    witnesses[0]!.delayMs = 30;
    const service = await start();
    const holders = (index: number): number => witnesses.filter((witness) => witness.size() > index).length;
    const one = async (i: number): Promise<number> => {
      const { receipt } = expectStatus(200, await sign(service.demo, `m${i}`));
      return holders(receipt.index);
    };
    const counts = await Promise.all(Array.from({ length: 40 }, (_, i) => one(i)));
    expect(Math.min(...counts)).toBeGreaterThanOrEqual(2);

    await witnesses[2]!.stop();
    expect(await one(100)).toBe(2);
    const items = Array.from({ length: 10 }, (_, i) => ({
      key: 'demo',
      operation: 'message',
      message: `b${i}`,
    }));
    const batch = await service.demo.post<{ items: SignAnswer[] }>('/v1/sign/batch', { items });
    for (const { receipt } of expectStatus(200, batch).items) {
      expect(holders(receipt.index)).toBeGreaterThanOrEqual(2);
    }
    await service.stop();
  });

  test('that stay away: nothing is shown, also to a repeat, and then nothing is signed; when they are back, a repeat gets it', async () => {
    const watched = await witnessed({ count: 2, quorum: 2, mode: 'strict', timeoutMs: 400 });
    const { witnesses, data } = watched;
    let service = await watched.start();
    await witnesses[1]!.stop();

    const refused = await sign(service.demo, 'held', 'k1');
    expect(refused.status).toBe(503);
    expect(refused.body.detail).toContain('repeat the request with the same Idempotency-Key');
    expect(JSON.stringify(refused.body)).not.toContain('signature"');
    const [logged, ...more] = entriesOf(data, 'sign');
    expect(more).toEqual([]);
    expect(logged).toMatchObject({ outcome: 'done' });
    expect((await sign(service.demo, 'held', 'k1')).status).toBe(503);
    const { items } = (
      await service.demo.post<{ items: Problem[] }>(
        '/v1/sign/batch',
        { items: [{ key: 'demo', operation: 'message', message: 'b' }] },
        { 'idempotency-key': 'k2' },
      )
    ).body;
    expect(items[0]).toMatchObject({ status: 503, code: 'unavailable' });

    const ready = await service.client().get<{ reasons: string[] }>('/readyz');
    expect(ready.status).toBe(503);
    expect(ready.body.reasons.join()).toContain('witness.test/w2: ECONNREFUSED');
    expect((await sign(service.demo, 'other')).status).toBe(503);
    expect(entriesOf(data, 'sign')).toEqual([logged]);

    // The service dies with the signature in its log and nowhere else.
    await service.kill();
    service = await watched.start();
    expect((await sign(service.demo, 'held', 'k1')).status).toBe(503);
    await witnesses[1]!.start();
    expect(await until(async () => (await sign(service.demo, 'held', 'k1')).status === 200, LONG)).toBe(true);
    const shown = await sign(service.demo, 'held', 'k1');
    expect(shown.headers.get('idempotent-replayed')).toBe('true');
    expect(shown.body.signature).toBe(logged!.signature);
    expect(witnesses.every((witness) => witness.size() > logged!.index)).toBe(true);
    expect(entriesOf(data, 'sign')).toEqual([logged]);
    expectStatus(200, await sign(service.demo, 'other'));
    await service.stop();
  });

  test('and a key that is disabled meanwhile: its signature is not shown behind the answer that says so', async () => {
    const { witnesses, start } = await witnessed({ count: 1, quorum: 1, mode: 'strict' });
    const service = await start();
    await until(async () => (await statusOf(service)).audit.exposed.entries === 0, LONG);
    witnesses[0]!.delayMs = 700;
    const waiting = sign(service.demo, 'late', 'k1');
    await until(() => entriesOf(service.data, 'sign').length === 1, LONG);
    expectStatus(200, await service.admin.post('/v1/keys/demo/versions/1/disable', { reason: 'test' }));
    const late = await waiting;
    expect(late.body.code).toBe('key_state');
    expect(late.body.signature).toBeUndefined();
    expect((await sign(service.demo, 'late', 'k1')).body.code).toBe('key_state');
    await service.stop();
  });

  test('and a signature that was approved: its request does not show it before', async () => {
    const policy = `
apiVersion: countersign/policy/v1
revision: 1
approvals:
  one: { all: [{ role: approver, m: 1 }] }
rules:
  - id: talk
    effect: allow
    principals: { roles: [signer] }
    keys: { names: ["*"] }
    operations: [message]
  - id: consent
    effect: require
    operations: [message]
    approval: one
`;
    const { witnesses, start } = await witnessed({
      count: 1,
      quorum: 1,
      mode: 'strict',
      timeoutMs: 300,
      policy,
    });
    const service = await start();
    const approver = await addPrincipal(service, 'ann', ['approver']);
    const asked = await service.demo.post<{ request: { id: string } }>(SIGN, { message: 'pay' });
    const { id } = expectStatus(202, asked).request;
    await witnesses[0]!.stop();

    type View = { status: string; note?: string; result?: SignAnswer };
    const show = async (): Promise<View> =>
      expectStatus(200, await service.demo.get<View>(`/v1/requests/${id}`));
    const approved = await approver.client.post<View>(
      `/v1/requests/${id}/approve`,
      {},
      { 'idempotency-key': 'a' },
    );
    expectStatus(200, approved);
    const held = await show();
    expect(held.status).toBe('signed');
    expect(held.result).toBeUndefined();
    expect(held.note).toContain('the signature is held back: the witnesses that it takes have not cosigned');
    const list = await service.demo.get<{ items: View[] }>('/v1/requests');
    expect(list.body.items[0]?.result).toBeUndefined();

    await witnesses[0]!.start();
    expect(await until(async () => (await show()).result !== undefined, LONG)).toBe(true);
    const { result } = await show();
    expect(witnesses[0]!.size()).toBeGreaterThan(result!.receipt.index);
    await service.stop();
  });
});

describe('an older database', () => {
  test('that is put back is noticed by a witness: nothing is signed until an operator has looked', async () => {
    const watched = await witnessed({ count: 2, quorum: 1 });
    const { data, witnesses } = watched;
    let service = await watched.start();
    const { adminToken } = service;
    await service.stop();
    const copy = path.join(makeDirectory(), 'copy');
    cpSync(data, copy, { recursive: true });
    service = await watched.start();
    for (let i = 0; i < 12; i++) expectStatus(200, await sign(service.demo, `lost ${i}`));
    await service.stop();
    const seen = witnesses[0]!.size();

    rmSync(data, { recursive: true });
    cpSync(copy, data, { recursive: true });
    service = await watched.start();
    const refused = await sign(service.demo, 'no');
    expect(refused.status).toBe(503);
    expect(refused.body.detail).toContain(`has cosigned ${seen} entries of this log`);
    expect(refused.body.detail).toContain('countersign audit acknowledge');
    expect((await statusOf(service)).reasons.join()).toContain('an older database was put back');
    expect(await metric(service, 'countersign_audit_split_view')).toBe(1);
    expect(entriesOf(data, 'audit.split_view')).toMatchObject([
      { outcome: 'failed', detail: { source: expect.stringContaining('witness.test/'), size: seen } },
      { outcome: 'failed', detail: { source: expect.stringContaining('witness.test/'), size: seen } },
    ]);

    // It stays so without the witnesses, through a restart.
    await service.kill();
    await Promise.all(witnesses.map(async (witness) => await witness.stop()));
    service = await watched.start();
    expect((await sign(service.demo, 'no')).status).toBe(503);
    await Promise.all(witnesses.map(async (witness) => await witness.start()));

    const tokenFile = path.join(makeDirectory(), 'token');
    writeFileSync(tokenFile, adminToken, { mode: 0o600 });
    const done = await runCli([
      'audit',
      'acknowledge',
      '--reason',
      'restored from the backup of last night',
      '--url',
      service.url,
      '--token-file',
      tokenFile,
    ]);
    expect(done).toMatchObject({ code: 0, stderr: '' });
    expect(done.stdout).toContain(`has cosigned ${seen} entries`);
    expectStatus(200, await sign(service.demo, 'yes'));
    expect(entriesOf(data, 'audit.split_view').at(-1)).toMatchObject({
      outcome: 'done',
      detail: { reason: 'restored from the backup of last night' },
    });
    const again = await service.admin.post('/v1/audit/split-view/acknowledge', { reason: 'x' });
    expect(again.status).toBe(409);

    // What was acknowledged is not raised again; the witness goes on to say that it does not cosign this log.
    await service.stop();
    service = await watched.start();
    expectStatus(200, await sign(service.demo, 'still'));
    const { audit } = await statusOf(service);
    expect(audit.witnessed.size).toBeLessThan(audit.size);
    expect(audit.witnessed.witnesses[0]?.problem).toContain('has cosigned');
    await service.stop();
  });

  test('of strict mode shows nothing, whatever the operator says', async () => {
    const watched = await witnessed({ count: 1, quorum: 1, mode: 'strict', timeoutMs: 300 });
    const { data } = watched;
    const copy = path.join(makeDirectory(), 'copy');
    cpSync(data, copy, { recursive: true });
    let service = await watched.start();
    expectStatus(200, await sign(service.demo, 'lost'));
    await service.stop();
    rmSync(data, { recursive: true });
    cpSync(copy, data, { recursive: true });
    service = await watched.start();
    expect((await sign(service.demo, 'no')).status).toBe(503);
    expectStatus(200, await service.admin.post('/v1/audit/split-view/acknowledge', { reason: 'test' }));
    const refused = await sign(service.demo, 'no');
    expect(refused.status).toBe(503);
    expect(refused.body.signature).toBeUndefined();
    await service.stop();
  });
});
