import { timingSafeEqual } from 'node:crypto';
import { wipe } from '../../bytes.ts';
import { CountersignError } from '../../errors.ts';
import {
  makeSeal,
  openSeal,
  openUnder,
  type NewSeal,
  type OpenSeal,
  type SealConfig,
} from '../../keystore/seal.ts';
import type { Gathered, Step } from '../gathered.ts';
import { ShareCollection } from './share-collection.ts';
import type { Vault } from './vault.ts';

interface Draft {
  readonly seal: OpenSeal;
  /** Their texts, until they have been handed out. */
  shares: readonly Buffer[];
  authorized: boolean;
}

/**
 * A change of the seal on its way: the new seal is made and held here, and takes effect only after whoever holds the
 * secret of the one in force has agreed, and the new secret has been shown to open what it sealed.
 */
export class Rekey {
  readonly #vault: Vault;
  readonly #current = new ShareCollection();
  readonly #next = new ShareCollection();
  #draft: Draft | undefined;

  constructor(vault: Vault) {
    this.#vault = vault;
  }

  /** Makes the new seal, in place of one that was on its way. */
  async start(choice: NewSeal, secret: Uint8Array): Promise<SealConfig> {
    this.#vault.requireOpen();
    const { epoch } = this.#vault;
    const { seal, shares } = await makeSeal(choice, secret);
    this.wipe();
    this.#draft = { seal, shares, authorized: false };
    if (epoch !== this.#vault.epoch) {
      this.wipe();
      throw new CountersignError('sealed', 'the service was sealed meanwhile');
    }
    return seal.config;
  }

  /**
   * Checks the secret of the seal in force on the one that opened this process: not on what the API process says is in
   * force, which could then have the keyring sealed with a secret of its own.
   * @returns when it is the right one, or the last of enough shares, the texts of the new shares: once.
   */
  async authorize(given: Uint8Array): Promise<Step & { readonly shares: readonly Buffer[] }> {
    const draft = this.#require();
    const inForce = this.#vault.sealInForce();
    const { config } = inForce;
    const gathered = config.type === 'shamir' ? this.#current.add(config, given) : undefined;
    if (gathered !== undefined && gathered.secret === undefined) return { done: false, gathered, shares: [] };
    const seal = await openSeal(config, gathered?.secret ?? given);
    const right = timingSafeEqual(seal.key, inForce.key);
    wipe(seal.key, gathered?.secret);
    if (this.#draft !== draft) throw cancelled();
    if (!right) throw new CountersignError('wrong_password', 'this is not the secret of the seal in force');
    const { shares } = draft;
    draft.authorized = true;
    draft.shares = [];
    return { done: true, shares, ...withoutSecret(gathered) };
  }

  /**
   * Checks that the new secret, as it comes back from those who hold it, opens the keyring sealed with the new seal.
   * @returns that sealed keyring, once it has been opened.
   */
  async verify(given: Uint8Array): Promise<Step & { readonly sealed?: Buffer }> {
    const draft = this.#require();
    if (!draft.authorized)
      throw new CountersignError('conflict', 'the secret of the seal in force comes first');
    const { config } = draft.seal;
    const gathered = config.type === 'shamir' ? this.#next.add(config, given) : undefined;
    if (gathered !== undefined && gathered.secret === undefined) return { done: false, gathered };
    const seal = await openSeal(config, gathered?.secret ?? given);
    try {
      if (this.#draft !== draft) throw cancelled();
      // Of this moment: a term that was added since the start is in it.
      const sealed = this.#vault.sealKeyringUnder(draft.seal);
      openUnder(seal, sealed).wipe();
      return { done: true, sealed, ...withoutSecret(gathered) };
    } finally {
      wipe(seal.key, gathered?.secret);
    }
  }

  /** The new seal is stored: from now on the keyring is sealed with it. */
  adopt(): void {
    const { seal } = this.#require();
    this.#draft = undefined;
    this.#vault.changeSeal(seal);
    this.wipe();
  }

  wipe(): void {
    this.#current.wipe();
    this.#next.wipe();
    wipe(this.#draft?.seal.key, ...(this.#draft?.shares ?? []));
    this.#draft = undefined;
  }

  #require(): Draft {
    if (this.#draft === undefined)
      throw new CountersignError('conflict', 'no change of the seal is on its way');
    return this.#draft;
  }
}

function withoutSecret(gathered: (Gathered & { readonly secret?: Buffer }) | undefined): {
  readonly gathered?: Gathered;
} {
  if (gathered === undefined) return {};
  const { number, have, threshold, set } = gathered;
  return { gathered: { number, have, threshold, set } };
}

function cancelled(): CountersignError {
  return new CountersignError('conflict', 'the change of the seal was cancelled meanwhile');
}
