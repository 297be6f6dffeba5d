import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { NotTaken } from '../../../src/audit/sinks/sink.ts';
import { Webhook, type WebhookTarget } from '../../../src/audit/sinks/webhook.ts';
import { makePki } from '../../http/pki.ts';
import { batchOf, fedLog, indexesOf, isComplete, readAll, until, type FedLog } from './fed-log.ts';

const NEVER = new AbortController().signal;
const OLD = Buffer.alloc(32, 1);
const NEW = Buffer.alloc(32, 2);

interface Received {
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

let fed: FedLog;
let server: Server;
let received: Received[];
/** What the receiver does with a delivery; tests put their own here. */
let answer: (res: ServerResponse, delivery: Received) => void;

beforeEach(async () => {
  fed = fedLog();
  received = [];
  answer = (res) => void res.writeHead(204).end();
  server = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      const delivery = { headers: req.headers, body: Buffer.concat(chunks).toString('utf8') };
      received.push(delivery);
      answer(res, delivery);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  secretFile('old', OLD);
  secretFile('new', NEW);
});

afterEach(() => {
  server.closeAllConnections();
  server.close();
  fed.remove();
});

function secretFile(name: string, secret: Buffer): string {
  const file = path.join(fed.folder, `${name}.secret`);
  writeFileSync(file, `whsec_${secret.toString('base64')}\n`, { mode: 0o600 });
  return file;
}

function target(over: Partial<WebhookTarget> = {}): WebhookTarget {
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/audit`,
    secretFiles: [path.join(fed.folder, 'old.secret')],
    format: 'json',
    timeoutSeconds: 1,
    ...over,
  };
}

/** As a receiver checks it, after Standard Webhooks 1.0. */
function isSigned({ headers, body }: Received, secret: Buffer): boolean {
  const signed = `${String(headers['webhook-id'])}.${String(headers['webhook-timestamp'])}.${body}`;
  const expected = `v1,${createHmac('sha256', secret).update(signed).digest('base64')}`;
  return String(headers['webhook-signature']).split(' ').includes(expected);
}

describe('a delivery', () => {
  it('is a JSON array of entries, signed over id, time and body', async () => {
    await fed.append(3);
    await new Webhook('soc', target()).deliver(batchOf(readAll(fed)), NEVER);
    const [delivery] = received;
    expect(indexesOf((JSON.parse(delivery!.body) as object[]).map((each) => JSON.stringify(each)))).toEqual([
      0, 1, 2,
    ]);
    expect(delivery!.headers['content-type']).toBe('application/json');
    expect(Math.abs(Number(delivery!.headers['webhook-timestamp']) - Date.now() / 1_000)).toBeLessThan(60);
    expect(isSigned(delivery!, OLD)).toBe(true);
    expect(isSigned(delivery!, NEW)).toBe(false);
    expect(isSigned({ ...delivery!, body: delivery!.body.replace('mallory', 'alice') }, OLD)).toBe(false);
  });

  it('is a line for each entry where that is asked for', async () => {
    await fed.append(3);
    await new Webhook('soc', target({ format: 'ndjson' })).deliver(batchOf(readAll(fed)), NEVER);
    expect(indexesOf(received[0]!.body.trimEnd().split('\n'))).toEqual([0, 1, 2]);
  });

  it('is signed with both secrets while receivers change over, and with what is in the files now', async () => {
    await fed.append(1);
    const both = ['new', 'old'].map((name) => path.join(fed.folder, `${name}.secret`));
    const sink = new Webhook('soc', target({ secretFiles: both }));
    await sink.deliver(batchOf(readAll(fed)), NEVER);
    expect([OLD, NEW].map((secret) => isSigned(received[0]!, secret))).toEqual([true, true]);
    secretFile('old', NEW);
    await sink.deliver(batchOf(readAll(fed)), NEVER);
    expect([OLD, NEW].map((secret) => isSigned(received[1]!, secret))).toEqual([false, true]);
  });

  it.each([
    ['a redirect', 302, 7_000],
    ['an error', 500, 7_000],
    ['too many', 429, 7_000],
    ['out of service', 503, 7_000],
    ['gone', 410, 'never'],
  ] as const)('that is answered with %s is not taken', async (_name, status, retryAfter) => {
    await fed.append(1);
    answer = (res) => void res.writeHead(status, { 'retry-after': '7', location: '/elsewhere' }).end();
    const failing = new Webhook('soc', target()).deliver(batchOf(readAll(fed)), NEVER);
    await expect(failing).rejects.toBeInstanceOf(NotTaken);
    await expect(failing).rejects.toMatchObject({ retryAfter });
    expect(received).toHaveLength(1);
  });

  it('is not waited for without end', async () => {
    await fed.append(1);
    answer = () => undefined;
    await expect(new Webhook('soc', target()).deliver(batchOf(readAll(fed)), NEVER)).rejects.toThrow(
      /no answer/,
    );
  });

  it('is taken whatever the body of a good answer is, which is not read to its end', async () => {
    await fed.append(1);
    answer = (res) => {
      res.writeHead(200);
      const more = (): void => {
        while (!res.destroyed && res.write(Buffer.alloc(65_536, 'x')));
      };
      res.on('drain', more).on('error', () => undefined);
      more();
    };
    await new Webhook('soc', target({ timeoutSeconds: 10 })).deliver(batchOf(readAll(fed)), NEVER);
    expect(received).toHaveLength(1);
  });

  it('needs a secret of 24 bytes at least, and quotes nothing of a file that has none', () => {
    const file = secretFile('short', Buffer.from('hunter2'));
    expect(() => new Webhook('soc', target({ secretFiles: [file] }))).toThrow(/must hold whsec_/);
    expect(() => new Webhook('soc', target({ secretFiles: [file] }))).not.toThrow(/hunter2|aHVudGVyMg/);
  });
});

describe('over TLS', () => {
  const pki = makePki();
  afterAll(() => pki.remove());
  const ca = pki.authority('soc');
  const other = pki.authority('other');
  const cert = pki.issue(ca, 'soc', 'subjectAltName=IP:127.0.0.1');
  const wrong = pki.issue(ca, 'elsewhere', 'subjectAltName=DNS:elsewhere.example');
  const own = pki.issue(ca, 'countersign', 'extendedKeyUsage=clientAuth');

  async function secure(pem: { cert: Buffer; key: Buffer }, more: object = {}): Promise<string> {
    server.close();
    server = createSecureServer({ ...pem, ...more }, (req, res) => {
      received.push({ headers: req.headers, body: '' });
      req.resume().on('end', () => res.writeHead(204).end());
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return `https://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  }

  it('goes to who has a certificate for the name from the CA that was given, and to nobody else', async () => {
    await fed.append(1);
    const batch = batchOf(readAll(fed));
    const url = await secure(cert.pem);
    await expect(new Webhook('soc', target({ url })).deliver(batch, NEVER)).rejects.toThrow(/certificate/);
    await expect(new Webhook('soc', target({ url, ca: other.cert })).deliver(batch, NEVER)).rejects.toThrow(
      /certificate|verify/,
    );
    expect(received).toEqual([]);
    await new Webhook('soc', target({ url, ca: ca.cert })).deliver(batch, NEVER);
    expect(received).toHaveLength(1);
    const elsewhere = await secure(wrong.pem);
    await expect(
      new Webhook('soc', target({ url: elsewhere, ca: ca.cert })).deliver(batch, NEVER),
    ).rejects.toThrow(/altnames/);
    expect(received).toHaveLength(1);
  });

  it('shows its own certificate and its authorization where that is asked for', async () => {
    await fed.append(1);
    const batch = batchOf(readAll(fed));
    const url = await secure(cert.pem, { ca: ca.pem.cert, requestCert: true, rejectUnauthorized: true });
    const authorizationFile = path.join(fed.folder, 'authorization');
    writeFileSync(authorizationFile, 'Splunk 1234\n');
    const known = target({ url, ca: ca.cert, cert: own.cert, key: own.key, authorizationFile });
    await expect(new Webhook('soc', target({ url, ca: ca.cert })).deliver(batch, NEVER)).rejects.toThrow(
      /certificate required|ECONNRESET|EPIPE|hang up/,
    );
    await new Webhook('soc', known).deliver(batch, NEVER);
    expect(received.map(({ headers }) => headers.authorization)).toEqual(['Splunk 1234']);
    writeFileSync(authorizationFile, 'a\u0007b');
    expect(() => new Webhook('soc', known)).toThrow(/authorizationFile must begin with a line/);
  });
});

