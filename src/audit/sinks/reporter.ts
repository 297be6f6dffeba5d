/** Told what becomes of deliveries, for the service's own log. */
export interface SinkWatcher {
  failed(name: string, reason: string): void;
  recovered(name: string): void;
}

/** A receiver that is down fails many times; the log has a line of it this often. */
const INTERVAL_MS = 60_000;

/** Tells of one sink's failures now and then, and of its recovery. */
export class Reporter {
  readonly #name: string;
  readonly #watcher: SinkWatcher;
  readonly #now: () => number;
  #toldAt = -Infinity;
  #isTold = false;

  /** @param now milliseconds of a clock that does not step back. */
  constructor(name: string, watcher: SinkWatcher, now: () => number = () => performance.now()) {
    this.#name = name;
    this.#watcher = watcher;
    this.#now = now;
  }

  failed(reason: string): void {
    const now = this.#now();
    if (now - this.#toldAt < INTERVAL_MS) return;
    this.#toldAt = now;
    this.#isTold = true;
    this.#watcher.failed(this.#name, reason);
  }

  delivered(): void {
    if (!this.#isTold) return;
    this.#isTold = false;
    this.#watcher.recovered(this.#name);
  }
}
