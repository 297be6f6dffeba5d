import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CountersignError } from '../../src/errors.ts';
import { allocSecret } from '../../src/keystore/envelope.ts';
import { generateKeyring } from '../../src/keystore/keyring.ts';
import { matchTotp, newTotp } from '../../src/signer/process/totp.ts';
import { Vault } from '../../src/signer/process/vault.ts';

const STEP = 30_000;
/** RFC 6238, appendix B: seconds since 1970, and the last six of the eight digits for SHA-1. */
const VECTORS = [
  [59, '287082'],
  [1_111_111_109, '081804'],
  [1_111_111_111, '050471'],
  [1_234_567_890, '005924'],
  [2_000_000_000, '279037'],
  [20_000_000_000, '353130'],
] as const;

const code = (expected: string): Error => expect.objectContaining({ code: expected }) as Error;

let vault: Vault;
beforeEach(() => {
  vault = new Vault();
  vault.unseal(generateKeyring(), vault.epoch);
});
afterEach(() => vault.wipe());

/** The secret of the RFC, sealed for somebody. */
function sealedFor(owner: string): Buffer {
  const secret = allocSecret(20);
  secret.write('12345678901234567890', 'latin1');
  return vault.sealFor({ purpose: 'totp', owner }, secret);
}

describe('a one-time code', () => {
  it.each(VECTORS)('of the RFC at %i s is of its step', (seconds, digits) => {
    const time = seconds * 1_000;
    expect(matchTotp(vault, 'ann', sealedFor('ann'), digits, time)).toBe(Math.floor(seconds / 30));
  });

  it.each(VECTORS)(
    'of the RFC at %i s counts one step to either side, as its own step, and no further',
    (seconds, digits) => {
      const sealed = sealedFor('ann');
      const step = Math.floor(seconds / 30);
      const start = step * STEP;
      const match = (time: number): number | undefined => matchTotp(vault, 'ann', sealed, digits, time);
      expect(match(Math.max(0, start - STEP))).toBe(step);
      expect(match(start)).toBe(step);
      expect(match(start + 2 * STEP - 1)).toBe(step);
      expect(match(start + 2 * STEP)).toBeUndefined();
      expect(start > STEP ? match(start - STEP - 1) : undefined).toBeUndefined();
    },
  );

  it('is six digits and nothing else; a time is one', () => {
    const sealed = sealedFor('ann');
    for (const text of ['', '28708', '2870820', ' 287082', '28708\u0662', '0x1234', '-87082', '28708a'])
      expect(() => matchTotp(vault, 'ann', sealed, text, 59_000), text).toThrow(code('internal'));
    for (const time of [-1, Number.NaN, Infinity, 0.5, 2 ** 60])
      expect(() => matchTotp(vault, 'ann', sealed, '287082', time), `${time}`).toThrow(code('internal'));
  });

  it('is of the secret that it is compared with', () => {
    const [sealed, secret] = newTotp(vault, 'ann');
    expect(secret).toHaveLength(20);
    const guesses = Array.from({ length: 50 }, (_, i) => `${i}`.padStart(6, '0'));
    const right = guesses.filter((guess) => matchTotp(vault, 'ann', sealed, guess, 59_000) !== undefined);
    expect(right.length).toBeLessThan(5);
  });
});

describe('the secret of one-time codes', () => {
  it('opens for whom it was sealed, and for nobody else', () => {
    const sealed = sealedFor('ann');
    for (const other of ['bob', 'anna', 'ann ', ''])
      expect(() => matchTotp(vault, other, sealed, '287082', 59_000), other).toThrow(code('unprocessable'));
  });

  it('does not open where a bit was changed, nor in another installation', () => {
    const sealed = sealedFor('ann');
    for (let at = 0; at < sealed.length; at++) {
      const damaged = Buffer.from(sealed);
      damaged.writeUInt8(damaged.readUInt8(at) ^ 1, at);
      expect(() => matchTotp(vault, 'ann', damaged, '287082', 59_000), `${at}`).toThrow(CountersignError);
    }
    const other = new Vault();
    other.unseal(generateKeyring(), other.epoch);
    expect(() => matchTotp(other, 'ann', sealed, '287082', 59_000)).toThrow(code('unprocessable'));
    other.wipe();
  });

  it('is none of a key’s, and a key is no secret of codes', () => {
    const pair = vault.generate({ keyId: 'ann', version: 1, curve: 'secp256k1' });
    expect(() => matchTotp(vault, 'ann', pair.sealed, '287082', 59_000)).toThrow(code('unprocessable'));
    const identity = {
      keyId: 'ann',
      version: 1,
      curve: 'secp256k1',
      address: `0x${'00'.repeat(20)}`,
    } as const;
    expect(() => vault.load(1, identity, sealedFor('ann'))).toThrow(code('unprocessable'));
  });

  it('is another each time', () => {
    const made = Array.from({ length: 20 }, () => newTotp(vault, 'ann')[1].toString('hex'));
    expect(new Set(made).size).toBe(20);
  });

  it('neither is made nor opens while sealed', () => {
    const sealed = sealedFor('ann');
    vault.wipe();
    expect(() => newTotp(vault, 'ann')).toThrow(code('sealed'));
    expect(() => matchTotp(vault, 'ann', sealed, '287082', 59_000)).toThrow(code('sealed'));
    expect(() => matchTotp(vault, 'ann', randomBytes(64), '287082', 59_000)).toThrow(code('sealed'));
  });
});
