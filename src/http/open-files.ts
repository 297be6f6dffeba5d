import { readFileSync } from 'node:fs';

/** For the database, the signer process, sinks, witnesses, backups: what is not a connection of a client. */
const OWN = 128;
const FEWEST = 16;
const MOST = 10_000;

/**
 * Connections that may be open, so that the service never lacks a descriptor for itself.
 *
 * @param limits text of proc(5)'s `limits`; undefined where there is none.
 */
export function connectionLimit(limits: string | undefined = ownLimits()): number {
  const openFiles = Number(/^Max open files +(\d+)/m.exec(limits ?? '')?.[1] ?? Infinity);
  return Math.max(FEWEST, Math.min(MOST, openFiles - OWN));
}

function ownLimits(): string | undefined {
  try {
    return readFileSync('/proc/self/limits', 'utf8');
  } catch {
    return undefined;
  }
}
