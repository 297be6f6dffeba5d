import { hash } from 'node:crypto';
import { CountersignError } from '../../errors.ts';

/** Bytes of a SHA-256 hash, and so of every node of the tree. */
export const HASH_BYTES = 32;

/**
 * Hash of the complete subtree over the leaves [index · 2^level, (index + 1) · 2^level). Proofs ask only
 * for subtrees that are full at the size they were asked for.
 */
export type SubtreeReader = (level: number, index: number) => Buffer;

/** Told of the hash of a complete subtree, named as for a `SubtreeReader`, when its last leaf is appended. */
export type SubtreeKeeper = (level: number, index: number, hash: Buffer) => void;

/** What is hashed is put together in the same memory each time: to allocate it took a tenth of the hashing. */
const LEAF_INPUT = Buffer.alloc(16_384);
const NODE_INPUT = Buffer.alloc(1 + 2 * HASH_BYTES);
NODE_INPUT[0] = 0x01;

/** Leaf hash, RFC 6962 §2.1: SHA-256(0x00 ‖ entry). */
export function leafHash(entry: Uint8Array): Buffer {
  const length = 1 + entry.length;
  const input = length > LEAF_INPUT.length ? Buffer.alloc(length) : LEAF_INPUT.subarray(0, length);
  input.set(entry, 1);
  return sha256(input);
}

/** Interior node, RFC 6962 §2.1: SHA-256(0x01 ‖ left ‖ right). */
export function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  NODE_INPUT.set(left, 1);
  NODE_INPUT.set(right, 1 + HASH_BYTES);
  return sha256(NODE_INPUT);
}

/** By way of a string, because for hashes of so little Node takes longer to make a Buffer of its own than to hash. */
function sha256(input: Buffer): Buffer {
  return Buffer.from(hash('sha256', input, 'binary'), 'latin1');
}

/** Root of the empty tree, RFC 6962 §2.1: SHA-256 of nothing. */
export function emptyRoot(): Buffer {
  return hash('sha256', '', 'buffer');
}

/**
 * A tree that can only grow: the hashes of the complete subtrees that its size decomposes into, largest
 * first, one per bit set in the size. Enough to append and to know the root; 53 hashes at most.
 */
export class Frontier {
  #size = 0;
  #hashes: Buffer[] = [];

  /**
   * Restores what `size` and `hashes()` gave.
   * @throws CountersignError `internal` when the hashes cannot belong to a tree of this size.
   */
  static of(size: number, hashes: readonly Uint8Array[]): Frontier {
    if (!isSize(size)) throw new CountersignError('internal', `${size} is not a tree size`);
    if (hashes.length !== popcount(size) || hashes.some((h) => h.length !== HASH_BYTES)) {
      const want = `${popcount(size)} hashes of ${HASH_BYTES} bytes`;
      throw new CountersignError('internal', `the frontier of a tree of size ${size} has ${want}`);
    }
    const frontier = new Frontier();
    frontier.#size = size;
    frontier.#hashes = hashes.map((h) => Buffer.from(h));
    return frontier;
  }

  /** Number of leaves. */
  get size(): number {
    return this.#size;
  }

  /** The hashes of the complete subtrees, largest first. Do not write to them. */
  hashes(): Buffer[] {
    return [...this.#hashes];
  }

  /** @param keep is told of every subtree above the leaf that the leaf completes, lowest first. */
  append(leaf: Buffer, keep?: SubtreeKeeper): void {
    if (leaf.length !== HASH_BYTES) throw new CountersignError('internal', 'a leaf hash has 32 bytes');
    let merged = leaf;
    let level = 0;
    for (let size = this.#size; size % 2 === 1; size = half(size)) {
      merged = nodeHash(this.#hashes.pop() as Buffer, merged);
      level += 1;
      keep?.(level, half(size), merged);
    }
    this.#hashes.push(merged);
    this.#size += 1;
  }

  root(): Buffer {
    return this.#hashes.length === 0 ? emptyRoot() : fold(this.#hashes);
  }

  /** An independent copy: appends to one do not show in the other. */
  clone(): Frontier {
    const copy = new Frontier();
    copy.#size = this.#size;
    copy.#hashes = [...this.#hashes];
    return copy;
  }
}

/** A reader that computes every subtree from leaf hashes: linear in the subtree, for small logs and tests. */
export function subtreesOfLeaves(leaf: (index: number) => Buffer): SubtreeReader {
  const read: SubtreeReader = (level, index) =>
    level === 0 ? leaf(index) : nodeHash(read(level - 1, 2 * index), read(level - 1, 2 * index + 1));
  return read;
}

/**
 * Root of the tree of the first `size` leaves, RFC 6962 §2.1.
 * @throws CountersignError `internal` for what is no size.
 */
export function rootOf(size: number, read: SubtreeReader): Buffer {
  if (!isSize(size)) throw new CountersignError('internal', `${size} is not a tree size`);
  return size === 0 ? emptyRoot() : rangeHash(0, size, read);
}

/**
 * Audit path of a leaf in the tree of the first `size` leaves, RFC 6962 §2.1.1, from the leaf upwards.
 * @throws CountersignError `not_found` unless index < size.
 */
export function inclusionProof(index: number, size: number, read: SubtreeReader): Buffer[] {
  if (!isSize(size) || !isSize(index) || index >= size) {
    throw new CountersignError('not_found', `a tree of size ${size} has no leaf ${index}`);
  }
  const siblings: Buffer[] = [];
  let start = 0;
  let end = size;
  while (end - start > 1) {
    const middle = start + splitPoint(end - start);
    if (index < middle) {
      siblings.push(rangeHash(middle, end, read));
      end = middle;
    } else {
      siblings.push(rangeHash(start, middle, read));
      start = middle;
    }
  }
  return siblings.reverse();
}

/** RFC 9162 §2.1.3.2. Everything but the root may come from an attacker. */
export function verifyInclusion(
  index: number,
  size: number,
  leaf: Uint8Array,
  proof: readonly Uint8Array[],
  root: Uint8Array,
): boolean {
  if (!isSize(size) || !isSize(index) || index >= size) return false;
  if (![leaf, ...proof].every(isHash)) return false;
  let fn = index;
  let sn = size - 1;
  let r: Uint8Array = leaf;
  for (const p of proof) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      r = nodeHash(p, r);
      while (fn % 2 === 0 && fn !== 0) [fn, sn] = [half(fn), half(sn)];
    } else {
      r = nodeHash(r, p);
    }
    [fn, sn] = [half(fn), half(sn)];
  }
  return sn === 0 && Buffer.compare(r, root) === 0;
}

