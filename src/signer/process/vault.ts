import { createPrivateKey, createPublicKey, randomBytes, sign, type KeyObject } from 'node:crypto';
import { asBuffer, toHex, wipe, type Hex } from '../../bytes.ts';
import { CountersignError } from '../../errors.ts';
import {
  allocSecret,
  isExportable,
  openSecret,
  sealSecret,
  termOf,
  type SealedIdentity,
  type SealedPurpose,
} from '../../keystore/envelope.ts';
import type { Keyring } from '../../keystore/keyring.ts';
import { sealUnder, type OpenSeal } from '../../keystore/seal.ts';
import { addressOf, isPrivateKey, publicKeyOf, signDigest } from '../../secp256k1.ts';
import { SecretBlocks } from './secrets.ts';
import { WrappingKeys } from './wrapping-keys.ts';

/** What a new key is sealed as; whether it may ever leave is said here, once. */
export interface NewSealed extends Omit<SealedIdentity, 'address'> {
  readonly exportable?: boolean | undefined;
}

/** A new key pair: its private half only ever leaves this process sealed. */
export interface SealedKeyPair {
  readonly publicKey: Buffer;
  readonly sealed: Buffer;
}

/** What is known of an opened key beside its secret, in one small number: with a hundred thousand keys, objects would be most of it. */
const EXPORTABLE = 1;
const ED25519 = 2;
const FLAGS = 4;

/** Every plaintext key of the service. Exists in the signer process only; `wipe` leaves nothing behind. */
export class Vault {
  #keyring: Keyring | undefined;
  /** What the keyring is stored under, so that it can be stored again when it grows. */
  #keyringSeal: OpenSeal | undefined;
  /** With a term more, from when it is sealed until it is stored. */
  #grown: Keyring | undefined;
  readonly #secrets = new SecretBlocks();
  /** By handle: the place of the secret, times {@link FLAGS}, and its flags. */
  readonly #keys = new Map<number, number>();
  /** They go with everything else. */
  readonly wrappingKeys = new WrappingKeys();
  #epoch = 0;

  get sealed(): boolean {
    return this.#keyring === undefined;
  }

  /** Changes with every wipe. */
  get epoch(): number {
    return this.#epoch;
  }

  /** Takes the keyring and its seal over. Throws `sealed`, and wipes them, when there was a wipe since `epoch`. */
  unseal(keyring: Keyring, epoch: number, seal?: OpenSeal): void {
    if (epoch !== this.#epoch) {
      keyring.wipe();
      wipe(seal?.key);
      throw new CountersignError('sealed', 'the service was sealed meanwhile');
    }
    this.wipe();
    this.#keyring = keyring;
    this.#keyringSeal = seal;
  }

  /** Throws `sealed`. */
  requireOpen(): void {
    this.#openKeyring();
  }

