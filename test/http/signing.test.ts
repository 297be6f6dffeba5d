import { Transaction } from 'ethers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { must, run, transfer, type Answered, type Client, type Json, type Running } from './running.ts';

let service: Running;
let admin: Client;
let signer: Client;
let address: string;

beforeAll(async () => {
  service = await run();
  ({ admin, signer } = service);
  address = must(await signer.get('/v1/keys/demo')).body.versions[0].address;
});
afterAll(() => service.end());

const send = (body: Json, key = 'demo'): Promise<Answered> =>
  signer.post(`/v1/keys/${key}/sign/transaction`, body);
const FEES = { maxFeePerGas: '4000000000', maxPriorityFeePerGas: '2000000000' };

describe('inputs that cannot mean what was meant', () => {
  const CHECKSUMMED = '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed';

  test.each<[string, object, string]>([
    ['to is empty', { to: '' }, 'to'],
    ['to has a bad checksum', { to: CHECKSUMMED.replace('aA', 'AA') }, 'to'],
    ['to is short', { to: '0x1234' }, 'to'],
    ['to is a name', { to: 'vitalik.eth' }, 'to'],
    ['to is a number', { to: 0 }, 'to'],
    ['value is a number', { value: 1 }, 'value'],
    ['value is 2^256', { value: (2n ** 256n).toString() }, 'value'],
    ['value is 2^256 in hex', { value: `0x1${'0'.repeat(64)}` }, 'value'],
    ['value is negative', { value: '-1' }, 'value'],
    ['value is a fraction', { value: '1.5' }, 'value'],
    ['value is an exponent', { value: '1e18' }, 'value'],
    ['value is empty', { value: '' }, 'value'],
    ['value is 0x', { value: '0x' }, 'value'],
    ['value has a unit', { value: '1 ether' }, 'value'],
    ['value is octal', { value: '010' }, 'value'],
    ['maxFeePerGas is a number', { maxFeePerGas: 1_000_000_000 }, 'maxFeePerGas'],
    ['maxPriorityFeePerGas is a number', { maxPriorityFeePerGas: 1 }, 'maxPriorityFeePerGas'],
    ['gasPrice beside maxFeePerGas', { gasPrice: '1' }, 'gasPrice'],
    ['the tip is above the fee', { maxPriorityFeePerGas: '9000000000' }, 'maxPriorityFeePerGas'],
    ['chainId is absent', { chainId: undefined }, 'chainId'],
    ['chainId is 0', { chainId: 0 }, 'chainId'],
    ['chainId is "0x0"', { chainId: '0x0' }, 'chainId'],
    ['chainId is null', { chainId: null }, 'chainId'],
    ['nonce is absent', { nonce: undefined }, 'nonce'],
    ['nonce is negative', { nonce: -1 }, 'nonce'],
    ['nonce is 2^64 - 1', { nonce: '18446744073709551615' }, 'nonce'],
    ['gasLimit is absent', { gasLimit: undefined }, 'gasLimit'],
    ['gas for gasLimit', { gas: 21_000 }, 'gas'],
    ['an unknown field', { memo: 'x' }, 'memo'],
    ['from', { from: '0x1111111111111111111111111111111111111111' }, 'from'],
    ['data is odd', { data: '0x123' }, 'data'],
    ['data is not hex', { data: 'transfer' }, 'data'],
    ['type is 5', { type: 5 }, 'type'],
    [
      'a storage key is short',
      { accessList: [{ address: CHECKSUMMED, storageKeys: ['0x1'] }] },
      'accessList.0.storageKeys.0',
    ],
  ])('%s: 400 that names the field', async (_, change, path) => {
    const size = await service.size();
    const { status, body } = await send(transfer(900, change));
    expect([status, body.code]).toEqual([400, 'invalid_request']);
    expect(body.errors.map((error: Json) => error.path)).toContain(`transaction.${path}`);
    expect(await service.size()).toBe(size);
  });

  test('all wrong fields are named at once', async () => {
    const { body } = await send(transfer(900, { to: '', value: 1, chainId: 0 }));
    expect(body.errors.map((error: Json) => error.path).toSorted()).toEqual([
      'transaction.chainId',
      'transaction.to',
      'transaction.value',
    ]);
  });

  test.each<[string, string, Json, string]>([
    ['message', 'two forms', { message: 'a', data: '0x61' }, 'data'],
    ['message', 'no form', {}, 'message'],
    ['message', 'a lone surrogate', '{"message":"\\ud800"}', 'message'],
    ['message', 'version 0', { message: 'a', version: 0 }, 'version'],
    ['message', 'version as text', { message: 'a', version: '1' }, 'version'],
    ['digest', '31 bytes', { digest: `0x${'00'.repeat(31)}`, purpose: 'test' }, 'digest'],
    ['digest', 'no purpose', { digest: `0x${'00'.repeat(32)}` }, 'purpose'],
    ['authorization', 'chain id 0', { chainId: 0, address: `0x${'22'.repeat(20)}`, nonce: 0 }, 'chainId'],
    ['authorization', 'no address', { chainId: 1, nonce: 0 }, 'address'],
    ['transaction', 'no transaction', {}, 'transaction'],
    ['transaction', 'a field beside it', { ...transfer(0), nonce: 1 }, 'nonce'],
  ])('%s, %s: 400 that names the field', async (operation, _, body, path) => {
    const { status, body: problem } = await signer.post(`/v1/keys/demo/sign/${operation}`, body);
    expect([status, problem.code]).toEqual([400, 'invalid_request']);
    expect(problem.errors.map((error: Json) => error.path)).toContain(path);
  });
});

