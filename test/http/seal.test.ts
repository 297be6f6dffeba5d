import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  must,
  run,
  SILENT,
  transfer,
  type Answered,
  type Client,
  type Json,
  type Running,
} from './running.ts';

const PASSPHRASE = 'correct horse battery staple';

let service: Running;
let shares: string[];
let nonce = 0;

beforeAll(async () => {
  service = await run(SILENT, { seal: 'shamir' });
});
afterAll(async () => await service.end());

/** A credential of its own, so that one test's wrong secrets don't hold up the next. */
async function operator(): Promise<Client> {
  return await service.principal(['operator']);
}

async function status(): Promise<Json> {
  return must(await service.admin.get('/v1/sys/status')).body;
}

async function signs(): Promise<boolean> {
  const signer = await service.principal(['signer']);
  return (await signer.post('/v1/keys/treasury/sign/transaction', transfer(nonce++))).status === 200;
}

async function give(given: readonly string[], client = service.admin): Promise<Answered> {
  let last: Answered | undefined;
  for (const share of given) last = must(await client.post('/v1/sys/unseal', { share }));
  return last!;
}

/** Of a service with nothing to do with this one. */
async function sharesOfAnother(): Promise<string[]> {
  const other = await run(SILENT, { seal: 'shamir' });
  try {
    const seal = { type: 'shamir', shares: 2, threshold: 2 };
    return must(await other.admin.post('/v1/sys/init', { seal })).body.shares;
  } finally {
    await other.end();
  }
}

const kinds = (entries: Json[]): string[] => entries.map(({ kind }) => kind);

describe('a seal in shares', () => {
  it('is made with a threshold that is possible', async () => {
    for (const [count, threshold] of [
      [1, 1],
      [3, 1],
      [3, 4],
      [33, 2],
    ]) {
      const answered = await service.admin.post('/v1/sys/init', {
        seal: { type: 'shamir', shares: count, threshold },
      });
      expect(answered.status).toBe(400);
    }
    expect(await status()).toMatchObject({ initialized: false, keyring: null });
  });

  it('answers its shares once', async () => {
    const seal = { type: 'shamir', shares: 5, threshold: 3 };
    const key = { 'idempotency-key': 'init' };
    const { body } = must(await service.admin.post('/v1/sys/init', { seal }, key));
    ({ shares } = body);
    expect(shares.length).toBe(5);
    expect(new Set(shares).size).toBe(5);
    for (const share of shares) expect(share).toMatch(/^css1(?:-[a-z2-7]{6}){12}$/);
    expect(body).toMatchObject({
      initialized: true,
      sealed: false,
      seal: {
        type: 'shamir',
        shares: 5,
        threshold: 3,
        have: 0,
        set: expect.stringMatching(/^[0-9a-f]{12}$/),
      },
      keyring: { term: 1, oldTermKeys: 0 },
    });
    const again = await service.admin.post('/v1/sys/init', { seal }, key);
    expect(again.status).toBe(409);
    expect(again.text).not.toContain('css1-');
    must(await service.admin.post('/v1/keys', { name: 'treasury' }));
    expect(await signs()).toBe(true);
  });

  it('opens with any threshold of them, each in the log with who gave it and without the share', async () => {
    must(await service.admin.post('/v1/sys/seal', {}));
    expect(await signs()).toBe(false);
    const from = await service.size();
    const [one, two] = [await operator(), await operator()];
    expect((await give([shares[4]!], one)).body).toMatchObject({ sealed: true, seal: { have: 1 } });
    expect((await give([shares[0]!], two)).body).toMatchObject({ sealed: true, seal: { have: 2 } });
    expect((await give([shares[2]!], one)).body).toMatchObject({ sealed: false, seal: { have: 0 } });
    expect(await signs()).toBe(true);
    const entries = (await service.entries({ from })).filter(({ kind }) => kind.startsWith('seal.'));
    expect(kinds(entries)).toEqual([
      'seal.share_given',
      'seal.share_given',
      'seal.share_given',
      'seal.unsealed',
    ]);
    expect(entries.map(({ detail }) => [detail.number, detail.have])).toEqual([
      [5, 1],
      [1, 2],
      [3, 3],
      [undefined, undefined],
    ]);
    expect(new Set(entries.map(({ actor }) => actor.principal)).size).toBe(2);
    for (const share of shares) expect(JSON.stringify(entries)).not.toContain(share.slice(5, 25));
  });

  it('names what is wrong with a share, and keeps those before it', async () => {
    must(await service.admin.post('/v1/sys/seal', {}));
    const client = await operator();
    await give([shares[0]!], client);
    const typo = shares[1]!.replace(/.$/, (last) => (last === 'a' ? 'b' : 'a'));
    const foreign = (await sharesOfAnother())[0]!;
    for (const [share, code, words] of [
      [typo, 'invalid_request', 'checksum'],
      ['nonsense', 'invalid_request', 'css1-'],
      [foreign, 'unprocessable', 'belongs to another service'],
      [shares[0]!, 'conflict', 'share 1 was given already'],
    ] as const) {
      const { body } = await client.post('/v1/sys/unseal', { share });
      expect(body).toMatchObject({ code, detail: expect.stringContaining(words) });
    }
    expect((await status()).seal.have).toBe(1);
    expect((await client.post('/v1/sys/unseal', { passphrase: 'x' })).body.detail).toContain(
      'opens with shares',
    );
    expect((await client.post('/v1/sys/unseal', { share: 'x', reset: true })).status).toBe(400);
    const refused = await service.entries({ kind: 'seal.share_refused' });
    expect(refused.length).toBe(4);
    expect(JSON.stringify(refused)).not.toContain(typo.slice(5, 25));
  });

  it('forgets them on request, and with a sealing', async () => {
    const client = await operator();
    expect(must(await client.post('/v1/sys/unseal', { reset: true })).body.seal.have).toBe(0);
    await give(shares.slice(0, 2), client);
    expect((await status()).seal.have).toBe(2);
    must(await client.post('/v1/sys/seal', {}));
    expect((await status()).seal.have).toBe(0);
    await give(shares.slice(0, 2), client);
    expect((await status()).sealed).toBe(true);
    await give([shares[4]!], client);
    expect((await status()).sealed).toBe(false);
  });

  it('bounds how often one credential tries, and goes on for another', async () => {
    must(await service.admin.post('/v1/sys/seal', {}));
    const guesser = await operator();
    const answers: number[] = [];
    for (let index = 0; index < 12; index += 1)
      answers.push((await guesser.post('/v1/sys/unseal', { share: 'css1-guess' })).status);
    expect(answers).toEqual([...Array<number>(10).fill(400), 429, 429]);
    const limited = await guesser.post('/v1/sys/unseal', { share: shares[0] });
    expect(limited.status).toBe(429);
    expect(Number(limited.headers.get('retry-after'))).toBeGreaterThan(1);
    expect((await service.entries({ kind: 'seal.attempts_limited' })).length).toBe(1);
    await give(shares.slice(0, 3), await operator());
    expect((await status()).sealed).toBe(false);
  });
});

