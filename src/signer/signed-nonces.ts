import { Generations } from '../generations.ts';

/** So many accounts are remembered at most, and half of them for sure; each takes about two hundred bytes. */
const MAX_ACCOUNTS = 50_000;
/** So many nonces above the floor of one account, and so many accounts that have some. */
const MAX_ABOVE = 512;
const MAX_SPARSE = 64;

/**
 * Which nonces have certainly not been signed, so that what was signed for them need not be looked for: those above an
 * account's floor, but for the ones that are remembered. (Who asks for many at once is not served in their order.) What is
 * known of an account may be forgotten at any time: it is read again.
 */
export class SignedNonces {
  readonly #maxAccounts: number;
  readonly #floors = new Generations<bigint>();
  /** May outlive the floor of its account, which is then read again, and above none of these. */
  readonly #above = new Map<string, Set<bigint>>();

  constructor(maxAccounts: number = MAX_ACCOUNTS) {
    this.#maxAccounts = maxAccounts;
  }

  /** @param newest reads the highest nonce that was signed; -1 where none was */
  mayHave(account: string, nonce: bigint, newest: () => bigint): boolean {
    const floor = this.#floors.get(account) ?? newest();
    this.#floors.set(account, floor);
    if (this.#floors.youngSize > this.#maxAccounts / 2) this.#floors.turn();
    return nonce <= floor || this.#above.get(account)?.has(nonce) === true;
  }

  /** Follows the write of it, and comes before anybody is told; that it was not signed after all does no harm. */
  add(account: string, nonce: bigint): void {
    const floor = this.#floors.get(account);
    // Else it is read when it is needed.
    if (floor === undefined || nonce <= floor) return;
    if (nonce === floor + 1n) this.#floors.set(account, this.#absorb(account, nonce));
    else this.#remember(account, nonce);
  }

  /** The floor that follows when all up to `nonce` may have been signed. */
  #absorb(account: string, nonce: bigint): bigint {
    const above = this.#above.get(account);
    let floor = nonce;
    while (above?.delete(floor + 1n) === true) floor++;
    if (above?.size === 0) this.#above.delete(account);
    return floor;
  }

  #remember(account: string, nonce: bigint): void {
    const above = this.#above.get(account) ?? new Set();
    this.#above.set(account, above.add(nonce));
    if (above.size > MAX_ABOVE) this.#forget(account);
    const [oldest] = this.#above.keys();
    if (this.#above.size > MAX_SPARSE && oldest !== undefined) this.#forget(oldest);
  }

  #forget(account: string): void {
    this.#floors.delete(account);
    this.#above.delete(account);
  }
}
