import { CountersignError } from '../errors.ts';
import { isWithin } from './networks.ts';
import type { AccessReads, Credential, Principal } from './principals.ts';

/**
 * Throws `conflict` when nobody could administer the service any more. To be asked after a change and inside its
 * commit, so that two at once can't each count on the other's admin.
 *
 * @param ownCredential id of the caller's.
 */
export function refuseWithoutAdmin(reads: AccessReads, ownCredential: string): void {
  const canAdminister = (principal: Principal): boolean =>
    isAdmin(principal) &&
    reads.credentialsOf(principal.id).some((credential) => isUsable(credential, ownCredential));
  if (reads.principals().some(canAdminister)) return;
  throw new CountersignError(
    'conflict',
    'nobody could administer the service after this: give another enabled principal the role admin first, and a credential without expiry for the loopback interface',
  );
}

/** The addresses that callers on this machine come from. */
const LOOPBACK = ['127.0.0.1', '::1'];

/** For good, and from this machine; the caller's own has just proven that it can be used. */
function isUsable(credential: Credential, ownCredential: string): boolean {
  const { id, kind, revokedAt, expiresAt, cidrs, canary } = credential;
  if (revokedAt !== undefined || canary === true) return false;
  if (id === ownCredential) return true;
  // Whether a certificate lets anybody in depends on its CA and on how the service is started.
  if (kind !== 'token') return false;
  return expiresAt === undefined && LOOPBACK.some((address) => isWithin(cidrs, address));
}

function isAdmin({ roles, state }: Principal): boolean {
  return state === 'enabled' && roles.includes('admin');
}
