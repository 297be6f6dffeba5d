import { fromHex, toHex, type Hex } from '../bytes.ts';
import type { Intent, Operation } from '../intent/intent.ts';
import { keccak256 } from '../keccak.ts';

/** An intent that was denied, or not allowed without approval or with its nonce, by the digest that it would have had. */
export interface DeniedIntent {
  readonly operation: Operation;
  /** Index of the audit entry. */
  readonly entry: number;
}

export interface DeniedReads {
  /** The newest denial of what has this digest, for any key. */
  deniedDigest(digest: Hex): DeniedIntent | undefined;
}

export interface DeniedWrites {
  rememberDenied(keyId: string, digest: Hex, denied: DeniedIntent): void;
  /** What is allowed now may be signed by its digest, too. */
  forgetDenied(keyId: string, digest: Hex): void;
}

/**
 * The denied intent that a digest, or a message, would stand for: the digest is its digest; the message is that
 * digest, or is what hashes to it.
 */
export function findDenied(reads: DeniedReads, intent: Intent): DeniedIntent | undefined {
  if (intent.operation === 'digest') return reads.deniedDigest(intent.digest);
  if (intent.operation !== 'message') return undefined;
  const data = fromHex(intent.data);
  const asDigest = data.length === 32 ? reads.deniedDigest(intent.data) : undefined;
  return asDigest ?? reads.deniedDigest(toHex(keccak256(data)));
}
