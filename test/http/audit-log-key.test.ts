import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseCheckpoint } from '../../src/audit/tree/checkpoint.ts';
import { parseNote, verifyNote } from '../../src/audit/tree/note.ts';
import { verifyLog, type VerifyReport } from '../../src/audit/verify/log.ts';
import { openLogReader } from '../../src/storage/sqlite/log-reader.ts';
import { must, run, statuses, type Json, type Running } from './running.ts';

const ROTATE = '/v1/sys/rotate-log-key';

let service: Running;
beforeAll(async () => (service = await run()));
afterAll(async () => await service.end());

async function vkey(): Promise<string> {
  return must(await service.admin.get('/v1/audit/key')).text.trim();
}

async function rotate(headers = {}): Promise<Json> {
  return must(await service.admin.post(ROTATE, { reason: 'yearly' }, headers)).body;
}

async function verify(pinned: string): Promise<VerifyReport> {
  const log = openLogReader(service.data);
  try {
    return await verifyLog(log.source, { vkey: pinned });
  } finally {
    log.close();
  }
}

async function sign(message: string): Promise<void> {
  must(await service.signer.post('/v1/keys/demo/sign/message', { message }));
}

describe('the rotation of the log’s key', () => {
  it('puts a new key in force, and says so in the log', async () => {
    const before = await vkey();
    await sign('before');
    const answer = await rotate();
    expect(answer).toMatchObject({ oldKey: before, newKey: await vkey() });
    expect(answer.newKey).not.toBe(before);
    const [entry] = await service.entries({ kind: 'audit.key_rotated' });
    expect(entry).toMatchObject({
      index: answer.receipt.index,
      outcome: 'done',
      actor: { principal: 'admin' },
      detail: { oldKey: before, newKey: answer.newKey, reason: 'yearly' },
    });
    expect(verifyNote(parseNote(entry.detail.note), before)).toBe(true);
  });

  it('lets each key sign its part, and the first one verify all of it', async () => {
    const first = await vkey();
    const start = await service.size();
    for (let i = 0; i < 3; i++) {
      await sign(`m${i}`);
      await rotate();
      await sign(`n${i}`);
    }
    const last = await vkey();
    const note = parseNote(must(await service.admin.get('/v1/audit/checkpoint')).text);
    expect(verifyNote(note, last)).toBe(true);
    expect(parseCheckpoint(note.text).size).toBeGreaterThan(start);
    expect(await verify(first)).toMatchObject({ ok: true, currentVkey: last });
    expect(await verify(last)).toMatchObject({ ok: true, currentVkey: last });
  });

  it('holds under load: no request fails, and each checkpoint is by the key in force', async () => {
    const first = await vkey();
    const end = new AbortController();
    const load = Promise.all(
      Array.from({ length: 8 }, async (_, caller) => {
        for (let i = 0; !end.signal.aborted; i++) await sign(`load ${caller} ${i}`);
      }),
    );
    const looks = (async () => {
      while (!end.signal.aborted) must(await service.admin.get('/v1/audit/checkpoint'));
    })();
    for (let i = 0; i < 5; i++) await rotate();
    end.abort();
    await Promise.all([load, looks]);
    expect(await verify(first)).toMatchObject({ ok: true, currentVkey: await vkey() });
  });

  it('erases the private halves of the keys before', async () => {
    const db = new DatabaseSync(path.join(service.data, 'countersign.db'), { readOnly: true });
    const lengths = db.prepare('SELECT length(sealed) AS length FROM log_keys ORDER BY version').all();
    db.close();
    const kept = lengths.map(({ length }) => length !== 0);
    expect(kept).toEqual([...lengths.slice(1).map(() => false), true]);
  });

  it('is one of two at once', async () => {
    const answers = await Promise.all([1, 2].map(() => service.admin.post(ROTATE, { reason: 'twice' })));
    expect(statuses(answers)).toEqual([200, 409]);
  });

  it('is answered again, and not done again, with its idempotency key', async () => {
    const headers = { 'idempotency-key': randomUUID() };
    expect(await rotate(headers)).toEqual(await rotate(headers));
    expect(await rotate()).not.toEqual(await rotate(headers));
  });

  it('wants a reason, and the role operator', async () => {
    expect((await service.admin.post(ROTATE, {})).status).toBe(400);
    const auditor = await service.principal(['auditor']);
    expect((await auditor.post(ROTATE, { reason: 'x' })).status).toBe(403);
    const operator = await service.principal(['operator']);
    expect((await operator.post(ROTATE, { reason: 'x' })).status).toBe(200);
  });

  it('outlives a restart, and is not possible while sealed', async () => {
    const pinned = await vkey();
    await service.restart();
    expect(await vkey()).toBe(pinned);
    must(await service.admin.post('/v1/sys/seal', {}));
    const refused = await service.admin.post(ROTATE, { reason: 'sealed' });
    expect([refused.status, refused.body.code]).toEqual([503, 'sealed']);
    must(await service.admin.post('/v1/sys/unseal', {}));
    const { newKey } = await rotate();
    expect(await verify(pinned)).toMatchObject({ ok: true, currentVkey: newKey });
  });
});
