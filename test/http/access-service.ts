import { mkdtempSync, rmSync } from 'node:fs';
import { request as requestHttp, type RequestOptions } from 'node:http';
import { request as requestHttps } from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { z } from 'zod';
import { AccessService } from '../../src/access/access.ts';
import { Authenticator } from '../../src/access/authenticator.ts';
import { newCredential } from '../../src/access/credentials.ts';
import { CanaryAlarms } from '../../src/access/canaries.ts';
import { Refusals } from '../../src/access/failures.ts';
import { IdentityProviders, type OidcSettings } from '../../src/access/oidc.ts';
import type { Principal } from '../../src/access/principals.ts';
import type { Role } from '../../src/access/roles.ts';
import { LogReads } from '../../src/access/log-reads.ts';
import { Throttle, type RateLimits } from '../../src/access/throttle.ts';
import { systemAct } from '../../src/audit/act.ts';
import type { Entry } from '../../src/audit/entry.ts';
import { AuditLog } from '../../src/audit/log.ts';
import { Admission } from '../../src/http/admission.ts';
import { createApp } from '../../src/http/app.ts';
import { route, type Route } from '../../src/http/route.ts';
import { accessRoutes } from '../../src/http/routes/access.ts';
import { startServer, type RunningServer } from '../../src/http/server.ts';
import type { Service } from '../../src/http/service.ts';
import type { TlsFiles } from '../../src/http/tls.ts';
import { createLog } from '../../src/log.ts';
import type { Metrics } from '../../src/metrics.ts';
import { openSqliteStorage, type StorageTx } from '../../src/storage/sqlite/storage.ts';
import { SERVICE } from '../audit/memory-log.ts';

// oxlint-disable-next-line typescript/no-explicit-any
export type Json = any;

/** The door of the service and the routes behind it that are about access, on a database of their own; nothing signs. */
export interface AccessHarness {
  readonly url: string;
  readonly server: RunningServer;
  readonly adminToken: string;
  readonly admin: Principal;
  call(method: string, path: string, options?: CallOptions): Promise<Called>;
  /** As the first admin; throws for an answer that is not good. */
  asAdmin(method: string, path: string, body?: unknown): Promise<Json>;
  principal(roles: readonly Role[], options?: object): Promise<{ id: string; name: string; token: string }>;
  /** Newest last; of these kinds when some are given. */
  entries(...kinds: string[]): Entry[];
  flush(): Promise<void>;
  /** Writes beside the API. */
  commit(effects: (tx: StorageTx) => void): Promise<void>;
  end(): Promise<void>;
}

export interface CallOptions {
  readonly token?: string | undefined;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** For node:https: ca, cert, key. */
  readonly tls?: object;
}

export interface Called {
  readonly status: number;
  readonly headers: { readonly [name: string]: string | string[] | undefined };
  readonly text: string;
  readonly body: Json;
}

export interface HarnessOptions {
  readonly tls?: TlsFiles;
  readonly oidc?: readonly OidcSettings[];
  readonly trustedProxies?: readonly string[];
  readonly rateLimit?: RateLimits;
  /** Milliseconds, for what is counted. */
  readonly now?: () => number;
}

/** What only signers may do; says who did it, as an entry would. */
const SIGN: Route = route(
  {
    method: 'POST',
    path: '/v1/x',
    tag: '',
    summary: '',
    access: ['signer'],
    body: z.strictObject({}),
    answer: { status: 200, description: '' },
  },
  async (_input, { act }) => await act.commit({ kind: 'sign', outcome: 'done' }, () => ({ signed: true })),
);

export async function runAccess(options: HarnessOptions = {}): Promise<AccessHarness> {
  const data = mkdtempSync(path.join(tmpdir(), 'countersign-access-'));
  const storage = openSqliteStorage(data, () => 'test');
  const { reads } = storage;
  const log = new AuditLog<StorageTx>(storage, SERVICE);
  const access = new AccessService(reads);
  const refusals = new Refusals(log, options.now);
  const canaries = new CanaryAlarms(log, options.now);
  const throttle = new Throttle(options.rateLimit, options.now);
  const providers = new IdentityProviders(options.oidc ?? []);
  const authenticator = new Authenticator(reads, log, providers);
  const { trustedProxies = [] } = options;
  const admission = new Admission({ authenticator, throttle, refusals, canaries, trustedProxies });
  const service = { reads, log, access } as unknown as Service;
  const quiet = createLog('silent', { write: () => undefined });
  const metrics = { startRequest: () => () => undefined } as unknown as Metrics;
  const routes = [...accessRoutes(service), SIGN];
  const app = createApp({
    service,
    routes,
    log: quiet,
    metrics,
    admission,
    logReads: new LogReads(log),
    onFailure: () => undefined,
  });
  const server = await startServer(app, { host: '127.0.0.1', port: 0 }, options.tls);

  const admin: Principal = {
    id: crypto.randomUUID(),
    name: 'admin',
    roles: ['admin'],
    state: 'enabled',
    createdAt: new Date().toISOString(),
  };
  const first = newCredential(admin.id);
  await systemAct<StorageTx>(log).commit({ kind: 'principal.created', outcome: 'done' }, (tx) => {
    tx.insertPrincipal(admin);
    tx.insertCredential(first.credential);
    return {};
  });

  const call: AccessHarness['call'] = (method, at, given = {}) =>
    callUrl(`${server.url}${at}`, method, given);
  const asAdmin: AccessHarness['asAdmin'] = async (method, at, body) => {
    const answer = await call(method, at, { token: first.token, ...(body !== undefined && { body }) });
    if (answer.status >= 300) throw new Error(`${answer.status}: ${answer.text}`);
    return answer.body;
  };
  let made = 0;
  return {
    url: server.url,
    server,
    adminToken: first.token,
    admin,
    call,
    asAdmin,
    principal: async (roles, credential = {}) => {
      const { id, name } = await asAdmin('POST', '/v1/principals', { name: `p${made++}`, roles });
      const { token } = await asAdmin('POST', `/v1/principals/${id}/credentials`, credential);
      return { id, name, token };
    },
    entries: (...kinds) =>
      reads
        .entries({ from: 0, limit: -1 })
        .map(({ bytes }) => JSON.parse(Buffer.from(bytes).toString('utf8')) as Entry)
        .filter(({ kind }) => kinds.length === 0 || kinds.includes(kind)),
    flush: () => refusals.flush(),
    commit: async (effects) => await log.record({ kind: 'principal.created', outcome: 'done' }, effects),
    end: async () => {
      await server.close(1_000);
      storage.close();
      rmSync(data, { recursive: true });
    },
  };
}

/** One request on a connection of its own, unless an agent is among `tls`. */
export function callUrl(url: string, method: string, options: CallOptions = {}): Promise<Called> {
  const { token, body, headers = {}, tls = {} } = options;
  const text = body === undefined ? undefined : JSON.stringify(body);
  const init: RequestOptions = {
    method,
    agent: false,
    headers: {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(text !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...tls,
  };
  return new Promise((resolve, reject) => {
    const request = url.startsWith('https:') ? requestHttps : requestHttp;
    const sent = request(url, init, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const answer = Buffer.concat(chunks).toString('utf8');
        const { statusCode: status = 0, headers } = response;
        resolve({ status, headers, text: answer, body: parse(answer) });
      });
    });
    sent.on('error', reject);
    sent.end(text);
  });
}

function parse(text: string): Json {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
