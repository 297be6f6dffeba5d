/** Where a command writes: results to standard output, everything else to standard error. */
export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  /** Whether a person watches standard error, so that progress may be drawn there. */
  readonly interactive: boolean;
}
