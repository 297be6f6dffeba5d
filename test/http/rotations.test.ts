import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { until } from '../service.ts';
import { startBoard } from './change-board.ts';
import { must, run, SILENT, transfer, type Answered, type Json, type Running } from './running.ts';

const POLICY = `
apiVersion: countersign/policy/v1
revision: 1
limits:
  each: { meter: value, per: [key], window: { rolling: 24h, bucket: 1h }, max: "1 ether", onExceed: deny }
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
    operations: [message]
    draining: true
`;

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

let service: Running;
const board = await startBoard();
beforeAll(async () => {
  vi.useFakeTimers({ toFake: ['Date'], shouldAdvanceTime: false });
  const webhooks = [{ name: 'board', url: board.url, secretFiles: [board.secretFile] }];
  service = await run(SILENT, { policy: POLICY, rotation: { webhooks } });
});
afterAll(async () => {
  await service.end();
  board.close();
  vi.useRealTimers();
});
afterEach(() => vi.setSystemTime(Date.now() + 1));

let made = 0;
async function newKey(more: object = {}): Promise<string> {
  const name = `k${made++}`;
  must(await service.admin.post('/v1/keys', { name, ...more }));
  return name;
}

const later = (ms: number): void => void vi.setSystemTime(Date.now() + ms);
const start = (name: string, body: object = {}): Promise<Answered> =>
  service.admin.post(`/v1/keys/${name}/rotations`, body);
const begin = async (name: string, body: object = {}): Promise<string> =>
  must(await start(name, body)).body.id as string;
const show = async (id: string): Promise<Json> => must(await service.admin.get(`/v1/rotations/${id}`)).body;
const key = async (name: string): Promise<Json> => must(await service.admin.get(`/v1/keys/${name}`)).body;
const states = async (name: string): Promise<string[]> =>
  (await key(name)).versions.map(({ state }: Json) => state);
const message = (name: string, body: object = {}): Promise<Answered> =>
  service.signer.post(`/v1/keys/${name}/sign/message`, { message: 'hello', ...body });

async function untilState(id: string, state: string): Promise<Json> {
  const reached = await until(async () => (await show(id)).state === state, 5_000);
  const now = await show(id);
  if (!reached) throw new Error(`${state} was not reached: ${JSON.stringify(now)}`);
  return now;
}

