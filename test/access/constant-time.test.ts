import * as crypto from 'node:crypto';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { Authenticator } from '../../src/access/authenticator.ts';
import { newCredential } from '../../src/access/credentials.ts';
import { IdentityProviders } from '../../src/access/oidc.ts';
import type { AccessReads, Credential, Principal } from '../../src/access/principals.ts';

/** What was compared in constant time: the only way in which a secret may be compared at all. */
const compared = vi.hoisted((): (readonly [Uint8Array, Uint8Array])[] => []);
vi.mock('node:crypto', async (original) => {
  const real = await original<typeof crypto>();
  return {
    ...real,
    timingSafeEqual: (one: Uint8Array, other: Uint8Array) => {
      compared.push([one, other]);
      return real.timingSafeEqual(one, other);
    },
  };
});

const principal: Principal = {
  id: 'p',
  name: 'payments',
  roles: ['signer'],
  state: 'enabled',
  createdAt: '2026-01-01T00:00:00.000Z',
};
const { token, credential } = newCredential('p');

function admit(bearer: string, stored: Credential | undefined): Promise<unknown> {
  const reads = {
    credential: () => stored && { credential: stored, principal },
  } as unknown as AccessReads;
  const authenticator = new Authenticator(reads, {} as never, new IdentityProviders([]));
  return authenticator
    .prove({
      authorization: `Bearer ${bearer}`,
      certificate: undefined,
      address: '127.0.0.1',
      requestId: 'r',
    })
    .then((proof) => authenticator.admit(proof));
}

beforeEach(() => {
  compared.length = 0;
});

describe('the secret of a credential', () => {
  const wrong = `${token.slice(0, -8)}AAAAAAAA`;

  it.each([
    ['right', token, credential, true],
    ['wrong in its last characters', wrong, credential, false],
    ['of a credential that there is not', token, undefined, false],
  ] as const)(
    'that is %s is compared once, in constant time, hash with hash',
    async (_, bearer, stored, good) => {
      const outcome = await Promise.allSettled([admit(bearer, stored)]);
      expect(outcome[0].status).toBe(good ? 'fulfilled' : 'rejected');
      expect(compared).toHaveLength(1);
      expect(compared[0]?.map(({ length }) => length)).toEqual([32, 32]);
      // Were the comparison passed over, or made in another way, this would not decide.
      expect(crypto.timingSafeEqual(...compared[0]!)).toBe(good);
    },
  );
});
