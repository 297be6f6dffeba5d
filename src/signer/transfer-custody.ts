import { asBuffer, wipe } from '../bytes.ts';
import type { HpkeMessage } from '../keystore/hpke.ts';
import type { KeystoreKdfChoice } from '../keystore/web3-keystore.ts';
import type { Custody } from './custody.ts';
import { required, sealedKey, type KeyMaterial, type NewKey, type SealedKey } from './sealed-key.ts';
import { REQUEST } from './link.ts';
import { KDF_TIMEOUT_MS } from './supervisor.ts';

/** What the signer process is to open with one of its wrapping keys, and for what it was encrypted (wrapped.ts). */
export interface Wrapped extends HpkeMessage {
  readonly origin: string;
  readonly wrappingKey: string;
  readonly keyName: string;
}

export interface WrappingKey {
  readonly id: string;
  /** X25519, 32 bytes. */
  readonly publicKey: Buffer;
}

/** What the API process asks of the signer process about keys that come from outside, or leave. */
export class TransferCustody {
  readonly #custody: Custody;

  constructor(custody: Custody) {
    this.#custody = custody;
  }

  /** A key pair for one secret of a client; its private half stays in the signer process. */
  async newWrappingKey(): Promise<WrappingKey> {
    this.#custody.requireUnsealed();
    const [id, publicKey] = await this.#custody.request(REQUEST.newWrappingKey, []);
    return { id: asBuffer(required(id)).toString(), publicKey: Buffer.from(required(publicKey)) };
  }

  /** Seals a raw private key. It is wiped. */
  async importPrivateKey(key: NewKey, privateKey: Buffer): Promise<SealedKey> {
    return await this.#import(key, REQUEST.importPrivateKey, [privateKey], privateKey);
  }

  /** Opens a Web3 Secret Storage file and seals its key, all within the signer process. The password is wiped. */
  async importKeystore(key: NewKey, keystore: unknown, password: Buffer): Promise<SealedKey> {
    return await this.#import(key, REQUEST.importKeystore, [json(keystore), password], password);
  }

  /** Opens and seals what a client has encrypted: a private key, or a file and its password. */
  async importWrapped(key: NewKey, wrapped: Wrapped): Promise<SealedKey> {
    return await this.#import(key, REQUEST.importWrapped, fieldsOf(wrapped));
  }

  /**
   * The private key as a V3 file, JSON, made and tried in the signer process. Throws `forbidden` for a key that was not
   * made as an exportable one. A password that comes in clear is wiped.
   */
  async exportKeystore(
    material: KeyMaterial,
    kdf: KeystoreKdfChoice,
    password: Buffer | Wrapped,
  ): Promise<Buffer> {
    const clear = Buffer.isBuffer(password);
    const kind = clear ? REQUEST.exportKeystore : REQUEST.exportWrapped;
    const fields = [json(kdf), ...(clear ? [password] : fieldsOf(password))];
    try {
      const [keystore] = await this.#custody.use(material, kind, fields, KDF_TIMEOUT_MS);
      return Buffer.from(required(keystore));
    } finally {
      if (clear) wipe(password);
      // It may be one that does not sign any more, which nobody would unload.
      await this.#custody.unload(material.identity);
    }
  }

  async #import(
    key: NewKey,
    kind: number,
    fields: readonly Uint8Array[],
    secret?: Buffer,
  ): Promise<SealedKey> {
    try {
      const answer = await this.#custody.requestSealing(kind, [json(key), ...fields], {
        timeoutMs: KDF_TIMEOUT_MS,
      });
      return sealedKey(key, answer);
    } finally {
      wipe(secret);
    }
  }
}

function fieldsOf({ enc, ciphertext, origin, wrappingKey, keyName }: Wrapped): readonly Uint8Array[] {
  return [json({ origin, wrappingKey, keyName }), enc, ciphertext];
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
