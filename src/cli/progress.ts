import type { Terminal } from './terminal.ts';

export interface Progress {
  update(done: number, total: number): void;
  /** Takes away what was drawn. */
  end(): void;
}

/** What is over sooner needs no progress. */
const DELAY_MS = 1_000;
const REDRAW_MS = 100;

/** Draws on standard error how far something is, when a person watches and it takes longer than a second. */
export function createProgress(terminal: Terminal, label: string, now: () => number = Date.now): Progress {
  let next = now() + DELAY_MS;
  let drawn = false;
  return {
    update: (done, total) => {
      if (!terminal.interactive || now() < next) return;
      const percent = total === 0 ? 100 : Math.min(100, Math.floor((done / total) * 100));
      terminal.redraw(`${label} ${done} of ${total} (${percent}%)`);
      drawn = true;
      next = now() + REDRAW_MS;
    },
    end: () => {
      if (drawn) terminal.redraw('');
      drawn = false;
    },
  };
}
