import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { verifyProof, type Subject } from '../../../src/audit/verify/proof.ts';
import { inclusionProof, leafHash, subtreesOfLeaves } from '../../../src/audit/tree/merkle.ts';
import { formatProof, parseProof } from '../../../src/audit/tree/proof.ts';
import { CountersignError } from '../../../src/errors.ts';
import { buildLog, notary, rootAt } from '../memory-log.ts';

const SIZE = 21;
const owner = notary('example.org/log');
const log = buildLog(
  Array.from({ length: SIZE }, (_, i) => ({ kind: 'sign', outcome: 'denied', requestId: `r${i}` }) as const),
  [SIZE],
  owner,
);
const note = log.notes[0]!;
const read = subtreesOfLeaves((i) => Buffer.from(log.entries[i]!.leafHash));
const pathOf = (index: number, size = SIZE): Buffer[] => inclusionProof(index, size, read);
const proofOf = (index: number): string => formatProof({ index, path: pathOf(index), checkpoint: note });
const entryAt = (index: number): Uint8Array => log.entries[index]!.bytes;

function problem(proof: Uint8Array | string, subject: Subject, vkey = owner.vkey): string {
  try {
    verifyProof(proof, subject, vkey);
    return 'none';
  } catch (error) {
    if (!(error instanceof CountersignError)) throw error;
    return `${error.code}: ${error.message}`;
  }
}

const fails = (what: string): string => `unprocessable: the proof does not hold: ${what}`;
const NO_PATH = fails('its path does not lead from this entry');

describe('a tlog-proof', () => {
  it('of every entry holds, for its bytes, its leaf hash and its receipt', () => {
    const root = rootAt(log, SIZE).toString('hex');
    for (let index = 0; index < SIZE; index++) {
      const leaf = leafHash(entryAt(index));
      const hex = leaf.toString('hex');
      const subjects: Subject[] = [
        { entry: entryAt(index) },
        { leafHash: leaf },
        { receipt: { index, leafHash: hex } },
      ];
      for (const subject of subjects) {
        const expected = { index, leafHash: hex, origin: 'example.org/log', size: SIZE, root };
        expect(verifyProof(proofOf(index), subject, owner.vkey)).toMatchObject(expected);
        expect(verifyProof(Buffer.from(proofOf(index)), subject, owner.vkey)).toMatchObject(expected);
      }
    }
  });

  it('is not one of another entry, of another index or by another key', () => {
    const proof = proofOf(5);
    expect(problem(proof, { entry: entryAt(6) })).toContain(NO_PATH);
    expect(problem(proof, { leafHash: Buffer.alloc(32) })).toContain(NO_PATH);
    expect(problem(proof.replace('index 5\n', 'index 6\n'), { entry: entryAt(5) })).toContain(NO_PATH);
    const receipt = { index: 6, leafHash: leafHash(entryAt(5)).toString('hex') };
    expect(problem(proof, { receipt })).toBe(fails('it is of entry 5, and the receipt is of entry 6'));
    const other = notary('example.org/log').vkey;
    expect(problem(proof, { entry: entryAt(5) }, other)).toBe(
      fails('its checkpoint is not signed by example.org/log with this key'),
    );
    expect(problem(proof.replace('index 5\n', 'index 21\n'), { entry: entryAt(5) })).toBe(
      fails('its checkpoint covers 21 entries, and not entry 21'),
    );
  });

  it('does not hold with a checkpoint of another log, of another size, or of another history', () => {
    const path = pathOf(5);
    const entry = { entry: entryAt(5) };
    const root = rootAt(log, SIZE);
    const make = (checkpoint: string): string => formatProof({ index: 5, path, checkpoint });
    expect(problem(make(note), entry)).toBe('none');
    expect(problem(make(owner.note(SIZE, root, 'example.org/other')), entry)).toBe(
      fails('its checkpoint belongs to another log, "example.org/other"'),
    );
    expect(problem(make(owner.note(20, rootAt(log, 20))), entry)).toContain(NO_PATH);
    // The same path length, and the same root: the size is part of what is proven.
    expect(problem(make(owner.note(11, root)), entry)).toContain(NO_PATH);
    expect(problem(make(owner.note(SIZE, Buffer.alloc(32))), entry)).toContain(NO_PATH);
  });

  it('is refused shortened, padded, swapped or with a bit flipped', () => {
    fc.assert(
      fc.property(fc.nat(SIZE - 1), fc.nat(), fc.nat(255), (index, at, bit) => {
        const path = pathOf(index);
        const entry = { entry: entryAt(index) };
        const make = (changed: readonly Buffer[]): string =>
          formatProof({ index, path: changed, checkpoint: note });
        const step = at % path.length;
        const flipped = Buffer.from(path[step]!);
        flipped[bit >> 3]! ^= 1 << (bit & 7);
        expect(problem(make(path), entry)).toBe('none');
        expect(problem(make(path.toSpliced(step, 1)), entry)).toContain(NO_PATH);
        expect(problem(make(path.toSpliced(step, 0, flipped)), entry)).toContain(NO_PATH);
        expect(problem(make([...path, flipped]), entry)).toContain(NO_PATH);
        expect(problem(make(path.with(step, flipped)), entry)).toContain(NO_PATH);
        expect(problem(make([]), entry)).toContain(NO_PATH);
        // No two hashes of a path are the same, and a log of 21 has no path of one.
        const other = (step + 1) % path.length;
        const swapped = path.with(step, path[other]!).with(other, path[step]!);
        expect(problem(make(swapped), entry)).toContain(NO_PATH);
      }),
    );
  });

  it('does not hold with any byte of it changed', () => {
    expect(problem(proofOf(5), { entry: entryAt(5) })).toBe('none');
    const whole = Buffer.from(formatProof({ ...parseProof(proofOf(5)), extra: Buffer.from('extra') }));
    const extra = whole.indexOf('\nindex ');
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
        const changed = Buffer.from(whole);
        changed[at]! ^= mask;
        // Nothing vouches for the extra data.
        expect(at < extra || problem(changed, { entry: entryAt(5) }) !== 'none').toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  it('takes signatures of others along, and does not look at them', () => {
    const witness = notary('witness.example');
    const [, line] = witness.note(SIZE, rootAt(log, SIZE)).split('\n\n');
    const proof = formatProof({ index: 3, path: pathOf(3), checkpoint: note + line! });
    const proven = verifyProof(proof, { entry: entryAt(3) }, owner.vkey);
    expect(proven.note.signatures.map(({ name }) => name)).toEqual(['example.org/log', 'witness.example']);
    const alone = formatProof({
      index: 3,
      path: pathOf(3),
      checkpoint: note.replace(/\n\n[^]*$/, `\n\n${line}`),
    });
    expect(problem(alone, { entry: entryAt(3) })).toContain('is not signed by example.org/log');
  });

  it('needs a leaf hash and a vkey that are well-formed', () => {
    const short = { leafHash: Buffer.alloc(31) };
    expect(problem(proofOf(5), short)).toContain('invalid_request: a leaf hash has 32 bytes');
    const capital = leafHash(entryAt(5)).toString('hex').toUpperCase();
    expect(problem(proofOf(5), { receipt: { index: 5, leafHash: capital } })).toContain(
      'a leaf hash has 32 bytes',
    );
    expect(problem(proofOf(5), { entry: entryAt(5) }, 'key')).toContain('invalid_request: a verifier key');
  });
});
