import { afterEach, describe, expect, test } from 'vitest';
import { runAccess, type AccessHarness, type Called } from './access-service.ts';

/** Requests come from any address: the test is a proxy that is trusted. */
let service: AccessHarness;
let clock: number;
const start = async (options: object = {}): Promise<void> => {
  clock = 1_000_000;
  service = await runAccess({ trustedProxies: ['127.0.0.0/8'], now: () => clock, ...options });
};
afterEach(() => service.end());

const from = (address: string, authorization: string | undefined): Promise<Called> =>
  service.call('GET', '/v1/me', {
    headers: { 'x-forwarded-for': address, ...(authorization !== undefined && { authorization }) },
  });
const wrong = (token: string): string => `${token.slice(0, 20)}${'A'.repeat(43)}`;
const guess = async (address: string, token: string, times: number): Promise<number[]> => {
  const answers: number[] = [];
  for (let i = 0; i < times; i++) answers.push((await from(address, `Bearer ${wrong(token)}`)).status);
  return answers;
};
const locks = (): number => service.entries('credential.locked').length;

describe('ten wrong secrets for one credential from one address', () => {
  test('lock it there for five minutes, the right secret too, and are in the log once', async () => {
    await start();
    const { id, token } = await service.principal(['signer']);
    expect(await guess('192.0.2.1', token, 9)).toEqual(Array(9).fill(401));
    expect((await from('192.0.2.1', `Bearer ${token}`)).status).toBe(200);
    expect(await guess('192.0.2.1', token, 1)).toEqual([401]);
    const { status, headers, body } = await from('192.0.2.1', `Bearer ${token}`);
    expect([status, body.code, headers['retry-after']]).toEqual([429, 'rate_limited', '300']);
    expect(service.entries('access.unauthenticated').at(-1)).toMatchObject({
      actor: { address: '192.0.2.1', credential: token.slice(3, 19) },
      detail: { reason: 'locked credential' },
    });
    clock += 299_999;
    expect((await from('192.0.2.1', `Bearer ${token}`)).headers['retry-after']).toBe('1');
    expect(await guess('192.0.2.1', token, 5)).toEqual(Array(5).fill(429));
    clock += 1;
    expect((await from('192.0.2.1', `Bearer ${token}`)).body.id).toBe(id);
    expect(service.entries('credential.locked')).toMatchObject([
      { outcome: 'denied', actor: { address: '192.0.2.1', credential: token.slice(3, 19) } },
    ]);
    // And begin anew.
    expect(await guess('192.0.2.1', token, 9)).toEqual(Array(9).fill(401));
    expect((await from('192.0.2.1', `Bearer ${token}`)).status).toBe(200);
    await guess('192.0.2.1', token, 1);
    expect(locks()).toBe(2);
  });

  test('lock it nowhere else, and nothing else there', async () => {
    await start();
    const { token } = await service.principal(['signer']);
    const other = await service.principal(['signer']);
    await guess('192.0.2.1', token, 10);
    expect((await from('192.0.2.1', `Bearer ${token}`)).status).toBe(429);
    expect((await from('192.0.2.2', `Bearer ${token}`)).status).toBe(200);
    expect((await from('192.0.2.1', `Bearer ${other.token}`)).status).toBe(200);
  });

  test('count within five minutes', async () => {
    await start();
    const { token } = await service.principal(['signer']);
    for (let i = 0; i < 30; i++) {
      expect(await guess('192.0.2.1', token, 1)).toEqual([401]);
      clock += 33_334;
    }
    expect(locks()).toBe(0);
  });

  test('at the same time: no more than ten are compared', async () => {
    await start();
    const { token } = await service.principal(['signer']);
    const answers = await Promise.all(Array.from({ length: 60 }, () => guess('192.0.2.1', token, 1)));
    expect(answers.flat().filter((status) => status === 401)).toHaveLength(10);
    const compared = service
      .entries('access.unauthenticated')
      .filter(({ detail }) => detail?.['reason'] === 'wrong secret');
    expect(compared).toHaveLength(10);
    expect(locks()).toBe(1);
  });

  test('are counted by one spelling of the address', async () => {
    await start();
    const { token } = await service.principal(['signer']);
    const spellings = ['192.0.2.1', '::ffff:192.0.2.1', '::FFFF:c000:201', '0:0:0:0:0:ffff:192.0.2.1'];
    for (let i = 0; i < 10; i++) await guess(spellings[i % spellings.length]!, token, 1);
    for (const spelling of spellings)
      expect((await from(spelling, `Bearer ${token}`)).status, spelling).toBe(429);
    expect(locks()).toBe(1);
  });

  test('are counted by /64 of IPv6', async () => {
    await start();
    const { token } = await service.principal(['signer']);
    for (let i = 0; i < 10; i++) await guess(`2001:db8:0:1:${i + 1}::${i}`, token, 1);
    expect((await from('2001:DB8::1:0:0:0:99', `Bearer ${token}`)).status).toBe(429);
    expect((await from('2001:db8:0:2::1', `Bearer ${token}`)).status).toBe(200);
  });

  test('are no lock where the secret was right and something else was wrong', async () => {
    await start();
    const { id, token } = await service.principal(['signer']);
    await service.asAdmin('PATCH', `/v1/principals/${id}`, { state: 'disabled' });
    for (let i = 0; i < 15; i++) expect((await from('192.0.2.1', `Bearer ${token}`)).status).toBe(401);
    await service.asAdmin('PATCH', `/v1/principals/${id}`, { state: 'enabled' });
    expect((await from('192.0.2.1', `Bearer ${token}`)).status).toBe(200);
    expect(locks()).toBe(0);
  });
});