describe('policy', () => {
  test('a denial is 403 with its decision, and logged with the intent', async () => {
    const from = await service.size();
    const { status, body } = await send(transfer(901, { value: '1000000000000000001' }));
    expect([status, body.code]).toEqual([403, 'policy_denied']);
    expect(body.decision).toEqual({
      effect: 'deny',
      policyRevision: 7,
      reason: expect.any(String),
      failed: expect.arrayContaining([{ rule: 'transfers', predicate: expect.stringContaining('value') }]),
    });
    expect(await service.entries({ from })).toMatchObject([
      {
        kind: 'sign',
        outcome: 'denied',
        operation: 'transaction',
        key: { name: 'demo', version: 1, address },
        decision: { effect: 'deny', policyRevision: 7 },
        intent: { transaction: { value: '1000000000000000001' } },
      },
    ]);
    expect((await service.entries({ from }))[0]).not.toHaveProperty('signature');
  });

  test('what is denied leaves the nonce free', async () => {
    expect((await send(transfer(902, { value: '1000000000000000001' }))).status).toBe(403);
    expect((await send(transfer(902))).status).toBe(200);
  });

  test.each<[string, Json]>([
    ['digest', { digest: `0x${'00'.repeat(32)}`, purpose: 'other' }],
    ['authorization', { chainId: 31337, address: `0x${'33'.repeat(20)}`, nonce: 0 }],
    ['authorization', { chainId: 1, address: `0x${'22'.repeat(20)}`, nonce: 0 }],
  ])('no rule allows this %s', async (operation, body) => {
    expect((await signer.post(`/v1/keys/demo/sign/${operation}`, body)).body.code).toBe('policy_denied');
  });
});

describe('nonce guard', () => {
  const other = { to: '0x3333333333333333333333333333333333333333' };

  test('a different transaction is 409, logged as refused', async () => {
    must(await send(transfer(0)));
    const from = await service.size();
    const { status, body } = await send(transfer(0, other));
    expect([status, body.code]).toEqual([409, 'nonce_conflict']);
    const [entry, ...more] = await service.entries({ from });
    expect(more).toEqual([]);
    expect(entry).toMatchObject({ kind: 'sign', outcome: 'refused', detail: { code: 'nonce_conflict' } });
    expect(entry).not.toHaveProperty('signature');
    for (const change of [
      { value: '2' },
      { accessList: [{ address: `0x${'22'.repeat(20)}`, storageKeys: [] }], ...other },
      { ...other, ...FEES },
    ]) {
      expect((await send(transfer(0, change))).status).toBe(409);
    }
  });

  test('the same bytes again give the same signature', async () => {
    const first = must(await send(transfer(1))).body;
    const again = must(await send(transfer(1))).body;
    expect(again.rawTransaction).toBe(first.rawTransaction);
    expect(again.receipt.index).toBeGreaterThan(first.receipt.index);
  });

  test('higher fees for the same effect replace it; then the old one is another transaction', async () => {
    must(await send(transfer(2)));
    must(await send(transfer(2, FEES)));
    expect((await send(transfer(2))).status).toBe(409);
    expect((await send(transfer(2, { ...FEES, maxPriorityFeePerGas: '1' }))).status).toBe(409);
  });

  test('a cancel takes its place: to self, no value, no data', async () => {
    must(await send(transfer(3)));
    expect((await send(transfer(3, { to: address, value: '1', ...FEES }))).status).toBe(409);
    must(await send(transfer(3, { to: address, value: '0', ...FEES })));
    expect((await send(transfer(3, { to: '0x3333333333333333333333333333333333333333' }))).status).toBe(409);
  });

  test('is for one key: another has its own nonces', async () => {
    must(await admin.post('/v1/keys', { name: 'second' }));
    expect((await send(transfer(0, other), 'second')).status).toBe(200);
  });

  test('of conflicting requests at the same time exactly one gets a signature', async () => {
    for (let round = 0; round < 5; round++) {
      const nonce = 100 + round;
      const from = await service.size();
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, i) => send(transfer(nonce, { value: `${i + 1}` }))),
      );
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
      expect(answers.filter(({ body }) => body.code === 'nonce_conflict')).toHaveLength(19);
      const signed = (await service.entries({ from })).filter((entry) => 'signature' in entry);
      expect(signed).toHaveLength(1);
    }
  });

  test('the same transaction many times at once is signed every time, to the same bytes', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => send(transfer(110))));
    expect(new Set(answers.map((answered) => must(answered).body.rawTransaction)).size).toBe(1);
  });

  test('what was signed is what was asked for', async () => {
    const asked = transfer(120, { gasLimit: '100000' });
    const made = Transaction.from(must(await send(asked)).body.rawTransaction);
    expect(made).toMatchObject({
      type: 2,
      chainId: 31337n,
      nonce: 120,
      value: 1n,
      data: '0x',
      gasLimit: 100_000n,
    });
    expect(made.to?.toLowerCase()).toBe(asked.transaction.to);
  });
});

