import { z } from 'zod';
import { wipe } from '../../bytes.ts';
import { CountersignError } from '../../errors.ts';
import type { SealedIdentity, SealedPurpose } from '../../keystore/envelope.ts';
import { generateKeyring } from '../../keystore/keyring.ts';
import {
  makeSeal,
  newSealSchema,
  openSeal,
  openUnder,
  sealConfigSchema,
  sealUnder,
  type SealConfig,
} from '../../keystore/seal.ts';
import type { Step } from '../gathered.ts';
import { REQUEST, REWRAP, type Frame } from '../link.ts';
import { at, identitySchema, json, type Fields } from './fields.ts';
import { Rekey } from './rekey.ts';
import { ShareCollection } from './share-collection.ts';
import type { Vault } from './vault.ts';

const sealedSchema = z.union([
  identitySchema,
  z.strictObject({ purpose: z.literal('totp'), owner: z.string() }),
]);

/** The requests about the seal: making it, opening it, changing it, and moving what is sealed to a new term. */
export class SealDesk {
  readonly #vault: Vault;
  readonly #shares = new ShareCollection();
  readonly #rekey: Rekey;

  constructor(vault: Vault) {
    this.#vault = vault;
    this.#rekey = new Rekey(vault);
  }

  /** The answer, or undefined where the request is about something else. */
  answer({ kind, fields }: Frame): Fields | Promise<Fields> | undefined {
    switch (kind) {
      case REQUEST.createKeyring:
        return this.#create(at(fields, 0), at(fields, 1));
      case REQUEST.unseal:
        return this.#unseal(configOf(at(fields, 0)), at(fields, 1), at(fields, 2));
      case REQUEST.giveShare:
        return this.#giveShare(configOf(at(fields, 0)), at(fields, 1), at(fields, 2));
      case REQUEST.dropShares:
        this.#shares.wipe();
        return [];
      case REQUEST.seal:
        this.wipe();
        // Key schedules and contexts that libraries still hold go with their wrappers.
        globalThis.gc?.();
        return [];
      case REQUEST.prepareTerm:
        return this.#prepareTerm();
      case REQUEST.useTerm:
        this.#vault.useTerm();
        return [];
      case REQUEST.startRekey:
        return this.#startRekey(at(fields, 0), at(fields, 1));
      case REQUEST.authorizeRekey:
        return this.#authorizeRekey(at(fields, 0));
      case REQUEST.verifyRekey:
        return this.#verifyRekey(at(fields, 0));
      case REQUEST.adoptRekey:
        this.#rekey.adopt();
        return [];
      case REQUEST.cancelRekey:
        this.#rekey.wipe();
        return [];
      case REQUEST.rewrap:
        return this.#rewrap(fields);
      default:
        return undefined;
    }
  }

  /** Every secret of the process: of the vault, and those on their way into it. */
  wipe(): void {
    this.#shares.wipe();
    this.#rekey.wipe();
    this.#vault.wipe();
  }

  async #create(choice: Uint8Array, secret: Uint8Array): Promise<Fields> {
    const { epoch } = this.#vault;
    const { seal, shares } = await makeSeal(newSealSchema.parse(json(choice)), secret);
    const keyring = generateKeyring();
    try {
      const sealed = sealUnder(seal, keyring);
      this.#vault.unseal(keyring, epoch, seal);
      this.#rekey.wipe();
      return [sealed, Buffer.from(JSON.stringify(seal.config)), ...shares];
    } catch (error) {
      keyring.wipe();
      wipe(seal.key, ...shares);
      throw error;
    }
  }

  async #unseal(config: SealConfig, secret: Uint8Array, stored: Uint8Array): Promise<Fields> {
    const { epoch } = this.#vault;
    const seal = await openSeal(config, secret);
    try {
      this.#vault.unseal(openUnder(seal, stored), epoch, seal);
    } catch (error) {
      wipe(seal.key);
      throw error;
    }
    this.#shares.wipe();
    // What was agreed to was about the keyring that was open then.
    this.#rekey.wipe();
    return [];
  }

  async #giveShare(config: SealConfig, stored: Uint8Array, text: Uint8Array): Promise<Fields> {
    if (config.type !== 'shamir') throw new CountersignError('internal', 'this seal has no shares');
    const { secret, ...gathered } = this.#shares.add(config, text);
    try {
      if (secret !== undefined) await this.#unseal(config, secret, stored);
    } finally {
      wipe(secret);
    }
    return [stepJson({ done: secret !== undefined, gathered })];
  }

  #prepareTerm(): Fields {
    const { term, sealed } = this.#vault.prepareTerm();
    return [sealed, Buffer.from(JSON.stringify({ term }))];
  }

  async #startRekey(choice: Uint8Array, secret: Uint8Array): Promise<Fields> {
    const config = await this.#rekey.start(newSealSchema.parse(json(choice)), secret);
    return [Buffer.from(JSON.stringify(config))];
  }

  async #authorizeRekey(given: Uint8Array): Promise<Fields> {
    const { shares, ...step } = await this.#rekey.authorize(given);
    return [stepJson(step), ...shares];
  }

  async #verifyRekey(given: Uint8Array): Promise<Fields> {
    const { sealed, ...step } = await this.#rekey.verify(given);
    return [stepJson(step), ...(sealed === undefined ? [] : [sealed])];
  }

  /** Pairs of identity and blob in; for each its new blob out, or one byte that says why there is none (link.ts). */
  #rewrap(fields: Fields): Fields {
    return Array.from({ length: fields.length / 2 }, (_, index) => {
      const identity = sealedSchema.parse(json(at(fields, index * 2)));
      return this.#rewrapOne(identity, at(fields, index * 2 + 1));
    });
  }

  #rewrapOne(identity: SealedIdentity | SealedPurpose, sealed: Uint8Array): Buffer {
    try {
      return this.#vault.rewrap(identity, sealed) ?? Buffer.from([REWRAP.newest]);
    } catch (error) {
      // One that does not open holds up no other.
      if (error instanceof CountersignError && error.code === 'unprocessable')
        return Buffer.from([REWRAP.closed]);
      throw error;
    }
  }
}

function stepJson(step: Step): Buffer {
  return Buffer.from(JSON.stringify(step));
}

function configOf(field: Uint8Array): SealConfig {
  return sealConfigSchema.parse(json(field));
}
