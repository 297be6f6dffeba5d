export interface Delays {
  /** Milliseconds before the second try. */
  readonly first: number;
  /** Milliseconds that no wait goes over. */
  readonly most: number;
}

/**
 * Milliseconds to wait after so many failures in a row: doubling, and never the same for two who failed together.
 *
 * @param failures from 1.
 * @param random from 0 to 1.
 */
export function backoff(failures: number, { first, most }: Delays, random = Math.random()): number {
  const whole = Math.min(most, first * 2 ** Math.min(failures - 1, 30));
  return Math.round(whole * (0.5 + random / 2));
}
