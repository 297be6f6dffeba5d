import { wipe } from '../../bytes.ts';
import { CountersignError } from '../../errors.ts';
import type { SharedSealConfig } from '../../keystore/seal.ts';
import { combineShares } from '../../keystore/shamir.ts';
import { digestOfShare, parseShare, type SealShare } from '../../keystore/share.ts';
import { SHARES_KEPT_MS, type Gathered } from '../gathered.ts';

/** Shares of one seal, held until there are enough. They exist in the signer process only. */
export class ShareCollection {
  readonly #values = new Map<number, Buffer>();
  #set: string | undefined;
  #timer: NodeJS.Timeout | undefined;

  /**
   * Takes a share. What is wrong with one is named, and the others stay: `invalid_request` for one that was mistyped,
   * `unprocessable` for one that does not belong to this seal, `conflict` for one that was given already.
   *
   * @returns with the last one that was missing, the secret too; the caller wipes it, and nothing is held any more.
   */
  add(config: SharedSealConfig, text: Uint8Array): Gathered & { readonly secret?: Buffer } {
    // Of a seal that was changed meanwhile.
    if (this.#set !== config.set) this.wipe();
    const share = parseShare(text);
    try {
      this.#check(config, share);
    } catch (error) {
      wipe(share.value);
      throw error;
    }
    this.#keep(share);
    const { set, threshold } = config;
    const gathered = { number: share.number, have: this.#values.size, threshold, set };
    if (gathered.have < threshold) return gathered;
    try {
      const shares = [...this.#values].map(([number, value]) => ({ number, value }));
      return { ...gathered, secret: combineShares(shares) };
    } finally {
      this.wipe();
    }
  }

  wipe(): void {
    clearTimeout(this.#timer);
    wipe(...this.#values.values());
    this.#values.clear();
    this.#set = undefined;
  }

  #check({ set, digests }: SharedSealConfig, share: SealShare): void {
    const { number } = share;
    if (share.set !== set) {
      throw new CountersignError(
        'unprocessable',
        `share ${number} is of set ${share.set}, and this seal is of set ${set}: it belongs to another service, or to a seal that was changed since`,
      );
    }
    if (digests[number - 1] !== digestOfShare(share).toString('hex')) {
      throw new CountersignError(
        'unprocessable',
        `share ${number} names set ${set} but is none of the shares that were made for it`,
      );
    }
    if (this.#values.has(number)) {
      throw new CountersignError('conflict', `share ${number} was given already: another one is needed`);
    }
  }

  #keep({ set, number, value }: SealShare): void {
    this.#set = set;
    this.#values.set(number, value);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.wipe(), SHARES_KEPT_MS);
    this.#timer.unref();
  }
}
