import { CountersignError } from '../errors.ts';
import type { LogSource } from '../audit/verify/log.ts';
import type { Client } from './client.ts';
import { firstVkey, openRemoteLog } from './remote-log.ts';

/** Where a log is read from; the running service when neither is given. */
export interface LogPlace {
  readonly data?: string | undefined;
  readonly archive?: string | undefined;
}

/** A log, and the key that it says is its own. */
export interface OpenLog {
  readonly source: LogSource;
  readonly vkey: string | undefined;
  close(): void;
}

/** Throws `invalid_request` when more than one place is given. */
export async function openLog(
  { data, archive }: LogPlace,
  client: () => Client,
  url?: string,
): Promise<OpenLog> {
  if ([data, archive, url].filter((place) => place !== undefined).length > 1) {
    throw new CountersignError(
      'invalid_request',
      'give --data for a directory, --archive for a file, or --url for a running service, one of them',
    );
  }
  if (data !== undefined) {
    // Works beside a running service, and needs none.
    const { openLogReader } = await import('../storage/sqlite/log-reader.ts');
    return openLogReader(data);
  }
  if (archive !== undefined) {
    const { openArchive } = await import('../storage/sqlite/archive.ts');
    return openArchive(archive);
  }
  const service = client();
  const vkey = await firstVkey(service);
  return { source: await openRemoteLog(service), vkey, close: () => undefined };
}
