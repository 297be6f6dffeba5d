/** How long to wait before trying again. In milliseconds. */
export interface Pace {
  /** After the first failure; doubles with each that follows. */
  readonly firstMs: number;
  readonly mostMs: number;
}

/**
 * Between half and the whole of the doubled time, so that many services that lost the same receiver do not come back
 * to it at once.
 *
 * @param failures in a row, from 1.
 * @param random from 0 to 1.
 */
export function backoff({ firstMs, mostMs }: Pace, failures: number, random = Math.random()): number {
  // No power beyond what a number holds.
  const whole = Math.min(mostMs, firstMs * 2 ** Math.min(failures - 1, 30));
  return whole / 2 + (whole / 2) * random;
}