describe('Retry-After', () => {
  it.each([
    ['3', 3_000, 3_000],
    ['0', 0, 0],
    ['86400', 3_600_000, 3_600_000],
    ['soon', 0, 0],
    ['-5', 0, 0],
    [new Date(Date.now() + 600_000).toUTCString(), 500_000, 600_000],
    [new Date(0).toUTCString(), 0, 0],
  ])('%s is kept to, within an hour', async (value, least, most) => {
    await fed.append(1);
    answer = (res) => void res.writeHead(503, { 'retry-after': value }).end();
    const failure: unknown = await new Webhook('soc', target())
      .deliver(batchOf(readAll(fed)), NEVER)
      .catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(NotTaken);
    const { retryAfter } = failure as NotTaken;
    expect(retryAfter).toBeGreaterThanOrEqual(least);
    expect(retryAfter).toBeLessThanOrEqual(most);
  });
});

describe('a webhook that is fed', () => {
  const delivered = (): number[] =>
    received.flatMap(({ body }) => (JSON.parse(body) as { index: number }[]).map(({ index }) => index));

  const settings = (over: object = {}): object => ({
    name: 'soc',
    type: 'webhook',
    from: 'beginning',
    ...target(),
    ...over,
  });

  it('gets everything in order from a receiver that fails now and then, with the same id for the same batch', async () => {
    await fed.append(700);
    let count = 0;
    answer = (res) => {
      count++;
      // Taken, and then not acknowledged: the sender cannot know.
      if (count % 3 === 1) res.destroy();
      else res.writeHead(count % 3 === 2 ? 500 : 200).end();
    };
    const sinks = fed.feed(settings({ required: { maxLagSeconds: 600 } }));
    await until(() => sinks.status()[0]?.lagEntries === 0, 40_000);
    expect(isComplete(delivered(), 0, 700)).toBe(true);
    const bodies = Map.groupBy(received, ({ headers }) => String(headers['webhook-id']));
    for (const same of bodies.values()) expect(new Set(same.map(({ body }) => body)).size).toBe(1);
    expect(bodies.size).toBeLessThan(received.length);
    expect(fed.told.some((line) => line.startsWith('soc: '))).toBe(true);
    await sinks.stop(1_000);
  });

  it('that wants no more gets no more until a reload', async () => {
    await fed.append(5);
    answer = (res) => void res.writeHead(410).end();
    const sinks = fed.feed(settings());
    await until(() => sinks.status()[0]?.state === 'stopped');
    await fed.append(5);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(received).toHaveLength(1);
    answer = (res) => void res.writeHead(200).end();
    sinks.reload();
    await until(() => sinks.status()[0]?.lagEntries === 0);
    expect(isComplete(delivered(), 0, 10)).toBe(true);
    await sinks.stop(1_000);
  });

  it('that is required and dead stops signing, once, and lets it go on when it has caught up', async () => {
    answer = (res) => void res.destroy();
    const sinks = fed.feed(settings({ required: { maxLagEntries: 20 } }));
    await fed.append(15);
    expect(sinks.hindrance).toBeUndefined();
    await fed.append(15);
    await until(() => sinks.hindrance !== undefined);
    expect(sinks.hindrance).toMatch(/audit sink soc, which is required/);
    answer = (res) => void res.writeHead(200).end();
    await until(() => sinks.hindrance === undefined);
    const told = (kind: string): number => readAll(fed).filter(({ entry }) => entry.kind === kind).length;
    await until(() => told('audit.sink_resumed') === 1);
    await until(() => sinks.status()[0]?.lagEntries === 0);
    expect([told('audit.sink_stalled'), told('audit.sink_resumed')]).toEqual([1, 1]);
    await sinks.stop(1_000);
  });

  it('that is not required and dead stops nothing, and no entry waits in memory', async () => {
    answer = (res) => void res.destroy();
    const sinks = fed.feed(settings());
    await fed.append(5_000);
    await until(() => (sinks.status()[0]?.failures ?? 0) > 0);
    expect(sinks.hindrance).toBeUndefined();
    expect(sinks.status()[0]).toMatchObject({ state: 'retrying', lagEntries: 5_000 });
    // One batch is what it holds: the receiver was never shown more.
    expect(new Set(delivered()).size).toBeLessThanOrEqual(500);
    await sinks.stop(200);
  });
});
