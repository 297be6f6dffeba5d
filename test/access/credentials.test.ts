import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { authenticate, cidrProblem, newCredential, Unauthenticated } from '../../src/access/credentials.ts';
import type { AccessReads, Credential, Principal } from '../../src/access/principals.ts';
import { forbiddenPair, ROLES, type Role } from '../../src/access/roles.ts';

const PRINCIPAL: Principal = {
  id: 'a',
  name: 'backend',
  roles: ['signer'],
  state: 'enabled',
  createdAt: '2026-01-01T00:00:00.000Z',
};

function readsOf(credential: Credential, principal = PRINCIPAL): AccessReads {
  return {
    principals: () => [principal],
    principal: () => principal,
    credential: (id) => (id === credential.id ? { credential, principal } : undefined),
    credentialsOf: () => [credential],
  };
}

function reason(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof Unauthenticated) return error.reason;
    throw error;
  }
  return 'let in';
}

const { credential, token } = newCredential('a');
const check = (
  header: string | undefined,
  change: Partial<Credential> = {},
  address = '192.0.2.1',
  now?: Date,
): string => reason(() => authenticate(readsOf({ ...credential, ...change }), header, address, now));

describe('a token', () => {
  test('has 32 random bytes, of which only a hash is in the credential', () => {
    const secret = Buffer.from(token.slice(-43), 'base64url');
    expect(secret).toHaveLength(32);
    expect(token).toBe(`cs_${credential.id}_${secret.toString('base64url')}`);
    expect(JSON.stringify(credential)).not.toContain(token.slice(-43));
    expect(Buffer.from(credential.secretHash)).not.toEqual(secret);
    const many = Array.from({ length: 1_000 }, () => newCredential('a').token);
    expect(new Set(many.map((one) => one.slice(3, 19))).size).toBe(1_000);
    expect(new Set(many.map((one) => one.slice(-43))).size).toBe(1_000);
  });

  test('is let in by its secret, whatever the case of the scheme (RFC 9110, 11.1)', () => {
    for (const scheme of ['Bearer', 'bearer', 'BEARER']) expect(check(`${scheme} ${token}`)).toBe('let in');
    const caller = authenticate(readsOf(credential), `Bearer ${token}`, '192.0.2.1');
    expect(caller).toEqual({ principal: PRINCIPAL, credentialId: credential.id, address: '192.0.2.1' });
  });

  test.each([
    [undefined, 'no credential'],
    ['', 'malformed credential'],
    ['Bearer', 'malformed credential'],
    ['Bearer ', 'malformed credential'],
    [token, 'malformed credential'],
    [`Basic ${token}`, 'malformed credential'],
    [`Bearer ${token} `, 'malformed credential'],
    [`Bearer ${token},${token}`, 'malformed credential'],
    [`Bearer ${token}A`, 'malformed credential'],
    [`Bearer ${token.slice(0, -1)}`, 'malformed credential'],
    [`Bearer ${token.toUpperCase()}`, 'malformed credential'],
    [`Bearer\t${token}`, 'malformed credential'],
    [`Bearer cs_${'0'.repeat(16)}_${token.slice(-43)}`, 'unknown credential'],
    [`Bearer cs_${credential.id}_${'A'.repeat(43)}`, 'wrong secret'],
    [`Bearer ${newCredential('a').token}`, 'unknown credential'],
  ])('%j: %s', (header, expected) => {
    expect(check(header)).toBe(expected);
  });

  test('differs in every character of its secret but the last two bits', () => {
    fc.assert(
      fc.property(fc.nat(41), fc.constantFrom('A', 'Z', 'a', 'z', '0', '9', '-', '_'), (at, character) => {
        const place = token.length - 43 + at;
        fc.pre(token[place] !== character);
        expect(check(`Bearer ${token.slice(0, place)}${character}${token.slice(place + 1)}`)).toBe(
          'wrong secret',
        );
      }),
    );
  });

  test('any header is let in or refused with an error of ours', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string().map((text) => `Bearer ${text}`),
        ),
        (header) => {
          expect(check(header)).toBe('malformed credential');
        },
      ),
    );
  });

  test('is refused for what became of it; a wrong secret comes first', () => {
    const header = `Bearer ${token}`;
    expect(check(header, { revokedAt: '2026-01-01T00:00:00.000Z' })).toBe('revoked credential');
    expect(check(header, { cidrs: ['10.0.0.0/8'] })).toBe('address not allowed');
    const disabled = readsOf(credential, { ...PRINCIPAL, state: 'disabled' });
    expect(reason(() => authenticate(disabled, header, '192.0.2.1'))).toBe('disabled principal');
    const wrong = `Bearer cs_${credential.id}_${'A'.repeat(43)}`;
    expect(check(wrong, { revokedAt: '2026-01-01T00:00:00.000Z' })).toBe('wrong secret');
  });

  test('ends at the moment it expires', () => {
    const expiresAt = '2026-06-01T12:00:00.000Z';
    const at = (time: string): string => check(`Bearer ${token}`, { expiresAt }, '192.0.2.1', new Date(time));
    expect(at('2026-06-01T11:59:59.999Z')).toBe('let in');
    expect(at('2026-06-01T12:00:00.000Z')).toBe('expired credential');
    expect(at('2030-01-01T00:00:00.000Z')).toBe('expired credential');
  });

  test('says the same whatever was wrong', () => {
    const headers = [
      undefined,
      'x',
      `Bearer cs_${'0'.repeat(16)}_${'A'.repeat(43)}`,
      `Bearer cs_${credential.id}_${'A'.repeat(43)}`,
    ];
    const messages = headers.map((header) => {
      try {
        authenticate(readsOf(credential), header, '192.0.2.1');
      } catch (error) {
        return (error as Error).message;
      }
      return undefined;
    });
    expect(new Set(messages).size).toBe(1);
    expect(messages[0]).toBeDefined();
  });
});

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
    expect(check(`Bearer ${token}`, { cidrs }, address)).toBe(expected ? 'let in' : 'address not allowed');
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
    expect(check(`Bearer ${token}`, { cidrs: [cidr] }, '203.0.113.1')).toMatch(
      /^(?:let in|address not allowed)$/,
    );
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
          expect(check(`Bearer ${token}`, { cidrs: [cidr] }, address)).toMatch(
            /^(?:let in|address not allowed)$/,
          );
        },
      ),
      { numRuns: 2_000 },
    );
  });
});

test('roles that exclude each other: signer with those who decide, auditor with everybody', () => {
  const excluded = new Set([
    'admin signer',
    'policy-admin signer',
    'admin auditor',
    'approver auditor',
    'auditor operator',
    'auditor policy-admin',
    'auditor signer',
  ]);
  for (const a of ROLES) {
    expect(forbiddenPair([a])).toBeUndefined();
    for (const b of ROLES) {
      if (a === b) continue;
      const expected = excluded.has([a, b].toSorted().join(' '));
      expect(forbiddenPair([a, b]) !== undefined, `${a} ${b}`).toBe(expected);
    }
  }
  fc.assert(
    fc.property(fc.uniqueArray(fc.constantFrom<Role>(...ROLES), { minLength: 1 }), (roles) => {
      const pairs = roles.flatMap((a) => roles.map((b) => [a, b].toSorted().join(' ')));
      expect(forbiddenPair(roles) !== undefined).toBe(pairs.some((pair) => excluded.has(pair)));
    }),
  );
});
