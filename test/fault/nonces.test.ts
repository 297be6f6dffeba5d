import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { sealSecret } from '../../src/keystore/envelope.ts';

it('no nonce repeats in a million seals', () => {
  const kek = randomBytes(32);
  const secret = randomBytes(32);
  const identity = { keyId: 'k', version: 1, curve: 'secp256k1', address: `0x${'00'.repeat(20)}` } as const;
  const nonces = new Set<string>();
  for (let i = 0; i < 1_000_000; i += 1) {
    nonces.add(sealSecret(kek, 1, identity, secret).subarray(5, 17).toString('latin1'));
  }
  expect(nonces.size).toBe(1_000_000);
});
