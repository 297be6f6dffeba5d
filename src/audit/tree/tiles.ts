import { CountersignError } from '../../errors.ts';
import { HASH_BYTES, nodeHash, type SubtreeReader } from './merkle.ts';

/** Tiles and entry bundles, https://c2sp.org/tlog-tiles: their names, their widths, what is in them. */

/** Hashes of a full tile, and entries of a full bundle. */
export const TILE_WIDTH = 256;
/** Levels of the tree from the hashes of a tile to its root. */
export const TILE_HEIGHT = 8;
export const MAX_TILE_LEVEL = 63;

/** Which tile of its level. A name tells a partial tile from a full one, so that what it names never changes. */
export interface TileName {
  /** Position in the level, from 0. */
  readonly index: number;
  /** 1 to 256; below 256 it is partial. */
  readonly width: number;
}

/**
 * Roots of the complete subtrees of 256^level leaves from the one at index `from` on, concatenated: the leaf hashes at
 * level 0. Fewer than `count` where one is missing.
 */
export type NodeReader = (level: number, from: number, count: number) => Buffer;

/** Longer than the name of any tile whose entries can be counted. */
const MAX_NAME_LENGTH = 40;
const NAME = /^((?:x[0-9]{3}\/)*[0-9]{3})(?:\.p\/([1-9][0-9]{0,2}))?$/;

/** `<N>[.p/<W>]`, such as `x001/x234/067.p/17`. */
export function formatTileName({ index, width }: TileName): string {
  const digits = String(index);
  const padded = digits.padStart(Math.ceil(digits.length / 3) * 3, '0');
  const path = padded.replaceAll(/[0-9]{3}(?=[0-9])/g, 'x$&/');
  return width === TILE_WIDTH ? path : `${path}.p/${width}`;
}

/**
 * Parses strictly: what `formatTileName` would not write is refused.
 * @throws CountersignError `invalid_request`
 */
export function parseTileName(text: string): TileName {
  const [, path, width] = (text.length > MAX_NAME_LENGTH ? null : NAME.exec(text)) ?? [];
  const name = {
    index: Number(path?.replaceAll(/[x/]/g, '')),
    width: width === undefined ? TILE_WIDTH : Number(width),
  };
  const counts = Number.isSafeInteger(name.index) && name.width <= TILE_WIDTH;
  if (path === undefined || !counts || formatTileName(name) !== text) {
    throw new CountersignError(
      'invalid_request',
      'not the name of a tile: that is its index in groups of three digits, and for a partial one its width from 1 to 255, as in x001/x234/067.p/17',
    );
  }
  return name;
}

/** How many hashes the tile has in a tree of this size, 0 to 256; the width of an entry bundle is that of level 0. */
export function tileWidth(level: number, index: number, size: number): number {
  const nodes = Math.floor(size / TILE_WIDTH ** level);
  return Math.min(TILE_WIDTH, Math.max(0, nodes - index * TILE_WIDTH));
}

/** Entries, each behind its length as a big-endian uint16. Each has at most 65,535 bytes. */
export function formatBundle(entries: readonly Uint8Array[]): Buffer {
  const bundle = Buffer.allocUnsafe(entries.reduce((length, entry) => length + 2 + entry.length, 0));
  let at = 0;
  for (const entry of entries) {
    at = bundle.writeUInt16BE(entry.length, at);
    bundle.set(entry, at);
    at += entry.length;
  }
  return bundle;
}

/**
 * The entries of a bundle, as views of it.
 * @throws CountersignError `invalid_request` unless it holds exactly `width` of them.
 */
export function parseBundle(bundle: Buffer, width: number): Buffer[] {
  const entries: Buffer[] = [];
  for (let at = 0; at < bundle.length;) {
    const start = at + 2;
    const end = start > bundle.length ? start : start + bundle.readUInt16BE(at);
    if (end > bundle.length) throw malformed(`it ends within entry ${entries.length}`);
    entries.push(bundle.subarray(start, end));
    at = end;
  }
  if (entries.length !== width) throw malformed(`it has ${entries.length} entries, not ${width}`);
  return entries;
}

/**
 * Reads subtrees from stored nodes, a tile at a time and each tile once: for one proof, which asks for two tiles a
 * level at most. Throws `internal` for a node that is not there.
 */
export function subtreesOfNodes(nodes: NodeReader): SubtreeReader {
  const tiles = new Map<string, Buffer>();

  const tile = (level: number, index: number): Buffer => {
    const name = `${level}/${index}`;
    const hashes = tiles.get(name) ?? nodes(level, index * TILE_WIDTH, TILE_WIDTH);
    tiles.set(name, hashes);
    return hashes;
  };

  const read: SubtreeReader = (level, index) => {
    if (level % TILE_HEIGHT !== 0)
      return nodeHash(read(level - 1, 2 * index), read(level - 1, 2 * index + 1));
    const at = index % TILE_WIDTH;
    const hashes = tile(level / TILE_HEIGHT, (index - at) / TILE_WIDTH);
    const hash = hashes.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES);
    if (hash.length === HASH_BYTES) return hash;
    // It may be there: what was read ends before the first that is not.
    const first = (index - at + Math.floor(hashes.length / HASH_BYTES)) * 2 ** level;
    const which = `entries ${first} to ${first + 2 ** level - 1}`;
    throw new CountersignError('internal', `the stored tree lacks the hash of ${which}: run audit verify`);
  };
  return read;
}

function malformed(what: string): CountersignError {
  return new CountersignError('invalid_request', `not an entry bundle: ${what}`);
}
