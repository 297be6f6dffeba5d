import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLog } from '../../src/log.ts';
import { must, run, type Answered, type Client, type Json, type Running } from './running.ts';

/** Keys and credentials that exist to be stolen, in the real service. */

/** Rules for the keys `hot-1` and `hot-2`, by which the canary would sign; none for `cold1`. */
const POLICY = `
apiVersion: countersign/policy/v1
revision: 7
breakGlass:
  principals: { roles: [signer] }
  keys: { names: ["*"] }
  operations: [message]
  approval: two
approvals:
  two: { all: [{ role: approver, m: 2 }] }
rules:
  - id: messages
    effect: allow
    principals: { roles: [signer] }
    keys: { names: [hot-1, hot-2] }
    operations: [message]
  - id: digests
    effect: allow
    principals: { roles: [signer] }
    keys: { names: [hot-1, hot-2] }
    operations: [digest]
    when: { digest: { purpose: { eq: test } } }
  - id: never
    effect: deny
    principals: { roles: [signer] }
    keys: { names: ["*"] }
    operations: [message]
    when: { message: { re2: "evil.*" } }
`;

let service: Running;
let lines: Json[];
let thief: Client & { readonly id: string };

beforeAll(async () => {
  lines = [];
  const log = createLog('info', { write: (line: string) => void lines.push(JSON.parse(line)) });
  service = await run(log, { policy: POLICY });
  thief = await service.principal(['signer']);
  for (const body of [{ name: 'hot-1', canary: true }, { name: 'cold1' }, { name: 'hot-2' }])
    must(await service.admin.post('/v1/keys', body));
});
afterAll(async () => await service.end());

/** All that whoever asks gets to see, without what differs between any two requests. */
function seen({ status, headers, text, body }: Answered, name: string): object {
  const shown = [...headers].filter(([header]) => !['x-request-id', 'date'].includes(header));
  return {
    status,
    headers: shown,
    text: text.replaceAll(body.requestId as string, 'ID').replaceAll(name, 'NAME0'),
  };
}

const alerts = async (kind: string): Promise<Json[]> => await service.entries({ kind });

const metric = async (kind: string): Promise<number> => {
  const { text } = await service.admin.get('/metrics');
  return Number(new RegExp(`^countersign_alerts_total\\{kind="${kind}"\\} (\\d+)$`, 'm').exec(text)?.[1]);
};

