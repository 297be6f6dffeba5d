import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Authenticator } from '../../src/access/authenticator.ts';
import type { ClientCertificate } from '../../src/access/certificates.ts';
import {
  newCertificateCredential,
  newCredential,
  Unauthenticated,
  type Caller,
} from '../../src/access/credentials.ts';
import { IdentityProviders } from '../../src/access/oidc.ts';
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
  const owned = { credential, principal };
  return {
    principals: () => [principal],
    principal: () => principal,
    credential: (id) => (id === credential.id ? owned : undefined),
    certificates: (match) => (match === credential.match ? [owned] : []),
    credentialsOf: () => [credential],
  };
}

async function admit(
  reads: AccessReads,
  authorization: string | undefined,
  address = '192.0.2.1',
  now?: Date,
  certificate?: ClientCertificate,
): Promise<Caller> {
  const recorder = { record: () => Promise.reject(new Error('there is nothing to write')) };
  const authenticator = new Authenticator(reads, recorder, new IdentityProviders([]));
  const proof = await authenticator.prove({ authorization, certificate, address, requestId: 'r' });
  return authenticator.admit(proof, now);
}

async function reasonOf(admitted: Promise<unknown>): Promise<string> {
  try {
    await admitted;
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
  address?: string,
  now?: Date,
): Promise<string> => reasonOf(admit(readsOf({ ...credential, ...change }), header, address, now));

describe('a token', () => {
  test('has 32 random bytes, of which only a hash is in the credential', () => {
    const secret = Buffer.from(token.slice(-43), 'base64url');
    expect(secret).toHaveLength(32);
    expect(token).toBe(`cs_${credential.id}_${secret.toString('base64url')}`);
    expect(JSON.stringify(credential)).not.toContain(token.slice(-43));
    expect(Buffer.from(credential.secretHash!)).not.toEqual(secret);
    const many = Array.from({ length: 1_000 }, () => newCredential('a').token);
    expect(new Set(many.map((one) => one.slice(3, 19))).size).toBe(1_000);
    expect(new Set(many.map((one) => one.slice(-43))).size).toBe(1_000);
  });

  test('is let in by its secret, whatever the case of the scheme (RFC 9110, 11.1)', async () => {
    for (const scheme of ['Bearer', 'bearer', 'BEARER'])
      expect(await check(`${scheme} ${token}`)).toBe('let in');
    expect(await admit(readsOf(credential), `Bearer ${token}`)).toEqual({
      principal: PRINCIPAL,
      credentialId: credential.id,
      address: '192.0.2.1',
      mtls: false,
    });
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
  ])('%j: %s', async (header, expected) => {
    expect(await check(header)).toBe(expected);
  });

  test('differs in every character of its secret but the last two bits', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(41),
        fc.constantFrom('A', 'Z', 'a', 'z', '0', '9', '-', '_'),
        async (at, character) => {
          const place = token.length - 43 + at;
          fc.pre(token[place] !== character);
          const other = `${token.slice(0, place)}${character}${token.slice(place + 1)}`;
          expect(await check(`Bearer ${other}`)).toBe('wrong secret');
        },
      ),
    );
  });

  test('any header is let in or refused with an error of ours', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.string(),
          fc.string().map((text) => `Bearer ${text}`),
        ),
        async (header) => {
          expect(await check(header)).toBe('malformed credential');
        },
      ),
    );
  });

  test('is refused for what became of it; a wrong secret comes first', async () => {
    const header = `Bearer ${token}`;
    expect(await check(header, { revokedAt: '2026-01-01T00:00:00.000Z' })).toBe('revoked credential');
    expect(await check(header, { cidrs: ['10.0.0.0/8'] })).toBe('address not allowed');
    const disabled = readsOf(credential, { ...PRINCIPAL, state: 'disabled' });
    expect(await reasonOf(admit(disabled, header))).toBe('disabled principal');
    const wrong = `Bearer cs_${credential.id}_${'A'.repeat(43)}`;
    expect(await check(wrong, { revokedAt: '2026-01-01T00:00:00.000Z' })).toBe('wrong secret');
  });

  test('ends at the moment it expires', async () => {
    const expiresAt = '2026-06-01T12:00:00.000Z';
    const at = (time: string): Promise<string> =>
      check(`Bearer ${token}`, { expiresAt }, '192.0.2.1', new Date(time));
    expect(await at('2026-06-01T11:59:59.999Z')).toBe('let in');
    expect(await at('2026-06-01T12:00:00.000Z')).toBe('expired credential');
    expect(await at('2030-01-01T00:00:00.000Z')).toBe('expired credential');
  });

  test('is never a certificate’s id and a secret', async () => {
    const certificate = newCertificateCredential('a', 'dns:a.test', {});
    const zeros = Buffer.alloc(32).toString('base64url');
    for (const secret of [zeros, token.slice(-43)]) {
      const bearer = `Bearer cs_${certificate.id}_${secret}`;
      expect(await reasonOf(admit(readsOf(certificate), bearer))).toBe('unknown credential');
    }
  });

  test('says the same whatever was wrong', async () => {
    const headers = [
      undefined,
      'x',
      `Bearer cs_${'0'.repeat(16)}_${'A'.repeat(43)}`,
      `Bearer cs_${credential.id}_${'A'.repeat(43)}`,
    ];
    const messages = await Promise.all(
      headers.map((header) =>
        admit(readsOf(credential), header).then(
          () => undefined,
          (error: unknown) => (error as Error).message,
        ),
      ),
    );
    expect(new Set(messages).size).toBe(1);
    expect(messages[0]).toBeDefined();
  });
});

describe('a client certificate', () => {
  const certificate: ClientCertificate = {
    fingerprint: 'ab'.repeat(32),
    matches: [`sha256:${'ab'.repeat(32)}`, 'dns:a.test'],
    notBefore: new Date('2026-01-01T00:00:00Z'),
    notAfter: new Date('2026-02-01T00:00:00Z'),
  };
  const registered = newCertificateCredential('a', 'dns:a.test', {});
  const at = (time: string, authorization?: string, of = registered): Promise<Caller> =>
    admit(readsOf(of), authorization, '192.0.2.1', new Date(time), certificate);

  test('ends when its time is over, also on a connection that is open still', async () => {
    expect(await at('2026-01-15T00:00:00Z')).toMatchObject({
      credentialId: registered.id,
      mtls: true,
      certificate: certificate.fingerprint,
    });
    expect(await reasonOf(at('2026-02-01T00:00:01Z'))).toBe('expired certificate');
    expect(await reasonOf(at('2025-12-31T23:59:59Z'))).toBe('expired certificate');
  });

  test('whose time is over is none beside a token, either', async () => {
    const reads = {
      ...readsOf(credential),
      certificates: () => [{ credential: registered, principal: PRINCIPAL }],
    };
    const mtls = async (time: string): Promise<boolean> =>
      (await admit(reads, `Bearer ${token}`, '192.0.2.1', new Date(time), certificate)).mtls;
    expect(await mtls('2026-01-15T00:00:00Z')).toBe(true);
    expect(await mtls('2026-02-01T00:00:01Z')).toBe(false);
  });

  test('alone does not let in a principal that an identity provider vouches for', async () => {
    const federated = { ...PRINCIPAL, name: 'idp:alice' };
    const now = new Date('2026-01-15T00:00:00Z');
    const admitted = admit(readsOf(registered, federated), undefined, '192.0.2.1', now, certificate);
    expect(await reasonOf(admitted)).toBe('certificate without token');
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
