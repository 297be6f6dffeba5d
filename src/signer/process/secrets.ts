import { wipe } from '../../bytes.ts';
import { allocSecret } from '../../keystore/envelope.ts';

const SECRET_BYTES = 32;
/** 64 KiB a block: a block of its own for each secret would cost more than the secret. */
const BLOCK_SECRETS = 2_048;

/** Secrets of 32 bytes, side by side in blocks outside the JavaScript heap. */
export class SecretBlocks {
  readonly #blocks: Buffer[] = [];
  /** Places that are zero again. */
  readonly #free: number[] = [];
  #used = 0;

  /** Keeps a copy; the caller wipes the original. Returns its place. */
  put(secret: Uint8Array): number {
    if (secret.length !== SECRET_BYTES) throw new Error('a secret must be 32 bytes');
    const place = this.#free.pop() ?? this.#used++;
    if (Math.floor(place / BLOCK_SECRETS) === this.#blocks.length)
      this.#blocks.push(allocSecret(BLOCK_SECRETS * SECRET_BYTES));
    this.at(place).set(secret);
    return place;
  }

  /** The secret itself and no copy: a view that is zero once it is forgotten, and then another's. */
  at(place: number): Buffer {
    const block = this.#blocks[Math.floor(place / BLOCK_SECRETS)];
    const start = (place % BLOCK_SECRETS) * SECRET_BYTES;
    if (block === undefined) throw new Error('no such place');
    return block.subarray(start, start + SECRET_BYTES);
  }

  /** Wipes it. The place is given out again. */
  forget(place: number): void {
    wipe(this.at(place));
    this.#free.push(place);
  }

  /** Wipes all of them, and gives the memory back. */
  wipe(): void {
    wipe(...this.#blocks);
    this.#blocks.length = 0;
    this.#free.length = 0;
    this.#used = 0;
  }
}
