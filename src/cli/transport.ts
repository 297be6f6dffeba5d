import { readFileSync } from 'node:fs';
import { request as requestHttp } from 'node:http';
import { Agent, request as requestHttps } from 'node:https';
import { invalidField } from '../errors.ts';
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

export type Transport = (url: URL, exchange: Exchange) => Promise<Received>;

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
  return (url, { method, headers, body, timeoutMs }) =>
    new Promise((resolve, reject) => {
      const signal = AbortSignal.timeout(timeoutMs);
      const fail = (error: unknown): void => reject(signal.aborted ? signal.reason : error);
      const secure = url.protocol === 'https:';
      const request = secure ? requestHttps : requestHttp;
      const sent = request(url, { method, headers, signal, ...(secure && { agent }) }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', fail);
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) });
        });
      });
      sent.on('error', fail);
      sent.end(body);
    });
}

function readPem(option: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw invalidField(option, `${file} cannot be read: ${whyNot(error)}`);
  }
}
