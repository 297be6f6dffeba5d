import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  consistencyProof,
  Frontier,
  inclusionProof,
  leafHash,
  subtreesOfLeaves,
  verifyConsistency,
  verifyInclusion,
} from '../../../src/audit/tree/merkle.ts';
import {
  formatBundle,
  formatTileName,
  parseBundle,
  parseTileName,
  subtreesOfNodes,
  tileWidth,
  type NodeReader,
} from '../../../src/audit/tree/tiles.ts';
import { CountersignError } from '../../../src/errors.ts';

/** The example of the specification. */
const SIZE = 70_000;

const leaves = Array.from({ length: SIZE }, (_, i) => leafHash(Buffer.from(`entry ${i}`)));

/** Nodes by level, as the log keeps them, and the roots of all trees that the tests ask for. */
const kept: Buffer[][] = [[], [], []];
const roots = new Map<number, Buffer>();
const ROOTS = new Set([255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 65_792, SIZE - 1, SIZE]);
{
  const tree = new Frontier();
  for (const leaf of leaves) {
    tree.append(leaf, (level, index, hash) => {
      if (level % 8 !== 0) return;
      kept[level / 8]![index] = hash;
    });
    kept[0]!.push(leaf);
    if (tree.size <= 300 || ROOTS.has(tree.size)) roots.set(tree.size, tree.root());
  }
}

const nodes: NodeReader = (level, from, count) => Buffer.concat(kept[level]!.slice(from, from + count));

/** As the log had them when it had this size. */
const nodesAt =
  (size: number): NodeReader =>
  (level, from, count) =>
    nodes(level, from, Math.min(count, Math.floor(size / 256 ** level) - from));

/* RFC 6962 §2.1, from Node's streaming hash: nothing shared with the implementation. */
function mth(from: number, to: number): Buffer {
  if (to - from === 1) return leaves[from]!;
  let k = 1;
  while (2 * k < to - from) k *= 2;
  return createHash('sha256')
    .update(Buffer.of(1))
    .update(mth(from, from + k))
    .update(mth(from + k, to))
    .digest();
}

describe('names of tiles', () => {
  it.each([
    [0, 256, '000'],
    [5, 256, '005'],
    [999, 256, '999'],
    [1_000, 256, 'x001/000'],
    // The example of the specification.
    [1_234_067, 256, 'x001/x234/067'],
    [0, 1, '000.p/1'],
    [1_234_067, 255, 'x001/x234/067.p/255'],
    [2 ** 53 - 1, 17, 'x009/x007/x199/x254/x740/991.p/17'],
  ])('of tile %i, %i wide', (index, width, name) => {
    expect(formatTileName({ index, width })).toBe(name);
    expect(parseTileName(name)).toEqual({ index, width });
  });

  it('are read as they are written', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.integer({ min: 1, max: 256 }), (index, width) => {
        expect(parseTileName(formatTileName({ index, width }))).toEqual({ index, width });
      }),
    );
  });

  it.each([
    ['nothing', ''],
    ['two digits', '00'],
    ['four digits', '0000'],
    ['a last step with an x', 'x001'],
    ['a first step without an x', '001/234'],
    ['a step of zeros in front', 'x000/001'],
    ['an x in capitals', 'X001/000'],
    ['no index', '.p/1'],
    ['a width of zero', '000.p/0'],
    ['a full width', '000.p/256'],
    ['a width of more', '000.p/999'],
    ['a width with a zero in front', '000.p/01'],
    ['a width without a number', '000.p/'],
    ['two widths', '000.p/1.p/1'],
    ['a step after the width', '000.p/1/000'],
    ['a slash in front', '/000'],
    ['a slash behind', '000/'],
    ['an empty step', 'x001//000'],
    ['a sign', '-01'],
    ['a space', '000 '],
    ['digits that are not ASCII', '٠٠٠'],
    ['an index beyond 2^53', 'x009/x007/x199/x254/x740/992'],
    ['steps without end', `${'x001/'.repeat(100_000)}000`],
  ])('are not %s', (_what, name) => {
    expect(() => parseTileName(name)).toThrow(
      expect.objectContaining({ code: 'invalid_request' }) as CountersignError,
    );
  });
});

describe('widths of tiles', () => {
  const row = (level: number, size: number): { full: number; partial: number } => {
    let full = 0;
    while (tileWidth(level, full, size) === 256) full++;
    return { full, partial: tileWidth(level, full, size) };
  };

  it('are those of the examples in the specification', () => {
    expect([0, 1, 2, 3].map((level) => row(level, 70_000))).toEqual([
      { full: 273, partial: 112 },
      { full: 1, partial: 17 },
      { full: 0, partial: 1 },
      { full: 0, partial: 0 },
    ]);
    expect([0, 1, 2].map((level) => row(level, 256))).toEqual([
      { full: 1, partial: 0 },
      { full: 0, partial: 1 },
      { full: 0, partial: 0 },
    ]);
  });

  it('are none where the log is too small', () => {
    expect(tileWidth(0, 0, 0)).toBe(0);
    expect(tileWidth(0, 2 ** 53 - 1, 10)).toBe(0);
    expect(tileWidth(63, 0, 2 ** 53 - 1)).toBe(0);
  });
});

