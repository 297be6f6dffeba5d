import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { CountersignError } from '../../src/errors.ts';
import type { LogReads } from '../../src/access/log-reads.ts';
import type { Admission } from '../../src/http/admission.ts';
import { createApp } from '../../src/http/app.ts';
import { publicRoute } from '../../src/http/route.ts';
import type { Service } from '../../src/http/service.ts';
import { createLog } from '../../src/log.ts';
import { Overloaded, SigningLoad } from '../../src/signer/signing-load.ts';
import { NO_METRICS } from './running.ts';

let server: Server | undefined;
afterEach(() => server?.close());

/** One public route that throws, and what the service logs of it. */
async function failing(
  error: unknown,
): Promise<{ answer: Response; text: string; lines: string[]; told: unknown[] }> {
  const lines: string[] = [];
  const told: unknown[] = [];
  const log = createLog('info', { write: (line) => void lines.push(line) });
  const answer = { status: 200, description: '' };
  const spec = { method: 'GET', path: '/x', tag: '', summary: '', access: 'public', answer } as const;
  const fail = (): never => {
    // oxlint-disable-next-line typescript/only-throw-error
    throw error;
  };
  const routes = [publicRoute(spec, fail)];
  const app = createApp({
    service: { load: new SigningLoad({ targetWaitMs: 8, burst: 128 }) } as Service,
    routes,
    log,
    metrics: NO_METRICS,
    admission: { visit: () => ({ requestId: '', address: '' }) } as unknown as Admission,
    logReads: {} as LogReads,
    onFailure: (failure) => void told.push(failure),
  });
  server = createServer(app).listen(0, '127.0.0.1');
  await new Promise((resolve) => server?.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  const response = await fetch(`http://127.0.0.1:${port}/x`);
  return { answer: response, text: await response.text(), lines, told };
}

test('an unexpected error is a 500 that says nothing, and the log says where it arose and not what it quotes', async () => {
  const { answer, text, lines } = await failing(new SyntaxError('Unexpected token in "hunter2"'));
  expect(answer.status).toBe(500);
  expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
  expect(text).not.toMatch(/hunter2|SyntaxError|app\.test/);
  expect(lines).toHaveLength(1);
  const line = JSON.parse(lines[0] ?? '');
  expect(line).toMatchObject({
    msg: 'request.failed',
    code: 'internal',
    requestId: JSON.parse(text).requestId,
  });
  expect(line.reason).toMatch(/^SyntaxError\n {4}at .*app\.test\.ts/);
  expect(lines[0]).not.toContain('hunter2');
});

test('the code of a system error is logged', async () => {
  const { lines } = await failing(Object.assign(new Error('no space left: hunter2'), { code: 'ENOSPC' }));
  expect(JSON.parse(lines[0] ?? '').reason).toMatch(/^Error ENOSPC\n {4}at /);
});

test.each([['a string'], [undefined], [{ status: 200 }], [null]])(
  '%j thrown is a 500, too',
  async (thrown) => {
    const { answer, lines } = await failing(thrown);
    expect(answer.status).toBe(500);
    expect(JSON.parse(lines[0] ?? '').reason).toBe('a value that is not an error was thrown');
  },
);

test('an error of the service is logged when it is the service’s fault, and not when it is the caller’s', async () => {
  const unavailable = await failing(new CountersignError('unavailable', 'not now'));
  expect([unavailable.answer.status, unavailable.lines.length]).toEqual([503, 1]);
  server?.close();
  const notFound = await failing(new CountersignError('not_found', 'there is no such key'));
  expect([notFound.answer.status, notFound.lines.length]).toEqual([404, 0]);
});

test('whoever watches for damage is told of every error, as it may lie behind any, and not of thousands of refusals', async () => {
  for (const error of [
    new Error('malformed'),
    new CountersignError('not_found', 'there is no readable database', [], new Error('malformed')),
  ])
    expect((await failing(error)).told).toEqual([error]);
  expect((await failing(new Overloaded())).told).toEqual([]);
});
