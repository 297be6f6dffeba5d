import { z } from 'zod';
import { asBuffer, wipe } from '../../bytes.ts';
import { CountersignError } from '../../errors.ts';
import {
  decodeWrapped,
  MIN_EXPORT_PASSWORD_BYTES,
  type WrappedSecret,
  type WrappingContext,
} from '../../keystore/wrapped.ts';
import { weakKeyReason } from '../../keystore/well-known.ts';
import {
  exportKeystore,
  keystoreFacts,
  keystoreKdfChoiceSchema,
  openKeystore,
  parseKeystore,
  type KeystoreFacts,
} from '../../keystore/web3-keystore.ts';
import { addressOf, publicKeyOf } from '../../secp256k1.ts';
import { REQUEST, type Frame } from '../link.ts';
import { at, handleOf, json, newKeySchema, type Fields } from './fields.ts';
import type { NewSealed, Vault } from './vault.ts';

/** What signs transactions can be brought in; the keys of the log are made here. */
const bringableSchema = newKeySchema.extend({ curve: z.literal('secp256k1') });
const contextSchema = z.strictObject({ origin: z.string(), wrappingKey: z.string(), keyName: z.string() });

/** The requests that bring a private key in from outside, and give one out. */
export class TransferDesk {
  readonly #vault: Vault;

  constructor(vault: Vault) {
    this.#vault = vault;
  }

  /** The answer, or undefined where the request is about something else. */
  answer({ kind, fields }: Frame): Fields | Promise<Fields> | undefined {
    switch (kind) {
      case REQUEST.newWrappingKey:
        return this.#newWrappingKey();
      case REQUEST.importPrivateKey:
        return this.#adopt(newKeyOf(at(fields, 0)), at(fields, 1));
      case REQUEST.importKeystore:
        return this.#importKeystore(newKeyOf(at(fields, 0)), at(fields, 1), at(fields, 2));
      case REQUEST.importWrapped:
        return this.#importWrapped(newKeyOf(at(fields, 0)), fields.slice(1));
      case REQUEST.exportKeystore:
        return this.#export(handleOf(at(fields, 0)), json(at(fields, 1)), at(fields, 2));
      case REQUEST.exportWrapped:
        return this.#exportWrapped(handleOf(at(fields, 0)), json(at(fields, 1)), fields.slice(2));
      default:
        return undefined;
    }
  }

  #newWrappingKey(): Fields {
    this.#vault.requireOpen();
    const { id, publicKey } = this.#vault.wrappingKeys.create();
    // A copy: fields are wiped once they are sent.
    return [Buffer.from(id), Buffer.from(publicKey)];
  }

  /** The sealed pair, and what makes the key guessable, if anything does: only this process can tell. */
  #adopt(key: NewSealed, secret: Uint8Array, facts?: KeystoreFacts): Fields {
    const { publicKey, sealed } = this.#vault.adopt(key, secret);
    const weakness = Buffer.from(weakKeyReason(secret) ?? '');
    return [
      publicKey,
      sealed,
      weakness,
      ...(facts === undefined ? [] : [Buffer.from(JSON.stringify(facts))]),
    ];
  }

  async #importKeystore(key: NewSealed, file: Uint8Array, password: Uint8Array): Promise<Fields> {
    const { epoch } = this.#vault;
    const keystore = parseKeystore(jsonFile(file));
    const secret = await openKeystore(keystore, password);
    try {
      this.#requireUnbroken(epoch);
      const claimed = keystore.address?.toLowerCase().replace(/^0x/, '');
      if (claimed !== undefined && `0x${claimed}` !== addressOf(publicKeyOf(secret))) {
        throw new CountersignError(
          'unprocessable',
          'the keystore opens, but its key is not that of the address it names',
        );
      }
      return this.#adopt(key, secret, keystoreFacts(keystore));
    } finally {
      wipe(secret);
    }
  }

  async #importWrapped(key: NewSealed, sent: Fields): Promise<Fields> {
    return await this.#unwrap('import', sent, async (secret) => {
      if (secret.form === 'private-key') return this.#adopt(key, secret.privateKey);
      if (secret.form === 'keystore')
        return await this.#importKeystore(key, secret.keystore, secret.password);
      throw new CountersignError('invalid_request', 'what was encrypted is a password, and not a key');
    });
  }

  async #exportWrapped(handle: number, choice: unknown, sent: Fields): Promise<Fields> {
    return await this.#unwrap('export', sent, async (secret) => {
      if (secret.form === 'password') return await this.#export(handle, choice, secret.password);
      throw new CountersignError('invalid_request', 'what was encrypted is not a password');
    });
  }

  /** The file is opened again before it is given out: nobody gets a second one for the same approvals. */
  async #export(handle: number, choice: unknown, password: Uint8Array): Promise<Fields> {
    if (password.length < MIN_EXPORT_PASSWORD_BYTES) {
      throw new CountersignError(
        'invalid_request',
        `the password needs ${MIN_EXPORT_PASSWORD_BYTES} bytes at least`,
      );
    }
    const { epoch } = this.#vault;
    const { secret, publicKey } = this.#vault.copyForExport(handle);
    let opened: Buffer | undefined;
    try {
      const kdf = keystoreKdfChoiceSchema.parse(choice);
      const keystore = await exportKeystore(secret, addressOf(publicKey), password, kdf);
      opened = await openKeystore(parseKeystore(keystore), password);
      if (!opened.equals(secret))
        throw new CountersignError('internal', 'the new keystore holds another key');
      this.#requireUnbroken(epoch);
      return [Buffer.from(JSON.stringify(keystore))];
    } finally {
      wipe(secret, opened);
    }
  }

  /** A sealing ends what was under way, also where the service was opened again since. */
  #requireUnbroken(epoch: number): void {
    if (this.#vault.epoch !== epoch) throw new CountersignError('sealed', 'the service was sealed meanwhile');
  }

  async #unwrap(
    purpose: WrappingContext['purpose'],
    sent: Fields,
    use: (secret: WrappedSecret) => Promise<Fields>,
  ): Promise<Fields> {
    this.#vault.requireOpen();
    const context = { purpose, ...contextSchema.parse(json(at(sent, 0))) };
    const message = { enc: asBuffer(at(sent, 1)), ciphertext: asBuffer(at(sent, 2)) };
    const plaintext = this.#vault.wrappingKeys.open(context, message);
    try {
      return await use(decodeWrapped(plaintext));
    } finally {
      wipe(plaintext);
    }
  }
}

function newKeyOf(field: Uint8Array): NewSealed {
  return bringableSchema.parse(json(field));
}

function jsonFile(file: Uint8Array): unknown {
  try {
    return json(file);
  } catch {
    throw new CountersignError('invalid_request', 'the keystore is not JSON');
  }
}
