import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { Authenticator } from '../../src/access/authenticator.ts';
import { newCredential } from '../../src/access/credentials.ts';
import { LogReads } from '../../src/access/log-reads.ts';
import { CanaryAlarms } from '../../src/access/canaries.ts';
import { Refusals } from '../../src/access/failures.ts';
import { IdentityProviders } from '../../src/access/oidc.ts';
import type { AccessReads, Credential, Principal } from '../../src/access/principals.ts';
import { Throttle } from '../../src/access/throttle.ts';
import type { EntryDraft } from '../../src/audit/entry.ts';
import type { Recorder } from '../../src/audit/log.ts';
import { Admission } from '../../src/http/admission.ts';
import { createApp } from '../../src/http/app.ts';
import type { KeptAnswer } from '../../src/http/idempotency.ts';
import { route } from '../../src/http/route.ts';
import type { Service, ServiceTx } from '../../src/http/service.ts';
import { NO_METRICS, SILENT } from './running.ts';

/** One route, of signers, that waits until it is let go; what is known of its caller changes meanwhile. */
let server: Server;
let entries: EntryDraft[];
let runs: number;
let letGo: () => void;
let began: Promise<void>;
let credential: Credential;
let principal: Principal;
let token: string;

beforeEach(async () => {
  const made = newCredential('p');
  ({ credential, token } = { credential: made.credential, token: made.token });
  principal = { id: 'p', name: 'p', roles: ['signer'], state: 'enabled', createdAt: '' };
  entries = [];
  runs = 0;
  const kept = new Map<string, KeptAnswer>();
  const tx = { keepAnswer: (_: string, name: string, answer: KeptAnswer) => void kept.set(name, answer) };
  const log: Recorder<ServiceTx> = {
    record: (draft, effects) => {
      entries.push(draft);
      return Promise.resolve(
        effects(tx as unknown as ServiceTx, { index: entries.length - 1, leafHash: '' }),
      );
    },
  };
  const released = new Promise<void>((resolve) => (letGo = resolve));
  let begin: () => void;
  began = new Promise((resolve) => (begin = resolve));
  const only = route(
    {
      method: 'POST',
      path: '/x',
      tag: '',
      summary: '',
      access: ['signer'],
      body: z.strictObject({}),
      answer: { status: 200, description: '' },
    },
    async (_, { act }) => {
      runs++;
      begin();
      await released;
      return await act.commit({ kind: 'sign', outcome: 'done' }, () => ({ signed: true }));
    },
  );
  const reads = {
    credential: () => ({ credential, principal }),
    keptAnswer: (_: string, name: string) => kept.get(name),
  };
  const providers = new IdentityProviders([]);
  const admission = new Admission({
    authenticator: new Authenticator(reads as unknown as AccessReads, log, providers),
    throttle: new Throttle(),
    refusals: new Refusals(log),
    canaries: new CanaryAlarms(log),
    trustedProxies: [],
  });
  const app = createApp({
    service: { log, reads } as unknown as Service,
    routes: [only],
    log: SILENT,
    metrics: NO_METRICS,
    admission,
    logReads: new LogReads(log),
    onFailure: () => undefined,
  });
  server = createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(() => server.close());

const port = (): number => (server.address() as AddressInfo).port;
const post = (key: string): Promise<Response> =>
  fetch(`http://127.0.0.1:${port()}/x`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      'idempotency-key': key,
    },
    body: '{}',
  });

const CHANGES: readonly (readonly [string, () => void, number, object])[] = [
  [
    'a revocation',
    () => (credential = { ...credential, revokedAt: new Date().toISOString() }),
    401,
    { kind: 'access.unauthenticated', detail: { reason: 'revoked credential' } },
  ],
  [
    'a disabled principal',
    () => (principal = { ...principal, state: 'disabled' }),
    401,
    { kind: 'access.unauthenticated', detail: { reason: 'disabled principal' } },
  ],
  [
    'a role taken away',
    () => (principal = { ...principal, roles: ['approver'] }),
    403,
    { kind: 'access.forbidden', detail: { method: 'POST', route: '/x', path: '/x' } },
  ],
];

describe.each(CHANGES)('%s', (_, change, status, entry) => {
  test('holds for a request whose body is still to come', async () => {
    const socket = connect(port(), '127.0.0.1');
    socket.write(
      `POST /x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nExpect: 100-continue\r\n` +
        'Content-Type: application/json\r\nContent-Length: 2\r\n\r\n',
    );
    const [goOn] = (await once(socket, 'data')) as [Buffer];
    expect(goOn.toString()).toMatch(/^HTTP\/1\.1 100 /);
    change();
    letGo();
    socket.write('{}');
    const [answer] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    expect(answer.toString()).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(runs).toBe(0);
    expect(entries).toMatchObject([entry]);
  });

  test('holds for a request that waits for another with its idempotency key, and for its answer', async () => {
    const first = post('k');
    await began;
    const second = post('k');
    // Long enough for it to wait for the first.
    await new Promise((resolve) => setTimeout(resolve, 100));
    change();
    letGo();
    expect((await first).status).toBe(200);
    expect((await second).status).toBe(status);
    expect(runs).toBe(1);
    expect(entries).toMatchObject([{ kind: 'sign' }, entry]);
  });
});
