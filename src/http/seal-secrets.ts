import type { z } from 'zod';
import { wipe } from '../bytes.ts';
import { CountersignError } from '../errors.ts';
import type { CurrentSecret, RekeyChoice } from '../signer/rekey.ts';
import type { RouteContext } from './route.ts';
import type { currentSealSchema, newSealSchema } from './seal-shapes.ts';
import type { Service } from './service.ts';

/** Does what tries a secret of the seal, within the bounds on such tries. */
export async function tried<T>(
  { sealAttempts }: Service,
  { act, caller }: RouteContext,
  work: () => Promise<T>,
): Promise<T> {
  const attempt = sealAttempts.begin(`${caller.principal.id} ${caller.credentialId}`);
  try {
    const result = await work();
    attempt.forgive();
    return result;
  } catch (error) {
    if (!isWrongSecret(error)) attempt.forgive();
    else if (attempt.limits()) await act.record({ kind: 'seal.attempts_limited', outcome: 'denied' });
    throw error;
  }
}

function isWrongSecret(error: unknown): boolean {
  const wrong: readonly string[] = ['wrong_password', 'unprocessable', 'invalid_request'];
  return error instanceof CountersignError && wrong.includes(error.code);
}

/** A seal that is to be made, its passphrase in a Buffer that can be wiped. */
export function choiceOf(seal: z.output<typeof newSealSchema>): RekeyChoice {
  return seal.type === 'shamir' ? seal : { ...seal, passphrase: Buffer.from(seal.passphrase, 'utf8') };
}

export function currentOf(current: z.output<typeof currentSealSchema>): CurrentSecret {
  if ('passphrase' in current) return { type: 'passphrase', secret: Buffer.from(current.passphrase, 'utf8') };
  return { type: 'file', secret: Buffer.from(current.sealKey.slice(2), 'hex') };
}

/** JSON has no other way: as text they stay in this process until they are overwritten by chance. */
export function textsOf(shares: readonly Buffer[]): { readonly shares?: readonly string[] } {
  if (shares.length === 0) return {};
  const texts = shares.map((share) => share.toString('latin1'));
  wipe(...shares);
  return { shares: texts };
}
