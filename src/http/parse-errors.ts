import { randomUUID } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { CountersignError } from '../errors.ts';
import { STATUS_CODES } from '../node-http.ts';
import { toProblem, type Problem } from './problems.ts';

/**
 * Answers what Node's HTTP parser could not read, or not in time, and closes the connection.
 *
 * @param answerable false when the bytes would stand where the answer of another request is due.
 */
export function answerParseError(error: NodeJS.ErrnoException, socket: Duplex, answerable: boolean): void {
  if (!answerable || !socket.writable) {
    socket.destroy();
    return;
  }
  const problem = problemOf(error.code);
  const body = JSON.stringify(problem);
  const head = [
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}`,
    'Content-Type: application/problem+json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    `X-Request-Id: ${problem.requestId}`,
    'Cache-Control: no-store',
    'X-Content-Type-Options: nosniff',
    'Connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}

/** 431 and 408 (RFC 6585, 5; RFC 9110, 15.5.9) arise here only, so that no code of ours stands for them alone. */
const STATUS_AND_ERROR: ReadonlyMap<string | undefined, readonly [number, CountersignError]> = new Map([
  ['HPE_HEADER_OVERFLOW', [431, new CountersignError('payload_too_large', 'the headers are too large')]],
  [
    'HPE_CHUNK_EXTENSIONS_OVERFLOW',
    [413, new CountersignError('payload_too_large', 'the chunk extensions are too large')],
  ],
  ['ERR_HTTP_REQUEST_TIMEOUT', [408, new CountersignError('timeout', 'the request did not arrive in time')]],
]);
const NOT_HTTP = [400, new CountersignError('invalid_request', 'the request is not HTTP/1.1')] as const;

function problemOf(code: string | undefined): Problem {
  const [status, error] = STATUS_AND_ERROR.get(code) ?? NOT_HTTP;
  return { ...toProblem(error, randomUUID()), status };
}
