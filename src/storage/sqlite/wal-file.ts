import { closeSync, fdatasync, openSync } from 'node:fs';

/**
 * SQLite's write-ahead log as a file to be flushed. With synchronous=NORMAL a commit is written to it and not flushed; its
 * frames have checksums that build on each other, so that what was lost of an unflushed end is nothing or a commit and
 * all behind it. SQLite keeps the file for as long as a connection is open.
 * @see https://www.sqlite.org/wal.html and https://www.sqlite.org/walformat.html
 */
export interface WalFile {
  /** Resolves when all that was written before the call is on disk. Waits on another thread. */
  readonly flush: () => Promise<void>;
  /** After the flushes that are under way. */
  readonly close: () => void;
}

export function openWalFile(database: string): WalFile {
  const fd = openSync(`${database}-wal`, 'r+');
  let underWay = 0;
  let closed = false;
  return {
    flush: () =>
      new Promise((resolve, reject) => {
        // Its number may be another file's by now.
        if (closed) throw new Error('the database is closed');
        underWay++;
        fdatasync(fd, (error) => {
          underWay--;
          if (closed && underWay === 0) closeSync(fd);
          if (error === null) resolve();
          else reject(error);
        });
      }),
    close: () => {
      closed = true;
      if (underWay === 0) closeSync(fd);
    },
  };
}
