import { CountersignError } from '../errors.ts';

/** One change of the seal at a time: what is read before a change is what the change replaces. */
export class SealLock {
  #last: Promise<unknown> = Promise.resolve();
  #running = 0;

  /** Throws `conflict` while another change is being made. */
  async alone<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running > 0)
      throw new CountersignError('conflict', 'the seal is being changed by another request');
    return await this.inTurn(work);
  }

  /** After those that came before. */
  async inTurn<T>(work: () => Promise<T>): Promise<T> {
    this.#running += 1;
    const result = this.#last.then(work);
    this.#last = result.catch(() => undefined);
    try {
      return await result;
    } finally {
      this.#running -= 1;
    }
  }
}
