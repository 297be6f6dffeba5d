import { CountersignError } from '../errors.ts';
import type { SealConfig } from '../keystore/seal.ts';
import type { Step } from './gathered.ts';

/** What an entry says of a seal. */
export function sealDetail(config: SealConfig): { readonly [name: string]: string | number } {
  if (config.type !== 'shamir') return { type: config.type };
  const { type, shares, threshold, set } = config;
  return { type, shares, threshold, set };
}

/** What an entry says of a share that was given. */
export function gatheredDetail(
  use: 'unseal' | 'authorize' | 'verify',
  { gathered }: Step,
): { readonly [name: string]: string | number } {
  if (gathered === undefined) throw new CountersignError('internal', 'a share was given that nobody counted');
  const { number, have, threshold, set } = gathered;
  return { use, number, have, threshold, set };
}

/** What an entry says of one that was refused. */
export function refusal(
  use: 'unseal' | 'authorize' | 'verify',
  error: unknown,
): { readonly [name: string]: string } {
  return { use, reason: error instanceof CountersignError ? error.message : 'unknown' };
}
