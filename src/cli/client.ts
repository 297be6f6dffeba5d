import { CountersignError, invalidField, type ErrorCode } from '../errors.ts';
import type { Page, Problem } from './answers.ts';
import { createTransport, type Opened, type Received, type TlsFiles } from './transport.ts';

export type Query = { readonly [name: string]: string | number | undefined };

/** The HTTP API. Every method throws `ApiError` for a problem that the service answers, and `unavailable` without one. */
export interface Client {
  readonly url: string;
  get<T>(path: string, query?: Query): Promise<T>;
  getText(path: string): Promise<string>;
  getBytes(path: string): Promise<Buffer>;
  /** A long answer, as it comes. What breaks it off is thrown where it is read. */
  getStream(path: string, query: Query, options?: StreamOptions): Promise<Streamed>;
  post<T>(path: string, body: unknown): Promise<T>;
  /** As `getStream`, of what a body asks for. */
  postStream(path: string, body: unknown): Promise<Streamed>;
  patch<T>(path: string, body: unknown): Promise<T>;
}

export interface StreamOptions {
  readonly headers?: { readonly [name: string]: string };
  readonly signal?: AbortSignal;
}

export type Streamed = Pick<Opened, 'headers' | 'body'>;

type Told = Pick<Problem, 'code' | 'detail' | 'errors' | 'requestId' | 'decision'>;

/** A problem document (RFC 9457) that the service answered. */
export class ApiError extends CountersignError {
  readonly requestId: string;
  readonly decision: Problem['decision'];

  constructor({ code, detail, errors, requestId, decision }: Told) {
    super(code as ErrorCode, detail, errors);
    this.requestId = requestId;
    this.decision = decision;
  }

  /** The same problem in words that a person at the command line can follow. */
  retold(told: Partial<Pick<Told, 'detail' | 'errors'>>): ApiError {
    const { code, message: detail, errors, requestId, decision } = this;
    return new ApiError({ code, detail, errors: [...errors], requestId, decision, ...told });
  }
}

/** Opening a keystore or a seal takes seconds; the service itself gives up after 30. */
const TIMEOUT_MS = 60_000;
/** What a long answer may take to begin; the service gives up a connection on which nothing happens for as long. */
const PREPARING_MS = 150_000;
/** The largest page that lists with a `limit` give. */
export const PAGE_SIZE = 1_000;

/** A bearer token, and the file that it is from, for messages. */
export interface FileToken {
  readonly token: string;
  readonly file: string;
}

/** @param credential sent with every request; without one, only a client certificate lets it in. */
export function createClient(
  serviceUrl: string,
  credential: FileToken | undefined,
  tls: TlsFiles = {},
): Client {
  const base = parseServiceUrl(serviceUrl);
  const url = base.href.replace(/\/$/, '');
  const transport = createTransport(tls);
  const authorization = credential !== undefined && { authorization: `Bearer ${credential.token}` };

  function target(path: string, query: Query): URL {
    const url = new URL(`${base.href.replace(/\/$/, '')}${path}`);
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    return url;
  }

  async function send(method: string, path: string, query: Query, body?: unknown): Promise<Buffer> {
    let received: Received;
    try {
      received = await transport.exchange(target(path, query), {
        method,
        headers: {
          ...authorization,
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        timeoutMs: TIMEOUT_MS,
      });
    } catch (error) {
      throw unreachable(url, error);
    }
    if (received.status >= 200 && received.status < 300) return received.body;
    throw toApiError(url, received.status, received.body.toString('utf8'), credential?.file);
  }

  async function openStream(
    path: string,
    query: Query,
    { headers = {}, signal }: StreamOptions = {},
    body?: unknown,
  ): Promise<Streamed> {
    const given = body === undefined ? { method: 'GET' } : { method: 'POST', body: JSON.stringify(body) };
    const type = body !== undefined && { 'content-type': 'application/json' };
    const timeoutMs = body === undefined ? TIMEOUT_MS : PREPARING_MS;
    const exchange = { ...given, headers: { ...authorization, ...type, ...headers }, timeoutMs };
    let opened: Opened;
    try {
      opened = await transport.open(target(path, query), exchange, signal);
    } catch (error) {
      throw unreachable(url, error);
    }
    const pieces = piecesOf(opened.body, url);
    if (opened.status >= 200 && opened.status < 300) return { headers: opened.headers, body: pieces };
    const chunks: Buffer[] = [];
    for await (const chunk of pieces) chunks.push(chunk);
    throw toApiError(url, opened.status, Buffer.concat(chunks).toString('utf8'), credential?.file);
  }

  async function sendJson<T>(method: string, path: string, query: Query, body?: unknown): Promise<T> {
    const received = await send(method, path, query, body);
    const answer = parseJson(received.toString('utf8'));
    if (typeof answer !== 'object' || answer === null) throw foreign(url, 'something else than JSON');
    return answer as T;
  }

  return {
    url,
    get: (path, query = {}) => sendJson('GET', path, query),
    getText: async (path) => (await send('GET', path, {})).toString('utf8'),
    getBytes: (path) => send('GET', path, {}),
    getStream: openStream,
    postStream: (path, body) => openStream(path, {}, {}, body),
    post: (path, body) => sendJson('POST', path, {}, body),
    patch: (path, body) => sendJson('PATCH', path, {}, body),
  };
}

async function* piecesOf(body: AsyncIterable<Buffer>, url: string): AsyncGenerator<Buffer> {
  try {
    yield* body;
  } catch (error) {
    throw unreachable(url, error);
  }
}

/** Undefined where the service answers with this code: that it has not got it. */
export async function unlessMissing<T>(
  asked: Promise<T>,
  code: 'not_found' | 'internal',
): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof ApiError && error.code === code) return undefined;
    throw error;
  }
}

