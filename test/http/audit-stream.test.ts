import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { must, run, type Json, type Running } from './running.ts';

let service: Running;
beforeAll(async () => void (service = await run()));
afterAll(() => service.end());

interface Event {
  readonly id: number;
  readonly data: Json;
}

/** A reader of server-sent events, after the specification of HTML, as far as ours go. */
async function* eventsOf(response: Response): AsyncGenerator<Event> {
  let text = '';
  const decoder = new TextDecoder();
  for await (const bytes of response.body!) {
    const chunk = decoder.decode(bytes, { stream: true });
    text += chunk;
    const blocks = text.split('\n\n');
    text = blocks.pop() ?? '';
    for (const block of blocks) {
      const fields = new Map(block.split('\n').map((line) => line.split(/: (.*)/s, 2) as [string, string]));
      const id = fields.get('id');
      if (id !== undefined) yield { id: Number(id), data: JSON.parse(fields.get('data') ?? '') };
    }
  }
}

/** Leaving the loop over its events ends it. */
async function stream(
  query = '',
  headers: Record<string, string> = {},
  token = service.admin.token,
): Promise<Response> {
  return await fetch(`${service.url}/v1/audit/stream${query}`, {
    headers: { authorization: `Bearer ${token}`, ...headers },
  });
}

async function take(events: AsyncGenerator<Event>, count: number): Promise<Event[]> {
  const taken: Event[] = [];
  while (taken.length < count) {
    const { value, done } = await events.next();
    if (done === true) break;
    taken.push(value);
  }
  return taken;
}

const sign = async (message = 'hi'): Promise<Json> =>
  must(await service.signer.post('/v1/keys/demo/sign/message', { message })).body;

describe('the live tail', () => {
  it('gives what there is from an index on, and then what comes, in order and without gaps', async () => {
    const response = await stream('?from=0');
    expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/);
    const events = eventsOf(response);
    const size = await service.size();
    const before = await take(events, size);
    const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => sign(`${i}`)));
    const last = Math.max(...answers.map(({ receipt }) => receipt.index));
    const after = await take(events, last + 1 - size);
    expect([...before, ...after].map(({ id }) => id)).toEqual(Array.from({ length: last + 1 }, (_, i) => i));
    const byIndex = new Map(answers.map(({ receipt }) => [receipt.index, receipt.leafHash]));
    const signed = after.filter(({ id }) => byIndex.has(id));
    expect(signed).toHaveLength(50);
    for (const { id, data } of signed) {
      expect(data).toMatchObject({
        index: id,
        leafHash: byIndex.get(id),
        entry: { index: id, kind: 'sign' },
      });
    }
  });

  it('goes on behind the last event that was seen', async () => {
    const size = await service.size();
    await sign();
    const events = eventsOf(await stream('', { 'last-event-id': String(size - 2) }));
    const [first] = await take(events, 1);
    expect(first?.id).toBe(size - 1);
  });

  it('begins with what comes next, and shows what the filter asks for and nothing else', async () => {
    const events = eventsOf(await stream('?kind=sign&key=demo&operation=message'));
    const next = take(events, 1);
    must(await service.admin.post('/v1/keys', { name: `other-${Date.now()}` }));
    const { receipt } = await sign('wanted');
    const [event] = await next;
    expect(event).toMatchObject({
      id: receipt.index,
      data: { entry: { kind: 'sign', operation: 'message' } },
    });
  });

  it.each(['x', '-1', '1.5', '9'.repeat(20)])('refuses %j as the last event', async (id) => {
    const response = await stream('', { 'last-event-id': id });
    expect(response.status).toBe(400);
  });

  it('ends when its credential is revoked', async () => {
    const { token, id: principal } = await service.principal(['auditor']);
    const events = eventsOf(await stream('', {}, token));
    const rest = take(events, 1_000);
    const id = token!.split('_')[1];
    must(await service.admin.post(`/v1/principals/${principal}/credentials/${id}/revoke`, {}));
    await sign('not for those who left');
    const seen = await rest;
    expect(seen.some(({ data }) => data.entry.operation === 'message')).toBe(false);
  });

  it('is refused where too many are open, and there is room again when one ends', async () => {
    const other = await run();
    try {
      const hold = async (): Promise<Response> =>
        await fetch(`${other.url}/v1/audit/stream`, {
          headers: { authorization: `Bearer ${other.admin.token}` },
        });
      const many = await Promise.all(Array.from({ length: 32 }, hold));
      expect(many.map(({ status }) => status)).toEqual(Array.from({ length: 32 }, () => 200));
      const one = async (): Promise<number> => {
        const { status, body } = await hold();
        await body?.cancel();
        return status;
      };
      expect(await one()).toBe(429);
      await many[0]?.body?.cancel();
      await expect.poll(one).toBe(200);
      for (const { body } of many.slice(1)) await body?.cancel();
    } finally {
      await other.end();
    }
  });

  it('is one entry of the log, however long it goes on', async () => {
    const { token, id } = await service.principal(['auditor']);
    const events = eventsOf(await stream('?kind=audit.read', {}, token));
    for (let i = 0; i < 3; i++) await sign();
    expect(await service.entries({ kind: 'audit.read' })).toContainEqual(
      expect.objectContaining({
        actor: expect.objectContaining({ principalId: id }) as unknown,
        detail: { route: '/v1/audit/stream', kind: 'audit.read' },
      }),
    );
    await events.return(undefined);
  });

  it('is not in the way of a stop', async () => {
    const other = await run();
    try {
      const response = await fetch(`${other.url}/v1/audit/stream?from=0`, {
        headers: { authorization: `Bearer ${other.admin.token}` },
      });
      const events = eventsOf(response);
      await take(events, 1);
      await other.stop();
      // It was ended, and not cut off after the grace time: that would throw.
      const rest = await take(events, 1_000);
      expect(rest.length).toBeLessThan(1_000);
    } finally {
      await other.end();
    }
  });
});

