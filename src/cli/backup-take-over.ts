import { hostname, userInfo } from 'node:os';
import path from 'node:path';
import type { Command } from 'commander';
import { systemAct } from '../audit/act.ts';
import { AuditLog } from '../audit/log.ts';
import { Fence, type TakenOver } from '../backup/fence.ts';
import { DATABASE_PART } from '../backup/header.ts';
import { CountersignError } from '../errors.ts';
import { packageVersion } from './package-version.ts';
import { globalOption, openSession, type Host } from './session.ts';
import { details, printable } from './table.ts';

export interface TakeOverFlags {
  readonly reason: string;
  readonly data?: string;
}

export async function backupTakeOver(
  host: Host,
  { reason, data }: TakeOverFlags,
  command: Command,
): Promise<void> {
  const session = openSession(host, command);
  if (data !== undefined && globalOption(command, 'url') !== undefined)
    throw new CountersignError(
      'invalid_request',
      'give --data for a directory or --url for a service, not both',
    );
  const taken =
    data === undefined
      ? await session.client().post<TakenOver>('/v1/sys/take-over', { reason })
      : await takeOver(data, reason);
  session.print(taken, takenText);
}

/** In a data directory that no service runs on. Throws `conflict` where one does, or nothing was restored. */
export async function takeOver(data: string, reason: string): Promise<TakenOver> {
  const { openSqliteStorage } = await import('../storage/sqlite/storage.ts');
  const { snapshotFiles } = await import('../storage/sqlite/snapshot.ts');
  // Nothing is made where nothing was restored.
  const { origin } = snapshotFiles.facts(path.join(data, DATABASE_PART));
  const storage = openSqliteStorage(data, () => origin);
  try {
    const log = new AuditLog(storage, { node: hostname(), version: packageVersion() });
    return await new Fence(storage.reads).takeOver(systemAct(log), reason, userInfo().username);
  } finally {
    storage.close();
  }
}

export function takenText({ restoredSize, oldEpoch, newEpoch, lost, warnings }: TakenOver): string {
  const lines = details([
    ['taken over', `after ${restoredSize} restored entries`],
    ['fencing epoch', `${oldEpoch} before, ${newEpoch} now`],
    ['lost entries', lost === undefined ? undefined : `${lost.from} to ${lost.to}`],
  ]);
  return [
    lines,
    'This service does not know what happened in between:',
    ...warnings.map((each) => `- ${printable(each)}`),
  ].join('\n');
}
