import { toHex, type Hex } from '../bytes.ts';
import type { Intent, Operation } from '../intent/intent.ts';
import { digestOf, preimageOf } from '../intent/preimage.ts';
import type { Key, KeyVersion } from '../keystore/keys.ts';
import { versionOf } from './directory.ts';
import { claimOf, type NonceClaim, type NonceSlot } from './nonces.ts';
import type { SignRequest } from './sign-request.ts';
import { describe, type Described } from './sign-entry.ts';

/** A request with all that is derived from it, before it is decided. */
export interface Asked {
  readonly request: SignRequest;
  readonly key: Key;
  readonly version: KeyVersion;
  readonly operation: Operation;
  readonly about: Described;
  readonly preimage: Buffer;
  readonly digest: Hex;
  /** Of a transaction. */
  readonly claim: { readonly slot: NonceSlot; readonly claim: NonceClaim } | undefined;
}

/** Throws `not_found`, and `payload_too_large` for what an entry can't hold. */
export function readAsked(keys: { get(name: string): Key }, request: SignRequest): Asked {
  const { intent } = request;
  const key = keys.get(request.keyName);
  const version = versionOf(key, request.version ?? key.primary);
  const about = describe(key, version, intent, request);
  const preimage = preimageOf(intent);
  const digest = digestOf(intent.operation, preimage);
  const { operation } = intent;
  const claim = nonceClaim(key, version, intent, digest);
  return { request, key, version, operation, about, preimage, digest: toHex(digest), claim };
}

function nonceClaim(key: Key, version: KeyVersion, intent: Intent, digest: Buffer): Asked['claim'] {
  if (intent.operation !== 'transaction') return undefined;
  const { chainId, nonce } = intent.transaction;
  return {
    slot: { keyId: key.id, version: version.version, chainId: `${chainId}`, nonce: `${nonce}` },
    claim: claimOf(intent.transaction, digest, version.address),
  };
}