/** Every item of a list, page by page. */
export async function* pagesOf<T>(client: Client, path: string, query: Query = {}): AsyncGenerator<T> {
  let cursor: string | undefined;
  do {
    const page: Page<T> = await client.get(path, { ...query, cursor });
    yield* page.items;
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
}

/** The whole list. */
export async function listAll<T>(client: Client, path: string, query: Query = {}): Promise<T[]> {
  const items: T[] = [];
  for await (const item of pagesOf<T>(client, path, query)) items.push(item);
  return items;
}

/** A name as one step of a path. A step such as `..` would ask for something else than it says. */
export function pathStep(field: string, name: string): string {
  if (/^[A-Za-z0-9_~-][A-Za-z0-9._~-]*$/.test(name)) return name;
  throw invalidField(field, `${JSON.stringify(name)} is not a name that anything here has`);
}

function parseServiceUrl(text: string): URL {
  const url = URL.parse(text);
  if (url === null || !['http:', 'https:'].includes(url.protocol) || url.search !== '' || url.hash !== '') {
    throw invalidField('--url', `${JSON.stringify(text)} is not a URL such as http://127.0.0.1:8700`);
  }
  if (url.username !== '' || url.password !== '') {
    throw invalidField('--url', 'must not hold a credential: give --token-file');
  }
  if (url.protocol === 'http:' && !/^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(url.hostname)) {
    throw invalidField(
      '--url',
      `plain HTTP to ${url.hostname} would show the token to the network: use https`,
    );
  }
  return url;
}

function toApiError(url: string, status: number, text: string, file: string | undefined): CountersignError {
  const problem = parseJson(text) as Partial<Problem> | null | undefined;
  if (typeof problem?.code !== 'string' || typeof problem.detail !== 'string')
    return foreign(url, `HTTP ${status} without a problem document`);
  if (problem.code !== 'unauthenticated' || file === undefined) return new ApiError(problem as Problem);
  // The service tells nobody what is wrong with a credential; but a person can be told which one it is.
  const detail = `the service does not accept the credential in ${file}`;
  return new ApiError({ ...(problem as Problem), detail });
}

function foreign(url: string, what: string): CountersignError {
  return new CountersignError('unavailable', `${url} answers ${what}: is that a countersign service?`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function unreachable(url: string, error: unknown): CountersignError {
  const code = codeOf(error);
  if (code === 'ECONNREFUSED') {
    return new CountersignError(
      'unavailable',
      `nothing listens at ${url}: start the service with \`countersign start\`, or name its address with --url or COUNTERSIGN_URL`,
      [],
      error,
    );
  }
  if (error instanceof Error && error.name === 'TimeoutError') {
    return new CountersignError(
      'timeout',
      `${url} did not answer within ${TIMEOUT_MS / 1000} seconds`,
      [],
      error,
    );
  }
  const hint = CERTIFICATE_ERROR.test(code) ? ': name the CA of its certificate with --ca' : '';
  return new CountersignError('unavailable', `${url} cannot be reached (${code})${hint}`, [], error);
}

/** The service's certificate leads to no CA that is known here. */
const CERTIFICATE_ERROR = /^(?:UNABLE_TO_|SELF_SIGNED_CERT|DEPTH_ZERO_SELF_SIGNED_CERT)/;

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error';
  return (error as NodeJS.ErrnoException).code ?? error.message;
}
