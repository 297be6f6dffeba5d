import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { CountersignError } from '../errors.ts';

const PREFIX = 'backup-';

/**
 * A directory of its own for a copy of the database, readable to its owner only. Those that a killed process has left
 * there are removed.
 */
export class Workspace {
  readonly directory: string;

  /** Throws `unavailable` where none can be made. */
  constructor(parent: string) {
    try {
      removeLeftovers(parent, isRunning);
      this.directory = mkdtempSync(path.join(parent, `${PREFIX}${process.pid}-`));
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
      throw new CountersignError('unavailable', `no directory can be made in ${parent}: ${code}`, [], error);
    }
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Copies of the database whose process is not there any more. @param isRunning whether the process that made one is */
export function removeLeftovers(parent: string, isRunning: (pid: number) => boolean): void {
  for (const name of readdirSync(parent)) {
    const pid = /^backup-(\d+)-/.exec(name)?.[1];
    if (pid !== undefined && !isRunning(Number(pid)))
      rmSync(path.join(parent, name), { recursive: true, force: true });
  }
}

export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // It is there, and somebody else's.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
