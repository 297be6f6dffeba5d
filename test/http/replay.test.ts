import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { must, run, type Answered, type Client, type Json, type Running } from './running.ts';

let service: Running;
let admin: Client;
let signer: Client;
let made = 0;

beforeAll(async () => {
  service = await run();
  ({ admin, signer } = service);
});
afterAll(() => service.end());

const fresh = (): { 'idempotency-key': string } => ({ 'idempotency-key': `replay-${made++}` });
const MESSAGE = '/v1/keys/demo/sign/message';
const item = (message: string, key = 'demo'): Json => ({ key, operation: 'message', message });
const batch = (items: Json[], headers: Record<string, string>): Promise<Answered> =>
  signer.post('/v1/sign/batch', { items }, headers);
const setState = async (verb: 'disable' | 'enable'): Promise<void> => {
  must(await admin.post(`/v1/keys/demo/versions/1/${verb}`, { reason: 'test' }));
};
const seal = async (verb: 'seal' | 'unseal'): Promise<void> => {
  must(await admin.post(`/v1/sys/${verb}`, {}));
};

describe('a signature that is kept is not given out again', () => {
  const cases = [
    ['by a disabled version', () => setState('disable'), () => setState('enable'), 409, 'key_state'],
    ['while sealed', () => seal('seal'), () => seal('unseal'), 503, 'sealed'],
  ] as const;

  test.each(cases)('%s; afterwards it is', async (_, stop, goOn, status, code) => {
    const headers = fresh();
    const first = must(await signer.post(MESSAGE, { message: 'kept' }, headers));
    await stop();
    const refused = await signer.post(MESSAGE, { message: 'kept' }, headers);
    expect([refused.status, refused.body.code]).toEqual([status, code]);
    expect(refused.text).not.toContain(first.body.signature.slice(2));
    expect(refused.headers.get('idempotent-replayed')).toBeNull();
    await goOn();
    const again = must(await signer.post(MESSAGE, { message: 'kept' }, headers));
    expect(again.body).toEqual(first.body);
  });

  test.each(cases)('%s, in a batch', async (_, stop, goOn, status, code) => {
    const headers = fresh();
    const items = [item('one'), item('two')];
    const first = must(await batch(items, headers));
    await stop();
    const refused = must(await batch(items, headers));
    expect(refused.body.items).toMatchObject([
      { status, code },
      { status, code },
    ]);
    expect(refused.text).not.toContain('"signature"');
    await goOn();
    expect(must(await batch(items, headers)).body).toEqual(first.body);
  });
});

describe('the key of a batch', () => {
  test('is taken for every other request, from its first signature on', async () => {
    const headers = fresh();
    must(await batch([item('nobody’s', 'nobody'), item('signed'), item('signed, too')], headers));
    const size = await service.size();
    for (const answered of [
      await signer.post(MESSAGE, { message: 'other' }, headers),
      await batch([item('other')], headers),
    ]) {
      expect([answered.status, answered.body.code]).toEqual([409, 'conflict']);
    }
    expect(await service.size()).toBe(size);
  });

  test('stays so after a restart', async () => {
    const headers = fresh();
    const first = must(await batch([item('durable')], headers));
    await service.restart();
    expect((await signer.post(MESSAGE, { message: 'other' }, headers)).status).toBe(409);
    expect(must(await batch([item('durable')], headers)).body).toEqual(first.body);
  });

  test('is free while none of it was signed', async () => {
    const headers = fresh();
    must(await batch([item('nobody’s', 'nobody')], headers));
    expect((await signer.post(MESSAGE, { message: 'other' }, headers)).status).toBe(200);
  });
});
