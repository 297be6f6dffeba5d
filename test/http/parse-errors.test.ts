import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { answerParseError } from '../../src/http/parse-errors.ts';
import { problemShape } from '../../src/http/shapes.ts';
import { must, raw, run, type Json, type Running } from './running.ts';

/** An answer with a problem: its status, and the document, which must be complete. */
function problemOf(answer: string): { status: number; body: Json } {
  const [head = '', body = ''] = answer.split('\r\n\r\n');
  expect(head).toMatch(/^content-type: application\/problem\+json/im);
  expect(head).toMatch(/^connection: close$/im);
  expect(head).toMatch(new RegExp(`^content-length: ${body.length}$`, 'im'));
  const problem = JSON.parse(body);
  expect(problemShape.safeParse(problem).error?.issues).toBeUndefined();
  expect(head).toMatch(new RegExp(`^x-request-id: ${problem.requestId}$`, 'im'));
  const status = Number(/^HTTP\/1\.1 (\d+) /.exec(head)?.[1]);
  expect(problem.status).toBe(status);
  return { status, body: problem };
}

describe('of the service', () => {
  let service: Running;
  beforeAll(async () => {
    service = await run();
  });
  afterAll(() => service.end());

  test.each([
    ['no HTTP', 'hello\r\n\r\n', 400, 'invalid_request'],
    ['an unknown method', 'BREW /v1/me HTTP/1.1\r\nHost: x\r\n\r\n', 400, 'invalid_request'],
    [
      'headers that are too large',
      `GET /v1/me HTTP/1.1\r\nHost: x\r\nX-Long: ${'a'.repeat(20_000)}\r\n\r\n`,
      431,
      'payload_too_large',
    ],
  ])('%s', async (_, bytes, status, code) => {
    const answer = problemOf(await raw(service.url, bytes, 2_000));
    expect([answer.status, answer.body.code]).toEqual([status, code]);
  });

  test('a body that breaks off into nonsense is answered, as what it is', async () => {
    const bytes =
      `POST /v1/keys HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${service.admin.token}\r\n` +
      'Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n';
    expect(problemOf(await raw(service.url, bytes, 2_000)).status).toBe(400);
  });

  test('nonsense behind a request is never taken for its answer', async () => {
    const me = `GET /v1/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${service.admin.token}\r\n\r\n`;
    expect(await raw(service.url, `${me}nonsense\r\n\r\n`, 2_000)).not.toMatch(/^HTTP\/1\.1 400/);
    must(await service.admin.get('/v1/me'));
  });
});

describe('answerParseError', () => {
  const errorOf = (code: string): Error => Object.assign(new Error('secret'), { code });

  test.each([
    ['ERR_HTTP_REQUEST_TIMEOUT', 408, 'timeout'],
    ['HPE_CHUNK_EXTENSIONS_OVERFLOW', 413, 'payload_too_large'],
    ['HPE_INVALID_METHOD', 400, 'invalid_request'],
  ])('%s is %i', async (from, status, code) => {
    const socket = new PassThrough();
    answerParseError(errorOf(from), socket, true);
    const answer = problemOf(String(socket.read()));
    expect([answer.status, answer.body.code]).toEqual([status, code]);
    expect(JSON.stringify(answer.body)).not.toContain('secret');
  });

  test('a socket that was ended, destroyed, or owes another answer gets nothing and is destroyed', () => {
    const ended = new PassThrough();
    ended.end();
    const destroyed = new PassThrough().destroy();
    const owing = new PassThrough();
    for (const socket of [ended, destroyed]) answerParseError(errorOf('x'), socket, true);
    answerParseError(errorOf('x'), owing, false);
    for (const socket of [ended, destroyed, owing]) {
      expect(socket.destroyed).toBe(true);
      expect(socket.readableLength).toBe(0);
    }
  });
});
