import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { parse, type ParsedUrlQuery } from 'node:querystring';

const REQUEST_ID = /^[\x21-\x7e]{1,128}$/;

/** On every answer. */
const HEADERS = [
  'X-Content-Type-Options',
  'nosniff',
  'Content-Security-Policy',
  "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
] as const;

/** A request and its answer. */
export interface Exchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly requestId: string;
  /** Of `performance.now()`. */
  readonly arrived: number;
  readonly path: string;
  readonly query: ParsedUrlQuery;
  /** What a good answer has beside those that all have; names and values in turn. */
  readonly headers: string[];
}

const NO_QUERY: ParsedUrlQuery = {};

export function exchangeOf(req: IncomingMessage, res: ServerResponse): Exchange {
  const given = req.headers['x-request-id'];
  const requestId = typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
  const { path, query } = targetOf(req.url ?? '');
  return { req, res, requestId, arrived: performance.now(), path, query, headers: [] };
}

/** A target in origin form or absolute form (RFC 9112, 3.2); what is neither is a path that no route has. */
function targetOf(target: string): Pick<Exchange, 'path' | 'query'> {
  const origin = target.startsWith('/') ? target : originOf(target);
  const mark = origin.indexOf('?');
  if (mark === -1) return { path: origin, query: NO_QUERY };
  return { path: origin.slice(0, mark), query: parse(origin.slice(mark + 1)) };
}

function originOf(target: string): string {
  return /^https?:\/\/[^/?#]+(\/.*)?$/i.exec(target)?.[1] ?? target;
}

/** Begins an answer. @param headers names and values in turn. */
export function sendHead({ res, requestId }: Exchange, status: number, headers: readonly string[]): void {
  const kept = headers.includes('Cache-Control') ? [] : ['Cache-Control', 'no-store'];
  res.writeHead(status, ['X-Request-Id', requestId, ...HEADERS, ...kept, ...headers]);
}

/** Sends a whole answer in one piece. @param headers names and values in turn. */
export function sendWhole(
  exchange: Exchange,
  status: number,
  mediaType: string,
  body: string | Uint8Array,
  headers: readonly string[] = exchange.headers,
): void {
  // Node puts head and text in one buffer, and so in one piece; bytes it would send beside the head.
  const length = String(Buffer.byteLength(body));
  sendHead(exchange, status, ['Content-Type', mediaType, 'Content-Length', length, ...headers]);
  exchange.res.end(body);
}

/** Text goes out in UTF-8, and says so. */
export function textType(mediaType: string): string {
  return mediaType.includes('charset=') ? mediaType : `${mediaType}; charset=utf-8`;
}
