import { randomUUID } from 'node:crypto';
import { wipe } from '../../bytes.ts';
import { CountersignError } from '../../errors.ts';
import { hpkeOpen, newHpkeKeyPair, type HpkeKeyPair, type HpkeMessage } from '../../keystore/hpke.ts';
import { wrappingInfo, WRAPPING_KEY_LIFE_MS, type WrappingContext } from '../../keystore/wrapped.ts';

export const MAX_WRAPPING_KEYS = 64;

interface OpenKey {
  readonly pair: HpkeKeyPair;
  readonly timer: NodeJS.Timeout;
}

/**
 * The one-time keys that clients encrypt secrets to. A private half exists here alone; it is wiped when it has been used
 * once, whatever came of it, after ten minutes of this process's own clock, and when the service is sealed.
 */
export class WrappingKeys {
  readonly #open = new Map<string, OpenKey>();

  get size(): number {
    return this.#open.size;
  }

  /** Throws `limit_exceeded` when too many wait to be used. */
  create(): { readonly id: string; readonly publicKey: Buffer } {
    if (this.#open.size >= MAX_WRAPPING_KEYS) {
      throw new CountersignError(
        'limit_exceeded',
        `${MAX_WRAPPING_KEYS} wrapping keys wait to be used: use one, or wait ${WRAPPING_KEY_LIFE_MS / 60_000} minutes`,
      );
    }
    const id = randomUUID();
    const pair = newHpkeKeyPair();
    const timer = setTimeout(() => this.#forget(id), WRAPPING_KEY_LIFE_MS);
    timer.unref();
    this.#open.set(id, { pair, timer });
    return { id, publicKey: pair.publicKey };
  }

  /**
   * The plaintext, in memory of its own; the caller wipes it. The key is gone afterwards. Throws `not_found` for one that
   * is not open (any more), `unprocessable` for a message that was not made for it and this context.
   */
  open(context: WrappingContext, message: HpkeMessage): Buffer {
    const key = this.#open.get(context.wrappingKey);
    if (key === undefined) {
      throw new CountersignError(
        'not_found',
        'there is no such wrapping key: each works once, within 10 minutes, and none outlives a seal or a restart',
      );
    }
    try {
      return hpkeOpen(key.pair, message, wrappingInfo(context));
    } finally {
      this.#forget(context.wrappingKey);
    }
  }

  wipe(): void {
    for (const id of this.#open.keys()) this.#forget(id);
  }

  #forget(id: string): void {
    const key = this.#open.get(id);
    if (key === undefined) return;
    clearTimeout(key.timer);
    wipe(key.pair.privateKey);
    this.#open.delete(id);
  }
}
