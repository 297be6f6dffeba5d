import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cosignaturesOf, countCosignatures, parseWitnessVkey } from '../../../src/audit/tree/cosignature.ts';
import { parseNote } from '../../../src/audit/tree/note.ts';
import { notary } from '../memory-log.ts';
import { cosign, vkeyOf, witnessKeys } from '../witness/witness-server.ts';

const log = notary('example.com/log');
const root = Buffer.alloc(32, 7);
const note = log.note(12, root);
const { text } = parseNote(note);
const [a, b] = [witnessKeys(), witnessKeys()];
const vkeyA = vkeyOf('witness.example/a', a.raw);
const vkeyB = vkeyOf('witness.example/b', b.raw);
const lineA = cosign('witness.example/a', a, text, 1_679_315_147);
const lineB = cosign('witness.example/b', b, text);

/** From https://c2sp.org/tlog-cosignature: a note with a line of a witness whose key is not published with it. */
const PUBLISHED =
  'example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n' +
  '— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n' +
  '— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n';

function timesIn(lines: string, vkey = vkeyA): bigint[] {
  return cosignaturesOf(parseNote(note + lines), parseWitnessVkey(vkey)).map(({ timestamp }) => timestamp);
}

describe('cosignatures', () => {
  it('have the form of the published ones: a time of eight bytes, and a signature', () => {
    const line = parseNote(PUBLISHED).signatures[1]!;
    expect(line.signature).toHaveLength(72);
    expect(line.signature.readBigUInt64BE(0)).toBe(1_679_315_147n);
    expect(parseNote(note + lineA).signatures[1]!.signature).toHaveLength(72);
  });

  it('are verified, with their time', () => {
    expect(timesIn(lineA)).toEqual([1_679_315_147n]);
    expect(timesIn('')).toEqual([]);
    expect(timesIn(lineB)).toEqual([]);
  });

  it('count none of a witness when one of its lines is not valid', () => {
    const other = cosign('witness.example/a', a, 'another text\n');
    expect(timesIn(other)).toEqual([]);
    expect(timesIn(lineA + other)).toEqual([]);
    expect(timesIn(lineA + cosign('witness.example/a', a, text, 5))).toEqual([1_679_315_147n, 5n]);
  });

  it('are not valid with any bit changed', () => {
    const [, name, encoded] = lineA.trim().split(' ');
    const bytes = Buffer.from(encoded!, 'base64');
    fc.assert(
      fc.property(fc.integer({ min: 32, max: bytes.length * 8 - 1 }), (bit) => {
        const changed = Buffer.from(bytes);
        changed[bit >> 3]! ^= 1 << (bit & 7);
        expect(timesIn(`— ${name} ${changed.toString('base64')}\n`)).toEqual([]);
      }),
    );
  });

  it('of other lengths, such as those of ML-DSA-44, are not valid for an Ed25519 key', () => {
    const id = Buffer.from(lineA.trim().split(' ')[2]!, 'base64').subarray(0, 4);
    for (const length of [1, 7, 8, 71, 73, 8 + 2_420]) {
      expect(
        timesIn(`— witness.example/a ${Buffer.concat([id, Buffer.alloc(length)]).toString('base64')}\n`),
      ).toEqual([]);
    }
  });

  it('with a time beyond 2^63 - 1 are not valid', () => {
    const late = Buffer.from(lineA.trim().split(' ')[2]!, 'base64');
    late.writeBigUInt64BE(2n ** 63n, 4);
    expect(timesIn(`— witness.example/a ${late.toString('base64')}\n`)).toEqual([]);
  });

  it('count once for each key', () => {
    expect(countCosignatures(note, [vkeyA, vkeyB])).toEqual({ count: 0, names: [] });
    expect(countCosignatures(note + lineA, [vkeyA, vkeyB])).toEqual({
      count: 1,
      names: ['witness.example/a'],
    });
    expect(countCosignatures(note + lineB + lineA, [vkeyA, vkeyB]).count).toBe(2);
    expect(countCosignatures(note + lineA, [vkeyA, vkeyA]).count).toBe(1);
    const alias = vkeyOf('witness.example/alias', a.raw);
    const both = note + lineA + cosign('witness.example/alias', a, text);
    expect(countCosignatures(both, [vkeyA, alias])).toEqual({ count: 1, names: ['witness.example/a'] });
  });

  it('are not taken from the log itself', () => {
    expect(() => countCosignatures(note, [log.vkey])).toThrow('is not an Ed25519 key of type 4');
  });
});

describe('a witness’s vkey', () => {
  it('is parsed', () => {
    expect(parseWitnessVkey(vkeyA)).toMatchObject({ name: 'witness.example/a', publicKey: a.raw });
  });

  it.each([
    ['of type 1', log.vkey],
    ['of type 6', `w+00000000+${Buffer.concat([Buffer.of(6), Buffer.alloc(1312)]).toString('base64')}`],
    ['with the hash of another', vkeyA.replace(/\+[0-9a-f]{8}\+/, '+00000000+')],
    ['without key', 'witness.example/a+00000000'],
    ['with a space in its name', vkeyA.replace('/a', ' a')],
  ])('%s is refused', (_what, vkey) => {
    expect(() => parseWitnessVkey(vkey)).toThrow(expect.objectContaining({ code: 'invalid_request' }));
  });
});
