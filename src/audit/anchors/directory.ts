import { open, readdir, readFile, rename } from 'node:fs/promises';
import path from 'node:path';
import { NAME, nameOf, type Anchor } from './anchor.ts';

/**
 * One file a checkpoint: written beside, synced, renamed, and the directory synced, so that it is there whole or not at
 * all. A file that is there is never written again. The directory must exist: where it is a mount, its absence must not
 * look like an empty one.
 */
export function directoryAnchor(name: string, directory: string): Anchor {
  return {
    name,

    publish: async (checkpoint) => {
      const target = path.join(directory, nameOf(checkpoint));
      const kept = await readIfThere(target);
      if (kept !== undefined) return kept;
      const temporary = path.join(directory, `${nameOf(checkpoint)}.new`);
      await writeSynced(temporary, checkpoint.note);
      await rename(temporary, target);
      await sync(directory);
      return undefined;
    },

    newest: async () => {
      const names = (await readdir(directory)).filter((each) => NAME.test(each));
      const newest = names.toSorted().at(-1);
      return newest === undefined ? undefined : await readFile(path.join(directory, newest), 'utf8');
    },
  };
}

async function writeSynced(file: string, text: string): Promise<void> {
  const handle = await open(file, 'w', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function sync(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
