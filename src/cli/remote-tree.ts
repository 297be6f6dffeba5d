import { HASH_BYTES } from '../audit/tree/merkle.ts';
import { formatTileName, TILE_WIDTH, tileWidth } from '../audit/tree/tiles.ts';
import type { KeptTree } from '../audit/verify/nodes.ts';
import { unlessMissing, type Client } from './client.ts';

/** The hashes above the leaves that a service keeps of a log of this size: one in 256 entries, and few more. */
export async function fetchTree(client: Client, size: number): Promise<KeptTree> {
  const levels: Buffer[] = [];
  for (let level = 1, nodes = Math.floor(size / TILE_WIDTH); nodes > 0; level++) {
    levels.push(await fetchLevel(client, level, nodes, size));
    nodes = Math.floor(nodes / TILE_WIDTH);
  }
  return {
    nodes: (level, from, count) =>
      levels[level - 1]?.subarray(from * HASH_BYTES, (from + count) * HASH_BYTES) ?? Buffer.alloc(0),
    kept: levels.map(({ length }) => length / HASH_BYTES),
  };
}

async function fetchLevel(client: Client, level: number, nodes: number, size: number): Promise<Buffer> {
  const tiles: Buffer[] = [];
  for (let index = 0; index * TILE_WIDTH < nodes; index++) {
    const name = formatTileName({ index, width: tileWidth(level, index, size) });
    const tile = await unlessMissing(client.getBytes(`/v1/audit/tile/${level}/${name}`), 'internal');
    if (tile === undefined) break;
    tiles.push(tile);
  }
  return Buffer.concat(tiles);
}
