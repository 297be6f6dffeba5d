import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Role } from '../../src/access/roles.ts';
import { ADMIN_TOKEN_FILE, DEMO_TOKEN_FILE, POLICY_FILE } from '../../src/bootstrap.ts';
import type { TestHooks } from '../../src/composition.ts';
import { loadConfig } from '../../src/config.ts';
import { createLog, type Log } from '../../src/log.ts';
import { startService, type RunningService } from '../../src/main.ts';
import type { Metrics } from '../../src/metrics.ts';

/** The real service in this process, on a directory of its own. */

// oxlint-disable-next-line typescript/no-explicit-any
export type Json = any;

export interface Answered {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The parsed body; undefined when it is not JSON. */
  readonly body: Json;
}

/** Speaks for one credential. */
export interface Client {
  readonly token: string | undefined;
  get(path: string, headers?: Record<string, string>): Promise<Answered>;
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Answered>;
  patch(path: string, body: unknown, headers?: Record<string, string>): Promise<Answered>;
  send(
    method: string,
    path: string,
    init?: { body?: string | Uint8Array<ArrayBuffer>; headers?: Record<string, string> },
  ): Promise<Answered>;
}

export interface Running {
  readonly data: string;
  readonly url: string;
  readonly admin: Client;
  /** The `demo` principal: role signer. */
  readonly signer: Client;
  client(token: string | undefined): Client;
  /** A new principal with these roles and one credential. */
  principal(roles: readonly Role[], credential?: object): Promise<Client & { readonly id: string }>;
  /** All entries of the log from `from` on, of `kind` when it is given. */
  entries(filter?: { from?: number; kind?: string }): Promise<Json[]>;
  /** The number of entries. */
  size(): Promise<number>;
  /** Stops it and starts it again on the same directory. */
  restart(): Promise<void>;
  /** Stops it and keeps the directory. */
  stop(): Promise<void>;
  /** Stops it and removes the directory. */
  end(): Promise<void>;
}

/** Everything on chain 31337 up to one ether, and typed data, delegations and `test` digests, for signers. */
const POLICY = `
apiVersion: countersign/policy/v1
revision: 7
rules:
  - id: transfers
    effect: allow
    principals: { roles: [signer] }
    keys: { names: ["*"] }
    operations: [transaction]
    when:
      all:
        - chainId: { eq: 31337 }
        - value: { lte: "1 ether" }
        - maxTotalFee: { lte: "0.05 ether" }
  - id: messages
    effect: allow
    principals: { roles: [signer] }
    keys: { names: ["*"] }
    operations: [message, typed-data]
  - id: delegations
    effect: allow
    principals: { roles: [signer] }
    keys: { names: ["*"] }
    operations: [authorization]
    when:
      all:
        - chainId: { eq: 31337 }
        - authorizations: { every: { address: { eq: "0x2222222222222222222222222222222222222222" } } }
  - id: digests
    effect: allow
    principals: { roles: [signer] }
    keys: { names: ["*"] }
    operations: [digest]
    when: { digest: { purpose: { eq: test } } }
`;

/** Tests that ask for hundreds of signatures at once, beside other tests, wait for them. */
const PATIENT = { targetWaitMs: 60_000, burst: 10_000 };

export const SILENT: Log = createLog('silent', { write: () => undefined });

export const NO_METRICS: Metrics = {
  startRequest: () => () => undefined,
  countSignature: () => undefined,
  countAlert: () => undefined,
  text: async () => '',
};

