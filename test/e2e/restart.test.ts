import { verifyMessage } from 'ethers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { verifyLog, type VerifyOptions } from '../../src/audit/verify/log.ts';
import {
  entryOf,
  expectStatus,
  childrenOf,
  logOf,
  refusedStart,
  startService,
  until,
  untilGone,
  type Answer,
  type KeyAnswer,
  type Problem,
  type RunningService,
  type SignAnswer,
} from '../service.ts';

interface Status {
  readonly initialized: boolean;
  readonly sealed: boolean;
  readonly ready: boolean;
  readonly reasons: readonly string[];
  readonly policy: object | null;
  readonly audit: { readonly origin: string; readonly size: number };
}

const SIGN = '/v1/keys/demo/sign/message';
const PASSPHRASE = 'correct horse battery staple';
/** A signer process that starts anew takes well under this, self-tests and all. */
const RECOVERY_MS = 15_000;
/** The supervisor gives a request 5 s, and looks every half second. */
const HANG_MS = 8_000;

const SEALED = 'sealed: countersign unseal (POST /v1/sys/unseal)';

let service: RunningService;
afterAll(async () => await service?.stop());

describe('a second start', () => {
  let first: { key: KeyAnswer; status: Status; vkey: string; checkpoint: string };

  beforeAll(async () => {
    service = await startService();
    await signs('before');
    first = await look();
  });

  test('refuses a second process on the directory, and says why', async () => {
    const { code, stderr } = await refusedStart(['--data', service.data]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/another countersign process is running on the data directory/);
    await signs('while the other one tried');
  });

  test('finds everything as it was', async () => {
    await service.stop();
    service = await startService({ data: service.data });
    const second = await look();
    expect(service.adminToken).not.toBe('');
    expect(second.vkey).toBe(first.vkey);
    expect(second.status.policy).toEqual(first.status.policy);
    expect(second.status.audit.origin).toBe(first.status.audit.origin);
    expect(second.status.audit.size).toBeGreaterThan(first.status.audit.size);
    const [version] = first.key.versions;
    expect(second.key.versions).toMatchObject([{ address: version!.address, publicKey: version!.publicKey }]);
    await signs('after');
  });

  test('goes on with the log where it was', async () => {
    await service.stop();
    const options = { vkey: first.vkey, trusted: first.checkpoint };
    expect(await check(service.data, options)).toMatchObject({ ok: true, signatures: 3, unsignedTail: 0 });
    const kinds = kindsOf(service.data);
    expect(kinds.filter((kind) => kind === 'service.started')).toHaveLength(2);
    expect(kinds.filter((kind) => kind === 'service.stopped')).toHaveLength(2);
    expect(kinds.filter((kind) => kind === 'principal.created')).toHaveLength(2);
  });
});

describe('the signer process', () => {
  beforeAll(async () => {
    service = await startService();
    await signs('at first');
  });

  test('killed: requests get 503, and the service is ready again by itself', async () => {
    const pid = service.signerPid;
    const load = startLoad();
    await load.untilAnswered(50);
    process.kill(pid, 'SIGKILL');
    expect(await until(async () => (await service.demo.get('/readyz')).status === 503, 2_000)).toBe(true);
    expect(await becomesReady()).toBe(true);
    await load.untilAnswered(50);
    const answers = await load.stop();

    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 503]));
    expectHonestRefusals(answers);
    expect(service.signerPid).not.toBe(pid);
    await signs('by the new process');
  });

  test('stopped: requests are refused within bounds, and it is replaced', async () => {
    const pid = service.signerPid;
    process.kill(pid, 'SIGSTOP');
    const started = Date.now();
    const answers = await Promise.all(Array.from({ length: 8 }, async (_, i) => await post(`stuck ${i}`)));
    expect(Date.now() - started).toBeLessThan(HANG_MS);
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 503));
    expectHonestRefusals(answers);

    expect(await untilGone(pid, 2_000)).toBe(true);
    expect(await becomesReady()).toBe(true);
    await signs('by the next process');
  });

  test('killed while sealed on purpose: stays sealed until somebody unseals it', async () => {
    expectStatus(200, await service.admin.post('/v1/sys/seal', {}));
    await killSigner();
    const reasons = async (): Promise<string> => (await ready()).body.reasons.join();
    expect(await until(async () => (await reasons()) === SEALED, 30_000)).toBe(true);
    expect(await ready()).toEqual({ status: 503, body: { ready: false, reasons: [SEALED] } });
    expect(expectStatus(503, await post('sealed')).code).toBe('sealed');

    expectStatus(200, await service.admin.post('/v1/sys/unseal', {}));
    expect((await ready()).status).toBe(200);
    await signs('after unsealing');
  });

  test('a stop while it is being replaced ends both', async () => {
    process.kill(service.signerPid, 'SIGKILL');
    expect(await until(async () => (await ready()).status === 503, 2_000)).toBe(true);
    const vkey = (await service.admin.get<string>('/v1/audit/key')).body.trim();
    await service.stop();
    service = await startService({ data: service.data });
    expect((await service.admin.get<string>('/v1/audit/key')).body.trim()).toBe(vkey);
    await signs('after the next start');
  });

  test('leaves a log that verifies and tells all of it', async () => {
    const vkey = (await service.admin.get<string>('/v1/audit/key')).body.trim();
    await service.stop();
    expect(await check(service.data, { vkey })).toMatchObject({ ok: true, unsignedTail: 0 });
    const kinds = kindsOf(service.data);
    expect(kinds.filter((kind) => kind === 'signer.lost')).toHaveLength(4);
    expect(kinds.filter((kind) => kind === 'seal.unsealed')).toHaveLength(4);
    expect(kinds.filter((kind) => kind === 'seal.sealed')).toHaveLength(1);
  });
});

