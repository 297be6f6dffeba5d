import { randomBytes } from 'node:crypto';
import type { IncomingMessage, RequestListener } from 'node:http';
import type { Caller } from '../access/credentials.ts';
import type { LogReads } from '../access/log-reads.ts';
import { RateLimited } from '../access/throttle.ts';
import type { Answer } from '../audit/act.ts';
import { CountersignError } from '../errors.ts';
import type { JsonValue } from '../jcs.ts';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import { Overloaded, type Turn } from '../signer/signing-load.ts';
import { actorOf, type Admission } from './admission.ts';
import { readBody } from './body.ts';
import { Content, sendContent } from './content.ts';
import { exchangeOf, sendWhole, textType, type Exchange } from './exchange.ts';
import { findKeptAnswer, readIdempotencyKey, RequestAct, type IdempotencyKey } from './idempotency.ts';
import { parseStrictJson } from './json.ts';
import { toProblem, type Problem } from './problems.ts';
import { RefusalPace } from './refusal-pace.ts';
import type { Reply, Route } from './route.ts';
import { Router, type Found } from './router.ts';
import type { Service } from './service.ts';

export interface AppOptions {
  readonly service: Service;
  readonly routes: readonly Route[];
  readonly log: Log;
  readonly metrics: Metrics;
  readonly admission: Admission;
  readonly logReads: LogReads;
  /** Told of every error that is not the caller's. */
  readonly onFailure: (error: unknown) => void;
}

