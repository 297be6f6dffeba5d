import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  consistencyProof,
  Frontier,
  inclusionProof,
  leafHash,
  nodeHash,
  subtreesOfLeaves,
  verifyConsistency,
  verifyInclusion,
} from '../../../src/audit/tree/merkle.ts';
import { CountersignError } from '../../../src/errors.ts';

const VECTORS = path.resolve(
  import.meta.dirname,
  '../../../../shared/vectors/merkle-rfc6962/reference-tree.json',
);
const missing = !existsSync(VECTORS);
const MAX = 300;

/* RFC 6962 §2.1, word for word, from Node's streaming hash: nothing shared with the implementation. */

function sha256(...parts: readonly Uint8Array[]): Buffer {
  const h = createHash('sha256');
  for (const part of parts) h.update(part);
  return h.digest();
}

function split(n: number): number {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

const memo = new Map<string, Buffer>();

/** MTH(D[from:to]) over the entries below, remembered: all sizes to 300 ask for much the same ranges. */
function mth(from: number, to: number): Buffer {
  const name = `${from}:${to}`;
  const known = memo.get(name);
  if (known !== undefined) return known;
  const n = to - from;
  const k = split(n);
  const root =
    n === 0
      ? sha256()
      : n === 1
        ? sha256(Buffer.of(0), entryOf(from))
        : sha256(Buffer.of(1), mth(from, from + k), mth(from + k, to));
  memo.set(name, root);
  return root;
}

function naivePath(m: number, from: number, to: number): Buffer[] {
  const n = to - from;
  if (n === 1) return [];
  const k = split(n);
  return m < k
    ? [...naivePath(m, from, from + k), mth(from + k, to)]
    : [...naivePath(m - k, from + k, to), mth(from, from + k)];
}

function naiveSubproof(m: number, from: number, to: number, complete: boolean): Buffer[] {
  const n = to - from;
  if (m === n) return complete ? [] : [mth(from, to)];
  const k = split(n);
  return m <= k
    ? [...naiveSubproof(m, from, from + k, complete), mth(from + k, to)]
    : [...naiveSubproof(m - k, from + k, to, false), mth(from, from + k)];
}

function entryOf(index: number): Buffer {
  return Buffer.from(`entry ${index}`);
}

const leaves = Array.from({ length: MAX }, (_, i) => leafHash(entryOf(i)));
const cache = new Map<string, Buffer>();
const uncached = subtreesOfLeaves((i) => leaves[i]!);
/** Refuses subtrees that are not full at the largest size. */
const read = (level: number, index: number): Buffer => {
  const name = `${level}/${index}`;
  const hash = cache.get(name) ?? uncached(level, index);
  cache.set(name, hash);
  return hash;
};

const sizes = fc.integer({ min: 1, max: MAX });

function flipped(bytes: Buffer, bit: number): Buffer {
  const copy = Buffer.from(bytes);
  const at = bit % (copy.length * 8);
  copy[at >> 3] = copy[at >> 3]! ^ (1 << (at & 7));
  return copy;
}

describe.skipIf(missing)(`reference tree${missing ? ' (shared/vectors is not there)' : ''}`, () => {
  const vectors = (missing ? {} : JSON.parse(readFileSync(VECTORS, 'utf8'))) as {
    emptyRoot: string;
    leaves: string[];
    rootsBySize: string[];
  };

  it('has the published roots', () => {
    const tree = new Frontier();
    expect(tree.root().toString('hex')).toBe(vectors.emptyRoot);
    const roots = vectors.leaves.map((leaf) => {
      tree.append(leafHash(Buffer.from(leaf, 'hex')));
      return tree.root().toString('hex');
    });
    expect(roots).toEqual(vectors.rootsBySize);
    expect(roots).toHaveLength(8);
  });
});

describe('hashes', () => {
  it('separates leaves from nodes', () => {
    const [left, right] = [leaves[0]!, leaves[1]!];
    expect(nodeHash(left, right)).toEqual(sha256(Buffer.of(1), left, right));
    expect(leafHash(Buffer.concat([left, right]))).not.toEqual(nodeHash(left, right));
    expect(leafHash(new Uint8Array(0))).toEqual(sha256(Buffer.of(0)));
  });
});

describe('Frontier', () => {
  it(`has the root of the definition at every size to ${MAX}, also when restored or cloned`, () => {
    const tree = new Frontier();
    for (let size = 0; size <= MAX; size++) {
      expect(tree.size).toBe(size);
      expect(tree.root()).toEqual(mth(0, size));
      expect(Frontier.of(size, tree.hashes()).root()).toEqual(mth(0, size));
      if (size < MAX) tree.append(leaves[size]!);
    }
  });

  it('goes on after being restored, and clones are independent', () => {
    fc.assert(
      fc.property(fc.nat(MAX), fc.nat(MAX), (a, b) => {
        const [from, to] = [Math.min(a, b), Math.max(a, b)];
        const first = new Frontier();
        for (const leaf of leaves.slice(0, from)) first.append(leaf);
        const restored = Frontier.of(first.size, first.hashes());
        const copy = first.clone();
        for (const leaf of leaves.slice(from, to)) {
          restored.append(leaf);
          copy.append(leaf);
        }
        expect(restored.root()).toEqual(mth(0, to));
        expect(copy.root()).toEqual(mth(0, to));
        expect(first.root()).toEqual(mth(0, from));
      }),
      { numRuns: 100 },
    );
  });

  it('restores sizes beyond 32 bits and appends to them', () => {
    const size = 2 ** 40 + 3;
    const tree = Frontier.of(size, [leaves[0]!, leaves[1]!, leaves[2]!]);
    tree.append(leaves[3]!);
    expect(tree.size).toBe(size + 1);
    expect(tree.hashes()).toEqual([leaves[0], nodeHash(leaves[1]!, nodeHash(leaves[2]!, leaves[3]!))]);
    expect(tree.root()).toEqual(nodeHash(leaves[0]!, tree.hashes()[1]!));
  });

  it.each([
    ['too few hashes', 3, [leaves[0]!]],
    ['too many hashes', 4, [leaves[0]!, leaves[1]!]],
    ['hashes for an empty tree', 0, [leaves[0]!]],
    ['a short hash', 1, [Buffer.alloc(31)]],
    ['a negative size', -1, []],
    ['a fraction', 1.5, [leaves[0]!]],
    ['an unsafe size', 2 ** 53, [leaves[0]!]],
  ])('refuses %s', (_name, size, hashes) => {
    expect(() => Frontier.of(size, hashes)).toThrow(CountersignError);
  });

  it('refuses a leaf that is no hash', () => {
    expect(() => new Frontier().append(Buffer.alloc(20))).toThrow(CountersignError);
  });
});

describe('inclusion', () => {
  it(`proofs are the audit paths of RFC 6962 at every size to ${MAX}, and verify`, () => {
    const wrong: string[] = [];
    for (let size = 1; size <= MAX; size++) {
      const root = mth(0, size);
      // Every leaf of the small trees, then the ends and a few between.
      const step = size <= 70 ? 1 : 23;
      for (let index = size - 1; index >= 0; index -= step) {
        const proof = inclusionProof(index, size, read);
        const isPath = Buffer.concat(proof).equals(Buffer.concat(naivePath(index, 0, size)));
        if (!isPath || !verifyInclusion(index, size, leaves[index]!, proof, root))
          wrong.push(`${index} in ${size}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it('verifies nothing else', () => {
    fc.assert(
      fc.property(sizes, fc.nat(), fc.nat(), (size, i, bit) => {
        const index = i % size;
        const leaf = leaves[index]!;
        const root = mth(0, size);
        const proof = inclusionProof(index, size, read);
        const check = (p: readonly Uint8Array[]): boolean => verifyInclusion(index, size, leaf, p, root);
        expect(check(proof)).toBe(true);
        expect(verifyInclusion(index, size, flipped(leaf, bit), proof, root)).toBe(false);
        expect(verifyInclusion(index, size, leaf, proof, flipped(root, bit))).toBe(false);
        expect(check([...proof, leaf])).toBe(false);
        expect(check([...proof, Buffer.alloc(0)])).toBe(false);
        expect(verifyInclusion(size, size, leaf, proof, root)).toBe(false);
        expect(verifyInclusion(index, 4 * size, leaf, proof, root)).toBe(false);
        for (const [at, node] of proof.entries()) {
          expect(check(proof.with(at, flipped(node, bit)))).toBe(false);
          expect(check(proof.toSpliced(at, 1))).toBe(false);
          expect(check(proof.with(at, node.subarray(1)))).toBe(false);
        }
        const indexes = Array.from({ length: size }, (_, other) => other);
        expect(indexes.filter((other) => verifyInclusion(other, size, leaf, proof, root))).toEqual([index]);
      }),
      { numRuns: 60 },
    );
  });

  it('refuses to prove what is not there', () => {
    expect(() => inclusionProof(5, 5, read)).toThrow(CountersignError);
    expect(() => inclusionProof(-1, 5, read)).toThrow(CountersignError);
    expect(() => inclusionProof(0.5, 5, read)).toThrow(CountersignError);
  });
});

describe('consistency', () => {
  it(`proofs are those of RFC 6962 at every size to ${MAX}, and verify`, () => {
    const wrong: string[] = [];
    for (let to = 1; to <= MAX; to++) {
      const step = to <= 70 ? 1 : 23;
      for (let from = to; from >= 1; from -= step) {
        const proof = consistencyProof(from, to, read);
        const isProof = Buffer.concat(proof).equals(Buffer.concat(naiveSubproof(from, 0, to, true)));
        const verifies = verifyConsistency(from, to, mth(0, from), mth(0, to), proof);
        if (!isProof || !verifies) wrong.push(`${from} to ${to}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it('verifies nothing else', () => {
    fc.assert(
      fc.property(sizes, sizes, fc.nat(), (a, b, bit) => {
        const [from, to] = [Math.min(a, b), Math.max(a, b)];
        const [oldRoot, newRoot] = [mth(0, from), mth(0, to)];
        const proof = consistencyProof(from, to, read);
        const check = (p: readonly Uint8Array[]): boolean => verifyConsistency(from, to, oldRoot, newRoot, p);
        expect(check(proof)).toBe(true);
        expect(verifyConsistency(from, to, flipped(oldRoot, bit), newRoot, proof)).toBe(false);
        expect(verifyConsistency(from, to, oldRoot, flipped(newRoot, bit), proof)).toBe(false);
        expect(check([...proof, oldRoot])).toBe(false);
        expect(check([...proof, Buffer.alloc(0)])).toBe(false);
        expect(verifyConsistency(to, from, newRoot, oldRoot, proof)).toBe(from === to);
        expect(verifyConsistency(from, 4 * to, oldRoot, newRoot, proof)).toBe(false);
        for (const [at, node] of proof.entries()) {
          expect(check(proof.with(at, flipped(node, bit)))).toBe(false);
          expect(check(proof.toSpliced(at, 1))).toBe(false);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('from the empty tree needs no proof, but its root', () => {
    expect(consistencyProof(0, 5, read)).toEqual([]);
    expect(verifyConsistency(0, 5, mth(0, 0), mth(0, 5), [])).toBe(true);
    expect(verifyConsistency(0, 5, mth(0, 1), mth(0, 5), [])).toBe(false);
    expect(verifyConsistency(0, 5, mth(0, 0), mth(0, 5), [leaves[0]!])).toBe(false);
    expect(verifyConsistency(0, 0, mth(0, 0), mth(0, 0), [])).toBe(true);
  });

  it('refuses to lead backwards', () => {
    expect(() => consistencyProof(6, 5, read)).toThrow(CountersignError);
  });
});
