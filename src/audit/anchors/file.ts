import { open, type FileHandle } from 'node:fs/promises';
import type { StoredCheckpoint } from '../stored-entry.ts';
import type { Anchor } from './anchor.ts';

/** Longer than any line of ours, and so enough of the end to hold a whole one. */
const TAIL_BYTES = 256 * 1024;

/**
 * One JSON line `{time, size, note}` a checkpoint, appended and synced. The file is never written elsewhere than at its
 * end, so that the system may forbid it (`chattr +a`). A line that a crash cut off is skipped.
 */
export function fileAnchor(name: string, path: string): Anchor {
  return {
    name,

    publish: async ({ size, note }: StoredCheckpoint) => {
      const file = await open(path, 'a', 0o600);
      try {
        const start = (await endsWithin(path)) ? '\n' : '';
        const line = JSON.stringify({ time: new Date().toISOString(), size, note });
        await file.appendFile(`${start}${line}\n`);
        await file.datasync();
      } finally {
        await file.close();
      }
      return undefined;
    },

    newest: async () => {
      const file = await openIfThere(path);
      if (file === undefined) return undefined;
      try {
        const tail = await readTail(file, TAIL_BYTES);
        if (tail === '') return undefined;
        const notes = tail.split('\n').map(noteIn);
        const newest = notes.findLast((note) => note !== undefined);
        if (newest === undefined) throw new Error('no checkpoint can be read at its end');
        return newest;
      } finally {
        await file.close();
      }
    },
  };
}

/** Whether its last line is cut off. */
async function endsWithin(path: string): Promise<boolean> {
  const file = await open(path, 'r');
  try {
    const last = await readTail(file, 1);
    return last !== '' && last !== '\n';
  } finally {
    await file.close();
  }
}

async function readTail(file: FileHandle, length: number): Promise<string> {
  const { size } = await file.stat();
  const buffer = Buffer.alloc(Math.min(length, size));
  const { bytesRead } = await file.read(buffer, 0, buffer.length, size - buffer.length);
  return buffer.subarray(0, bytesRead).toString('utf8');
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function noteIn(line: string): string | undefined {
  try {
    const { note } = JSON.parse(line) as { readonly note?: unknown };
    return typeof note === 'string' ? note : undefined;
  } catch {
    return undefined;
  }
}