describe('a rotation', () => {
  test('goes from the plan to the destruction of the old version', async () => {
    const name = await newKey();
    const [first] = (await key(name)).versions;
    must(await message(name));
    const id = await begin(name);
    expect(await show(id)).toMatchObject({ state: 'overlap', startedBy: 'admin', next: { step: 'cutover' } });
    expect(await states(name)).toEqual(['enabled', 'enabled']);
    // Both sign; who names none gets the old one.
    expect((await message(name)).headers.get('countersign-key-version')).toBe('1');
    const second = must(await message(name, { version: 2 }));
    expect(second.headers.get('countersign-key-version')).toBe('2');
    expect(second.headers.get('deprecation')).toBeNull();

    later(DAY);
    const cut = Math.floor(Date.now() / 1_000);
    await untilState(id, 'draining');
    expect(await key(name)).toMatchObject({ primary: 2, state: 'enabled' });
    expect(must(await message(name)).body.key.version).toBe(2);
    const old = must(await message(name, { version: 1 }));
    expect(old.body).toMatchObject({
      key: { version: 1, address: first.address },
      deprecation: { successor: { version: 2 } },
    });
    expect(old.headers.get('deprecation')).toBe(`@${cut}`);
    // No rule for transactions says `draining`.
    expect(
      await service.signer.post(`/v1/keys/${name}/sign/transaction`, { ...transfer(0), version: 1 }),
    ).toMatchObject({
      status: 403,
      body: { code: 'policy_denied' },
    });

    later(7 * DAY);
    await untilState(id, 'destroying');
    expect((await message(name, { version: 1 })).body.code).toBe('key_state');
    expect((await key(name)).versions[0]).toMatchObject({
      state: 'destroy_scheduled',
      destroyAt: new Date(Date.now() + 30 * DAY).toISOString(),
    });
    expect((await service.admin.post(`/v1/rotations/${id}/abort`, { reason: 'late' })).body).toMatchObject({
      code: 'conflict',
      detail: expect.stringContaining('cannot be aborted'),
    });
    const kinds = (await service.entries())
      .filter((entry) => entry.detail?.rotation === id)
      .map((entry) => entry.kind);
    expect(kinds).toEqual([
      'rotation.planned',
      'rotation.version_generated',
      'rotation.overlap_began',
      'rotation.cut_over',
      'rotation.drain_ended',
      'rotation.destruction_scheduled',
    ]);
  });

  test('is shown before anything happens', async () => {
    const name = await newKey({ tags: ['hot'] });
    must(await service.signer.post(`/v1/keys/${name}/sign/transaction`, transfer(9, { value: '5' })));
    must(await service.signer.post(`/v1/keys/${name}/sign/transaction`, transfer(10, { value: '5' })));
    const size = await service.size();
    const shown = must(await start(name, { dryRun: true }));
    expect(shown.status).toBe(200);
    expect(shown.body).toMatchObject({
      key: name,
      old: { version: 1 },
      new: { version: 2, address: null },
      policy: {
        rules: [
          { rule: 'transfers', by: '*' },
          { rule: 'messages', draining: true },
        ],
        limits: [{ limit: 'each' }],
      },
      limits: [{ limit: 'each', scope: name, used: '10', max: '1000000000000000000' }],
      nonces: [{ chainId: '31337', nonce: '10' }],
      requests: [],
    });
    expect(shown.body.steps.map(({ step }: Json) => step)).toEqual([
      'generate',
      'overlap',
      'cutover',
      'disable',
      'destroy',
      'complete',
    ]);
    expect(await service.size()).toBe(size);
    expect(await states(name)).toEqual(['enabled']);
    expect((await service.admin.get(`/v1/rotations?key=${name}`)).body.items).toEqual([]);
  });

  test('is one at a time, and once for an idempotency key', async () => {
    const name = await newKey();
    const headers = { 'idempotency-key': `rotate-${name}` };
    const post = () => service.admin.post(`/v1/keys/${name}/rotations`, {}, headers);
    const first = must(await post());
    const again = must(await post());
    expect(again.body).toEqual(first.body);
    expect(again.status).toBe(201);
    expect((await start(name)).body).toMatchObject({
      status: 409,
      detail: `key ${name} is being rotated already`,
    });
    expect((await service.admin.get(`/v1/rotations?key=${name}`)).body.items).toHaveLength(1);
  });

  test('waits for a person, who may have to be another one', async () => {
    const name = await newKey();
    const waits = [{ type: 'person', before: 'cutover', notStarter: true }];
    const id = await begin(name, { plan: { overlap: '0s', waits } });
    const advance = (client = service.admin) =>
      client.post(`/v1/rotations/${id}/advance`, { step: 'cutover' });
    expect((await advance()).status).toBe(403);
    const other = await service.principal(['operator']);
    expect((await other.post(`/v1/rotations/${id}/advance`, { step: 'disable' })).status).toBe(409);
    const advanced = must(await advance(other)).body;
    expect(advanced).toMatchObject({ state: 'draining' });
    expect(advanced.steps.at(-1)).toMatchObject({ step: 'cutover', by: expect.stringMatching(/^p/) });
    expect((await advance(other)).status).toBe(409);
    expect((await key(name)).primary).toBe(2);
  });

  test('waits for a person and a time: the person may come first', async () => {
    const name = await newKey();
    const id = await begin(name, { plan: { waits: [{ type: 'person', before: 'cutover' }] } });
    expect(must(await service.admin.post(`/v1/rotations/${id}/advance`, {})).body).toMatchObject({
      state: 'overlap',
      next: { waits: [] },
    });
    later(DAY);
    await untilState(id, 'draining');
  });

  test('raises an alert when nobody comes, or ends itself', async () => {
    const names = [await newKey(), await newKey()];
    const [stays, ends] = await Promise.all(
      names.map((name, index) =>
        begin(name, {
          plan: {
            waits: [
              { type: 'person', before: 'cutover', timeout: '2d', onTimeout: index === 0 ? 'stay' : 'abort' },
            ],
          },
        }),
      ),
    );
    later(3 * DAY);
    expect(await untilState(ends!, 'aborted')).toMatchObject({ note: 'timeout of a person' });
    const alerted = await until(async () => {
      const alerts = await service.entries({ kind: 'alert.rotation_stalled' });
      return alerts.some((entry) => entry.detail.rotation === stays);
    }, 5_000);
    expect(alerted).toBe(true);
    expect(await states(names[0]!)).toEqual(['enabled', 'enabled']);
    expect(await states(names[1]!)).toEqual(['enabled', 'disabled']);
    // It can still go on.
    expect(must(await service.admin.post(`/v1/rotations/${stays}/advance`, {})).body.state).toBe('draining');
  });

  test.each([
    ['condition', { condition: 'swept' }, 'there is no condition "swept": this service can read none'],
    [
      'webhook',
      { webhook: 'deploy' },
      'there is no webhook "deploy": rotation.webhooks of the configuration has board',
    ],
  ])('that waits for an unknown %s is refused', async (type, more, message) => {
    const name = await newKey();
    const plan = { waits: [{ type, before: 'cutover', ...more }] };
    for (const dryRun of [true, false]) {
      const refused = await start(name, { plan, dryRun });
      expect(refused.status).toBe(422);
      expect(refused.body.errors).toEqual([{ path: `plan.waits.0.${type}`, message }]);
    }
    expect(await states(name)).toEqual(['enabled']);
  });

  test.each([
    [{ plan: { overlap: 'soon' } }, 'plan.overlap'],
    [{ plan: { destroyAfterDays: 6 } }, 'plan.destroyAfterDays'],
    [{ plan: { waits: [{ type: 'time', before: 'cutover' }] } }, 'plan.waits.0.until'],
    [
      { plan: { waits: [{ type: 'person', before: 'destroy', onTimeout: 'abort' }] } },
      'plan.waits.0.onTimeout',
    ],
    [{ mode: 'emergency' }, 'reason'],
    [{ mode: 'emergency', reason: 'x', plan: {} }, 'plan'],
    [{ reason: 'x' }, 'reason'],
    [{ plans: {} }, 'plans'],
  ])('%j is not valid', async (body, path) => {
    const refused = await start('demo', body);
    expect(refused.status).toBe(400);
    expect(refused.body.errors.map((error: Json) => error.path)).toContain(path);
  });
});