describe('the passphrase seal', () => {
  beforeAll(async () => {
    service = await startService({ args: ['--seal', 'passphrase'] });
  });

  test('starts uninitialized, and signs once it has a passphrase', async () => {
    expect((await ready()).body.reasons).toEqual(['not initialized: countersign init (POST /v1/sys/init)']);
    const seal = { type: 'passphrase', passphrase: PASSPHRASE, kdf: { kdf: 'pbkdf2' } };
    expectStatus(201, await service.admin.post('/v1/sys/init', { seal }));
    expect((await ready()).status).toBe(200);
    expectStatus(201, await service.admin.post('/v1/keys', { name: 'vault' }));
  });

  test('stays sealed when the signer process is lost', async () => {
    await killSigner();
    const reasons = async (): Promise<string> => (await ready()).body.reasons.join();
    expect(await until(async () => (await reasons()) === SEALED, 30_000)).toBe(true);
    expect(expectStatus(503, await service.admin.post('/v1/keys', { name: 'other' })).code).toBe('sealed');
  });

  test('opens with its passphrase and no other', async () => {
    const wrong = await service.admin.post('/v1/sys/unseal', { passphrase: 'wrong horse battery staple' });
    expect(expectStatus(422, wrong).code).toBe('wrong_password');
    expectStatus(200, await service.admin.post('/v1/sys/unseal', { passphrase: PASSPHRASE }));
    expect((await ready()).status).toBe(200);
  });

  test('is sealed after a restart, and has its keys once it is open', async () => {
    await service.stop();
    service = await startService({ data: service.data });
    expect((await ready()).body.reasons).toEqual(['sealed: countersign unseal (POST /v1/sys/unseal)']);
    expectStatus(200, await service.admin.post('/v1/sys/unseal', { passphrase: PASSPHRASE }));
    expectStatus(200, await service.admin.get('/v1/keys/vault'));
  });
});

async function post(message: string): Promise<Answer<Problem & SignAnswer>> {
  return await service.demo.post<Problem & SignAnswer>(SIGN, { message });
}

async function signs(message: string): Promise<void> {
  const { signature, key } = expectStatus(200, await post(message));
  expect(verifyMessage(message, signature).toLowerCase()).toBe(key.address);
}

async function ready(): Promise<{ status: number; body: { ready: boolean; reasons: string[] } }> {
  const { status, body } = await service.admin.get<{ ready: boolean; reasons: string[] }>('/readyz');
  return { status, body };
}

async function becomesReady(): Promise<boolean> {
  return await until(async () => (await ready()).status === 200, RECOVERY_MS);
}

/** Waits until another process is there and has passed its self-tests. */
async function killSigner(): Promise<void> {
  const pid = service.signerPid;
  process.kill(pid, 'SIGKILL');
  const replaced = async (): Promise<boolean> => {
    const { reasons } = (await ready()).body;
    return (
      !childrenOf(service.pid).includes(pid) && !reasons.some((reason) => reason.includes('signer process'))
    );
  };
  expect(await until(replaced, RECOVERY_MS)).toBe(true);
}

async function look(): Promise<{ key: KeyAnswer; status: Status; vkey: string; checkpoint: string }> {
  return {
    key: expectStatus(200, await service.demo.get<KeyAnswer>('/v1/keys/demo')),
    status: expectStatus(200, await service.admin.get<Status>('/v1/sys/status')),
    vkey: expectStatus(200, await service.demo.get<string>('/v1/audit/key')).trim(),
    checkpoint: expectStatus(200, await service.admin.get<string>('/v1/audit/checkpoint')),
  };
}

/** Sixteen callers, one request after the other. A request that hangs shows as a test that times out. */
function startLoad(): {
  untilAnswered(count: number): Promise<void>;
  stop(): Promise<Answer<Problem & SignAnswer>[]>;
} {
  const answers: Answer<Problem & SignAnswer>[] = [];
  const ending = new AbortController();
  const callers = Array.from({ length: 16 }, async (_, caller) => {
    for (let i = 0; !ending.signal.aborted; i += 1) answers.push(await post(`load ${caller} ${i}`));
  });
  return {
    untilAnswered: async (count) => {
      const goal = answers.length + count;
      expect(await until(() => answers.length >= goal, RECOVERY_MS)).toBe(true);
    },
    stop: async () => {
      ending.abort();
      await Promise.all(callers);
      return answers;
    },
  };
}

/** Every refusal is of a code that says to come back, and carries no signature. */
function expectHonestRefusals(answers: readonly Answer<Problem & SignAnswer>[]): void {
  const refused = answers.filter(({ status }) => status === 503);
  expect(refused.length).toBeGreaterThan(0);
  expect(refused.filter(({ body }) => !['sealed', 'unavailable'].includes(body.code))).toEqual([]);
  expect(refused.filter(({ headers }) => headers.get('retry-after') === null)).toEqual([]);
  expect(refused.filter(({ body }) => JSON.stringify(body).includes('signature"'))).toEqual([]);
}

async function check(data: string, options: VerifyOptions): Promise<Awaited<ReturnType<typeof verifyLog>>> {
  const log = logOf(data);
  try {
    return await verifyLog(log, options);
  } finally {
    log.close();
  }
}

function kindsOf(data: string): string[] {
  const log = logOf(data);
  try {
    return log.all().map((stored) => entryOf(stored).kind);
  } finally {
    log.close();
  }
}
