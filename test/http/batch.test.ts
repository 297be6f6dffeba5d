import { afterAll, beforeAll, expect, test } from 'vitest';
import { signAnswerShape, problemShape } from '../../src/http/shapes.ts';
import { must, run, transfer, type Answered, type Client, type Json, type Running } from './running.ts';

let service: Running;
let signer: Client;

beforeAll(async () => {
  service = await run();
  ({ signer } = service);
});
afterAll(() => service.end());

const batch = (items: Json, headers?: Record<string, string>): Promise<Answered> =>
  signer.post('/v1/sign/batch', { items }, headers);
const message = (text: string, key = 'demo'): Json => ({ key, operation: 'message', message: text });
const pay = (nonce: number, change?: object): Json => ({
  key: 'demo',
  operation: 'transaction',
  ...transfer(nonce, change),
});

test('each item is answered in its place, good or bad, and each decided one is logged once', async () => {
  const from = await service.size();
  const items = [
    message('first'),
    pay(0, { value: '2000000000000000000' }),
    pay(0, { to: '' }),
    message('second', 'nobody'),
    'not an object',
    null,
    { operation: 'message', message: 'no key' },
    { key: 'demo', operation: 'paint', message: 'x' },
    { key: 'demo', operation: 'message', message: 'x', version: 9 },
    { key: 'demo', operation: 'message', message: 'x', unknown: 1 },
    pay(1),
    pay(1, { value: '5' }),
    { key: 'demo', operation: 'digest', digest: `0x${'00'.repeat(32)}`, purpose: 'test' },
  ];
  const { body } = must(await batch(items));
  expect(body.items.map(({ status, code }: Json) => `${status} ${code ?? 'ok'}`)).toEqual([
    '200 ok',
    '403 policy_denied',
    '400 invalid_request',
    '404 not_found',
    '400 invalid_request',
    '400 invalid_request',
    '400 invalid_request',
    '400 invalid_request',
    '404 not_found',
    '400 invalid_request',
    '200 ok',
    '409 nonce_conflict',
    '200 ok',
  ]);
  const paths = body.items.map(({ errors }: Json) => errors?.map(({ path }: Json) => path).join());
  expect(paths[2]).toBe('items.2.transaction.to');
  expect(paths.slice(4, 8)).toEqual(['items.4', 'items.5', 'items.6.key', 'items.7.operation']);
  expect(paths[9]).toBe('items.9.unknown');
  expect(body.items[1].decision.effect).toBe('deny');
  for (const item of body.items) {
    const { status, ...answer } = item;
    const shape = status === 200 ? signAnswerShape.safeParse(answer) : problemShape.safeParse(item);
    expect(shape.error?.issues).toBeUndefined();
    expect(item.requestId).toBe(body.items[0].requestId);
  }
  const outcomes = (await service.entries({ from })).map(({ kind, outcome }) => `${kind} ${outcome}`);
  expect(outcomes.toSorted()).toEqual(['sign denied', 'sign done', 'sign done', 'sign done', 'sign refused']);
});

test('1,000 items are taken, in order, each with an entry of its own', async () => {
  const from = await service.size();
  const items = Array.from({ length: 1_000 }, (_, i) => message(`item ${i}`));
  const { body } = must(await batch(items));
  expect(body.items).toHaveLength(1_000);
  const entries = new Map((await service.entries({ from })).map((entry) => [entry.index, entry]));
  expect(entries.size).toBe(1_000);
  for (const [i, item] of body.items.entries()) {
    const entry = entries.get(item.receipt.index);
    expect(entry.digest).toBe(item.digest);
    expect(Buffer.from(entry.intent.data.slice(2), 'hex').toString()).toBe(`item ${i}`);
  }
});

test('1,000 full transfers fit into the limits of a body', async () => {
  const { body } = must(
    await batch(Array.from({ length: 1_000 }, (_, i) => pay(1_000 + i, { data: '0x', accessList: [] }))),
  );
  expect(body.items.every(({ status }: Json) => status === 200)).toBe(true);
});

test.each([
  ['1,001 items', Array.from({ length: 1_001 }, () => message('x'))],
  ['none', []],
  ['something else', { 0: message('x') }],
])('%s: 400, and nothing is signed', async (_, items) => {
  const size = await service.size();
  const { status, body } = await batch(items);
  expect([status, body.errors[0].path]).toEqual([400, 'items']);
  expect(await service.size()).toBe(size);
});

test('a repeat answers what was signed and tries the rest again', async () => {
  const items = [message('kept'), pay(5_000, { value: '2000000000000000000' }), message('kept too')];
  const headers = { 'idempotency-key': 'batch-1' };
  const first = must(await batch(items, headers)).body.items;
  const from = await service.size();
  const again = must(await batch(items, headers)).body.items;
  expect(again[0]).toEqual(first[0]);
  expect(again[2]).toEqual(first[2]);
  expect(again[1].code).toBe('policy_denied');
  expect((await service.entries({ from })).map(({ outcome }) => outcome)).toEqual(['denied']);
});

test('the same key with other items is refused whole', async () => {
  const headers = { 'idempotency-key': 'batch-2' };
  must(await batch([pay(6_000, { value: '2000000000000000000' }), message('a')], headers));
  const size = await service.size();
  const { status, body } = await batch([message('would be signed'), message('b')], headers);
  expect([status, body.code]).toEqual([409, 'conflict']);
  expect(await service.size()).toBe(size);
});

test('a batch at the same time as its repeat is signed once', async () => {
  const from = await service.size();
  const items = Array.from({ length: 20 }, (_, i) => message(`twin ${i}`));
  const [one, two] = await Promise.all([1, 2].map(() => batch(items, { 'idempotency-key': 'batch-3' })));
  expect(must(one!).body).toEqual(must(two!).body);
  expect(await service.entries({ from })).toHaveLength(20);
});

test('what was signed early in a batch is not given out behind the answer that says that its key is disabled', async () => {
  await service.admin.post('/v1/keys', { name: 'crossed', tags: ['demo'] });
  const answered: string[] = [];
  const note = async (name: string, answer: Promise<Answered>): Promise<Answered> => {
    const given = must(await answer);
    answered.push(name);
    return given;
  };
  const from = await service.size();
  const all = note(
    'batch',
    batch(Array.from({ length: 1_000 }, (_, i) => message(`crossing ${i}`, 'crossed'))),
  );
  // The first are signed and logged, the last are not.
  await expect
    .poll(async () => await service.size(), { interval: 1, timeout: 10_000 })
    .toBeGreaterThan(from + 100);
  const disabled = service.admin.post('/v1/keys/crossed/versions/1/disable', { reason: 'crossing' });
  const [{ body }] = await Promise.all([all, note('disable', disabled)]);
  expect(answered).toEqual(['disable', 'batch']);
  expect(body.items.filter(({ status }: Json) => status === 200)).toEqual([]);
  expect(new Set(body.items.map(({ code }: Json) => code))).toEqual(new Set(['key_state']));
});