test('a step waits for the signed yes of a webhook, which is asked again after a no', async () => {
  const name = await newKey();
  const id = await begin(name, {
    plan: { overlap: '1h', waits: [{ type: 'webhook', before: 'cutover', webhook: 'board' }] },
  });
  board.say('broken');
  later(HOUR);
  expect(await until(() => board.asked.length === 1, 5_000)).toBe(true);
  expect(board.asked[0]).toMatchObject({ rotation: id, key: name, step: 'cutover' });
  const heldUp = await until(async () => (await show(id)).holdup !== undefined, 5_000);
  expect(heldUp).toBe(true);
  expect((await show(id)).holdup).toBe('the webhook "board" gave no answer: HTTP 500');
  board.say('no');
  later(60_000);
  expect(await until(() => board.asked.length === 2, 5_000)).toBe(true);
  expect(await show(id)).toMatchObject({ state: 'overlap' });
  board.say('yes');
  later(60_000);
  await untilState(id, 'draining');
  const passed = (await service.entries({ kind: 'rotation.wait_passed' })).find(
    (entry) => entry.detail.rotation === id,
  );
  expect(passed).toMatchObject({ detail: { wait: 'the webhook "board" before cutover' } });
});

describe('an abort', () => {
  const abort = async (id: string): Promise<Json> =>
    must(await service.admin.post(`/v1/rotations/${id}/abort`, { reason: 'not now' })).body;
  const person = (before: string) => ({ waits: [{ type: 'person', before }] });

  test('before there is a new version leaves the key as it was', async () => {
    const name = await newKey();
    const before = await key(name);
    await abort(await begin(name, { plan: person('generate') }));
    expect(await key(name)).toEqual(before);
  });

  test('before the overlap discards the new version', async () => {
    const name = await newKey();
    const [first] = (await key(name)).versions;
    const id = await begin(name, { plan: person('overlap') });
    expect(await states(name)).toEqual(['enabled', 'pending']);
    expect((await message(name, { version: 2 })).body.code).toBe('key_state');
    await abort(id);
    const after = await key(name);
    expect(after).toMatchObject({ primary: 1, versions: [first, { state: 'destroyed' }] });
    expect(must(await message(name)).body.key.version).toBe(1);
  });

  test('in the overlap disables the new version', async () => {
    const name = await newKey();
    const [first] = (await key(name)).versions;
    await abort(await begin(name));
    expect(await key(name)).toMatchObject({ primary: 1, versions: [first, { state: 'disabled' }] });
  });

  test('after the cutover makes the old version the primary again, in full', async () => {
    const name = await newKey();
    const id = await begin(name, { plan: { overlap: '0s' } });
    expect(await show(id)).toMatchObject({ state: 'draining' });
    const aborted = await abort(id);
    expect(aborted).toMatchObject({ state: 'aborted', note: 'not now', next: null, abort: null });
    const after = await key(name);
    expect(after).toMatchObject({ primary: 1, versions: [{ state: 'enabled' }, { state: 'disabled' }] });
    expect(after.versions[0].supersededAt).toBeUndefined();
    const signed = must(await service.signer.post(`/v1/keys/${name}/sign/transaction`, transfer(0)));
    expect(signed.body).toMatchObject({ key: { version: 1 } });
    expect(signed.body.deprecation).toBeUndefined();
    // Another one can begin, with a version of its own.
    await begin(name, { plan: { overlap: '0s' } });
    expect(await key(name)).toMatchObject({ primary: 3 });
  });

  test('when the old version was disabled is refused, and changes nothing', async () => {
    const name = await newKey();
    const id = await begin(name, { plan: { overlap: '0s', drain: '0s', ...person('destroy') } });
    const before = await key(name);
    expect(before).toMatchObject({ primary: 2, versions: [{ state: 'disabled' }, { state: 'enabled' }] });
    expect((await service.admin.post(`/v1/rotations/${id}/abort`, { reason: 'x' })).status).toBe(409);
    expect(await key(name)).toEqual(before);
  });

  test('when somebody disabled the old version meanwhile is refused', async () => {
    const name = await newKey();
    const id = await begin(name, { plan: { overlap: '0s' } });
    must(await service.admin.post(`/v1/keys/${name}/versions/1/disable`, { reason: 'drained' }));
    expect((await service.admin.post(`/v1/rotations/${id}/abort`, { reason: 'x' })).body.detail).toContain(
      `version 1 of key ${name} is disabled`,
    );
  });
});

