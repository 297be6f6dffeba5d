import { createHash } from 'node:crypto';
import type { History } from '../../../src/audit/history.ts';
import type { StoredCheckpoint } from '../../../src/audit/stored-entry.ts';
import { consistencyProof, rootOf, subtreesOfLeaves } from '../../../src/audit/tree/merkle.ts';
import { notary, type Notary } from '../memory-log.ts';

/** A log of leaf hashes only, that can be put back, and the checkpoints that it signs. */
export interface WatchedLog extends History {
  readonly vkey: string;
  append(count: number, content?: string): void;
  cut(size: number): void;
  checkpoint(size?: number): StoredCheckpoint;
}

export function watchedLog(name = 'log.test/one', by: Notary = notary(name)): WatchedLog {
  const leaves: Buffer[] = [];
  const read = subtreesOfLeaves((index) => leaves[index]!);
  const log: WatchedLog = {
    vkey: by.vkey,
    size: () => leaves.length,
    root: (size) => rootOf(size, read),
    consistency: (from, to) => consistencyProof(from, to, read),
    append: (count, content = 'entry') => {
      for (let i = 0; i < count; i++)
        leaves.push(createHash('sha256').update(`${content} ${leaves.length}`).digest());
    },
    cut: (size) => void leaves.splice(size),
    checkpoint: (size = leaves.length) => ({ size, note: by.note(size, rootOf(size, read)) }),
  };
  return log;
}
