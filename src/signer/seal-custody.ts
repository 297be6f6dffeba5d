import { asBuffer, wipe } from '../bytes.ts';
import { CountersignError } from '../errors.ts';
import type { SealedIdentity, SealedPurpose } from '../keystore/envelope.ts';
import { sealConfigSchema, type NewSeal, type SealConfig } from '../keystore/seal.ts';
import type { Custody } from './custody.ts';
import type { Step } from './gathered.ts';
import { REQUEST, REWRAP } from './link.ts';
import { KDF_TIMEOUT_MS } from './supervisor.ts';

/** A sealed secret, and what it is bound to. */
export interface SealedItem {
  readonly identity: SealedIdentity | SealedPurpose;
  readonly sealed: Uint8Array;
}

/** Under the newest term; or why there is no new blob. */
export type Rewrapped = { readonly sealed: Uint8Array } | { readonly not: 'newest' | 'closed' };

/** What the API process asks of the signer process about the seal. Secrets and texts of shares are wiped once sent. */
export class SealCustody {
  readonly #custody: Custody;

  constructor(custody: Custody) {
    this.#custody = custody;
  }

  /** Changes when everything that the signer process held is gone. */
  get epoch(): number {
    return this.#custody.epoch;
  }

  /** A share of the seal in force; with the last one of enough, the keyring is open. */
  async giveShare(config: SealConfig, stored: Uint8Array, share: Buffer): Promise<Step> {
    const { epoch } = this.#custody;
    const [step] = await this.#send(REQUEST.giveShare, [json(config), stored, share], share);
    const given = stepOf(step);
    if (given.done) this.#custody.opened(epoch);
    return given;
  }

  async dropShares(): Promise<void> {
    await this.#custody.request(REQUEST.dropShares, []);
  }

  /** The keyring with one more term, sealed. It has to be stored before `useTerm`. */
  async prepareTerm(): Promise<{ readonly term: number; readonly keyring: Uint8Array }> {
    this.#custody.requireUnsealed();
    const [sealed, detail] = await this.#custody.request(REQUEST.prepareTerm, []);
    const { term } = JSON.parse(asBuffer(required(detail)).toString()) as { term: number };
    return { term, keyring: Buffer.from(required(sealed)) };
  }

  async useTerm(): Promise<void> {
    await this.#custody.request(REQUEST.useTerm, []);
  }

  /** Makes a new seal, which is held until it is adopted or cancelled. */
  async startRekey(choice: NewSeal, secret: Buffer): Promise<SealConfig> {
    this.#custody.requireUnsealed();
    const [config] = await this.#send(REQUEST.startRekey, [json(choice), secret], secret);
    return sealConfigSchema.parse(JSON.parse(asBuffer(required(config)).toString()));
  }

  /** The secret or a share of the seal in force; with it, or the last one, the texts of the new shares. */
  async authorizeRekey(given: Buffer): Promise<Step & { readonly shares: readonly Buffer[] }> {
    const [step, ...shares] = await this.#send(REQUEST.authorizeRekey, [given], given);
    return { ...stepOf(step), shares: shares.map(asBuffer) };
  }

  /** The new secret or a new share; with it, or the last one, the keyring under the new seal. */
  async verifyRekey(given: Buffer): Promise<Step & { readonly keyring?: Uint8Array }> {
    const [step, keyring] = await this.#send(REQUEST.verifyRekey, [given], given);
    return { ...stepOf(step), ...(keyring !== undefined && { keyring: Buffer.from(keyring) }) };
  }

  async adoptRekey(): Promise<void> {
    await this.#custody.request(REQUEST.adoptRekey, []);
  }

  async cancelRekey(): Promise<void> {
    await this.#custody.request(REQUEST.cancelRekey, []);
  }

  /** In the order of the items. Throws `sealed`. */
  async rewrap(items: readonly SealedItem[]): Promise<Rewrapped[]> {
    this.#custody.requireUnsealed();
    const fields = items.flatMap(({ identity, sealed }) => [json(identity), sealed]);
    const blobs = await this.#custody.requestSealing(REQUEST.rewrap, fields, { count: items.length });
    return blobs.map((blob) =>
      blob.length === 1
        ? { not: blob[0] === REWRAP.newest ? 'newest' : 'closed' }
        : { sealed: Buffer.from(blob) },
    );
  }

  async #send(kind: number, fields: readonly Uint8Array[], secret: Buffer): Promise<readonly Uint8Array[]> {
    try {
      return await this.#custody.request(kind, fields, KDF_TIMEOUT_MS);
    } finally {
      wipe(secret);
    }
  }
}

function stepOf(field: Uint8Array | undefined): Step {
  return JSON.parse(asBuffer(required(field)).toString()) as Step;
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

function required(field: Uint8Array | undefined): Uint8Array {
  if (field === undefined)
    throw new CountersignError('internal', 'the signer process sent an incomplete answer');
  return field;
}
