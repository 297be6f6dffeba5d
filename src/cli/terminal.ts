/** Where a command writes: results to standard output, everything else to standard error. */
export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  /** Draws over what it drew last on standard error; an empty text takes it away. */
  redraw(text: string): void;
  /** Whether a person watches standard error, so that progress may be drawn there. */
  readonly interactive: boolean;
  /** Columns for standard output; undefined when no person reads it there. */
  readonly width: number | undefined;
}

const CLEAR_LINE = '\r\u001B[K';

export function processTerminal({ stdout, stderr }: NodeJS.Process): Terminal {
  return {
    out: (text) => void stdout.write(`${text}\n`),
    err: (text) => void stderr.write(`${text}\n`),
    redraw: (text) => void stderr.write(`${CLEAR_LINE}${text}`),
    interactive: stderr.isTTY,
    width: stdout.isTTY ? stdout.columns : undefined,
  };
}
