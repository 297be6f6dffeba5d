import { readFileSync } from 'node:fs';
import type { ClientRequest, IncomingHttpHeaders } from 'node:http';
import { Agent, request as requestHttps } from 'node:https';
import { invalidField } from '../errors.ts';
import { request as requestHttp } from '../node-http.ts';
import { whyNot } from './secrets.ts';

/** Files in PEM, as options name them. */
export interface TlsFiles {
  /** CA certificates to check the service with, in place of the usual ones. */
  readonly ca?: string | undefined;
  /** A client certificate, and its key. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

export interface Exchange {
  readonly method: string;
  readonly headers: { readonly [name: string]: string };
  readonly body?: string;
  readonly timeoutMs: number;
}

/** What came back, whatever its status. */
export interface Received {
  readonly status: number;
  readonly body: Buffer;
}

/** An answer whose body is still to come. */
export interface Opened {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Leaving the loop over it ends the connection. */
  readonly body: AsyncIterable<Buffer>;
}

export interface Transport {
  /** The whole answer, within the time. */
  exchange(url: URL, exchange: Exchange): Promise<Received>;
  /** An answer that may go on and on: its head, and each piece after it, within the time. */
  open(url: URL, exchange: Exchange, signal?: AbortSignal): Promise<Opened>;
}

/**
 * Speaks HTTP, and HTTPS with certificates of one's own. Follows no redirect, which would take the token elsewhere,
 * and no environment variable turns off the check of the service's certificate. What it makes rejects with the error
 * of the connection, or a `TimeoutError`. Throws `invalid_request` for files that can't be read.
 */
export function createTransport({ ca, cert, key }: TlsFiles): Transport {
  if ((cert === undefined) !== (key === undefined)) {
    throw invalidField('--client-cert', 'needs --client-key, and the other way round');
  }
  const agent = new Agent({
    keepAlive: true,
    rejectUnauthorized: true,
    ...(ca !== undefined && { ca: readPem('--ca', ca) }),
    ...(cert !== undefined && { cert: readPem('--client-cert', cert) }),
    ...(key !== undefined && { key: readPem('--client-key', key) }),
  });

  const begin = (url: URL, { method, headers }: Exchange, signal: AbortSignal | undefined): ClientRequest => {
    const secure = url.protocol === 'https:';
    const options = { method, headers, ...(signal !== undefined && { signal }), ...(secure && { agent }) };
    return (secure ? requestHttps : requestHttp)(url, options);
  };

  return {
    exchange: (url, exchange) =>
      new Promise((resolve, reject) => {
        const signal = AbortSignal.timeout(exchange.timeoutMs);
        const fail = (error: unknown): void => reject(signal.aborted ? signal.reason : error);
        const sent = begin(url, exchange, signal);
        sent.on('response', (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', fail);
          response.on('end', () => {
            resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) });
          });
        });
        sent.on('error', fail);
        sent.end(exchange.body);
      }),

    open: (url, exchange, signal) =>
      new Promise((resolve, reject) => {
        const sent = begin(url, exchange, signal);
        sent.setTimeout(exchange.timeoutMs, () =>
          sent.destroy(new DOMException('nothing came within the time', 'TimeoutError')),
        );
        sent.on('response', (response) => {
          const { statusCode = 0, headers } = response;
          resolve({ status: statusCode, headers, body: response });
        });
        sent.on('error', reject);
        sent.end(exchange.body);
      }),
  };
}

function readPem(option: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw invalidField(option, `${file} cannot be read: ${whyNot(error)}`);
  }
}