describe('what somebody does to the key meanwhile', () => {
  test('keeps the cutover from coming while the new version does not sign', async () => {
    const name = await newKey();
    const id = await begin(name);
    must(await service.admin.post(`/v1/keys/${name}/versions/2/disable`, { reason: 'odd' }));
    later(DAY);
    const held = await show(id);
    expect(held).toMatchObject({
      state: 'overlap',
      holdup: `version 2 of key ${name} is disabled, and has to be enabled`,
    });
    must(await service.admin.post(`/v1/keys/${name}/versions/2/enable`, { reason: 'fine' }));
    await untilState(id, 'draining');
  });

  test('a primary that is disabled before the cutover does not become a full one again after it', async () => {
    const name = await newKey();
    const id = await begin(name);
    must(await service.admin.post(`/v1/keys/${name}/versions/1/disable`, { reason: 'odd' }));
    later(DAY);
    await untilState(id, 'draining');
    must(await service.admin.post(`/v1/keys/${name}/versions/1/enable`, { reason: 'sweep' }));
    expect(await states(name)).toEqual(['draining', 'enabled']);
  });

  test('a destruction that is cancelled ends the rotation, and keeps the version', async () => {
    const name = await newKey();
    const id = await begin(name, { plan: { overlap: '0s', drain: '0s', destroyAfterDays: 7 } });
    expect(await show(id)).toMatchObject({ state: 'destroying' });
    must(await service.admin.post(`/v1/keys/${name}/versions/1/cancel-destruction`, { reason: 'funds' }));
    await untilState(id, 'completed');
    expect(await states(name)).toEqual(['disabled', 'enabled']);
  });
});

