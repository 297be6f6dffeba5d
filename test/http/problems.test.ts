import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CountersignError, type ErrorCode } from '../../src/errors.ts';
import { STATUS_OF, toProblem } from '../../src/http/problems.ts';
import { problemShape } from '../../src/http/shapes.ts';
import { allRoutes } from './all-routes.ts';
import { raw, run, type Answered, type Client, type Running } from './running.ts';

let service: Running;
let admin: Client;

beforeAll(async () => {
  service = await run();
  ({ admin } = service);
});
afterAll(() => service.end());

/** The code of an answer that is a problem document, complete and true to its status line. */
function codeOf({ status, headers, body, text }: Answered): ErrorCode {
  const code = body.code as ErrorCode;
  expect(status, text).toBe(STATUS_OF[code]);
  expect(headers.get('content-type')).toMatch(/^application\/problem\+json\b/);
  expect(problemShape.safeParse(body).error?.issues).toBeUndefined();
  expect(body).toMatchObject({ type: `urn:countersign:problem:${code}`, status });
  expect(body.requestId).toBe(headers.get('x-request-id'));
  expect(text).not.toMatch(/node_modules|\.ts:\d|\bat \w+ \(/);
  return code;
}

describe('toProblem', () => {
  test('has a status and a title for every code, and the status is one of HTTP', () => {
    for (const code of Object.keys(STATUS_OF) as ErrorCode[]) {
      const problem = toProblem(new CountersignError(code, 'the message'), 'r');
      expect(problem.status).toBeGreaterThanOrEqual(400);
      expect(problem.title.length).toBeGreaterThan(5);
      expect(problem.detail === 'the message').toBe(code !== 'internal');
    }
  });

  test('says nothing of an error that is not ours', () => {
    for (const error of [
      new Error('secret'),
      new CountersignError('internal', 'secret'),
      'secret',
      undefined,
    ]) {
      expect(JSON.stringify(toProblem(error, 'r'))).not.toContain('secret');
      expect(toProblem(error, 'r').code).toBe('internal');
    }
  });

  test('lists a hundred wrong fields at most', () => {
    const errors = Array.from({ length: 5_000 }, (_, i) => ({
      path: `f${i}`,
      message: 'is not a known field',
    }));
    expect(toProblem(new CountersignError('invalid_request', 'x', errors), 'r')['errors']).toHaveLength(100);
  });
});

describe('request id', () => {
  test('is echoed, in the header, in the problem and in the log', async () => {
    const { headers } = await admin.get('/v1/me', { 'x-request-id': 'order-1234/a' });
    expect(headers.get('x-request-id')).toBe('order-1234/a');
    const from = await service.size();
    const denied = await service.signer.post('/v1/keys', {}, { 'x-request-id': 'order-1235' });
    expect(codeOf(denied)).toBe('forbidden');
    expect(denied.body.requestId).toBe('order-1235');
    expect(await service.entries({ from })).toMatchObject([{ requestId: 'order-1235' }]);
  });

  test.each([['a b'], ['x'.repeat(129)], ['é'], ['a\tb'], ['']])('%j is replaced', async (given) => {
    const { headers } = await admin.get('/v1/me', { 'x-request-id': given });
    expect(headers.get('x-request-id')).toMatch(/^[0-9a-f]{8}-[0-9a-f-]{27}$/);
  });

  test('is made where none is given, another one each time', async () => {
    const ids = await Promise.all(
      [1, 2, 3].map(async () => (await admin.get('/nope')).headers.get('x-request-id')),
    );
    expect(new Set(ids).size).toBe(3);
  });
});

test('security headers are on every answer', async () => {
  for (const path of ['/healthz', '/docs', '/v1/me', '/nope', '/v1/keys?limit=x']) {
    const { headers } = await admin.get(path);
    expect(headers.get('cache-control'), path).toBe('no-store');
    expect(headers.get('x-content-type-options'), path).toBe('nosniff');
    expect(headers.get('content-security-policy'), path).toMatch(
      /^default-src 'none';.*frame-ancestors 'none'/,
    );
    expect(headers.get('x-powered-by'), path).toBeNull();
    expect(headers.get('access-control-allow-origin'), path).toBeNull();
    expect(headers.get('etag'), path).toBeNull();
  }
});

describe('methods', () => {
  const paths = [...new Set(allRoutes().map(({ path }) => path))];

  test.each(paths)('%s refuses every method but its own, and names those', async (template) => {
    const path = template.replaceAll(/\{\w+\}/g, 'x');
    // A fixed path may also fit the template of another.
    const allowed = allRoutes()
      .filter((route) => new RegExp(`^${route.path.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(path))
      .flatMap(({ method }) => (method === 'GET' ? ['GET', 'HEAD'] : [method]));
    for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'SEARCH']) {
      if (allowed.includes(method)) continue;
      const answered = await admin.send(method, path);
      expect(answered.status, method).toBe(405);
      expect(answered.headers.get('allow')?.split(', ').toSorted()).toEqual([...new Set(allowed)].toSorted());
      expect(method === 'HEAD' ? answered.text : codeOf(answered)).toBe(
        method === 'HEAD' ? '' : 'method_not_allowed',
      );
    }
  });

  test.each(['TRACE', 'CONNECT', 'BREW', 'get'])('%s never gets an answer of ours', async (method) => {
    const answer = await raw(service.url, `${method} /v1/me HTTP/1.1\r\nHost: x\r\n\r\n`);
    expect(answer).not.toMatch(/^HTTP\/1\.1 2/);
  });
});

describe('paths', () => {
  const get = (target: string): Promise<string> =>
    raw(
      service.url,
      `GET ${target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${admin.token}\r\nConnection: close\r\n\r\n`,
      2_000,
    );

  test.each([
    '/v1/../v1/me',
    '/v1/./me',
    '/v1/keys/..',
    '/..',
    '/.',
    '/v1/%2e%2e/v1/me',
    '/v1/%2E/me',
    '//v1/me',
    '/v1//me',
    '/v1%2fme',
    '/v1%2Fme',
    '/v1/me%00',
    '/v1/me;x=1',
    '/v1/me;',
    '/v1\\me',
    '/v1/keys/%64emo',
    '/v1/keys/d%C3%A9mo',
    '/v1/keys/demo%20',
    '/v1/keys/.demo',
    '/v1/me,',
    '/v1/me*',
    '/v1/@me',
    '/v1/me:80',
  ])('%s is refused before it is routed', async (target) => {
    const answer = await get(target);
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer).toContain('"code":"invalid_request"');
  });

  test.each(['/V1/me', '/v1/Me', '/v1/me/', '/v1', '/', '/v1/keys/demo/', '/docs/', '/%', '/v1/me%'])(
    '%s is nothing',
    async (target) => {
      expect(await get(target)).toMatch(/^HTTP\/1\.1 40[04] /);
    },
  );

  test('the absolute form is the same request (RFC 9112, 3.2.2)', async () => {
    expect(await get(`${service.url}/v1/me`)).toMatch(/^HTTP\/1\.1 200 /);
    expect(await get(`${service.url}/v1/../v1/me`)).toMatch(/^HTTP\/1\.1 400 /);
    expect(await get(`http://elsewhere.example//v1/me`)).toMatch(/^HTTP\/1\.1 400 /);
    expect(await get('elsewhere.example:80')).toMatch(/^HTTP\/1\.1 40[04] /);
  });

  test('an unknown path is 404 with and without a credential', async () => {
    expect(codeOf(await admin.get('/v1/nope'))).toBe('not_found');
    expect(codeOf(await service.client(undefined).get('/v1/nope'))).toBe('not_found');
    expect(codeOf(await admin.get('/v1/keys/nope'))).toBe('not_found');
    expect(codeOf(await admin.get('/v1/audit/entries/999999'))).toBe('not_found');
  });

  test.each(['?x=1', '?__proto__=1', '?constructor=1', '?a[b]=1', '?limit=1&limit=2', '?limit[]=1'])(
    'the query %s is refused',
    async (query) => {
      expect(codeOf(await admin.get(`/v1/keys${query}`))).toBe('invalid_request');
    },
  );
});

describe('framing', () => {
  const post = (headers: string, body: string): Promise<string> =>
    raw(
      service.url,
      `POST /v1/keys HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${admin.token}\r\nContent-Type: application/json\r\n${headers}\r\n${body}`,
    );
  const body = '{"name":"smuggled"}';

  test.each([
    ['both lengths', `Content-Length: ${body.length}\r\nTransfer-Encoding: chunked\r\n`, '0\r\n\r\n'],
    ['two different lengths', `Content-Length: ${body.length}\r\nContent-Length: 5\r\n`, body],
    ['two lengths in one', `Content-Length: ${body.length}, 5\r\n`, body],
    ['a signed length', `Content-Length: +${body.length}\r\n`, body],
    ['a hex length', `Content-Length: 0x13\r\n`, body],
    ['a negative length', 'Content-Length: -1\r\n', body],
    ['an encoding that is not the last', 'Transfer-Encoding: chunked, identity\r\n', body],
    ['an unknown encoding', 'Transfer-Encoding: xchunked\r\n', body],
    ['a space before the colon', `Content-Length : ${body.length}\r\n`, body],
    ['a folded header', `X-A: b\r\n Content-Length: ${body.length}\r\n`, body],
    ['a bad chunk size', 'Transfer-Encoding: chunked\r\n', `zz\r\n${body}\r\n0\r\n\r\n`],
    ['a null byte in a header', `X-A: \0\r\nContent-Length: ${body.length}\r\n`, body],
  ])('%s is refused', async (_, headers, content) => {
    const answer = await post(headers, content);
    expect(answer).not.toMatch(/^HTTP\/1\.1 2/);
    expect((await admin.get('/v1/keys/smuggled')).status).toBe(404);
  });

  test('the connection is closed after a broken request: nothing behind it is read', async () => {
    const behind = 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n';
    const answer = await post(
      `Content-Length: ${body.length}\r\nTransfer-Encoding: chunked\r\n`,
      `0\r\n\r\n${behind}`,
    );
    expect(answer).not.toContain('"ok"');
  });

  test('a request without Host is refused', async () => {
    expect(await raw(service.url, 'GET /healthz HTTP/1.1\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /);
  });

  test('headers over 16 KiB are refused', async () => {
    const answer = await raw(
      service.url,
      `GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: ${'a'.repeat(17 * 1024)}\r\n\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 431 /);
  });

  test('no header is dropped for being one of many', async () => {
    const many = Array.from({ length: 1_500 }, (_, i) => `A${i}: b\r\n`).join('');
    const request = `GET /v1/me HTTP/1.1\r\nHost: x\r\n${many}Authorization: Bearer ${admin.token}\r\nConnection: close\r\n\r\n`;
    expect(await raw(service.url, request, 2_000)).toMatch(/^HTTP\/1\.1 200 /);
  });

  test('chunks are put together', async () => {
    const chunked = '5\r\n{"nam\r\n11\r\ne":"in-chunks-1"}\r\n0\r\n\r\n';
    expect(await post('Transfer-Encoding: chunked\r\nConnection: close\r\n', chunked)).toMatch(
      /^HTTP\/1\.1 201 /,
    );
  });
});

describe('bodies', () => {
  const JSON_TYPE = { 'content-type': 'application/json' };
  const post = (
    body: string | Uint8Array<ArrayBuffer>,
    headers: Record<string, string> = JSON_TYPE,
  ): Promise<Answered> => admin.send('POST', '/v1/keys', { body, headers });

  test.each([
    ['empty', ''],
    ['not JSON', 'name=x'],
    ['an array', '[]'],
    ['null', 'null'],
    ['a string', '"x"'],
    ['a duplicate key', '{"name":"x","name":"y"}'],
    ['a duplicate key with escapes', String.raw`{"name":"x","\u006eame":"y"}`],
    ['__proto__', '{"name":"x","__proto__":{}}'],
    ['an unknown field', '{"name":"x","admin":true}'],
    ['a byte order mark', '\ufeff{"name":"x"}'],
    ['a wrong type', '{"name":1}'],
    ['a bad name', '{"name":"Ünïcode"}'],
  ])('%s: 400', async (_, body) => {
    expect(codeOf(await post(body))).toBe('invalid_request');
  });

  test('invalid UTF-8: 400', async () => {
    expect(codeOf(await post(Uint8Array.from([0x7b, 0xff, 0x7d])))).toBe('invalid_request');
  });

  test('every unknown field is named', async () => {
    const { body } = await post('{"name":"x","a":1,"b":{"c":2}}');
    expect(body.errors).toEqual([
      { path: 'a', message: 'is not a known field' },
      { path: 'b', message: 'is not a known field' },
    ]);
  });

  test.each([
    ['none', undefined],
    ['a form', 'application/x-www-form-urlencoded'],
    ['text', 'text/plain'],
    ['another JSON', 'application/problem+json'],
    ['another charset', 'application/json; charset=latin1'],
    ['two', 'application/json, text/plain'],
  ])('content type: %s: 400', async (_, type) => {
    const body = new TextEncoder().encode('{"name":"typed"}');
    expect(codeOf(await post(body, type === undefined ? {} : { 'content-type': type }))).toBe(
      'invalid_request',
    );
  });

  test.each(['application/json', 'Application/JSON; charset=utf-8', 'application/json;charset="UTF-8"'])(
    'content type %s is taken',
    async (type) => {
      const { body } = await post('{"nam":1}', { 'content-type': type });
      expect(body.errors[0].path).toBe('name');
    },
  );

  test.each(['gzip', 'deflate', 'br', 'zstd'])('content encoding %s: 400', async (encoding) => {
    const body = Uint8Array.from(gzipSync('{"name":"packed"}'));
    expect(codeOf(await post(body, { ...JSON_TYPE, 'content-encoding': encoding }))).toBe('invalid_request');
  });

  test('1 MiB is read, one byte more is 413, declared or not', async () => {
    const padded = (length: number): string => `{"name":"x","no":"${'a'.repeat(length - 20)}"}`;
    expect(codeOf(await post(padded(1024 * 1024)))).toBe('invalid_request');
    expect(codeOf(await post(padded(1024 * 1024 + 1)))).toBe('payload_too_large');
    const size = 1024 * 1024 + 1;
    const answer = await raw(
      service.url,
      `POST /v1/keys HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${admin.token}\r\nContent-Type: application/json\r\n` +
        `Transfer-Encoding: chunked\r\n\r\n${size.toString(16)}\r\n${padded(size)}\r\n0\r\n\r\n`,
      2_000,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
  });

  test('too deep and too many are 413', async () => {
    expect(codeOf(await post('{"a":'.repeat(40) + '1' + '}'.repeat(40)))).toBe('payload_too_large');
    expect(codeOf(await post(`[${'0,'.repeat(30_000)}0]`))).toBe('payload_too_large');
  });

  test('a client that stops in the middle of its body leaves nothing behind', async () => {
    const half = `POST /v1/keys HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${admin.token}\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"name":"half"`;
    expect(await raw(service.url, half, 100)).toBe('');
    expect((await admin.get('/v1/keys/half')).status).toBe(404);
  });

  test('no credential is asked for a body: it is refused unread', async () => {
    const answered = await service
      .client(undefined)
      .send('POST', '/v1/keys', { body: 'not json', headers: {} });
    expect(codeOf(answered)).toBe('unauthenticated');
  });
});
