import type { Answer } from '../audit/act.ts';
import { CountersignError } from '../errors.ts';
import type { Service } from './service.ts';

type Parts = Pick<Service, 'seal' | 'keys' | 'gate'>;

/**
 * Throws `sealed`, `key_state`, or `unavailable` while witnesses that must have seen its entry have not: a signature that
 * was made and kept goes out only where it could be made now. So nobody gets one behind the answer that says that its
 * key is disabled, or the service sealed.
 *
 * @param signed what its maker answered (SignAnswer).
 */
export function requireReleasable({ seal, keys, gate }: Parts, signed: Answer): void {
  if (seal.sealed) throw new CountersignError('sealed', 'the service is sealed: no signature is given out');
  const { name, version } = signed['key'] as { readonly name: string; readonly version: number };
  keys.signingVersion(keys.get(name), version);
  const { index } = signed['receipt'] as { readonly index: number };
  gate.requireOnDisk(index);
  if (!gate.isCovered(index))
    throw new CountersignError(
      'unavailable',
      `the witnesses that it takes have not cosigned a checkpoint over its entry (${index}) yet`,
    );
}

/** As `requireReleasable`, and waits for the witnesses first, as whoever asked for the signature did. */
export async function untilReleasable(parts: Parts, signed: Answer): Promise<void> {
  const { index } = signed['receipt'] as { readonly index: number };
  await parts.gate.covered(index);
  requireReleasable(parts, signed);
}