test('variants of a credential’s id are no credential, and have no count of their own', async () => {
  await start();
  let { token } = await service.principal(['signer']);
  while (!/[a-f]/.test(token.slice(3, 19))) ({ token } = await service.principal(['signer']));
  const id = token.slice(3, 19);
  const secret = token.slice(20);
  const variants = [
    `CS_${id}_${secret}`,
    `Cs_${id}_${secret}`,
    `cs_${id.toUpperCase()}_${secret}`,
    `cs _${id}_${secret}`,
    `cs_${id}_${secret}\u00a0`,
    `cs_${id} _${secret}`,
    `cs_0x${id}_${secret}`,
    `cs_0${id}_${secret}`,
    `cs_%63${id}_${secret}`,
    `cs-${id}-${secret}`,
    `cs_${id}_${secret}=`,
  ];
  for (const [i, variant] of variants.entries()) {
    // From as many addresses, so that each is answered for what it is.
    const address = `192.0.2.${i}`;
    for (let round = 0; round < 12; round++) {
      expect((await from(address, `Bearer ${variant}`)).status, variant).toBe(401);
    }
    // So that each has an entry of its own.
    clock += 10_000;
    const { actor, detail } = service.entries('access.unauthenticated').at(-1)!;
    expect(detail?.['reason'], variant).toBe('malformed credential');
    expect(actor).toEqual({ address });
    expect((await from(address, `Bearer ${token}`)).status).toBe(200);
  }
  expect(locks()).toBe(0);
});

describe('failures from one address', () => {
  test('beyond twenty are 429, one more a second; good credentials go on working', async () => {
    await start();
    const { token } = await service.principal(['signer']);
    const unknown = (i: number): string => `Bearer cs_${i.toString(16).padStart(16, '0')}_${'A'.repeat(43)}`;
    const fail = async (address: string, times: number): Promise<number[]> => {
      const answers: number[] = [];
      for (let i = 0; i < times; i++) answers.push((await from(address, unknown(i))).status);
      return answers;
    };
    expect(await fail('192.0.2.1', 22)).toEqual([...Array(20).fill(401), 429, 429]);
    const { headers, body } = await from('192.0.2.1', unknown(1));
    expect([headers['retry-after'], body.code]).toEqual(['1', 'rate_limited']);
    expect((await from('192.0.2.1', `Bearer ${token}`)).status).toBe(200);
    expect(await fail('192.0.2.2', 1)).toEqual([401]);
    clock += 2_000;
    expect(await fail('::ffff:192.0.2.1', 3)).toEqual([401, 401, 429]);
    // What was wrong is in the log all the same.
    const reasons = service.entries('access.unauthenticated').map(({ detail }) => detail?.['reason']);
    expect(new Set(reasons)).toEqual(new Set(['unknown credential']));
    expect(reasons).toHaveLength(27);
  });

  test('who shows no credential is always told that one is needed', async () => {
    await start();
    for (let i = 0; i < 30; i++) expect((await from('192.0.2.1', undefined)).status).toBe(401);
  });
});

test('what a caller may not do is in the log: some as they are, the rest as a number, for each caller', async () => {
  await start();
  const [a, b] = [await service.principal(['auditor']), await service.principal(['auditor'])];
  const ask = (token: string): Promise<Called> => service.call('POST', '/v1/x', { token, body: {} });
  const answers = await Promise.all(Array.from({ length: 300 }, () => ask(a.token)));
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([403]));
  expect((await ask(b.token)).status).toBe(403);
  await service.flush();
  const entries = service.entries('access.forbidden');
  const of = (name: string): number[] =>
    entries
      .filter(({ actor }) => actor?.principal === name)
      .map(({ detail }) => Number(detail?.['count'] ?? 1));
  expect(of(a.name).reduce((sum, count) => sum + count, 0)).toBe(300);
  expect(of(a.name).length).toBeLessThan(105);
  expect(of(b.name)).toEqual([1]);
  expect(entries.find(({ detail }) => detail?.['count'] !== undefined)?.actor).toEqual({
    principal: a.name,
    principalId: a.id,
    credential: a.token.slice(3, 19),
  });
});

describe('rate limits', () => {
  test('of addresses hold for all requests, by origin', async () => {
    await start({ rateLimit: { address: { perSecond: 2, burst: 5 } } });
    const answers: number[] = [];
    for (let i = 0; i < 7; i++) answers.push((await from('192.0.2.1', undefined)).status);
    expect(answers).toEqual([401, 401, 401, 401, 401, 429, 429]);
    const { status, headers, body } = await from('192.0.2.1', `Bearer ${service.adminToken}`);
    expect([status, body.code, headers['retry-after']]).toEqual([429, 'rate_limited', '1']);
    expect((await from('192.0.2.2', `Bearer ${service.adminToken}`)).status).toBe(200);
    clock += 500;
    expect((await from('192.0.2.1', `Bearer ${service.adminToken}`)).status).toBe(200);
  });

  test('of credentials hold wherever they are used from', async () => {
    await start({ rateLimit: { credential: { perSecond: 0.1, burst: 3 } } });
    const other = newToken(
      await service.asAdmin('POST', `/v1/principals/${service.admin.id}/credentials`, {}),
    );
    const answers: number[] = [];
    for (let i = 0; i < 4; i++) answers.push((await from(`192.0.2.${i}`, `Bearer ${other}`)).status);
    expect(answers).toEqual([200, 200, 200, 429]);
    expect((await from('192.0.2.9', `Bearer ${other}`)).headers['retry-after']).toBe('10');
    expect((await from('192.0.2.9', `Bearer ${service.adminToken}`)).status).toBe(200);
    clock += 10_000;
    expect((await from('192.0.2.9', `Bearer ${other}`)).status).toBe(200);
  });
});

const newToken = ({ token }: { token: string }): string => token;
