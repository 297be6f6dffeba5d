import { consistencyProof, rootOf } from './tree/merkle.ts';
import { subtreesOfNodes, type NodeReader } from './tree/tiles.ts';

/** What this log was at any size, to hold against what others say that it was. */
export interface History {
  /** Entries on disk. */
  size(): number;
  /** Root of the first `size` entries. Throws `internal` where the stored tree lacks a hash. */
  root(size: number): Buffer;
  /** RFC 6962 §2.1.2. Throws as `root`. */
  consistency(from: number, to: number): Buffer[];
}

export function historyOf(log: { readonly size: number }, nodes: NodeReader): History {
  return {
    size: () => log.size,
    root: (size) => rootOf(size, subtreesOfNodes(nodes)),
    consistency: (from, to) => consistencyProof(from, to, subtreesOfNodes(nodes)),
  };
}
