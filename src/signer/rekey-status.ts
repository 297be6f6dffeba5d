import type { SealConfig } from '../keystore/seal.ts';
import { sealDetail } from './seal-entries.ts';

export interface RekeyStatus {
  readonly id: string;
  readonly from: { readonly [name: string]: string | number };
  readonly to: { readonly [name: string]: string | number };
  /** `authorize`: shares of the seal in force are awaited. `verify`: the new secret, to be shown to open. */
  readonly stage: 'authorize' | 'verify';
  /** Where the stage takes shares: how many there are, and are needed. */
  readonly have?: number;
  readonly threshold?: number;
  /** RFC 3339. */
  readonly startedAt: string;
  readonly expiresAt: string;
}

/** A change of the seal on its way. */
export interface Pending {
  readonly id: string;
  readonly from: SealConfig;
  readonly to: SealConfig;
  readonly stage: RekeyStatus['stage'];
  /** Shares that the signer process holds, until that time. */
  readonly gathered?: { readonly have: number; readonly until: number } | undefined;
  readonly startedAt: number;
  readonly expiresAt: number;
  /** Of the custody: after a sealing or a loss of the signer process nothing of it is left. */
  readonly epoch: number;
}

/** What entries say of it. */
export function changeDetail({ id, from, to }: Pending): { readonly [name: string]: string | number } {
  const { type, ...rest } = sealDetail(to);
  return { id, from: from.type, to: type ?? '', ...rest };
}

export function statusOf({ id, from, to, stage, gathered, startedAt, expiresAt }: Pending): RekeyStatus {
  const awaited = stage === 'authorize' ? from : to;
  return {
    id,
    from: sealDetail(from),
    to: sealDetail(to),
    stage,
    ...(awaited.type === 'shamir' && { have: gathered?.have ?? 0, threshold: awaited.threshold }),
    startedAt: new Date(startedAt).toISOString(),
    expiresAt: new Date(expiresAt).toISOString(),
  };
}
