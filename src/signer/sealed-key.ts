import { asBuffer, toHex, type Hex } from '../bytes.ts';
import { CountersignError } from '../errors.ts';
import type { SealedIdentity } from '../keystore/envelope.ts';
import type { SealConfig } from '../keystore/seal.ts';
import type { KeystoreFacts } from '../keystore/web3-keystore.ts';
import { addressOf } from '../secp256k1.ts';

export interface NewKey {
  readonly keyId: string;
  readonly version: number;
  readonly curve: SealedIdentity['curve'];
  /** Whether the signer process may ever give it out: said once, and sealed with the key. */
  readonly exportable?: boolean;
}

export interface SealedKey {
  readonly publicKey: Hex;
  /** secp256k1: the Ethereum address. ed25519: the public key. */
  readonly address: Hex;
  readonly sealed: Uint8Array;
  /** Of an imported key: what makes it guessable. */
  readonly weakness?: string;
  /** Of one from a keystore file: how well that protected it. */
  readonly keystore?: KeystoreFacts;
}

/** A sealed key that can be put to use. */
export interface KeyMaterial {
  readonly identity: SealedIdentity;
  readonly sealed: Uint8Array;
}

/** A new second factor: to be kept, and to be shown once. */
export interface NewTotp {
  readonly sealed: Uint8Array;
  /** 20 bytes; the caller wipes it. */
  readonly secret: Buffer;
}

/** A new root keyring, to be kept, and of a seal in shares their texts; the caller wipes those. */
export interface NewKeyring {
  readonly config: SealConfig;
  readonly sealed: Uint8Array;
  readonly shares: readonly Buffer[];
}

/** What the signer process answers when it has sealed a key. */
export function sealedKey(
  key: NewKey,
  [publicKey, sealed, weakness, facts]: readonly Uint8Array[],
): SealedKey {
  const point = required(publicKey);
  const address = key.curve === 'secp256k1' ? addressOf(point) : toHex(point);
  return {
    publicKey: toHex(point),
    address,
    sealed: Buffer.from(required(sealed)),
    ...(weakness !== undefined && weakness.length > 0 && { weakness: asBuffer(weakness).toString('utf8') }),
    ...(facts !== undefined && { keystore: JSON.parse(asBuffer(facts).toString('utf8')) as KeystoreFacts }),
  };
}

/** A field that the answer must have. */
export function required(field: Uint8Array | undefined): Uint8Array {
  if (field === undefined)
    throw new CountersignError('internal', 'the signer process sent an incomplete answer');
  return field;
}
