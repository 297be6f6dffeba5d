/**
 * A cache in two generations: what was not set since the last turn but one is forgotten. A large map that is kept in the order of
 * use is slow: to move a member to its end costs ten look-ups, and its first is behind the places of all that were taken out.
 */
export class Generations<T> {
  #young = new Map<string, T>();
  #old = new Map<string, T>();

  /** How many were set since the last turn. */
  get youngSize(): number {
    return this.#young.size;
  }

  /** To keep it longer, set it again. */
  get(name: string): T | undefined {
    return this.#young.get(name) ?? this.#old.get(name);
  }

  /** Only if it was set since the last turn. */
  getYoung(name: string): T | undefined {
    return this.#young.get(name);
  }

  set(name: string, value: T): void {
    this.#young.set(name, value);
  }

  delete(name: string): void {
    this.#young.delete(name);
    this.#old.delete(name);
  }

  /** Forgets what was not set since the last. */
  turn(): void {
    this.#old = this.#young;
    this.#young = new Map();
  }
}