export async function run(
  log: Log = SILENT,
  {
    policy = POLICY,
    hooks,
    ...settings
  }: {
    hooks?: TestHooks;
    seal?: 'file' | 'passphrase' | 'shamir';
    policy?: string;
    oidc?: readonly object[];
    rotation?: object;
    trustedProxies?: readonly string[];
  } = {},
): Promise<Running> {
  const data = mkdtempSync(path.join(tmpdir(), 'countersign-http-'));
  writeFileSync(path.join(data, POLICY_FILE), policy);
  const start = (): Promise<RunningService> =>
    startService(loadConfig({ data, listen: '127.0.0.1:0', load: PATIENT, ...settings }, {}), log, hooks);
  const token = (file: string): string | undefined => {
    try {
      return readFileSync(path.join(data, file), 'utf8').trim();
    } catch {
      return undefined;
    }
  };
  let service: RunningService | undefined = await start();
  let { url } = service;
  const client = (given: string | undefined): Client => clientOf(() => url, given);
  const admin = client(token(ADMIN_TOKEN_FILE));
  let made = 0;
  const size = async (): Promise<number> => must(await admin.get('/v1/sys/status')).body.audit.size;
  const stop = async (): Promise<void> => {
    const stopping = service;
    service = undefined;
    await stopping?.stop();
  };

  return {
    data,
    get url() {
      return url;
    },
    admin,
    signer: client(token(DEMO_TOKEN_FILE)),
    client,
    principal: async (roles, credential = {}) => {
      const name = `p${process.pid}-${made++}`;
      const { id } = must(await admin.post('/v1/principals', { name, roles })).body;
      const { token } = must(await admin.post(`/v1/principals/${id}/credentials`, credential)).body;
      return { ...client(token), id };
    },
    entries: async ({ from = 0, kind } = {}) => {
      const all: Json[] = [];
      let next: string | null = String(from);
      while (next !== null) {
        const query: string = `cursor=${next}&limit=1000${kind === undefined ? '' : `&kind=${kind}`}`;
        const { body } = must(await admin.get(`/v1/audit/entries?${query}`));
        all.push(...body.items.map(({ entry }: Json) => entry));
        next = body.nextCursor;
      }
      // What it looks at here is in the log, too.
      return kind === undefined ? all.filter((entry) => entry.kind !== 'audit.read') : all;
    },
    size,
    restart: async () => {
      await stop();
      service = await start();
      ({ url } = service);
    },
    stop,
    end: async () => {
      await stop();
      rmSync(data, { recursive: true });
    },
  };
}

/** The answer, when it is a good one. */
export function must(answered: Answered): Answered {
  if (answered.status >= 300) throw new Error(`${answered.status}: ${answered.text}`);
  return answered;
}

function clientOf(url: () => string, token: string | undefined): Client {
  const send: Client['send'] = async (method, path, { body, headers = {} } = {}) => {
    const response = await fetch(url() + path, {
      method,
      headers: { ...(token !== undefined && { authorization: `Bearer ${token}` }), ...headers },
      redirect: 'error',
      ...(body !== undefined && { body }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, body: parse(text) };
  };
  const withBody =
    (method: string): Client['post'] =>
    (path, body, headers = {}) =>
      send(method, path, {
        body: typeof body === 'string' ? body : JSON.stringify(body),
        headers: { 'content-type': 'application/json', ...headers },
      });
  return {
    token,
    send,
    get: (path, headers) => send('GET', path, headers === undefined ? {} : { headers }),
    post: withBody('POST'),
    patch: withBody('PATCH'),
  };
}

function parse(text: string): Json {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Of several answers, in ascending order. */
export function statuses(answers: readonly Answered[]): number[] {
  return answers.map(({ status }) => status).toSorted((a, b) => a - b);
}

/** Sends bytes as they are and reads until the service closes the connection, or has been quiet for `quietMs`. */
export function raw(url: string, bytes: string | Uint8Array, quietMs = 300): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect(Number(port), hostname, () => socket.write(bytes));
    const done = (): void => {
      socket.destroy();
      resolve(Buffer.concat(chunks).toString('latin1'));
    };
    socket.setTimeout(quietMs, done);
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('close', done);
    socket.on('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ECONNRESET' ? done() : reject(error),
    );
  });
}

/** One wei to somebody, within the policy. */
export function transfer(nonce: number, change: object = {}): { readonly transaction: Json } {
  return {
    transaction: {
      type: 2,
      chainId: 31337,
      nonce,
      to: '0x1111111111111111111111111111111111111111',
      value: '1',
      gasLimit: 21_000,
      maxFeePerGas: '2000000000',
      maxPriorityFeePerGas: '1000000000',
      ...change,
    },
  };
}
