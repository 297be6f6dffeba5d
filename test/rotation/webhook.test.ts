import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { signedHeaders } from '../../src/audit/sinks/webhook-signature.ts';
import type { Question } from '../../src/rotation/asker.ts';
import { rotationSchema } from '../../src/rotation/settings.ts';
import { webhookAsker } from '../../src/rotation/webhook.ts';
import { makeDirectory } from '../service.ts';

const NOW = Date.parse('2027-01-01T00:00:00Z');
const SECONDS = NOW / 1_000;
const secret = randomBytes(32);
const other = randomBytes(32);
const QUESTION: Question = {
  id: 'q-1',
  rotation: 'r-1',
  key: 'treasury',
  step: 'cutover',
  old: { version: 1, address: '0x1' },
  new: { version: 2, address: '0x2' },
};

interface Asked {
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}
type Reply = (asked: Asked, response: ServerResponse) => void;

let server: Server;
let url: string;
let reply: Reply;
let asked: Asked[] = [];
const file = path.join(makeDirectory(), 'secret');

beforeAll(async () => {
  writeFileSync(file, `whsec_${secret.toString('base64')}\n`);
  server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => (body += text));
    request.on('end', () => {
      const one = { headers: request.headers, body };
      asked.push(one);
      reply(one, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/ask`;
});
afterAll(() => server.close());

function ask(answer: Reply): Promise<boolean> {
  reply = answer;
  asked = [];
  const { webhooks } = rotationSchema.parse({ webhooks: [{ name: 'board', url, secretFiles: [file] }] });
  return webhookAsker(webhooks[0]!, () => NOW).ask(QUESTION);
}

const signed =
  (content: object, { key = secret, id = 'q-1', seconds = SECONDS, status = 200 } = {}): Reply =>
  (_, response) => {
    const body = Buffer.from(JSON.stringify(content));
    response.writeHead(status, { ...signedHeaders(id, seconds, body, [key]) }).end(body);
  };
const YES = { question: 'q-1', answer: 'yes' };

describe('a webhook that is asked', () => {
  test('gets the question, signed, and is believed a signed yes or no', async () => {
    expect(await ask(signed(YES))).toBe(true);
    const [{ headers, body } = { headers: {}, body: '' }] = asked;
    expect(JSON.parse(body)).toEqual({ type: 'rotation.step', ...QUESTION });
    expect(headers).toMatchObject(signedHeaders('q-1', SECONDS, Buffer.from(body), [secret]));
    expect(await ask(signed({ ...YES, answer: 'no' }))).toBe(false);
  });

  const refused: readonly (readonly [string, Reply, string])[] = [
    [
      'without a signature',
      (_, response) => response.end(JSON.stringify(YES)),
      'an answer without signature',
    ],
    ['signed with another secret', signed(YES, { key: other }), 'an answer with a wrong signature'],
    ['of another question', signed(YES, { id: 'q-0' }), 'an answer without signature'],
    ['in which another question stands', signed({ ...YES, question: 'q-0' }), 'an answer that is none'],
    ['of another time', signed(YES, { seconds: SECONDS - 301 }), 'an answer with the time of another moment'],
    ['that says something else', signed({ ...YES, answer: 'maybe' }), 'an answer that is none'],
    ['that says more', signed({ ...YES, more: true }), 'an answer that is none'],
    ['with another status', signed(YES, { status: 202 }), 'HTTP 202'],
    [
      'that is a redirect',
      (_, response) => response.writeHead(307, { location: '/elsewhere' }).end(),
      'HTTP 307',
    ],
    [
      'that is the question, sent back with its signature',
      ({ headers, body }, response) => {
        const { 'webhook-id': id, 'webhook-timestamp': at, 'webhook-signature': by } = headers;
        response
          .writeHead(200, {
            'webhook-id': String(id),
            'webhook-timestamp': String(at),
            'webhook-signature': String(by),
          })
          .end(body);
      },
      'an answer that is none',
    ],
  ];
  test.each(refused)('an answer %s is no yes', async (_, answer, message) => {
    await expect(ask(answer)).rejects.toThrow(message);
    expect(asked).toHaveLength(1);
  });
});

test.each(['http://example.com/', 'https://user@example.com/', 'ftp://127.0.0.1/', 'nonsense'])(
  'nothing is asked at %s',
  (place) => {
    const settings = { webhooks: [{ name: 'board', url: place, secretFiles: [file] }] };
    expect(rotationSchema.safeParse(settings).success).toBe(false);
  },
);
