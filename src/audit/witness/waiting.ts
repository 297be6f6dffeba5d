interface Waiter {
  readonly level: number;
  readonly end: (reached: boolean) => void;
}

/** Those who wait until a number that only grows is large enough. */
export class Waiting {
  readonly #waiters = new Set<Waiter>();

  /** What the most patient waits for; 0 when nobody waits. */
  get most(): number {
    let most = 0;
    for (const { level } of this.#waiters) most = Math.max(most, level);
    return most;
  }

  /** False when it was not reached within this time. */
  until(level: number, waitMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const waiter: Waiter = {
        level,
        end: (reached) => {
          clearTimeout(timer);
          this.#waiters.delete(waiter);
          resolve(reached);
        },
      };
      const timer = setTimeout(() => waiter.end(false), waitMs);
      this.#waiters.add(waiter);
    });
  }

  reach(level: number): void {
    for (const waiter of this.#waiters) if (waiter.level <= level) waiter.end(true);
  }
}
