import { CountersignError } from '../errors.ts';
import type { AuditReads, StoredCheckpoint, TreeReads } from './stored-entry.ts';
import { parseCheckpoint } from './tree/checkpoint.ts';
import { HASH_BYTES, inclusionProof, verifyInclusion } from './tree/merkle.ts';
import { parseNote } from './tree/note.ts';
import { formatProof } from './tree/proof.ts';
import { formatBundle, subtreesOfNodes, TILE_WIDTH, tileWidth, type TileName } from './tree/tiles.ts';

/** Tiles, entry bundles and proofs out of what is stored. Every one reads a bounded number of rows, at any size of the log. */
export class ServedTree {
  readonly #size: () => number;
  readonly #reads: Pick<AuditReads, 'entry' | 'entries'> & TreeReads;

  /** @param size of the log, as it is on disk. */
  constructor(size: () => number, reads: Pick<AuditReads, 'entry' | 'entries'> & TreeReads) {
    this.#size = size;
    this.#reads = reads;
  }

  /**
   * The hashes of a tile, concatenated.
   * @throws CountersignError `not_found` where the log is too small for it.
   */
  tile(level: number, { index, width }: TileName): Buffer {
    this.#requireWidth(level, { index, width });
    const hashes = this.#reads.nodes(level, index * TILE_WIDTH, width);
    if (hashes.length !== width * HASH_BYTES) throw damaged(`tile ${index} of level ${level} lacks a hash`);
    return hashes;
  }

  /** @throws CountersignError `not_found` where the log is too small for it. */
  bundle({ index, width }: TileName): Buffer {
    this.#requireWidth(0, { index, width });
    const from = index * TILE_WIDTH;
    const entries = this.#reads.entries({ from, limit: width });
    if (entries.length !== width || entries.some((entry, at) => entry.index !== from + at)) {
      throw damaged(`entries ${from} to ${from + width - 1} are not all there`);
    }
    return formatBundle(entries.map(({ bytes }) => bytes));
  }

  /**
   * The tlog-proof of an entry that the checkpoint covers, with the checkpoint in it. What does not verify is not given out.
   * @throws CountersignError `not_found` for an entry that the log has not.
   */
  proof(index: number, checkpoint: StoredCheckpoint): string {
    const entry = this.#reads.entry(index);
    if (entry === undefined) throw new CountersignError('not_found', `the log has no entry ${index}`);
    const { size, root } = parseCheckpoint(parseNote(checkpoint.note).text);
    const path = inclusionProof(index, size, subtreesOfNodes(this.#reads.nodes));
    if (!verifyInclusion(index, size, entry.leafHash, path, root)) {
      throw damaged(`the stored hashes do not lead from entry ${index} to the checkpoint of ${size} entries`);
    }
    return formatProof({ index, path, checkpoint: checkpoint.note });
  }

  #requireWidth(level: number, { index, width }: TileName): void {
    const size = this.#size();
    const there = tileWidth(level, index, size);
    if (width <= there) return;
    const has = there === 0 ? 'no such tile' : `only the first ${there} of it`;
    throw new CountersignError('not_found', `the log has ${size} entries, and so ${has}`);
  }
}

function damaged(what: string): CountersignError {
  return new CountersignError('internal', `the stored log is damaged: ${what}; run audit verify`);
}
