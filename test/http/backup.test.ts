import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { Decrypter, generateX25519Identity, identityToRecipient } from 'age-encryption';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { decodeHead, partOf } from '../../src/backup/header.ts';
import { run, type Json, type Running } from './running.ts';

let service: Running;
let identity: string;
let recipient: string;
beforeAll(async () => {
  service = await run();
  identity = await generateX25519Identity();
  recipient = await identityToRecipient(identity);
});
afterAll(() => service.end());

const copies = (): string[] =>
  readdirSync(service.data).filter((name) => name.startsWith('.countersign-copy-'));

async function ask(signal?: AbortSignal): Promise<Response> {
  return await fetch(`${service.url}/v1/sys/backup`, {
    method: 'POST',
    headers: { authorization: `Bearer ${service.admin.token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ recipients: [recipient] }),
    ...(signal !== undefined && { signal }),
  });
}

async function gone(): Promise<void> {
  await expect.poll(copies).toEqual([]);
}

test('POST /v1/sys/backup answers what its headers, its entry and its own header say', async () => {
  const response = await ask();
  expect(response.status).toBe(200);
  const { headers } = response;
  const file = Buffer.from(await response.arrayBuffer());
  expect(headers.get('content-length')).toBe(String(file.length));
  expect(headers.get('content-type')).toBe('application/octet-stream');
  const decrypter = new Decrypter();
  decrypter.addIdentity(identity);
  const plain = Buffer.from(await decrypter.decrypt(file));
  const { header, length } = decodeHead(plain)!;
  const database = createHash('sha256').update(plain.subarray(length)).digest('hex');
  expect(partOf(header, 'countersign.db')).toEqual({
    name: 'countersign.db',
    length: plain.length - length,
    sha256: database,
  });
  expect(partOf(header, 'seal.key')).toBeUndefined();
  expect(header).toMatchObject({ epoch: 1, seal: 'file', counts: { keys: 1, principals: 2, policies: 1 } });
  const [entry] = (await service.entries({ kind: 'backup.created' })).slice(-1);
  expect(entry).toMatchObject({
    index: Number(headers.get('countersign-backup-entry')),
    outcome: 'done',
    actor: { principal: 'admin' },
    detail: { size: header.log.size, root: header.log.root, epoch: 1, bytes: file.length, database },
  });
  expect(entry.detail.recipients).toEqual([
    createHash('sha256').update(recipient).digest('hex').slice(0, 32),
  ]);
  await gone();
});

test('a backup that nobody takes to its end leaves no copy, and another can be made', async () => {
  const leaving = new AbortController();
  const response = await ask(leaving.signal);
  expect(response.status).toBe(200);
  leaving.abort();
  await gone();
  const next = await ask();
  expect(next.status).toBe(200);
  await next.arrayBuffer();
  await gone();
});

test('one is made at a time', async () => {
  const all = await Promise.all([ask(), ask(), ask()]);
  const bodies = await Promise.all(all.map(async (each) => await each.arrayBuffer()));
  expect(bodies).toHaveLength(3);
  const statuses = all.map(({ status }) => status).toSorted((a, b) => a - b);
  expect(statuses[0]).toBe(200);
  expect(statuses.filter((status) => status !== 200 && status !== 409)).toEqual([]);
  await gone();
});

test.each([
  [[]],
  [['age1nobody']],
  [['ssh-ed25519 AAAA']],
  [['AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ']],
])('recipients %j are refused, and leave no entry', async (recipients) => {
  const from = await service.size();
  const { status, body, text } = await service.admin.post('/v1/sys/backup', { recipients });
  expect({ status, code: body.code }).toEqual({ status: 400, code: 'invalid_request' });
  expect(text).not.toContain('AGE-SECRET-KEY');
  expect(
    (await service.entries({ from, kind: 'backup.created' })).filter(({ index }: Json) => index >= from),
  ).toEqual([]);
  expect(copies()).toEqual([]);
});

test('POST /v1/sys/take-over is for what was restored', async () => {
  const answer = await service.admin.post('/v1/sys/take-over', { reason: 'by mistake' });
  expect(answer).toMatchObject({
    status: 409,
    body: { detail: expect.stringContaining('was not restored') },
  });
  const { body } = await service.admin.get('/v1/sys/status');
  expect(body.fencing).toEqual({ epoch: 1 });
});
