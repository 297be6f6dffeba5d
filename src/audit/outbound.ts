import { readFileSync } from 'node:fs';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import { CountersignError } from '../errors.ts';
import { Agent as HttpAgent, request as requestHttp } from '../node-http.ts';

/** What goes out to one configured place. */
export interface Outbound {
  readonly method: 'POST' | 'PUT' | 'GET';
  readonly url: URL;
  readonly headers: { readonly [name: string]: string };
  readonly body?: Uint8Array;
}

/** An answer of any status. */
export interface Inbound {
  readonly status: number;
  readonly mediaType: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface Limits {
  /** For the whole exchange. */
  readonly timeoutMs: number;
  /** Of the answer's body. */
  readonly maxBytes: number;
}

/** Sends one request. Rejects with an `Error` whose message says in a few words why there is no answer. */
export type Exchange = (request: Outbound, limits: Limits) => Promise<Inbound>;

/**
 * Speaks HTTP or HTTPS to one origin and to no other: redirects are answers like any other, and no proxy is looked for
 * in the environment. Connections are kept.
 *
 * @param ca a file with the CA certificates that its TLS is checked with, in place of the usual ones.
 * @throws CountersignError `invalid_request` when the file can't be read.
 */
export function exchangeWith(origin: string, ca?: string): Exchange {
  const secure = origin.startsWith('https:');
  const trusted = ca === undefined ? undefined : readCa(ca);
  const agent = secure
    ? new HttpsAgent({ keepAlive: true, maxSockets: 2, ...(trusted !== undefined && { ca: trusted }) })
    : new HttpAgent({ keepAlive: true, maxSockets: 2 });

  const once = (request: Outbound, { timeoutMs, maxBytes }: Limits): Promise<Inbound> =>
    new Promise((resolve, reject) => {
      const { method, url, headers, body = new Uint8Array() } = request;
      const send = secure ? requestHttps : requestHttp;
      const options = {
        method,
        agent,
        headers: { ...headers, 'content-length': body.length },
        signal: AbortSignal.timeout(timeoutMs),
      };
      const sent = send(url, options, (response) => {
        receive(response, maxBytes).then(resolve, reject);
      });
      sent.on('error', (error) => reject(sent.reusedSocket ? new StaleConnection(error.message) : error));
      sent.end(body);
    });

  return async (request, limits) => {
    if (request.url.origin !== origin) throw new Error(`${request.url.origin} is not where this goes`);
    try {
      return await once(request, limits);
    } catch (error) {
      if (!(error instanceof StaleConnection)) throw inWords(error);
      // The other end closed what it had kept open, perhaps: what goes out here may be sent twice.
      return await once(request, limits).catch((error: unknown) => {
        throw inWords(error);
      });
    }
  };
}

class StaleConnection extends Error {}

async function receive(response: IncomingMessage, maxBytes: number): Promise<Inbound> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > maxBytes) throw new Error(`an answer of more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  const { headers, statusCode: status = 0 } = response;
  const [mediaType = ''] = (headers['content-type'] ?? '').split(';');
  return { status, mediaType: mediaType.trim(), headers, body: Buffer.concat(chunks) };
}

function inWords(error: unknown): Error {
  if (!(error instanceof Error)) return new Error('unknown error');
  if (error.name === 'TimeoutError' || error.name === 'AbortError') return new Error('no answer in time');
  return new Error((error as NodeJS.ErrnoException).code ?? error.message);
}

function readCa(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new CountersignError('invalid_request', `the file ${file} cannot be read`, [], error);
  }
}
