import { BlockList, isIP } from 'node:net';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  canonicalAddress,
  cidrProblem,
  clientAddress,
  isWithin,
  originOf,
} from '../../src/access/networks.ts';

const family = (address: string): 'ipv4' | 'ipv6' => (isIP(address) === 4 ? 'ipv4' : 'ipv6');

describe('networks', () => {
  test.each([
    [['192.0.2.0/24'], '192.0.2.255', true],
    [['192.0.2.0/24'], '192.0.3.0', false],
    [['192.0.2.7/32'], '192.0.2.7', true],
    [['192.0.2.7/32'], '192.0.2.8', false],
    [['0.0.0.0/0'], '203.0.113.9', true],
    [['0.0.0.0/0'], '2001:db8::1', false],
    [['10.0.0.0/8', '2001:db8::/32'], '2001:db8:ffff::1', true],
    [['10.0.0.0/8', '2001:db8::/32'], '10.1.2.3', true],
    [['2001:db8::/32'], '2001:db9::1', false],
    [['::/0'], '2001:db8::1', true],
    // IPv4 addresses are the IPv6 addresses ::ffff:0:0/96 (RFC 4291, 2.5.5.2).
    [['::/0'], '203.0.113.9', true],
    [['::ffff:10.0.0.0/104'], '10.1.2.3', true],
    [['::ffff:10.0.0.0/104'], '11.1.2.3', false],
    [[], '203.0.113.9', true],
    [['192.0.2.0/24'], '', false],
  ])('%j, %s: %s', (cidrs, address, expected) => {
    expect(isWithin(cidrs, address)).toBe(expected);
    // And again, from what is remembered of the list.
    expect(isWithin(cidrs, address)).toBe(expected);
  });

  test.each([
    '10.0.0.0/8',
    '0.0.0.0/0',
    '192.0.2.1/32',
    'fd00::/8',
    '::/0',
    '::1/128',
    '::ffff:10.0.0.0/104',
  ])('%s is one, and can be compared with', (cidr) => {
    expect(cidrProblem(cidr)).toBeUndefined();
    expect(isWithin([cidr], '203.0.113.1')).toBeTypeOf('boolean');
  });

  test.each([
    '',
    '10.0.0.0',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0/8',
    '10.0.0.0/8/8',
    '10.0.0.0/-1',
    '10.0.0.0/ 8',
    '010.0.0.0/8',
    '10.0.0.0/0x8',
    '10.0.0.0/8.0',
    'localhost/8',
    '/8',
    'fd00::/129',
    'fd00:::/8',
    'fe80::1%lo/64',
    ' 10.0.0.0/8',
    '*',
  ])('%j is none', (cidr) => {
    expect(cidrProblem(cidr)).toBeDefined();
  });

  test('whatever is accepted as one can be compared with any address', () => {
    const ipv6 = fc.oneof(
      fc.ipV6(),
      fc.tuple(fc.ipV6(), fc.string()).map(([ip, zone]) => `${ip}%${zone}`),
    );
    fc.assert(
      fc.property(
        fc.oneof(fc.ipV4Extended(), ipv6),
        fc.integer({ min: -1, max: 130 }),
        fc.oneof(fc.ipV4(), fc.ipV6()),
        (network, bits, address) => {
          const cidr = `${network}/${bits}`;
          if (cidrProblem(cidr) !== undefined) return;
          expect(isWithin([cidr], address)).toBeTypeOf('boolean');
        },
      ),
      { numRuns: 2_000 },
    );
  });
});

describe('an address', () => {
  test.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:c000:0201', '192.0.2.1'],
    ['0:0:0:0:0:ffff:192.0.2.1', '192.0.2.1'],
    ['2001:DB8:0:0:0::1', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['::1', '::1'],
    ['::', '::'],
    ['::192.0.2.1', '::192.0.2.1'],
    ['64:ff9b::192.0.2.1', '64:ff9b::c000:201'],
  ])('%s is written %s', (text, expected) => {
    expect(canonicalAddress(text)).toBe(expected);
  });

  test.each(['', 'x', '192.0.2', '192.0.2.1.', '1.2.3.4:5', '[::1]', '::1/128', ' ::1', '01.2.3.4'])(
    '%j is none',
    (text) => expect(canonicalAddress(text)).toBeUndefined(),
  );

  test('has one spelling: two are the same exactly when they are one address', () => {
    fc.assert(
      fc.property(fc.ipV6(), fc.ipV6(), fc.boolean(), (a, b, same) => {
        const other = same ? a.toUpperCase() : b;
        const only = new BlockList();
        only.addAddress(a, 'ipv6');
        const isOne = only.check(other, 'ipv6');
        expect(canonicalAddress(a) === canonicalAddress(other)).toBe(isOne);
        const text = canonicalAddress(a)!;
        expect(only.check(text, family(text))).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  test('is counted with those of its /64, and no others', () => {
    const group = fc.constantFrom('0', '1', 'ffff', '2001', 'db8', 'a0');
    const address = fc.array(group, { minLength: 8, maxLength: 8 }).map((groups) => groups.join(':'));
    fc.assert(
      fc.property(address, address, (a, b) => {
        const [one, other] = [canonicalAddress(a)!, canonicalAddress(b)!];
        fc.pre(isIP(one) === 6 && isIP(other) === 6);
        const network = new BlockList();
        network.addSubnet(one, 64, 'ipv6');
        expect(originOf(one) === originOf(other)).toBe(network.check(other, 'ipv6'));
      }),
      { numRuns: 5_000 },
    );
    expect(originOf('192.0.2.1')).toBe('192.0.2.1');
    expect(originOf('::')).toBe(originOf('::192.0.2.1'));
    expect(originOf('')).toBe('');
  });
});

test('whatever is forwarded, the client is the peer or an address that was forwarded', () => {
  const hop = fc.oneof(fc.ipV4(), fc.ipV6(), fc.string(), fc.constantFrom('10.0.0.1', '10.2.3.4'));
  fc.assert(
    fc.property(fc.array(hop), fc.constantFrom('10.0.0.9', '192.0.2.1'), (hops, peer) => {
      const proxies = ['10.0.0.0/8'];
      const header = hops.join(',');
      const address = clientAddress(peer, header, proxies);
      const known = header.split(',').map((each) => canonicalAddress(each.trim()));
      expect([peer, ...known]).toContain(address);
      // What stands left of it is of no influence.
      const last = known.findLastIndex((each) => each === undefined || !isWithin(proxies, each));
      const first = known[0] ?? peer;
      const forwarded = last >= 0 ? (known[last] ?? peer) : first;
      expect(address).toBe(peer === '192.0.2.1' ? peer : forwarded);
      expect(clientAddress(peer, header, [])).toBe(peer);
    }),
    { numRuns: 3_000 },
  );
});
