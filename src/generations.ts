/**
 * A cache in two generations: what was not used since the last but one `turn` is forgotten. In a large map that is kept in the
 * order of use, each use would cost as much as ten look-ups, and to find the oldest what all that were taken out since cost.
 */
export class Generations<T> {
  #young = new Map<string, T>();
  #old = new Map<string, T>();

  /** How many were used since the last turn. */
  get youngSize(): number {
    return this.#young.size;
  }

  get(name: string): T | undefined {
    return this.#young.get(name) ?? this.#old.get(name);
  }

  /** Only if it was used since the last turn. */
  getYoung(name: string): T | undefined {
    return this.#young.get(name);
  }

  /** Sets and uses it. */
  set(name: string, value: T): void {
    this.#young.set(name, value);
  }

  delete(name: string): void {
    this.#young.delete(name);
    this.#old.delete(name);
  }

  turn(): void {
    this.#old = this.#young;
    this.#young = new Map();
  }
}
