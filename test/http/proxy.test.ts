import { afterEach, describe, expect, test } from 'vitest';
import { runAccess, type AccessHarness, type Called } from './access-service.ts';

let service: AccessHarness;
afterEach(() => service.end());

const bad = `Bearer cs_${'0'.repeat(16)}_${'A'.repeat(43)}`;
const ask = (forwardedFor: string | string[], authorization = bad): Promise<Called> =>
  service.call('GET', '/v1/me', {
    headers: { authorization, 'x-forwarded-for': forwardedFor as string, forwarded: 'for=198.51.100.9' },
  });
const lastAddress = (): unknown => service.entries('access.unauthenticated').at(-1)?.actor?.address;

describe('a spoofed X-Forwarded-For', () => {
  test.each([
    ['without a trusted proxy', []],
    ['when the peer is none', ['10.0.0.0/8', '::1/128']],
  ])('changes nothing %s', async (_, trustedProxies) => {
    service = await runAccess({ trustedProxies });
    const { token } = await service.principal(['signer'], { cidrs: ['192.0.2.0/24'] });
    for (const value of ['192.0.2.1', '192.0.2.1, 10.0.0.1', '::1', '127.0.0.1', 'x']) {
      await ask(value);
      expect(lastAddress()).toBe('127.0.0.1');
      expect((await ask(value, `Bearer ${token}`)).status).toBe(401);
    }
    // Nor does it escape what is counted by address.
    for (let i = 0; i < 20; i++) await ask(`198.51.100.${i}`);
    expect((await ask('198.51.100.99')).status).toBe(429);
  });
});

describe('behind a trusted proxy the address is the last one that is none', () => {
  const proxies = ['127.0.0.0/8', '10.0.0.0/8', 'fd00::/8'];
  test.each([
    ['198.51.100.1', '198.51.100.1'],
    [' 198.51.100.1 ', '198.51.100.1'],
    ['203.0.113.7, 198.51.100.1', '198.51.100.1'],
    ['203.0.113.7, 198.51.100.1, 10.9.9.9', '198.51.100.1'],
    ['203.0.113.7,198.51.100.1,fd00::5,10.9.9.9,127.0.0.1', '198.51.100.1'],
    ['2001:DB8:0:0::1, 10.0.0.1', '2001:db8::1'],
    ['::ffff:198.51.100.1', '198.51.100.1'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['not an address, 198.51.100.1', '198.51.100.1'],
    // All of them are ours: the first of them is where it began.
    ['10.0.0.1, 10.0.0.2', '10.0.0.1'],
    // What can't be read is not believed at all.
    ['', '127.0.0.1'],
    ['unknown', '127.0.0.1'],
    ['198.51.100.1, unknown', '127.0.0.1'],
    ['198.51.100.1, ', '127.0.0.1'],
    ['198.51.100.1:4711', '127.0.0.1'],
    ['[2001:db8::1]', '127.0.0.1'],
    ['198.51.100.1 10.0.0.1', '127.0.0.1'],
    ['198.51.100.01', '127.0.0.1'],
    ['0x7f.1', '127.0.0.1'],
    [`${'198.51.100.1,'.repeat(500)}x`, '127.0.0.1'],
  ])('%j: %s', async (value, address) => {
    service = await runAccess({ trustedProxies: proxies });
    expect((await ask(value)).status).toBe(401);
    expect(lastAddress()).toBe(address);
  });

  test('several headers are one list, in their order', async () => {
    service = await runAccess({ trustedProxies: proxies });
    await ask(['203.0.113.7', '198.51.100.1', '10.0.0.1']);
    expect(lastAddress()).toBe('198.51.100.1');
  });

  test('networks of credentials hold for it', async () => {
    service = await runAccess({ trustedProxies: proxies });
    const { token } = await service.principal(['signer'], { cidrs: ['198.51.100.0/24'] });
    expect((await ask('198.51.100.1', `Bearer ${token}`)).status).toBe(200);
    expect((await ask('198.51.101.1', `Bearer ${token}`)).status).toBe(401);
    expect((await ask('198.51.100.1, 203.0.113.7', `Bearer ${token}`)).status).toBe(401);
    expect((await ask('', `Bearer ${token}`)).status).toBe(401);
  });
});
