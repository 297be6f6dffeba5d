import { ServerResponse } from 'node:http';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { must, run, statuses, type Answered, type Running } from '../http/running.ts';

/** Under way when the key is taken out of use. */
const IN_FLIGHT = 1_000;

interface Released {
  readonly path: string;
  readonly status: number;
}

/** Every answer of the service, in the order in which they leave it. */
const released: Released[] = [];
let service: Running;

beforeAll(async () => {
  const end = Reflect.get(ServerResponse.prototype, 'end') as (...given: unknown[]) => ServerResponse;
  vi.spyOn(ServerResponse.prototype, 'end').mockImplementation(function (this: ServerResponse, ...given) {
    released.push({ path: this.req.url ?? '', status: this.statusCode });
    return Reflect.apply(end, this, given);
  });
  service = await run();
});

afterAll(async () => {
  await service.end();
  vi.restoreAllMocks();
});

const stop = async (key: string, verb: string): Promise<Answered> =>
  must(await service.admin.post(`/v1/keys/${key}/versions/1/${verb}`, { reason: 'test' }));

test.each([
  ['disable', 'disabled', 'key.state_changed'],
  ['compromise', 'compromised', 'key.compromised'],
] as const)('nothing is released behind the answer of a %s', async (verb, state, kind) => {
  const key = `under-${verb}`;
  must(await service.admin.post('/v1/keys', { name: key }));
  const path = `/v1/keys/${key}/sign/message`;
  const sign = async (n: number): Promise<Answered> =>
    await service.signer.post(path, { message: `message ${n}` });
  // So that it is opened, and answers are as quick as they get.
  must(await sign(-1));
  released.length = 0;

  const answers: Answered[] = [];
  // Each asks anew as soon as it is answered, until it is refused: so many are under way all the time.
  const asking = Array.from({ length: IN_FLIGHT }, async (_, n) => {
    for (let round = 0; ; round++) {
      const answer = await sign(round * IN_FLIGHT + n);
      answers.push(answer);
      if (answer.status !== 200) return;
    }
  });
  await vi.waitFor(() => expect(released.length).toBeGreaterThan(0), { interval: 1 });
  const [stopped] = await Promise.all([stop(key, verb), ...asking]);
  expect(stopped.body.versions[0].state).toBe(state);

  const acknowledged = released.findIndex((answer) => answer.path.endsWith(`/${verb}`));
  expect(released.slice(acknowledged).filter((each) => each.path === path && each.status === 200)).toEqual(
    [],
  );
  const done = answers.filter(({ status }) => status === 200);
  const refused = answers.filter(({ status }) => status !== 200);
  expect(done.length).toBeGreaterThan(0);
  expect(refused.length).toBe(IN_FLIGHT);
  expect([...new Set(statuses(refused))]).toEqual([409]);
  expect([...new Set(refused.map(({ body }) => body.code))]).toEqual(['key_state']);

  // Each that was released is in the log, ahead of the entry that ended it.
  const entries = await service.entries();
  const end = entries.find((entry) => entry.kind === kind && entry.key.name === key);
  const signed = entries.filter((entry) => entry.kind === 'sign' && entry.key.name === key);
  const logged = signed.filter(({ signature }) => signature !== undefined);
  expect(logged.filter(({ index }) => index > end.index)).toEqual([]);
  const inLog = new Set(logged.map(({ signature }) => signature));
  for (const { body } of done) {
    expect(body.receipt.index).toBeLessThan(end.index);
    expect(inLog).toContain(body.signature);
  }
  // Those that were refused are in the log as well.
  expect(signed.length).toBe(answers.length + 1);
  expect((await sign(-2)).status).toBe(409);
});
