import { TILE_WIDTH, type NodeReader } from '../tree/tiles.ts';
import { LogFault } from './fault.ts';

/** The hashes that a log keeps for tiles and proofs. */
export interface KeptTree {
  readonly nodes: NodeReader;
  /** How many there are of each level from 1 on, as of the moment that the log is read at. */
  readonly kept: readonly number[];
}

/** What is wrong with a kept hash, compared with the one that its entries make; undefined when it is the same. */
export function checkNode(
  { nodes }: KeptTree,
  level: number,
  index: number,
  hash: Buffer,
): LogFault | undefined {
  const kept = nodes(level, index, 1);
  if (kept.equals(hash)) return undefined;
  const { first, last } = span(level, index);
  const state = kept.length === 0 ? 'is not there' : 'is not theirs';
  return new LogFault(
    first,
    'tree_node',
    `the hash over entries ${first} to ${last} that is kept for proofs (level ${level}, number ${index}) ${state}`,
    last,
  );
}

/** Nothing may be kept that the entries of a log of this size do not make. */
export function checkNodesEnd({ kept }: KeptTree, size: number): void {
  for (const [i, count] of kept.entries()) {
    const level = i + 1;
    const made = Math.floor(size / TILE_WIDTH ** level);
    if (count <= made) continue;
    const { first, last } = span(level, count - 1);
    const message = `a hash over entries ${first} to ${last} is kept for proofs (level ${level}, number ${count - 1}), and the log has ${size} entries`;
    throw new LogFault(size, 'tree_node', message, last);
  }
}

function span(level: number, index: number): { readonly first: number; readonly last: number } {
  const width = TILE_WIDTH ** level;
  return { first: index * width, last: (index + 1) * width - 1 };
}