  /** What the keyring is stored under; not a copy. Throws `sealed`. */
  sealInForce(): OpenSeal {
    this.#openKeyring();
    if (this.#keyringSeal === undefined) throw new CountersignError('internal', 'the keyring has no seal');
    return this.#keyringSeal;
  }

  /** The keyring as it is now, sealed with this seal. */
  sealKeyringUnder(seal: OpenSeal): Buffer {
    return sealUnder(seal, this.#openKeyring());
  }

  /** Takes over the seal under which the keyring is stored from now on. */
  changeSeal(seal: OpenSeal): void {
    this.#openKeyring();
    wipe(this.#keyringSeal?.key);
    this.#keyringSeal = seal;
  }

  /** The keyring with a fresh term more, sealed. Nothing is sealed under that term before {@link useTerm}. */
  prepareTerm(): { readonly term: number; readonly sealed: Buffer } {
    const keyring = this.#openKeyring();
    this.#grown?.wipe();
    this.#grown = keyring.addTerm();
    return { term: this.#grown.newestTerm, sealed: sealUnder(this.sealInForce(), this.#grown) };
  }

  /** The keyring that {@link prepareTerm} made is stored: its newest term seals from now on. */
  useTerm(): void {
    if (this.#grown === undefined) throw new CountersignError('internal', 'no term was prepared');
    this.#keyring?.wipe();
    this.#keyring = this.#grown;
    this.#grown = undefined;
  }

  /** The same secret under the newest term; undefined where it is under that one already. */
  rewrap(identity: SealedIdentity | SealedPurpose, sealed: Uint8Array): Buffer | undefined {
    const keyring = this.#openKeyring();
    const term = keyring.newestTerm;
    if (termOf(sealed) === term) return undefined;
    const secret = openSecret((old) => keyring.kek(old), identity, sealed);
    try {
      return sealSecret(keyring.kek(term), term, identity, secret, isExportable(sealed));
    } finally {
      wipe(secret);
    }
  }

  wipe(): void {
    this.#epoch++;
    this.#secrets.wipe();
    this.#keys.clear();
    this.wrappingKeys.wipe();
    this.#keyring?.wipe();
    this.#keyring = undefined;
    this.#grown?.wipe();
    this.#grown = undefined;
    wipe(this.#keyringSeal?.key);
    this.#keyringSeal = undefined;
  }

  /** A fresh key from the operating system's generator; no seed, no derivation. */
  generate(identity: NewSealed): SealedKeyPair {
    const secret = randomSecret(identity.curve);
    try {
      return this.#seal(identity, secret);
    } finally {
      wipe(secret);
    }
  }

  /** Seals a private key from elsewhere. The caller wipes its copy. */
  adopt(identity: NewSealed, secret: Uint8Array): SealedKeyPair {
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
    try {
      const { curve, address } = identity;
      if (identityAddress(curve, derivePublicKey(curve, secret)) !== address)
        throw new CountersignError('internal', 'the sealed key belongs to another address');
      this.unload(handle);
      const flags = (isExportable(sealed) ? EXPORTABLE : 0) + (curve === 'ed25519' ? ED25519 : 0);
      this.#keys.set(handle, this.#secrets.put(secret) * FLAGS + flags);
    } finally {
      wipe(secret);
    }
  }

  /** Forgets an opened key; one that is not there is forgotten already. */
  unload(handle: number): void {
    const key = this.#keys.get(handle);
    if (key === undefined) return;
    this.#secrets.forget(Math.floor(key / FLAGS));
    this.#keys.delete(handle);
  }

  /**
   * The private key itself, in memory of its own; the caller wipes it. Throws `forbidden` unless it was sealed as one that
   * may leave: then no caller of this process gets it, whatever he says.
   */
  copyForExport(handle: number): { readonly secret: Buffer; readonly publicKey: Buffer } {
    const { secret, exportable } = this.#find(handle, 'secp256k1');
    if (!exportable)
      throw new CountersignError('forbidden', 'this key was not made as one that may be exported');
    const copy = allocSecret(secret.length);
    copy.set(secret);
    return { secret: copy, publicKey: publicKeyOf(secret) };
  }

  /** r ‖ s ‖ yParity, 65 bytes; nobody has checked yet that it is a signature of the key. */
  signDigest(handle: number, digest: Uint8Array): Buffer {
    return signDigest(digest, this.#find(handle, 'secp256k1').secret);
  }

  /** Ed25519 (RFC 8032) over the whole text. */
  signText(handle: number, text: Uint8Array): Buffer {
    return sign(null, text, ed25519PrivateKey(this.#find(handle, 'ed25519').secret));
  }

  ed25519PublicKey(handle: number): Buffer {
    return derivePublicKey('ed25519', this.#find(handle, 'ed25519').secret);
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

  #seal({ exportable, ...identity }: NewSealed, secret: Uint8Array): SealedKeyPair {
    const keyring = this.#openKeyring();
    const publicKey = derivePublicKey(identity.curve, secret);
    const address = identityAddress(identity.curve, publicKey);
    const term = keyring.newestTerm;
    const sealed = sealSecret(keyring.kek(term), term, { ...identity, address }, secret, exportable);
    return { publicKey, sealed };
  }

  #openKeyring(): Keyring {
    if (this.#keyring === undefined) throw new CountersignError('sealed', 'the service is sealed');
    return this.#keyring;
  }

  /** The secret is a view: not to be kept. */
  #find(handle: number, curve: SealedIdentity['curve']): OpenedKey {
    if (this.sealed) throw new CountersignError('sealed', 'the service is sealed');
    const key = this.#keys.get(handle);
    const is = key === undefined ? undefined : key & ED25519 ? 'ed25519' : 'secp256k1';
    if (key === undefined || is !== curve) throw new CountersignError('internal', 'no such key is loaded');
    return { secret: this.#secrets.at(Math.floor(key / FLAGS)), exportable: (key & EXPORTABLE) !== 0 };
  }
}

interface OpenedKey {
  readonly secret: Buffer;
  readonly exportable: boolean;
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
