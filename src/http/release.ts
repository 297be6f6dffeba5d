import type { Answer } from '../audit/act.ts';
import { CountersignError } from '../errors.ts';
import type { Service } from './service.ts';

/**
 * Throws `sealed` or `key_state`: a signature that was made and kept goes out only where it could be made now. So
 * nobody gets one behind the answer that says that its key is disabled, or the service sealed.
 *
 * @param signed what its maker answered (SignAnswer).
 */
export function requireReleasable({ seal, keys }: Pick<Service, 'seal' | 'keys'>, signed: Answer): void {
  if (seal.status().sealed)
    throw new CountersignError('sealed', 'the service is sealed: no signature is given out');
  const { name, version } = signed['key'] as { readonly name: string; readonly version: number };
  keys.signingVersion(keys.get(name), version);
}
