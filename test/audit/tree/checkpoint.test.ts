import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  checkCheckpointShape,
  formatCheckpoint,
  parseCheckpoint,
} from '../../../src/audit/tree/checkpoint.ts';
import { isKeyName } from '../../../src/audit/tree/note.ts';

/** The body in https://c2sp.org/tlog-checkpoint. */
const SOFA = 'example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n';

const checkpoints = fc.record({
  origin: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }).filter(isKeyName),
  size: fc.maxSafeNat(),
  root: fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes)),
});

const invalid = expect.objectContaining({ code: 'invalid_request' }) as Error;

describe('format and parse', () => {
  it('reads the published example', () => {
    const checkpoint = parseCheckpoint(SOFA);
    expect(checkpoint.origin).toBe('example.com/behind-the-sofa');
    expect(checkpoint.size).toBe(20_852_163);
    expect(checkpoint.root.toString('hex')).toMatch(
      /^0ac5186a91863e8e1d90c808014aa89bf5da8e3ee1d9f07630f0378f68f1ab62$/,
    );
    expect(formatCheckpoint(checkpoint)).toBe(SOFA);
  });

  it('are inverse', () => {
    fc.assert(
      fc.property(checkpoints, (checkpoint) => {
        const text = formatCheckpoint(checkpoint);
        expect(parseCheckpoint(text)).toEqual(checkpoint);
        expect(checkCheckpointShape(Buffer.from(text))).toEqual(checkpoint);
      }),
    );
  });

  it('reads extension lines and origins that are not names', () => {
    expect(parseCheckpoint(`${SOFA}extension\n`)).toEqual(parseCheckpoint(SOFA));
    expect(parseCheckpoint(SOFA.replace('behind-the-sofa', 'behind the sofa + me')).size).toBe(20_852_163);
  });

  it.each([
    ['nothing', ''],
    ['two lines', SOFA.split('\n').slice(0, 2).join('\n')],
    ['no newline at the end', SOFA.slice(0, -1)],
    ['an empty origin', SOFA.replace('example.com/behind-the-sofa', '')],
    ['a control character in the origin', SOFA.replace('behind', '\t')],
    ['a leading zero', SOFA.replace('20852163', '020852163')],
    ['a double zero', SOFA.replace('20852163', '00')],
    ['a sign', SOFA.replace('20852163', '+20852163')],
    ['a negative size', SOFA.replace('20852163', '-1')],
    ['a fraction', SOFA.replace('20852163', '1.0')],
    ['an exponent', SOFA.replace('20852163', '1e3')],
    ['hex', SOFA.replace('20852163', '0x10')],
    ['other digits', SOFA.replace('20852163', '٣')],
    ['a space', SOFA.replace('20852163', ' 20852163')],
    ['a size over 2^53 - 1', SOFA.replace('20852163', '9007199254740992')],
    ['no size', SOFA.replace('20852163', '')],
    ['a short root', SOFA.replace('CsUY', '')],
    ['a root without padding', SOFA.replace('=', '')],
    ['a root with stray bits', SOFA.replace('q2I=', 'q2J=')],
    ['a URL-safe root', SOFA.replace('om/X', 'om_X')],
    ['a root with a space', SOFA.replace('CsUY', 'Cs UY')],
    ['an empty line', `${SOFA}\n`],
    ['an empty line before an extension', `${SOFA}\nextension\n`],
    ['carriage returns', SOFA.replaceAll('\n', '\r\n')],
  ])('refuses %s', (_name, text) => {
    expect(() => parseCheckpoint(text)).toThrow(invalid);
    expect(() => checkCheckpointShape(Buffer.from(text))).toThrow(invalid);
  });

  it.each([
    ['a bad root', { origin: 'o', size: 1, root: Buffer.alloc(31) }],
    ['a negative size', { origin: 'o', size: -1, root: Buffer.alloc(32) }],
    ['an unsafe size', { origin: 'o', size: 2 ** 53, root: Buffer.alloc(32) }],
    ['an origin of two lines', { origin: 'o\np', size: 1, root: Buffer.alloc(32) }],
    ['an empty origin', { origin: '', size: 1, root: Buffer.alloc(32) }],
  ])('does not write %s', (_name, checkpoint) => {
    expect(() => formatCheckpoint(checkpoint)).toThrow(expect.objectContaining({ code: 'internal' }));
  });
});

describe('checkCheckpointShape', () => {
  it.each([
    ['an extension line', Buffer.from(`${SOFA}extension\n`)],
    ['a whole note', Buffer.from(`${SOFA}\n— a AAAA\n`)],
    ['an origin with a space', Buffer.from(SOFA.replace('the', ' '))],
    ['an origin with a plus', Buffer.from(SOFA.replace('the', '+'))],
    ['bytes that are not UTF-8', Buffer.concat([Buffer.of(0xff), Buffer.from(SOFA)])],
    ['a long origin', Buffer.from('x'.repeat(5_000) + SOFA)],
    ['an RLP list', Buffer.from('c20102', 'hex')],
    ['32 bytes', Buffer.alloc(32, 7)],
  ])('refuses %s', (_name, preimage) => {
    expect(() => checkCheckpointShape(preimage)).toThrow(invalid);
  });

  it('refuses arbitrary bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(() => checkCheckpointShape(bytes)).toThrow(invalid);
      }),
    );
  });
});
