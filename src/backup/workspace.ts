import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { CountersignError } from '../errors.ts';

const PREFIX = '.countersign-copy-';
/** The number of the process, and what mkdtemp adds: nothing that a person would call a file. */
const NAME = /^\.countersign-copy-(\d{1,7})-[A-Za-z0-9]{6}$/;
/** For so long after it was written to, a copy may be one that a process in another container is making. */
const QUIET_MS = 60 * 60 * 1000;

/**
 * A directory of its own for a copy of the database, readable to its owner only. Those that killed processes have left there
 * are removed.
 */
export class Workspace {
  readonly directory: string;

  /** Throws `unavailable` where none can be made. */
  constructor(parent: string) {
    try {
      removeAbandonedCopies(parent);
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

/** Whose process is not there any more. What cannot be looked at or removed is somebody else's, and stays. */
export function removeAbandonedCopies(parent: string): void {
  for (const entry of readdirSync(parent, { withFileTypes: true })) {
    const pid = NAME.exec(entry.name)?.[1];
    if (pid === undefined || !entry.isDirectory()) continue;
    const directory = path.join(parent, entry.name);
    try {
      if (isAbandoned(directory, Number(pid))) rmSync(directory, { recursive: true });
    } catch {
      continue;
    }
  }
}

function isAbandoned(directory: string, pid: number): boolean {
  const written = lastWrite(directory);
  if (Date.now() - written < QUIET_MS) return false;
  // In a container, a service that was killed had the same number as the next.
  return pid === process.pid ? written < Date.now() - process.uptime() * 1_000 : !isRunning(pid);
}

/** Milliseconds since 1970. */
function lastWrite(directory: string): number {
  const inside = readdirSync(directory).map((name) => path.join(directory, name));
  return Math.max(...[directory, ...inside].map((file) => statSync(file).mtimeMs));
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // It is there, and somebody else's.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