describe('a canary key', () => {
  const DIGEST = `0x${'11'.repeat(32)}`;

  it.each([
    ['message', { message: 'hello' }],
    ['message', { message: 'evil' }],
    ['message', { message: 'urgent', breakGlass: 'the house is on fire' }],
    ['digest', { digest: DIGEST, purpose: 'test' }],
  ])('is denied a %s as a key is that the policy does not allow: %j', async (operation, body) => {
    // Break-glass is offered for keys of other names, and not to be had for a canary.
    const { breakGlass: _, ...ordinary } = { breakGlass: '', ...body };
    const canary = await thief.post(`/v1/keys/hot-1/sign/${operation}`, body);
    const plain = await thief.post(`/v1/keys/cold1/sign/${operation}`, ordinary);
    expect(canary.status).toBe(403);
    expect(seen(canary, 'hot-1')).toEqual(seen(plain, 'cold1'));
  });

  it('is denied in a batch, and without being there, in the same way', async () => {
    const batch = (key: string): Promise<Answered> =>
      thief.post('/v1/sign/batch', { items: [{ key, operation: 'message', message: 'in a batch' }] });
    const [canary, plain] = [await batch('hot-1'), await batch('cold1')];
    const item = ({ body }: Answered, name: string): string =>
      JSON.stringify(body)
        .replaceAll(name, 'NAME0')
        .replaceAll(/"requestId":"[^"]*"/g, '');
    expect(item(canary, 'hot-1')).toBe(item(plain, 'cold1'));
    const version = await thief.post('/v1/keys/hot-1/sign/message', { message: 'x', version: 2 });
    const other = await thief.post('/v1/keys/cold1/sign/message', { message: 'x', version: 2 });
    expect(seen(version, 'hot-1')).toEqual(seen(other, 'cold1'));
  });

  it('raises an alert at once: an entry, a metric and a line of the log', async () => {
    const before = await metric('alert.canary_key_used');
    const { body } = await thief.post('/v1/keys/hot-1/sign/message', { message: 'look here' });
    const alert = (await alerts('alert.canary_key_used')).find(
      ({ requestId }: Json) => requestId === body.requestId,
    );
    expect(alert).toMatchObject({
      outcome: 'denied',
      actor: { principalId: thief.id, credential: expect.any(String), address: '127.0.0.1' },
      key: { name: 'hot-1', version: 1 },
      operation: 'message',
      intent: { data: `0x${Buffer.from('look here').toString('hex')}` },
      digest: expect.stringMatching(/^0x[0-9a-f]{64}$/),
    });
    expect(await metric('alert.canary_key_used')).toBe(before + 1);
    expect(lines.at(-1)).toMatchObject({ level: 50, msg: 'alert.canary_key_used' });
    expect(lines.at(-1).reason).toMatch(/ from 127\.0\.0\.1: hot-1 message$/);
    // The denial itself is in the log as that of any key, and says to whoever may read it what the key is.
    const denials = (await alerts('sign')).filter(({ requestId }: Json) => requestId === body.requestId);
    expect(denials).toHaveLength(1);
    expect(denials[0]).toMatchObject({ outcome: 'denied', detail: { canary: true } });
  });

  it('looks like any other to whoever may use keys, and like what it is to admins and auditors', async () => {
    const auditor = await service.principal(['auditor']);
    for (const path of ['/v1/keys', '/v1/keys/hot-1']) {
      expect((await thief.get(path)).text).not.toMatch(/canary/);
      for (const reader of [service.admin, auditor])
        expect((await reader.get(path)).text).toMatch(/"canary":true/);
    }
    const { body } = await service.admin.get('/v1/keys/cold1');
    expect(body.canary).toBe(false);
    const { body: own } = await thief.get('/v1/keys/hot-1');
    const { body: ordinary } = await thief.get('/v1/keys/hot-2');
    expect(Object.keys(own)).toEqual(Object.keys(ordinary));
  });

  it('is evaluated as any other: what the policy says of it is no secret, and asking is no use of it', async () => {
    const before = (await alerts('alert.canary_key_used')).length;
    const ask = async (key: string): Promise<string> => {
      const { body } = await thief.post('/v1/policy/evaluate', { key, operation: 'message', message: 'hi' });
      return JSON.stringify(body).replaceAll(key, 'NAME0');
    };
    expect(await ask('hot-1')).toBe(await ask('hot-2'));
    expect(await alerts('alert.canary_key_used')).toHaveLength(before);
  });

  it('may be asked as often as anybody likes: what has no entry is counted', async () => {
    const stubborn = await service.principal(['signer']);
    const before = (await alerts('sign')).length;
    const metricBefore = await metric('alert.canary_key_used');
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, i) =>
        stubborn.post('/v1/keys/hot-1/sign/message', { message: `again ${i}` }),
      ),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([403]));
    expect((await alerts('sign')).length - before).toBe(60);
    await service.restart();
    const raised = (await alerts('alert.canary_key_used')).filter(
      ({ actor }: Json) => actor.principalId === stubborn.id,
    );
    expect(raised.length).toBeLessThan(40);
    const counted = raised.reduce((sum: number, { detail }: Json) => sum + (detail?.count ?? 1), 0);
    expect(counted).toBe(60);
    expect(raised.at(-1).detail).toMatchObject({ key: 'hot-1' });
    expect(metricBefore).toBeGreaterThan(0);
  });
});