describe('an emergency', () => {
  test('compromises the primary and puts another in its place', async () => {
    const name = await newKey();
    const id = await begin(name, { mode: 'emergency', reason: 'a laptop is gone' });
    expect(await show(id)).toMatchObject({ state: 'completed', mode: 'emergency', new: { version: 2 } });
    expect(await key(name)).toMatchObject({
      primary: 2,
      versions: [{ state: 'compromised', stateReason: 'a laptop is gone' }, { state: 'enabled' }],
    });
    expect(must(await message(name)).body.key.version).toBe(2);
    expect((await message(name, { version: 1 })).body.code).toBe('key_state');
  });

  test.each([
    ['overlap', {}, ['compromised', 'disabled', 'enabled'], 3],
    ['draining', { overlap: '0s' }, ['draining', 'compromised', 'enabled'], 3],
    [
      'generated',
      { waits: [{ type: 'person', before: 'overlap' }] },
      ['compromised', 'destroyed', 'enabled'],
      3,
    ],
  ])('ends a rotation that is in %s', async (state, plan, after, primary) => {
    const name = await newKey();
    const id = await begin(name, { plan });
    expect(await show(id)).toMatchObject({ state });
    await begin(name, { mode: 'emergency', reason: 'leaked' });
    expect(await show(id)).toMatchObject({ state: 'aborted', note: 'an emergency: leaked' });
    expect(await states(name)).toEqual(after);
    expect(await key(name)).toMatchObject({ primary });
  });

  test('comes with a compromise that asks for it, in one entry', async () => {
    const name = await newKey();
    const from = await service.size();
    const body = { reason: 'leaked', rotate: true };
    const answer = must(await service.admin.post(`/v1/keys/${name}/versions/1/compromise`, body)).body;
    expect(answer).toMatchObject({ primary: 2, emergency: { rotation: expect.any(String) } });
    const [planned, cut] = await service.entries({ from });
    expect(planned).toMatchObject({
      kind: 'rotation.planned',
      detail: { mode: 'emergency', reason: 'leaked' },
    });
    expect(cut).toMatchObject({ kind: 'rotation.cut_over', detail: { step: 'replace' } });
  });

  test('takes effect at once while the service is sealed, and is completed when it is unsealed', async () => {
    const name = await newKey();
    must(await service.admin.post('/v1/sys/seal', {}));
    const id = await begin(name, { mode: 'emergency', reason: 'leaked' });
    expect(await show(id)).toMatchObject({ state: 'planned', holdup: expect.stringContaining('sealed') });
    expect(await states(name)).toEqual(['compromised']);
    must(await service.admin.post('/v1/sys/unseal', {}));
    await untilState(id, 'completed');
    expect(await key(name)).toMatchObject({ primary: 2, state: 'enabled' });
  });
});

describe('a schedule', () => {
  const schedule = (name: string, rotation: object | null): Promise<Answered> =>
    service.admin.post(`/v1/keys/${name}/rotation-schedule`, { rotation });

  test('starts a rotation when its days are over, and goes on counting from that', async () => {
    const name = await newKey();
    const plan = { overlap: '0s', drain: '0s' };
    expect(must(await schedule(name, { everyDays: 90, plan })).body).toMatchObject({
      rotation: { everyDays: 90, plan: { overlap: '0s', destroyAfterDays: null } },
    });
    later(89 * DAY);
    // A tick, and another.
    await sleep(2_200);
    expect((await key(name)).primary).toBe(1);
    later(DAY);
    const newest = async (): Promise<Json> =>
      must(await service.admin.get(`/v1/rotations?key=${name}`)).body.items[0];
    expect(await until(async () => (await newest())?.state === 'completed', 5_000)).toBe(true);
    expect(await newest()).toMatchObject({ startedBy: null });
    expect((await key(name)).primary).toBe(2);
    expect(await states(name)).toEqual(['disabled', 'enabled']);
    expect(must(await schedule(name, null)).body.rotation).toBeUndefined();
  });

  test.each([
    [{ everyDays: 0 }, 'rotation.everyDays'],
    [{ everyDays: 1, window: { tz: 'EST', from: '01:00', to: '02:00' } }, 'rotation.window.tz'],
    [{ everyDays: 1, window: { from: '01:00', to: '01:00' } }, 'rotation.window.to'],
    [{ everyDays: 1, window: { from: '1:00', to: '02:00' } }, 'rotation.window.from'],
  ])('%j is not valid', async (rotation, path) => {
    const refused = await schedule('demo', rotation);
    expect(refused.body.errors.map((error: Json) => error.path)).toEqual([path]);
  });
});

test('a rotation that is left half done goes on after a restart, as far as it may', async () => {
  const name = await newKey();
  const id = await begin(name);
  await service.stop();
  later(7 * DAY);
  await service.restart();
  expect(await show(id)).toMatchObject({ state: 'draining' });
  expect(await key(name)).toMatchObject({ primary: 2 });
});
