import { once } from 'node:events';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import {
  entryOf,
  expectStatus,
  logOf,
  makeDirectory,
  startService,
  until,
  type Client,
  type RunningService,
} from '../service.ts';

/** Sinks of the real service, configured as an operator does it. */

let folder: string;
let service: RunningService | undefined;
let receiver: Server;
let isDead: boolean;
let received: number[];

beforeEach(async () => {
  folder = makeDirectory();
  received = [];
  isDead = false;
  receiver = createServer((req, res) => {
    let body = '';
    req.setEncoding('utf8').on('data', (text: string) => (body += text));
    req.on('end', () => {
      if (isDead) {
        res.destroy();
        return;
      }
      received.push(...(JSON.parse(body) as { index: number }[]).map(({ index }) => index));
      res.writeHead(204).end();
    });
  }).listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  writeFileSync(path.join(folder, 'soc.secret'), `whsec_${Buffer.alloc(32, 3).toString('base64')}`, {
    mode: 0o600,
  });
});

afterEach(async () => {
  await service?.kill();
  receiver.closeAllConnections();
  receiver.close();
});

const at = (name: string): string => path.join(folder, name);

async function start(required: string): Promise<RunningService> {
  const { port } = receiver.address() as AddressInfo;
  writeFileSync(
    at('config.yaml'),
    `
audit:
  sinks:
    - { type: file, name: lines, path: ${at('audit.jsonl')}, from: beginning }
    - type: webhook
      name: soc
      url: http://127.0.0.1:${port}/audit
      secretFiles: [${at('soc.secret')}]
      from: beginning
      ${required}
`,
  );
  return await startService({ data: at('data'), args: ['--config', at('config.yaml')] });
}

const sign = async (running: RunningService, message: string): Promise<{ status: number; code?: string }> => {
  const { status, body } = await running
    .client(readFileSync(at('data/demo.token'), 'utf8').trim())
    .post('/v1/keys/demo/sign/message', { message });
  return { status, code: body.code };
};

const linesOf = (...files: string[]): number[] =>
  files.flatMap((file) =>
    readFileSync(at(file), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { index: number }).index),
  );

const size = (): number => {
  const log = logOf(at('data'));
  try {
    return log.size;
  } finally {
    log.close();
  }
};

/** Every index once at least, each for the first time in order. */
function firsts(indexes: readonly number[]): number[] {
  return [...new Set(indexes)];
}

const upTo = (end: number): number[] => Array.from({ length: end }, (_, i) => i);

it('get every entry at least once and in order, over kill -9, restarts and files that are renamed away', async () => {
  service = await start('');
  for (let life = 0; life < 3; life++) {
    const running = service;
    await Promise.all(upTo(60).map((i) => sign(running, `${life} ${i}`)));
    if (life === 1) {
      renameSync(at('audit.jsonl'), at('audit.1.jsonl'));
      process.kill(running.pid, 'SIGHUP');
    }
    await running.kill();
    service = await start('');
  }
  const running = service;
  expect((await sign(running, 'last')).status).toBe(200);
  const end = size();
  expect(await until(() => new Set(received).size >= end, 15_000)).toBe(true);
  await running.stop();
  const all = size();
  expect(firsts(received).slice(0, end)).toEqual(upTo(end));
  expect(firsts(linesOf('audit.1.jsonl', 'audit.jsonl'))).toEqual(upTo(all));
});

it('that are required and dead stop signing with a reason, and signing goes on by itself', async () => {
  isDead = true;
  service = await start('required: { maxLagEntries: 30 }');
  const running = service;
  let refused: { status: number; code?: string } = { status: 0 };
  for (let i = 0; i < 200 && refused.status !== 503; i++) refused = await sign(running, `${i}`);
  expect(refused).toEqual({ status: 503, code: 'unavailable' });
  const ready = await running.client().get<{ ready: boolean; reasons: string[] }>('/readyz');
  expect(ready.status).toBe(503);
  expect(ready.body.reasons.join()).toMatch(/audit sink soc/);
  const { body: metrics } = await running.client().get<string>('/metrics');
  expect(metrics).toMatch(/^countersign_audit_sink_lag_entries\{sink="soc"\} (?:[3-9]\d|\d{3})$/m);
  expect(metrics).toMatch(/^countersign_audit_sink_lag_entries\{sink="lines"\} \d+$/m);

  isDead = false;
  expect(await until(async () => (await running.client().get('/readyz')).status === 200, 15_000)).toBe(true);
  expect((await sign(running, 'again')).status).toBe(200);
  const { body } = await running
    .client(readFileSync(at('data/admin.token'), 'utf8').trim())
    .get<{ items: { entry: { kind: string; detail: object } }[] }>(
      '/v1/audit/entries?kind=audit.sink_stalled',
    );
  expect(body.items).toHaveLength(1);
  expect(body.items[0]?.entry.detail).toMatchObject({ sink: 'soc' });
});

it('that cannot be used keep the service from starting, with the setting that is wrong', async () => {
  writeFileSync(at('soc.secret'), 'not a secret');
  await expect(start('')).rejects.toThrow(/audit sink soc: .*must hold whsec_/);
});

it('get the kinds of entries they ask for, over a kill, and are never behind for what they do not', async () => {
  const kinds = 'kinds: [key.*, alert.*, service.started]';
  service = await start(kinds);
  const wanted = (): number[] => {
    const log = logOf(at('data'));
    try {
      return log
        .all()
        .map(entryOf)
        .filter(({ kind }) => /^(?:key|alert)\./.test(kind) || kind === 'service.started')
        .map(({ index }) => index);
    } finally {
      log.close();
    }
  };
  const admin = (running: RunningService): Client =>
    running.client(readFileSync(at('data/admin.token'), 'utf8').trim());
  for (let life = 0; life < 2; life++) {
    const running = service;
    await Promise.all(upTo(40).map((i) => sign(running, `${life} ${i}`)));
    expectStatus(201, await admin(running).post('/v1/keys', { name: `key-${life}`, canary: true }));
    const stolen = running.client(readFileSync(at('data/demo.token'), 'utf8').trim());
    expectStatus(403, await stolen.post(`/v1/keys/key-${life}/sign/message`, { message: 'mine' }));
    await Promise.all(upTo(40).map((i) => sign(running, `${life} ${i}`)));
    await running.kill();
    service = await start(kinds);
  }
  const running = service;
  expect((await sign(running, 'last')).status).toBe(200);
  const lag = async (): Promise<string | undefined> => {
    const { body } = await running.client().get<string>('/metrics');
    return /^countersign_audit_sink_lag_entries\{sink="soc"\} (\d+)$/m.exec(body)?.[1];
  };
  expect(await until(async () => (await lag()) === '0', 15_000)).toBe(true);
  expect(firsts(received)).toEqual(wanted());
  // Two starts before the last one, three keys and two alerts.
  expect(firsts(received).length).toBe(3 + 3 + 2);
  await running.stop();
});

it('cannot be set through the API', async () => {
  service = await start('');
  const document = expectStatus(200, await service.client().get<{ paths: object }>('/openapi.json'));
  expect(Object.keys(document.paths).filter((route) => route.includes('sink'))).toEqual([]);
});