describe('changing the seal', () => {
  let fresh: string[];
  let client: Client;
  const rekey = async (): Promise<Json> => must(await client.get('/v1/sys/rekey')).body.rekey;
  const step = async (path: string, body: Json): Promise<Answered> =>
    await client.post(`/v1/sys/rekey${path}`, body);

  beforeAll(async () => {
    client = await operator();
  });

  it('takes a quorum of the shares in force, then of the new ones; until then the old ones count', async () => {
    const seal = { type: 'shamir', shares: 3, threshold: 2 };
    expect((await step('', { seal, current: { passphrase: 'x' } })).body.detail).toContain('must be absent');
    const started = must(await step('', { seal })).body;
    expect(started.shares).toBeUndefined();
    expect(started.rekey).toMatchObject({ stage: 'authorize', have: 0, threshold: 3, to: { shares: 3 } });
    expect((await step('', { seal })).status).toBe(409);
    expect((await step('/verify', { share: shares[0] })).body.detail).toContain('authorize the change');
    for (const share of shares.slice(0, 2)) {
      const { body } = must(await step('/authorize', { share }));
      expect(body.shares).toBeUndefined();
    }
    const authorized = must(await step('/authorize', { share: shares[3] })).body;
    fresh = authorized.shares;
    expect(fresh.length).toBe(3);
    expect(authorized.rekey).toMatchObject({ stage: 'verify', have: 0, threshold: 2 });

    expect((await step('/verify', { share: shares[4] })).body).toMatchObject({ code: 'unprocessable' });
    expect(must(await step('/verify', { share: fresh[2] })).body).toMatchObject({
      done: false,
      rekey: { have: 1 },
    });
    expect((await status()).seal.shares).toBe(5);
    expect(must(await step('/verify', { share: fresh[0] })).body).toEqual({ done: true });
    expect(await rekey()).toBeNull();
    expect((await status()).seal).toMatchObject({ shares: 3, threshold: 2 });
    expect(await signs()).toBe(true);
  });

  it('leaves the old shares without effect, and names them so', async () => {
    must(await client.post('/v1/sys/seal', {}));
    const { body } = await client.post('/v1/sys/unseal', { share: shares[0] });
    expect(body.detail).toContain('a seal that was changed since');
    await give(fresh.slice(0, 2), client);
    expect(await signs()).toBe(true);
  });

  it('is cancelled by request and by a sealing', async () => {
    const seal = { type: 'passphrase', passphrase: PASSPHRASE, kdf: { kdf: 'pbkdf2' } };
    must(await step('', { seal }));
    expect(must(await step('/cancel', {})).body).toEqual({ rekey: null });
    expect((await step('/cancel', {})).status).toBe(409);
    must(await step('', { seal }));
    must(await step('/authorize', { share: fresh[0] }));
    must(await client.post('/v1/sys/seal', {}));
    expect(await rekey()).toBeNull();
    await give(fresh.slice(1), client);
    expect((await step('/authorize', { share: fresh[0] })).status).toBe(409);
    expect((await step('/verify', { passphrase: PASSPHRASE })).status).toBe(409);
  });

  it('goes to a passphrase and to another one, over a new term in between', async () => {
    const kdf = { kdf: 'pbkdf2' };
    must(await step('', { seal: { type: 'passphrase', passphrase: PASSPHRASE, kdf } }));
    for (const share of fresh.slice(0, 2)) must(await step('/authorize', { share }));
    // A term that comes while the seal is being changed is in the keyring under the new seal, too.
    expect(must(await client.post('/v1/sys/rotate-root', {})).body.term).toBe(2);
    must(await service.admin.post('/v1/keys', { name: 'after-the-term' }));
    expect((await step('/verify', { passphrase: 'wrong horse battery staple' })).body.code).toBe(
      'wrong_password',
    );
    expect((await step('/verify', { share: fresh[0] })).status).toBe(400);
    expect(must(await step('/verify', { passphrase: PASSPHRASE })).body).toEqual({ done: true });

    const next = { type: 'passphrase', passphrase: `${PASSPHRASE} again`, kdf };
    expect((await step('', { seal: next })).body.detail).toContain('passphrase of the seal in force');
    const wrong = await step('', { seal: next, current: { passphrase: 'wrong horse battery staple' } });
    expect(wrong.body.code).toBe('wrong_password');
    expect(await rekey()).toBeNull();
    must(await step('', { seal: next, current: { passphrase: PASSPHRASE } }));
    must(await step('/verify', { passphrase: next.passphrase }));
    await service.restart();
    expect((await client.post('/v1/sys/unseal', { passphrase: PASSPHRASE })).body.code).toBe(
      'wrong_password',
    );
    must(await client.post('/v1/sys/unseal', { passphrase: next.passphrase }));
    expect(await signs()).toBe(true);
    const signer = await service.principal(['signer']);
    must(await signer.post('/v1/keys/after-the-term/sign/transaction', transfer(0)));
    expect(
      (await service.entries({ kind: 'seal.rekeyed' })).map(({ detail }) => [detail.from, detail.to]),
    ).toEqual([
      ['shamir', 'shamir'],
      ['shamir', 'passphrase'],
      ['passphrase', 'passphrase'],
    ]);
  });
});

