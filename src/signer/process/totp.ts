import { createHmac, randomFillSync } from 'node:crypto';
import { Secret, TOTP } from 'otpauth';
import { wipe } from '../../bytes.ts';
import { CountersignError } from '../../errors.ts';
import { allocSecret, type SealedPurpose } from '../../keystore/envelope.ts';
import type { Vault } from './vault.ts';

/** RFC 4226, section 4, R6: 160 bits are recommended. */
const SECRET_BYTES = 20;
const CODE = /^[0-9]{6}$/;
/** RFC 6238, section 5.2: how far a clock may be off, in steps of 30 seconds to either side. */
const WINDOW = 1;
const PERIOD_SECONDS = 30;
const PARAMETERS = { algorithm: 'SHA1', digits: 6, period: PERIOD_SECONDS };

/** A fresh secret for one principal's codes: sealed, to be kept, and as it is, to be shown once. The caller wipes it. */
export function newTotp(vault: Vault, principalId: string): readonly [sealed: Buffer, secret: Buffer] {
  const secret = randomFillSync(allocSecret(SECRET_BYTES));
  try {
    return [vault.sealFor(purposeOf(principalId), secret), secret];
  } catch (error) {
    wipe(secret);
    throw error;
  }
}

/**
 * The time step (RFC 6238, section 4.2) that a code is of; undefined for a wrong one. Whether it was used before is for
 * the caller to say. Throws `unprocessable` for a secret that was sealed for somebody else.
 *
 * @param time milliseconds since 1970
 */
export function matchTotp(
  vault: Vault,
  principalId: string,
  sealed: Uint8Array,
  code: string,
  time: number,
): number | undefined {
  if (!CODE.test(code) || !Number.isSafeInteger(time) || time < 0) {
    throw new CountersignError('internal', 'a one-time code has 6 digits, and a time');
  }
  const opened = vault.openFor(purposeOf(principalId), sealed);
  try {
    const secret = new Secret({ buffer: opened.buffer });
    const delta = TOTP.validate({
      ...PARAMETERS,
      token: code,
      secret,
      timestamp: time,
      window: WINDOW,
      hmac: hmacSha1,
    });
    return delta === null ? undefined : TOTP.counter({ period: PERIOD_SECONDS, timestamp: time }) + delta;
  } finally {
    wipe(opened);
  }
}

function purposeOf(principalId: string): SealedPurpose {
  return { purpose: 'totp', owner: principalId };
}

/** The library's own copies the key into memory that is shared and not wiped. */
function hmacSha1(_algorithm: string, key: Uint8Array, message: Uint8Array): Buffer {
  return createHmac('sha1', key).update(message).digest();
}
