import { createHash, hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { asBuffer } from '../bytes.ts';
import { CountersignError } from '../errors.ts';
import { decrypt, type Unlock } from './age.ts';
import { decodeHead, plainSize, type BackupHeader } from './header.ts';

/** A backup whose header has been read. What is behind that is not checked yet. */
export interface OpenBackup {
  readonly header: BackupHeader;
  /**
   * Writes the database to a new file that only its owner can read, synced, once. Throws `unprocessable` when anything is
   * not as the header says, and leaves the file then.
   *
   * @returns the seal key where there is one; the caller wipes it.
   */
  extract(database: string, onProgress?: (done: number, total: number) => void): Promise<Buffer | undefined>;
}

/** Throws `not_found`, and as `decrypt` and `decodeHead`. */
export async function openBackup(file: string, unlock: Unlock): Promise<OpenBackup> {
  const { size } = await stat(file).catch((error: unknown) => {
    throw new CountersignError('not_found', `the backup ${file} cannot be read`, [], error);
  });
  const decrypted = await decrypt(unlock, createReadStream(file));
  const pieces = new Pieces(decrypted.pieces);
  const header = await readHead(pieces);
  requireSize(plainSize(header), decrypted.plainSize(size));
  return {
    header,
    extract: async (database, onProgress) => await extract(pieces, header, database, onProgress),
  };
}

async function readHead(pieces: Pieces): Promise<BackupHeader> {
  let begin: Buffer = Buffer.alloc(0);
  for (;;) {
    const piece = await pieces.next();
    if (piece === undefined)
      throw new CountersignError(
        'unprocessable',
        'this is no backup of countersign: its header does not end',
      );
    begin = Buffer.concat([begin, piece]);
    const head = decodeHead(begin);
    if (head === undefined) continue;
    pieces.putBack(begin.subarray(head.length));
    return head.header;
  }
}

/** Known before anything is written: what is cut off does not fill a disk first. */
function requireSize(expected: number, found: number | undefined): void {
  if (found === expected) return;
  const has = found === undefined ? 'an impossible size' : `${found} bytes`;
  const how = found !== undefined && found > expected ? 'has more than was written' : 'is cut off';
  throw new CountersignError(
    'unprocessable',
    `the backup ${how}: its header announces ${expected} bytes, and it has ${has}`,
  );
}

async function extract(
  pieces: Pieces,
  header: BackupHeader,
  database: string,
  onProgress?: (done: number, total: number) => void,
): Promise<Buffer | undefined> {
  const [first, second] = header.parts;
  if (first === undefined) throw new CountersignError('internal', 'a backup has a database');
  const digest = createHash('sha256');
  const target = await open(database, 'wx', 0o600);
  try {
    let done = 0;
    for await (const piece of pieces.take(first.length)) {
      digest.update(piece);
      await target.writeFile(piece);
      done += piece.length;
      onProgress?.(done, first.length);
    }
    await target.sync();
  } finally {
    await target.close();
  }
  requireHash(first.name, first.sha256, digest.digest('hex'));
  let sealKey: Buffer | undefined;
  if (second !== undefined) {
    const taken: Buffer[] = [];
    for await (const piece of pieces.take(second.length)) taken.push(piece);
    sealKey = Buffer.concat(taken);
    for (const piece of taken) piece.fill(0);
    requireHash(second.name, second.sha256, hash('sha256', sealKey, 'hex'));
  }
  // Only the end of what age gives says that all of it was genuine.
  if ((await pieces.next()) !== undefined)
    throw new CountersignError('unprocessable', 'the backup holds more than its header says');
  return sealKey;
}

function requireHash(name: string, expected: string, found: string): void {
  if (found !== expected)
    throw new CountersignError(
      'unprocessable',
      `${name} in the backup has not the SHA-256 that its header names`,
    );
}

/** Bytes that come in pieces, taken in pieces of other sizes. */
class Pieces {
  readonly #source: AsyncIterator<Uint8Array>;
  #left: Buffer | undefined;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Not empty; undefined at the end. */
  async next(): Promise<Buffer | undefined> {
    const left = this.#left;
    this.#left = undefined;
    if (left !== undefined && left.length > 0) return left;
    for (;;) {
      const { value, done } = await this.#source.next();
      if (done === true) return undefined;
      if (value.length > 0) return asBuffer(value);
    }
  }

  putBack(piece: Buffer): void {
    this.#left = piece;
  }

  async *take(length: number): AsyncGenerator<Buffer> {
    for (let missing = length; missing > 0;) {
      const piece = await this.next();
      if (piece === undefined)
        throw new CountersignError('unprocessable', `the backup ends ${missing} bytes too soon`);
      const taken = piece.subarray(0, missing);
      if (taken.length < piece.length) this.putBack(piece.subarray(missing));
      missing -= taken.length;
      yield taken;
    }
  }
}
