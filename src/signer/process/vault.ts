import { createPrivateKey, createPublicKey, randomBytes, sign, type KeyObject } from 'node:crypto';
import { asBuffer, toHex, wipe, type Hex } from '../../bytes.ts';
import { CountersignError } from '../../errors.ts';
import { openSecret, sealSecret, type SealedIdentity, type SealedPurpose } from '../../keystore/envelope.ts';
import type { Keyring } from '../../keystore/keyring.ts';
import {
  addressOf,
  isPrivateKey,
  publicKeyOf,
  signDigest,
  type RecoverableSignature,
} from '../../secp256k1.ts';

/** A new key pair: its private half only ever leaves this process sealed. */
export interface SealedKeyPair {
  readonly publicKey: Buffer;
  readonly sealed: Buffer;
}

interface LoadedKey {
  readonly curve: SealedIdentity['curve'];
  readonly secret: Buffer;
  readonly publicKey: Buffer;
}

/** Every plaintext key of the service. Exists in the signer process only; `wipe` leaves nothing behind. */
export class Vault {
  #keyring: Keyring | undefined;
  readonly #keys = new Map<number, LoadedKey>();
  #epoch = 0;

  get sealed(): boolean {
    return this.#keyring === undefined;
  }

  /** Changes with every wipe. */
  get epoch(): number {
    return this.#epoch;
  }

  /** Takes the keyring over. Throws `sealed`, and wipes it, when there was a wipe since `epoch`. */
  unseal(keyring: Keyring, epoch: number): void {
    if (epoch !== this.#epoch) {
      keyring.wipe();
      throw new CountersignError('sealed', 'the service was sealed meanwhile');
    }
    this.wipe();
    this.#keyring = keyring;
  }

  wipe(): void {
    this.#epoch++;
    for (const key of this.#keys.values()) wipe(key.secret);
    this.#keys.clear();
    this.#keyring?.wipe();
    this.#keyring = undefined;
  }

  /** A fresh key from the operating system's generator; no seed, no derivation. */
  generate(identity: Omit<SealedIdentity, 'address'>): SealedKeyPair {
    const secret = randomSecret(identity.curve);
    try {
      return this.#seal(identity, secret);
    } finally {
      wipe(secret);
    }
  }

  /** Seals a private key from elsewhere. The caller wipes its copy. */
  adopt(identity: Omit<SealedIdentity, 'address'>, secret: Uint8Array): SealedKeyPair {
    if (identity.curve !== 'secp256k1' || !isPrivateKey(secret)) {
      throw new CountersignError(
        'invalid_request',
        'the private key is not a number from 1 to the group order',
      );
    }
    return this.#seal(identity, secret);
  }

  /** Opens a sealed key under a handle, and proves that it is the key of the address it claims. */
  load(handle: number, identity: SealedIdentity, sealed: Uint8Array): void {
    const keyring = this.#openKeyring();
    const secret = openSecret((term) => keyring.kek(term), identity, sealed);
    const publicKey = derivePublicKey(identity.curve, secret);
    if (identityAddress(identity.curve, publicKey) !== identity.address) {
      wipe(secret);
      throw new CountersignError('internal', 'the sealed key belongs to another address');
    }
    wipe(this.#keys.get(handle)?.secret);
    this.#keys.set(handle, { curve: identity.curve, secret, publicKey });
  }

  /** Forgets an opened key; one that is not there is forgotten already. */
  unload(handle: number): void {
    wipe(this.#keys.get(handle)?.secret);
    this.#keys.delete(handle);
  }

  signDigest(handle: number, digest: Uint8Array): RecoverableSignature {
    const key = this.#find(handle, 'secp256k1');
    return signDigest(digest, key.secret, key.publicKey);
  }

  /** Ed25519 (RFC 8032) over the whole text. */
  signText(handle: number, text: Uint8Array): Buffer {
    return sign(null, text, ed25519PrivateKey(this.#find(handle, 'ed25519').secret));
  }

  ed25519PublicKey(handle: number): Buffer {
    return this.#find(handle, 'ed25519').publicKey;
  }

  /** Seals a secret that is not a key. The caller wipes it. */
  sealFor(purpose: SealedPurpose, secret: Uint8Array): Buffer {
    const keyring = this.#openKeyring();
    const term = keyring.newestTerm;
    return sealSecret(keyring.kek(term), term, purpose, secret);
  }

  /** What `sealFor` sealed, in memory of its own; the caller wipes it. */
  openFor(purpose: SealedPurpose, sealed: Uint8Array): Buffer {
    const keyring = this.#openKeyring();
    return openSecret((term) => keyring.kek(term), purpose, sealed);
  }

  #seal(identity: Omit<SealedIdentity, 'address'>, secret: Uint8Array): SealedKeyPair {
    const keyring = this.#openKeyring();
    const publicKey = derivePublicKey(identity.curve, secret);
    const address = identityAddress(identity.curve, publicKey);
    const term = keyring.newestTerm;
    return { publicKey, sealed: sealSecret(keyring.kek(term), term, { ...identity, address }, secret) };
  }

  #openKeyring(): Keyring {
    if (this.#keyring === undefined) throw new CountersignError('sealed', 'the service is sealed');
    return this.#keyring;
  }

  #find(handle: number, curve: SealedIdentity['curve']): LoadedKey {
    if (this.sealed) throw new CountersignError('sealed', 'the service is sealed');
    const key = this.#keys.get(handle);
    if (key?.curve !== curve) throw new CountersignError('internal', 'no such key is loaded');
    return key;
  }
}

/** What a sealed key is bound to: an Ethereum address, or an Ed25519 public key. */
export function identityAddress(curve: SealedIdentity['curve'], publicKey: Buffer): Hex {
  return curve === 'secp256k1' ? addressOf(publicKey) : toHex(publicKey);
}

function randomSecret(curve: SealedIdentity['curve']): Buffer {
  for (;;) {
    const secret = randomBytes(32);
    if (curve === 'ed25519' || isPrivateKey(secret)) return secret;
  }
}

function derivePublicKey(curve: SealedIdentity['curve'], secret: Uint8Array): Buffer {
  if (curve === 'secp256k1') return publicKeyOf(secret);
  return createPublicKey(ed25519PrivateKey(secret)).export({ format: 'raw-public' });
}

/** Raw, which Node takes from 24.15 on: what OpenSSL makes of a PKCS #8 wrapping it frees without wiping. */
function ed25519PrivateKey(seed: Uint8Array): KeyObject {
  return createPrivateKey({ key: asBuffer(seed), format: 'raw-private', asymmetricKeyType: 'ed25519' });
}
