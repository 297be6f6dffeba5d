import { constants } from 'node:fs';
import { open, stat, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import type { Batch, Sink } from './sink.ts';

/** How every projection's line begins: nothing else is ever cut off. */
const BEGINNINGS = ['{"entry":', '{"activity_id":', 'CEF:0|Countersign|'];
/** A line is shorter than this. */
const MAX_LINE_BYTES = 1024 * 1024;
const LINE_END = 0x0a;

interface OpenFile {
  readonly handle: FileHandle;
  readonly dev: number;
  readonly ino: number;
}

/**
 * A file of lines that others may rename: a new one is begun then. A batch is delivered when fsync has returned. What
 * a crash or a full disk left of a line is cut off before anything is appended, and comes again whole.
 */
export class JsonlFile implements Sink {
  readonly #path: string;
  #open: OpenFile | undefined;
  #reopen = false;

  /** @param file absolute. */
  constructor(file: string) {
    this.#path = file;
  }

  async deliver({ lines }: Batch): Promise<void> {
    const { handle } = await this.#current();
    try {
      await handle.appendFile(`${lines.join('\n')}\n`, 'utf8');
      await handle.sync();
      // Renamed is kept; removed is lost.
      if ((await handle.stat()).nlink === 0) throw new Error('the file was removed while it was written');
    } catch (error) {
      // What is there of the batch is looked at when it is opened again.
      await this.close();
      throw error;
    }
  }

  reload(): void {
    this.#reopen = true;
  }

  async close(): Promise<void> {
    const { handle } = this.#open ?? {};
    this.#open = undefined;
    await handle?.close().catch(() => undefined);
  }

  async #current(): Promise<OpenFile> {
    if (this.#open !== undefined) {
      const there = await stat(this.#path).catch(() => undefined);
      const isSame = there?.ino === this.#open.ino && there.dev === this.#open.dev;
      if (isSame && !this.#reopen) return this.#open;
      await this.close();
    }
    this.#reopen = false;
    const { O_APPEND, O_CREAT, O_RDWR, O_NONBLOCK } = constants;
    const handle = await open(this.#path, O_APPEND | O_CREAT | O_RDWR | O_NONBLOCK, 0o600);
    try {
      const found = await handle.stat();
      if (!found.isFile()) throw new Error('what is at the path of the file is no file');
      await cutTornLine(handle, found.size);
      if (found.size === 0) await syncFolder(path.dirname(this.#path));
      this.#open = { handle, dev: found.dev, ino: found.ino };
      return this.#open;
    } catch (error) {
      await handle.close().catch(() => undefined);
      throw error;
    }
  }
}

/** Throws when what follows the last line end is no beginning of a line of ours: then it is somebody else's file. */
async function cutTornLine(handle: FileHandle, size: number): Promise<void> {
  const length = Math.min(size, MAX_LINE_BYTES);
  const end = Buffer.alloc(length);
  for (let read = 0; read < length;) {
    const { bytesRead } = await handle.read(end, read, length - read, size - length + read);
    if (bytesRead === 0) throw new Error('the file shrinks while it is read');
    read += bytesRead;
  }
  const torn = end.subarray(end.lastIndexOf(LINE_END) + 1);
  if (torn.length === 0) return;
  const beginning = torn.subarray(0, 64).toString('latin1');
  const isOurs = BEGINNINGS.some((ours) => beginning.startsWith(ours) || ours.startsWith(beginning));
  if (!isOurs || (torn.length === length && size > length))
    throw new Error('the file does not end in a line of this sink, and is left as it is');
  await handle.truncate(size - torn.length);
  await handle.sync();
}

/** So that the name of a new file outlasts a crash. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