/**
 * Proof that the tree of size `to` begins with the tree of size `from`, RFC 6962 §2.1.2; empty when the
 * sizes are equal or `from` is 0, which need none.
 * @throws CountersignError `invalid_request` unless from ≤ to.
 */
export function consistencyProof(from: number, to: number, read: SubtreeReader): Buffer[] {
  if (!isSize(from) || !isSize(to) || from > to) {
    throw new CountersignError('invalid_request', `no consistency proof leads from size ${from} to ${to}`);
  }
  if (from === 0) return [];
  const nodes: Buffer[] = [];
  let start = 0;
  let end = to;
  while (from !== end) {
    const middle = start + splitPoint(end - start);
    if (from <= middle) {
      nodes.push(rangeHash(middle, end, read));
      end = middle;
    } else {
      nodes.push(rangeHash(start, middle, read));
      start = middle;
    }
  }
  // A range that starts at 0 is the old tree itself, whose root the verifier has.
  if (start > 0) nodes.push(rangeHash(start, end, read));
  return nodes.reverse();
}

/**
 * RFC 9162 §2.1.4.2, and what it leaves out: equal sizes must have equal roots and an empty proof, and
 * from the empty tree an empty proof leads to every tree. Sizes, proof and new root may come from an attacker.
 */
export function verifyConsistency(
  from: number,
  to: number,
  oldRoot: Uint8Array,
  newRoot: Uint8Array,
  proof: readonly Uint8Array[],
): boolean {
  if (!isSize(from) || !isSize(to) || from > to) return false;
  if (![oldRoot, newRoot, ...proof].every(isHash)) return false;
  if (from === to) return proof.length === 0 && Buffer.compare(oldRoot, newRoot) === 0;
  if (from === 0) return proof.length === 0 && Buffer.compare(oldRoot, emptyRoot()) === 0;
  const [first, ...rest] = popcount(from) === 1 ? [oldRoot, ...proof] : proof;
  if (first === undefined || proof.length === 0) return false;
  let fn = from - 1;
  let sn = to - 1;
  while (fn % 2 === 1) [fn, sn] = [half(fn), half(sn)];
  let fr: Uint8Array = first;
  let sr: Uint8Array = first;
  for (const c of rest) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      fr = nodeHash(c, fr);
      sr = nodeHash(c, sr);
      while (fn % 2 === 0 && fn !== 0) [fn, sn] = [half(fn), half(sn)];
    } else {
      sr = nodeHash(sr, c);
    }
    [fn, sn] = [half(fn), half(sn)];
  }
  return sn === 0 && Buffer.compare(fr, oldRoot) === 0 && Buffer.compare(sr, newRoot) === 0;
}

/** Hash of the leaves [start, end), where start is a multiple of every complete subtree in the range. */
function rangeHash(start: number, end: number, read: SubtreeReader): Buffer {
  const subtrees: Buffer[] = [];
  for (let at = start; at < end;) {
    const level = floorLog2(end - at);
    const width = 2 ** level;
    subtrees.push(read(level, at / width));
    at += width;
  }
  return fold(subtrees);
}

/** Joins complete subtrees, largest first, into the root over all of them. At least one. */
function fold(subtrees: readonly Buffer[]): Buffer {
  return subtrees.reduceRight((right, left) => nodeHash(left, right));
}

/** The largest power of two smaller than n, for n ≥ 2: where RFC 6962 §2.1 splits n leaves. */
function splitPoint(n: number): number {
  return 2 ** floorLog2(n - 1);
}

/** Exact, where `Math.log2` rounds up just below large powers of two. */
function floorLog2(n: number): number {
  let log = 0;
  for (let rest = n; rest > 1; rest = half(rest)) log += 1;
  return log;
}

/** Shifts like these are arithmetic because sizes go to 2^53, beyond the 32 bits of JavaScript's operators. */
function half(n: number): number {
  return Math.floor(n / 2);
}

function popcount(size: number): number {
  let count = 0;
  for (let rest = size; rest > 0; rest = half(rest)) count += rest % 2;
  return count;
}

function isSize(n: number): boolean {
  return Number.isSafeInteger(n) && n >= 0;
}

function isHash(bytes: Uint8Array): boolean {
  return bytes.length === HASH_BYTES;
}