describe('entry bundles', () => {
  const entries = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 256 });

  it('are read as they are written, and hold nothing else', () => {
    fc.assert(
      fc.property(entries, (list) => {
        const bundle = formatBundle(list);
        expect(parseBundle(bundle, list.length)).toEqual(list.map((entry) => Buffer.from(entry)));
        expect(() => parseBundle(bundle, list.length + 1)).toThrow(CountersignError);
        expect(() => parseBundle(Buffer.concat([bundle, Buffer.of(0)]), list.length)).toThrow(
          CountersignError,
        );
        expect(() => parseBundle(Buffer.concat([bundle, Buffer.of(0, 0)]), list.length)).toThrow(
          CountersignError,
        );
      }),
    );
  });

  it('are refused cut short', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 9 }),
        fc.nat(),
        (list, n) => {
          const bundle = formatBundle(list);
          const cut = bundle.subarray(0, n % bundle.length);
          expect(() => parseBundle(cut, list.length)).toThrow(CountersignError);
        },
      ),
    );
  });

  it('put a big-endian length before each', () => {
    const long = Buffer.alloc(65_535, 7);
    const bundle = formatBundle([Buffer.from('ab'), long]);
    expect(bundle.subarray(0, 6)).toEqual(Buffer.from([0, 2, 0x61, 0x62, 0xff, 0xff]));
    expect(parseBundle(bundle, 2)[1]).toEqual(long);
  });
});

describe('the nodes that the log keeps', () => {
  it('are the roots of complete subtrees of 256^level leaves, and all of them', () => {
    expect(kept.map((level) => level.length)).toEqual([70_000, 273, 1]);
    for (let level = 1; level <= 2; level++) {
      const width = 256 ** level;
      const wrong = kept[level]!.flatMap((hash, i) =>
        hash.equals(mth(i * width, (i + 1) * width)) ? [] : [i],
      );
      expect(wrong).toEqual([]);
    }
  });

  it('give inclusion and consistency at every size to 300', () => {
    const read = subtreesOfLeaves((i) => leaves[i]!);
    const wrong: string[] = [];
    for (let size = 1; size <= 300; size++) {
      const stored = subtreesOfNodes(nodesAt(size));
      for (let at = size - 1; at >= 0; at -= size <= 40 ? 1 : 37) {
        const path = inclusionProof(at, size, stored);
        const same = Buffer.concat(path).equals(Buffer.concat(inclusionProof(at, size, read)));
        if (!same || !verifyInclusion(at, size, leaves[at]!, path, roots.get(size)!))
          wrong.push(`inclusion of ${at} in ${size}`);
        const from = at + 1;
        const proof = consistencyProof(from, size, stored);
        if (!verifyConsistency(from, size, roots.get(from)!, roots.get(size)!, proof))
          wrong.push(`consistency of ${from} with ${size}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it('give inclusion and consistency at sizes around 256 and 65,536, and at that of the specification’s example', () => {
    const size = fc.constantFrom(...ROOTS);
    fc.assert(
      fc.property(size, size, fc.nat(SIZE), (a, b, n) => {
        const [from, to] = [Math.min(a, b), Math.max(a, b)];
        const stored = subtreesOfNodes(nodesAt(to));
        const proof = consistencyProof(from, to, stored);
        expect(verifyConsistency(from, to, roots.get(from)!, roots.get(to)!, proof)).toBe(true);
        const index = n % to;
        const path = inclusionProof(index, to, stored);
        expect(verifyInclusion(index, to, leaves[index]!, path, roots.get(to)!)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it('are read a tile at a time, two a level at most', () => {
    fc.assert(
      fc.property(fc.nat(SIZE - 1), (index) => {
        const seen: string[] = [];
        const counted: NodeReader = (level, from, count) => {
          seen.push(`${level}/${from}`);
          expect([from % 256, count]).toEqual([0, 256]);
          return nodes(level, from, count);
        };
        inclusionProof(index, SIZE, subtreesOfNodes(counted));
        expect(new Set(seen).size).toBe(seen.length);
        for (const level of [0, 1, 2])
          expect(seen.filter((name) => name.startsWith(`${level}/`)).length).toBeLessThanOrEqual(2);
      }),
      { numRuns: 50 },
    );
  });

  it('are missed, by name, where one is not there', () => {
    const cut: NodeReader = (level, from, count) =>
      nodes(level, from, level === 1 && from === 0 ? 200 : count);
    expect(() => inclusionProof(70, SIZE, subtreesOfNodes(cut))).toThrow(/entries 51200 to 51455/);
  });

  it('spoil every proof that reads one with a flipped bit', () => {
    fc.assert(
      fc.property(fc.nat(272), fc.nat(255), (node, bit) => {
        const spoilt: NodeReader = (level, from, count) => {
          const tile = Buffer.from(nodes(level, from, count));
          const at = (node - from) * 32 + (bit >> 3);
          if (level === 1 && at >= 0 && at < tile.length) tile[at]! ^= 1 << (bit & 7);
          return tile;
        };
        // The leaf's sibling subtree of 256 entries is that node.
        const index = (node % 2 === 0 ? node + 1 : node - 1) * 256;
        const path = inclusionProof(index, SIZE, subtreesOfNodes(spoilt));
        expect(verifyInclusion(index, SIZE, leaves[index]!, path, roots.get(SIZE)!)).toBe(false);
      }),
      { numRuns: 50 },
    );
  });
});