describe('a key that waits for its destruction', () => {
  it.each([
    ['the policy allows', 'hot-2', 409],
    ['the policy does not allow', 'cold1', 403],
  ])('raises an alert when it is asked to sign what %s', async (_, name, status) => {
    const version = `/v1/keys/${name}/versions/1`;
    const reason = 'given up';
    must(await service.admin.post(`${version}/disable`, { reason }));
    const disabled = await thief.post(`/v1/keys/${name}/sign/message`, { message: 'too early' });
    expect(disabled.status).toBe(status);
    must(await service.admin.post(`${version}/schedule-destruction`, { reason }));
    const before = (await alerts('alert.destruction_pending_used')).length;
    const counted = await metric('alert.destruction_pending_used');
    const { body, status: answered } = await thief.post(`/v1/keys/${name}/sign/message`, { message: 'now' });
    expect(answered).toBe(status);
    const raised = await alerts('alert.destruction_pending_used');
    expect(raised).toHaveLength(before + 1);
    expect(raised.at(-1)).toMatchObject({
      requestId: body.requestId,
      actor: { principalId: thief.id, address: '127.0.0.1' },
      key: { name, version: 1 },
      operation: 'message',
    });
    expect(await metric('alert.destruction_pending_used')).toBe(counted + 1);
  });
});

describe('a canary credential', () => {
  const unknown = `cs_${'0'.repeat(16)}_${'A'.repeat(43)}`;
  let token: string;
  let id: string;
  let owner: string;

  beforeAll(async () => {
    const bait = await service.principal(['admin']);
    owner = bait.id;
    const { body } = await service.admin.post(`/v1/principals/${owner}/credentials`, { canary: true });
    ({ token, id } = body);
  });

  it('is answered as one that is not known, on every route, and again and again', async () => {
    // Two services' worth of failures from one address are told apart by what they are for, so they alternate.
    const canary = service.client(token);
    const nobody = service.client(unknown);
    for (let i = 0; i < 15; i++) {
      const [one, other] =
        i % 2 === 0
          ? [await canary.get('/v1/keys'), await nobody.get('/v1/keys')]
          : [
              await canary.post('/v1/keys/hot-2/sign/message', { message: 'x' }),
              await nobody.post('/v1/keys/hot-2/sign/message', { message: 'x' }),
            ];
      if (one.status === 429 || other.status === 429) break;
      expect(seen(one, id)).toEqual(seen(other, id));
      expect(one.status).toBe(401);
    }
    const raised = await alerts('alert.canary_credential_used');
    expect(raised[0]).toMatchObject({
      outcome: 'denied',
      actor: { principalId: owner, credential: id, address: '127.0.0.1' },
      detail: { method: 'GET', route: '/v1/keys', path: '/v1/keys' },
    });
    expect(await metric('alert.canary_credential_used')).toBe(raised.length);
    expect(lines.some(({ level, msg }) => level === 50 && msg === 'alert.canary_credential_used')).toBe(true);
    expect(JSON.stringify(lines)).not.toContain(token);
  });

  it('raises an alert also where its address has failed too often to be told', async () => {
    const before = await metric('alert.canary_credential_used');
    let answer = await service.client(token).get('/v1/keys');
    for (let i = 0; i < 40 && answer.status !== 429; i++)
      answer = await service.client(token).get('/v1/keys');
    expect(answer.status).toBe(429);
    const raised = await alerts('alert.canary_credential_used');
    expect(raised.length).toBeGreaterThan(before);
  });

  it('is shown to those who may list credentials, and is a canary after a rotation, too', async () => {
    const { body } = await service.admin.get(`/v1/principals/${owner}/credentials`);
    expect(body.items.find((each: Json) => each.id === id)).toMatchObject({ canary: true });
    for (const each of body.items.filter(({ canary }: Json) => canary !== true))
      expect(each).not.toHaveProperty('canary');
    const rotated = must(await service.admin.post(`/v1/principals/${owner}/credentials/${id}/rotate`, {}));
    const listed = await service.admin.get(`/v1/principals/${owner}/credentials`);
    const next = listed.body.items.find((each: Json) => each.id === rotated.body.id);
    expect(next).toMatchObject({ rotatedFrom: id, canary: true });
  });
});
