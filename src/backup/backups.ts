import path from 'node:path';
import { wipe } from '../bytes.ts';
import { CountersignError } from '../errors.ts';
import type { Lock } from './age.ts';
import { describeContents, encodeBackup } from './encode.ts';
import { DATABASE_PART, plainSize, type BackupHeader } from './header.ts';
import type { SnapshotSource } from './snapshot.ts';
import { removeAbandonedCopies, Workspace } from './workspace.ts';

export interface BackupOrder {
  readonly lock: Lock;
  /** To put into it; it is wiped. */
  readonly sealKey?: Buffer | undefined;
  readonly onSnapshot?: (done: number, total: number) => void;
}

/** A backup whose copy of the database is made, and which is to be read. */
export interface PreparedBackup {
  readonly header: BackupHeader;
  /** Bytes of the file. */
  readonly size: number;
  readonly pieces: AsyncIterable<Uint8Array>;
  /** Always, in the end: removes the copy. */
  readonly discard: () => void;
}

/** Makes backups of a data directory, one at a time. */
export class Backups {
  readonly #source: SnapshotSource;
  readonly #temporary: string;
  readonly #version: string;
  #busy = false;

  /** @param temporary where copies of the database lie while they are encrypted. */
  constructor(source: SnapshotSource, temporary: string, version: string) {
    this.#source = source;
    this.#temporary = temporary;
    this.#version = version;
  }

  /** What killed processes have left where copies are made. */
  removeAbandoned(): void {
    removeAbandonedCopies(this.#temporary);
  }

  /** Throws `conflict` while another is made, `invalid_request` for bad recipients, `unavailable` without room. */
  async prepare({ lock, sealKey, onSnapshot }: BackupOrder): Promise<PreparedBackup> {
    if (this.#busy)
      throw new CountersignError('conflict', 'a backup is being made already: there is one at a time');
    this.#busy = true;
    let workspace: Workspace | undefined;
    const discard = (): void => {
      wipe(sealKey);
      workspace?.remove();
      this.#busy = false;
    };
    try {
      // A service that makes no backups would keep 4 MB of heap for it.
      const { encrypt } = await import('./age.ts');
      workspace = new Workspace(this.#temporary);
      const file = path.join(workspace.directory, DATABASE_PART);
      const facts = await this.#source.take(file, onSnapshot);
      const header = await describeContents({ facts, file, sealKey, version: this.#version });
      const { size, pieces } = await encrypt(
        lock,
        encodeBackup(header, { file, sealKey }),
        plainSize(header),
      );
      return { header, size, pieces, discard };
    } catch (error) {
      discard();
      throw error;
    }
  }
}