describe('an export', () => {
  const fetchExport = async (query = ''): Promise<Response> =>
    await fetch(`${service.url}/v1/audit/export${query}`, {
      headers: { authorization: `Bearer ${service.admin.token}` },
    });

  it('has every entry as it was hashed, and is one itself', async () => {
    await Promise.all(Array.from({ length: 300 }, (_, i) => sign(`${i}`)));
    const size = await service.size();
    const response = await fetchExport();
    expect(response.headers.get('content-disposition')).toBe(
      `attachment; filename="countersign-audit-0-${size}.jsonl"`,
    );
    expect(response.headers.get('countersign-export-size')).toBe(String(size));
    const lines = (await response.text())
      .trimEnd()
      .split('\n')
      .map((line): Json => JSON.parse(line));
    expect(lines.map(({ index }) => index)).toEqual(Array.from({ length: size }, (_, i) => i));
    const page = must(await service.admin.get('/v1/audit/entries?from=20&limit=100')).body.items;
    expect(lines.slice(20, 120)).toEqual(page);
    const [exported] = (await service.entries({ kind: 'audit.exported' })).slice(-1);
    expect(exported).toMatchObject({ outcome: 'done', detail: { format: 'jsonl', from: 0, to: size } });
  });

  it('takes the filters of the query', async () => {
    const text = await (await fetchExport('?kind=key.created&outcome=done&from=1')).text();
    const lines = text
      .trimEnd()
      .split('\n')
      .map((line): Json => JSON.parse(line));
    expect(lines.length).toBeGreaterThan(0);
    expect(new Set(lines.map(({ entry }) => entry.kind))).toEqual(new Set(['key.created']));
  });

  it('is a table in RFC 4180', async () => {
    const response = await fetchExport('?format=csv&kind=sign');
    expect(response.headers.get('content-type')).toBe('text/csv; charset=utf-8; header=present');
    const [head, ...rows] = (await response.text()).split('\r\n');
    expect(head).toMatch(/^index,time,kind,outcome,principal,/);
    expect(rows.pop()).toBe('');
    expect(rows.length).toBeGreaterThan(300);
    for (const row of rows) expect(row).toMatch(/^\d+,[0-9T:.Z-]{24},sign,/);
  });

  it('speaks OCSF and CEF', async () => {
    const ocsf = (await (await fetchExport('?format=ocsf&kind=sign')).text()).split('\n')[0] ?? '';
    expect(JSON.parse(ocsf)).toMatchObject({ class_uid: 6003, category_uid: 6 });
    const cef = (await (await fetchExport('?format=cef&kind=sign')).text()).split('\n')[0] ?? '';
    expect(cef).toMatch(/^CEF:0\|Countersign\|countersign\|/);
  });

  it('refuses formats that there are not', async () => {
    expect((await fetchExport('?format=xml')).status).toBe(400);
  });

  it('answers HEAD with its headers', async () => {
    const response = await fetch(`${service.url}/v1/audit/export`, {
      method: 'HEAD',
      headers: { authorization: `Bearer ${service.admin.token}` },
    });
    expect(response.headers.get('countersign-export-size')).toMatch(/^\d+$/);
  });
});
