import { randomBytes, randomUUID } from 'node:crypto';
import express, { type Express, type Request, type Response } from 'express';
import type { Caller } from '../access/credentials.ts';
import type { LogReads } from '../access/log-reads.ts';
import { RateLimited } from '../access/throttle.ts';
import type { Answer } from '../audit/act.ts';
import { CountersignError } from '../errors.ts';
import type { JsonValue } from '../jcs.ts';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import { actorOf, type Admission } from './admission.ts';
import { readBody } from './body.ts';
import { Content, sendContent } from './content.ts';
import { findKeptAnswer, readIdempotencyKey, RequestAct, type IdempotencyKey } from './idempotency.ts';
import { parseStrictJson } from './json.ts';
import { toProblem, type Problem } from './problems.ts';
import { expressPath, pathPattern, pathValues, type Reply, type Route } from './route.ts';
import type { Service } from './service.ts';

export interface AppOptions {
  readonly service: Service;
  readonly routes: readonly Route[];
  readonly log: Log;
  readonly metrics: Metrics;
  readonly admission: Admission;
  readonly logReads: LogReads;
}

/** Nothing that we serve needs another character, or a percent sign: two spellings of one path are one too many. */
const PLAIN_PATH = /^\/(?:[A-Za-z0-9_~-][A-Za-z0-9._~-]*(?:\/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*\/?)?$/;
const REQUEST_ID = /^[\x21-\x7e]{1,128}$/;

/** Every request in one line: find the route, authenticate, authorise, parse, do it once, answer. */
export function createApp({ service, routes, log, metrics, admission, logReads }: AppOptions): Express {
  const app = express();
  app.disable('x-powered-by').disable('etag').set('query parser', 'simple');
  app.enable('strict routing').enable('case sensitive routing');
  const inFlight = new Map<string, Promise<unknown>>();
  const secretKey = randomBytes(32);

  app.use((req, res, next) => {
    const given = req.get('x-request-id');
    const requestId = given !== undefined && REQUEST_ID.test(given) ? given : randomUUID();
    res.locals['requestId'] = requestId;
    res.locals['arrived'] = performance.now();
    res.set({
      'X-Request-Id': requestId,
      'Cache-Control': 'no-store',
      'X-Content-Type-Options': 'nosniff',
      'Content-Security-Policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    });
    if (PLAIN_PATH.test(req.path)) next();
    else next(new CountersignError('invalid_request', 'the path has characters that no path here has'));
  });

  for (const route of routes) {
    app[route.method.toLowerCase() as 'get' | 'post' | 'patch'](expressPath(route), async (req, res) => {
      const stop = metrics.startRequest(route.method, route.path);
      try {
        const reply = await answer(route, req, res);
        if (route.headersOf !== undefined && isJson(reply.body)) res.set(route.headersOf(reply.body));
        await send(res, reply);
      } catch (error) {
        sendProblem(res, error);
      } finally {
        stop(res.statusCode);
      }
    });
  }

  app.use((req, res, next) => {
    const at = routes.filter((route) => pathPattern(route).test(req.path));
    const allowed = [...new Set(at.map(({ method }) => method))];
    if (allowed.length === 0) {
      next(
        new CountersignError('not_found', `there is nothing at ${req.path}: the API is described at /docs`),
      );
      return;
    }
    // RFC 9110, 15.5.6.
    res.set(
      'Allow',
      allowed.flatMap((method) => (method === 'GET' ? [method, 'HEAD'] : [method])).join(', '),
    );
    next(new CountersignError('method_not_allowed', `${req.path} takes ${allowed.join(' and ')}`));
  });
  // Express knows an error handler by its four parameters.
  app.use((error: unknown, _req: Request, res: Response, _next: unknown) => sendProblem(res, error));
  return app;

  async function answer(route: Route, req: Request, res: Response): Promise<Reply> {
    const { query } = req;
    const params = pathValues(route, req.params);
    const requestId = res.locals['requestId'] as string;
    const visit = admission.visit(req, requestId);
    if (route.access === 'public') return await route.run({ params, query, body: undefined }, undefined);

    try {
      const { caller, admit } = await admission.enter(route, req, visit);
      const raw = route.body === undefined ? Buffer.alloc(0) : await receive(req);
      if (route.readsLog === true) {
        const draft = { actor: actorOf(caller), requestId };
        await logReads.record(draft, route.path, questionOf(route, req));
      }
      const body = route.body === undefined ? undefined : parseStrictJson(raw);
      const key = idempotencyKey(route, req, caller.principal.id, raw);
      const keep = key === undefined ? undefined : { key, secret: route.secretAnswer === true };
      return await once(key, res, route, admit, (caller) => {
        const asked = { actor: actorOf(caller), requestId, arrived: res.locals['arrived'] as number };
        const act = new RequestAct(service.log, asked, keep);
        const context = {
          requestId,
          caller,
          act,
          header: (name: string) => req.get(name),
          readmit: () => void admit(),
          problemOf: (error: unknown) => problemOf(error, requestId),
        };
        return route.run({ params, query, body }, context);
      });
    } catch (error) {
      throw await admission.refused(error, route, req, visit);
    }
  }

  /**
   * Repeats of a request with the same idempotency key wait for it, and get its answer. The caller is admitted after
   * all waiting, for the body and here, with nothing between that and what it asks for.
   */
  async function once(
    key: IdempotencyKey | undefined,
    res: Response,
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
      res.set('Idempotent-Replayed', 'true');
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
    req: Request,
    principalId: string,
    body: Buffer,
  ): IdempotencyKey | undefined {
    if (route.method !== 'POST') return undefined;
    const request = { method: req.method, path: req.path, body };
    const key = route.secretBody === true ? secretKey : undefined;
    return readIdempotencyKey(req.get('idempotency-key'), principalId, request, key);
  }

  function problemOf(error: unknown, requestId: string): Problem {
    const problem = toProblem(fromExpress(error), requestId);
    if (problem.status >= 500)
      log.error('request.failed', { requestId, code: problem.code, reason: describe(error) });
    return problem;
  }

  function sendProblem(res: Response, error: unknown): void {
    const problem = problemOf(error, (res.locals['requestId'] as string | undefined) ?? randomUUID());
    if (res.headersSent) {
      res.destroy();
      return;
    }
    if (problem.code === 'unauthenticated') res.set('WWW-Authenticate', 'Bearer');
    if (problem.status === 503) res.set('Retry-After', '1');
    if (error instanceof RateLimited) res.set('Retry-After', String(error.retryAfter));
    res.status(problem.status).type('application/problem+json').send(JSON.stringify(problem));
  }
}

async function send(res: Response, { status, body, mediaType }: Reply): Promise<void> {
  res.status(status);
  if (body instanceof Content) await sendContent(res.type(mediaType ?? 'application/octet-stream'), body);
  else if (typeof body === 'string') res.type(mediaType ?? 'text/plain').send(body);
  else res.type('application/json').send(JSON.stringify(body));
}

function isJson(body: Reply['body']): body is Answer {
  return typeof body === 'object' && !(body instanceof Content);
}

async function receive(req: Request): Promise<Buffer> {
  if (!/^application\/json(?:\s*;\s*charset="?utf-8"?)?$/i.test(req.get('content-type') ?? '')) {
    throw new CountersignError('invalid_request', 'the body must be JSON: Content-Type: application/json');
  }
  return await readBody(req);
}

/** The parameters that the route knows, as they came. */
function questionOf({ params, query }: Route, req: Request): { readonly [name: string]: JsonValue } {
  const given = { ...req.params, ...req.query } as { readonly [name: string]: JsonValue };
  const names = Object.keys({ ...params?.shape, ...query?.shape });
  return Object.fromEntries(
    names.filter((name) => Object.hasOwn(given, name)).map((name) => [name, given[name] ?? null]),
  );
}

/** Errors of Express, in our words. */
function fromExpress(error: unknown): unknown {
  if (error instanceof CountersignError || !(error instanceof Error)) return error;
  const status = (error as { status?: unknown }).status;
  if (typeof status === 'number' && status >= 400 && status < 500) {
    return new CountersignError('invalid_request', 'the request could not be read');
  }
  return error;
}

/** For our own log. Of an error that is not ours, where it arose and not its message, which may quote what it failed on. */
function describe(error: unknown): string {
  if (error instanceof CountersignError) return error.message;
  if (!(error instanceof Error)) return 'a value that is not an error was thrown';
  const frames = error.stack?.split('\n').filter((line) => line.startsWith('    at ')) ?? [];
  const { code } = error as { code?: unknown };
  return [typeof code === 'string' ? `${error.name} ${code}` : error.name, ...frames].join('\n');
}
