import { hash } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatProof, parseProof } from '../../../src/audit/tree/proof.ts';
import { CountersignError } from '../../../src/errors.ts';
import { notary } from '../memory-log.ts';

const note = notary('example.com/fancylog').note(109_482, Buffer.alloc(32, 7));
const hashes = ['hash1', 'hash2'].map((text) => hash('sha256', text, 'buffer'));
/** SHA-256 of `hash1` and of `hash2`. */
const LINES = hashes.map((value) => value.toString('base64'));

const WHOLE = `c2sp.org/tlog-proof@v1
extra ZXh0cmEgaW5mb3JtYXRpb24=
index 73894
${LINES[0]}
${LINES[1]}

${note}`;

describe('a tlog-proof', () => {
  it('is written as the specification shows', () => {
    const extra = Buffer.from('extra information');
    const whole = { index: 73_894, extra, path: hashes, checkpoint: note };
    expect(formatProof(whole)).toBe(WHOLE);
    expect(parseProof(WHOLE)).toEqual(whole);
    expect(parseProof(Buffer.from(WHOLE))).toEqual(whole);
  });

  it('of the only entry has neither extra data nor a path', () => {
    const text = `c2sp.org/tlog-proof@v1\nindex 0\n\n${note}`;
    expect(formatProof({ index: 0, path: [], checkpoint: note })).toBe(text);
    expect(parseProof(text)).toEqual({ index: 0, path: [], checkpoint: note });
  });

  it('is read as it is written', () => {
    const bytes = (minLength: number, maxLength: number): fc.Arbitrary<Buffer> =>
      fc.uint8Array({ minLength, maxLength }).map((array) => Buffer.from(array));
    fc.assert(
      fc.property(
        fc.maxSafeNat(),
        fc.option(bytes(1, 100), { nil: undefined }),
        fc.array(bytes(32, 32), { maxLength: 53 }),
        (index, extra, path) => {
          const proof = { index, ...(extra !== undefined && { extra }), path, checkpoint: note };
          expect(parseProof(formatProof(proof))).toEqual(proof);
        },
      ),
    );
  });

  it.each([
    ['is empty', () => ''],
    ['has another header', (whole: string) => whole.replace('@v1', '@v2')],
    ['has a space behind the header', (whole: string) => whole.replace('@v1', '@v1 ')],
    ['has carriage returns', (whole: string) => whole.replaceAll('\n', '\r\n')],
    ['begins with an empty line', (whole: string) => `\n${whole}`],
    ['has no index', (whole: string) => whole.replace('index 73894\n', '')],
    ['has an index with a zero in front', (whole: string) => whole.replace('73894', '073894')],
    ['has a negative index', (whole: string) => whole.replace('73894', '-1')],
    ['has an index beyond 2^53', (whole: string) => whole.replace('73894', '9007199254740992')],
    ['has an index that is no number', (whole: string) => whole.replace('73894', '0x10')],
    ['has two indexes', (whole: string) => whole.replace('index 73894', 'index 73894\nindex 73894')],
    ['has empty extra data', (whole: string) => whole.replace(/^extra .*$/m, 'extra ')],
    ['has extra data twice', (whole: string) => whole.replace(/^extra .*$/m, '$&\n$&')],
    [
      'has its extra data behind the index',
      (whole: string) => whole.replace(/^(extra .*)\n(index .*)$/m, '$2\n$1'),
    ],
    ['has extra data that is not base64', (whole: string) => whole.replace('ZXh0', 'ZX*0')],
    ['has extra data without padding', (whole: string) => whole.replace('b24=', 'b24')],
    [
      'has base64 of the URL alphabet',
      (whole: string) => whole.replace(LINES[0]!, LINES[0]!.replaceAll(/[+/]/g, '-')),
    ],
    ['has a short hash', (whole: string) => whole.replace(LINES[0]!, Buffer.alloc(31).toString('base64'))],
    ['has a long hash', (whole: string) => whole.replace(LINES[0]!, Buffer.alloc(33).toString('base64'))],
    [
      'has a hash with stray bits',
      (whole: string) => whole.replace(/.=\n/, (end) => (end === 'B=\n' ? 'C=\n' : 'B=\n')),
    ],
    [
      'has more hashes than a tree has levels',
      (whole: string) => whole.replace(LINES[0]!, `${LINES[0]}\n`.repeat(53).trimEnd()),
    ],
    ['has no checkpoint', (whole: string) => whole.slice(0, whole.indexOf('\n\n') + 2)],
    ['has a checkpoint without a signature', (whole: string) => whole.slice(0, whole.lastIndexOf('\u2014'))],
    ['has an empty line more', (whole: string) => whole.replace('\n\n', '\n\n\n')],
    ['ends within its last line', (whole: string) => whole.slice(0, -1)],
    ['goes on behind its end', (whole: string) => `${whole}\n`],
    ['is too long', (whole: string) => whole.replace('ZXh0', 'A'.repeat(2_000_000))],
  ])('is refused when it %s', (_what, change) => {
    const changed = change(WHOLE);
    expect(changed).not.toBe(WHOLE);
    const refused = expect.objectContaining({ code: 'invalid_request' }) as CountersignError;
    expect(() => parseProof(changed)).toThrow(refused);
    expect(() => parseProof(Buffer.from(changed))).toThrow(refused);
  });

  it('is refused when it is not UTF-8', () => {
    expect(() => parseProof(Buffer.concat([Buffer.from(WHOLE), Buffer.of(0xff)]))).toThrow(CountersignError);
  });
});