/** Nothing that we serve needs another character, or a percent sign: two spellings of one path are one too many. */
const PLAIN_PATH = /^\/(?:[A-Za-z0-9_~-][A-Za-z0-9._~-]*(?:\/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*\/?)?$/;

class MethodNotAllowed extends CountersignError {
  /** RFC 9110, 15.5.6. */
  readonly allow: string;

  constructor(path: string, methods: readonly string[]) {
    super('method_not_allowed', `${path} takes ${methods.join(' and ')}`);
    this.allow = methods.flatMap((method) => (method === 'GET' ? [method, 'HEAD'] : [method])).join(', ');
  }
}

/** Every request in one line: find the route, authenticate, authorise, parse, do it once, answer. */
export function createApp({
  service,
  routes,
  log,
  metrics,
  admission,
  logReads,
  onFailure,
}: AppOptions): RequestListener {
  const router = new Router(routes);
  const inFlight = new Map<string, Promise<unknown>>();
  const secretKey = randomBytes(32);
  const pace = new RefusalPace(() => service.load.signed);

  return (req, res) => void serve(exchangeOf(req, res));

  /** Never rejects. */
  async function serve(exchange: Exchange): Promise<void> {
    const { res, headers } = exchange;
    let stop: ((status: number) => void) | undefined;
    try {
      const found = find(exchange);
      stop = metrics.startRequest(found.route.method, found.route.path);
      const reply = await answer(found, exchange);
      if (found.route.headersOf !== undefined && isJson(reply.body))
        headers.push(...Object.entries(found.route.headersOf(reply.body)).flat());
      await send(exchange, reply);
    } catch (error) {
      if (error instanceof Overloaded) await pace.turn();
      sendProblem(exchange, error);
    }
    stop?.(res.statusCode);
  }

  function find({ req: { method }, path }: Exchange): Found {
    if (!PLAIN_PATH.test(path))
      throw new CountersignError('invalid_request', 'the path has characters that no path here has');
    const found = router.find(method, path);
    if (found !== undefined) return found;
    const allowed = router.methods(path);
    if (allowed.length === 0)
      throw new CountersignError('not_found', `there is nothing at ${path}: the API is described at /docs`);
    throw new MethodNotAllowed(path, allowed);
  }

  async function answer({ route, params }: Found, exchange: Exchange): Promise<Reply> {
    const { req, requestId, arrived, query } = exchange;
    const visit = admission.visit(req, requestId);
    let turn: Turn | undefined;
    if (route.access === 'public') return await route.run({ params, query, body: undefined }, undefined);

    try {
      const { caller, admit } = await admission.enter(route, req, visit);
      if (route.signs === true) service.load.requireRoom();
      const raw = route.body === undefined ? Buffer.alloc(0) : await receive(req);
      if (route.readsLog === true) {
        const draft = { actor: actorOf(caller), requestId };
        await logReads.record(draft, route.path, questionOf(route, { ...params, ...query }));
      }
      const body = route.body === undefined ? undefined : parseStrictJson(raw);
      const key = idempotencyKey(route, exchange, caller.principal.id, raw);
      const keep = key === undefined ? undefined : { key, secret: route.secretAnswer === true };
      return await once(key, exchange.headers, route, admit, (caller) => {
        // Many may have found room at once; whoever is slow to send, or waits for another answer, takes nobody's place.
        if (route.signs === true) turn = service.load.enter();
        const asked = { actor: actorOf(caller), requestId, arrived };
        const act = new RequestAct(service.log, asked, keep);
        const context = {
          requestId,
          caller,
          act,
          header: (name: string) => textOf(req.headers[name]),
          readmit: () => void admit(),
          problemOf: (error: unknown) => problemOf(error, requestId),
          turn,
        };
        return route.run({ params, query, body }, context);
      });
    } catch (error) {
      throw await admission.refused(error, route, exchange.path, visit);
    } finally {
      turn?.end();
    }
  }

  /**
   * Repeats of a request with the same idempotency key wait for it, and get its answer. The caller is admitted after
   * all waiting, for the body and here, with nothing between that and what it asks for.
   */
  async function once(
    key: IdempotencyKey | undefined,
    headers: string[],
    route: Route,
    admit: () => Caller,
    run: (caller: Caller) => Promise<Reply>,
  ): Promise<Reply> {
    if (key === undefined) return await run(admit());
    const name = `${key.principalId} ${key.name}`;
    for (let other = inFlight.get(name); other !== undefined; other = inFlight.get(name)) {
      await other.catch(() => undefined);
    }
    const caller = admit();
    const kept = findKeptAnswer(service.reads, key);
    if (kept !== undefined && route.keepsParts !== true) {
      if (route.checkReplay !== undefined) {
        await route.checkReplay(kept);
        admit();
      }
      headers.push('Idempotent-Replayed', 'true');
      return { status: route.statusOf?.(kept) ?? route.answer.status, body: kept };
    }
    const running = run(caller);
    inFlight.set(name, running);
    try {
      return await running;
    } finally {
      inFlight.delete(name);
    }
  }

  function idempotencyKey(
    route: Route,
    { req, path }: Exchange,
    principalId: string,
    body: Buffer,
  ): IdempotencyKey | undefined {
    if (route.method !== 'POST') return undefined;
    const request = { method: route.method, path, body };
    const key = route.secretBody === true ? secretKey : undefined;
    return readIdempotencyKey(textOf(req.headers['idempotency-key']), principalId, request, key);
  }

  function problemOf(error: unknown, requestId: string): Problem {
    const problem = toProblem(error, requestId);
    // Of these there are thousands a second, and a metric that counts them.
    if (error instanceof Overloaded) return problem;
    onFailure(error);
    if (problem.status >= 500)
      log.error('request.failed', { requestId, code: problem.code, reason: describe(error) });
    return problem;
  }

  function sendProblem(exchange: Exchange, error: unknown): void {
    const problem = problemOf(error, exchange.requestId);
    if (exchange.res.headersSent) {
      exchange.res.destroy();
      return;
    }
    const body = JSON.stringify(problem);
    sendWhole(
      exchange,
      problem.status,
      textType('application/problem+json'),
      body,
      headersOf(error, problem),
    );
  }
}

/** Names and values in turn. */
function headersOf(error: unknown, { code, status }: Problem): readonly string[] {
  if (code === 'unauthenticated') return ['WWW-Authenticate', 'Bearer'];
  if (error instanceof MethodNotAllowed) return ['Allow', error.allow];
  if (error instanceof RateLimited) return ['Retry-After', String(error.retryAfter)];
  return status === 503 ? ['Retry-After', '1'] : [];
}

async function send(exchange: Exchange, { status, body, mediaType }: Reply): Promise<void> {
  if (body instanceof Content) await sendContent(exchange, status, mediaType, body);
  else if (typeof body === 'string') sendWhole(exchange, status, textType(mediaType ?? 'text/plain'), body);
  else sendWhole(exchange, status, textType('application/json'), JSON.stringify(body));
}

function isJson(body: Reply['body']): body is Answer {
  return typeof body === 'object' && !(body instanceof Content);
}

async function receive(req: IncomingMessage): Promise<Buffer> {
  if (!/^application\/json(?:\s*;\s*charset="?utf-8"?)?$/i.test(req.headers['content-type'] ?? '')) {
    throw new CountersignError('invalid_request', 'the body must be JSON: Content-Type: application/json');
  }
  return await readBody(req);
}

/** The parameters that the route knows, as they came. */
function questionOf(
  { params, query }: Route,
  given: { readonly [name: string]: unknown },
): { readonly [name: string]: JsonValue } {
  const names = Object.keys({ ...params?.shape, ...query?.shape });
  return Object.fromEntries(
    names
      .filter((name) => Object.hasOwn(given, name))
      .map((name) => [name, (given[name] ?? null) as JsonValue]),
  );
}

/** Node gives those headers as a list that may come more than once; none of ours is one of them. */
function textOf(header: string | string[] | undefined): string | undefined {
  return typeof header === 'string' ? header : undefined;
}

/** For our own log. Of an error that is not ours, where it arose and not its message, which may quote what it failed on. */
function describe(error: unknown): string {
  if (error instanceof CountersignError) return error.message;
  if (!(error instanceof Error)) return 'a value that is not an error was thrown';
  const frames = error.stack?.split('\n').filter((line) => line.startsWith('    at ')) ?? [];
  const { code } = error as { code?: unknown };
  return [typeof code === 'string' ? `${error.name} ${code}` : error.name, ...frames].join('\n');
}