describe('key states', () => {
  const change = (key: string, verb: string): Promise<Answered> =>
    admin.post(`/v1/keys/${key}/versions/1/${verb}`, { reason: 'test' });

  test('a disabled version refuses with 409 and is logged; an enabled one signs again', async () => {
    must(await admin.post('/v1/keys', { name: 'paused' }));
    must(await change('paused', 'disable'));
    const from = await service.size();
    const { status, body } = await send(transfer(0), 'paused');
    expect([status, body.code]).toEqual([409, 'key_state']);
    expect(await service.entries({ from })).toMatchObject([
      { outcome: 'refused', detail: { code: 'key_state' } },
    ]);
    expect((await change('paused', 'disable')).body.code).toBe('key_state');
    must(await change('paused', 'enable'));
    must(await send(transfer(0), 'paused'));
  });

  test('an unknown key or version is 404 and logs nothing', async () => {
    const size = await service.size();
    expect((await send(transfer(0), 'nobody')).status).toBe(404);
    expect((await send({ ...transfer(0), version: 2 })).status).toBe(404);
    expect((await change('nobody', 'disable')).status).toBe(404);
    expect(await service.size()).toBe(size);
  });

  test('no signature comes behind the entry of a disable', async () => {
    for (let round = 0; round < 4; round++) {
      const key = `racing-${round}`;
      must(await admin.post('/v1/keys', { name: key }));
      const signing = Array.from({ length: 200 }, (_, i) =>
        signer.post(`/v1/keys/${key}/sign/message`, { message: `${i}` }),
      );
      // Somewhere among them, a little later each round.
      await Promise.race(signing.slice(round * 40));
      must(await change(key, 'disable'));
      const answers = await Promise.all(signing);
      const after = await send(transfer(0), key);
      const entries = await service.entries();
      const { index: disabled } = entries.find(
        ({ kind, key: of }) => kind === 'key.state_changed' && of.name === key,
      );

      const released = answers.filter(({ status }) => status === 200);
      for (const { body } of released) expect(body.receipt.index).toBeLessThan(disabled);
      const refused = answers.filter(({ status }) => status !== 200);
      expect(refused.every(({ status, body }) => status === 409 && body.code === 'key_state')).toBe(true);
      const signatures = entries
        .filter(({ index }) => index > disabled)
        .filter((entry) => entry.key?.name === key && 'signature' in entry);
      expect(signatures).toEqual([]);
      expect(after.status).toBe(409);
    }
  });
});

test('no signature comes behind the entry of a seal', async () => {
  for (let round = 0; round < 3; round++) {
    const from = await service.size();
    const signing = Array.from({ length: 200 }, (_, i) =>
      signer.post('/v1/keys/demo/sign/message', { message: `${i}` }),
    );
    await Promise.race(signing.slice(round * 40));
    must(await admin.post('/v1/sys/seal', {}));
    const after = await signer.post('/v1/keys/demo/sign/message', { message: 'after' });
    const answers = await Promise.all(signing);
    must(await admin.post('/v1/sys/unseal', {}));
    const entries = await service.entries({ from });
    const { index: sealed } = entries.find(({ kind }) => kind === 'seal.sealed');
    const unsealed = entries.find(({ kind }) => kind === 'seal.unsealed').index;

    expect([after.status, after.body.code]).toEqual([503, 'sealed']);
    const released = answers.filter(({ status }) => status === 200);
    for (const { body } of released) expect(body.receipt.index).toBeLessThan(sealed);
    const refused = answers.filter(({ status }) => status !== 200);
    expect(refused.every(({ status, body }) => status === 503 && body.signature === undefined)).toBe(true);
    expect(entries.filter((one) => one.index > sealed && one.index < unsealed && 'signature' in one)).toEqual(
      [],
    );
  }
});
