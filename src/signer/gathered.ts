/** How far the shares of a set have come together. */
export interface Gathered {
  /** Of the share that was given last. */
  readonly number: number;
  readonly have: number;
  readonly threshold: number;
  /** Which shares belong together: 12 lower-case hex digits. */
  readonly set: string;
}

/** What came of a secret or a share: it is done, or so many shares have come to it. */
export interface Step {
  readonly done: boolean;
  /** Where it takes shares. */
  readonly gathered?: Gathered;
}

/** Shares that wait for others are forgotten after this time without a new one. */
export const SHARES_KEPT_MS = 15 * 60 * 1000;