describe('the root key', () => {
  it('moves all that is sealed to its newest term while it signs', async () => {
    must(await service.admin.post('/v1/me/totp', {}));
    must(await service.admin.post('/v1/sys/rotate-root', {}));
    const before = (await status()).keyring;
    // Two keys, a second factor and the key of the log.
    expect(before).toMatchObject({ term: 3, oldTermKeys: 4 });
    const started = await service.admin.post('/v1/sys/rewrap', {});
    expect(started.status).toBe(202);
    expect(started.body.job).toMatchObject({ total: 4, term: 3 });
    while (must(await service.admin.get('/v1/sys/rewrap')).body.job.state === 'running')
      expect(await signs()).toBe(true);
    expect(must(await service.admin.get('/v1/sys/rewrap')).body.job).toMatchObject({ done: 4, failed: 0 });
    expect((await status()).keyring).toMatchObject({ term: 3, oldTermKeys: 0 });
    expect((await service.entries({ kind: 'seal.rewrapped' })).at(-1).detail).toMatchObject({
      count: 4,
      failed: 0,
    });
    await service.restart();
    must(await service.admin.post('/v1/sys/unseal', { passphrase: `${PASSPHRASE} again` }));
    expect(await signs()).toBe(true);
    must(await service.admin.get('/v1/audit/checkpoint'));
  });

  it('has its age and its use in the metrics', async () => {
    const { text } = await service.client(undefined).get('/metrics');
    expect(text).toMatch(/^countersign_root_key_term 3$/m);
    expect(text).toMatch(/^countersign_old_term_keys 0$/m);
    expect(Number(/^countersign_root_key_encryptions (\d+)$/m.exec(text)?.[1])).toBeGreaterThan(0);
  });
});
