import { isUtf8 } from 'node:buffer';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { scanEntry } from '../../../src/audit/verify/scan.ts';
import { canonicalize, type JsonValue } from '../../../src/jcs.ts';
import { entryOf, signedDraft, BODIES } from '../memory-log.ts';

const anyObject = fc.dictionary(
  fc.string({ unit: 'binary', maxLength: 6 }),
  fc.jsonValue({ stringUnit: 'binary', depthSize: 'medium' }),
  { maxKeys: 8 },
) as fc.Arbitrary<JsonValue>;

/** By the other way: parsed, written again and compared. */
function isCanonicalObject(bytes: Buffer): boolean {
  if (!isUtf8(bytes)) return false;
  try {
    const text = bytes.toString('utf8');
    const value = JSON.parse(text) as JsonValue;
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject && canonicalize(value) === text;
  } catch {
    return false;
  }
}

function isTaken(bytes: Buffer | string): boolean {
  return scanEntry(typeof bytes === 'string' ? Buffer.from(bytes, 'utf8') : bytes) !== undefined;
}

describe('every canonical object', () => {
  it('is taken', () => {
    fc.assert(
      fc.property(anyObject, (value) => {
        expect(isTaken(canonicalize(value))).toBe(true);
      }),
      {
        numRuns: 2_000,
      },
    );
  });

  it.each([
    '{}',
    '{"":null}',
    '{"a":[],"b":{},"c":true,"d":false,"e":null}',
    '{"a":0,"b":-1,"c":1.5,"d":1e+21,"e":1e-7,"f":123456789012345680000,"g":-0.5}',
    String.raw`{"a":"\"\\\b\f\n\r\t\u0000\u001f/"}`,
    '{"a":"\u007f\u0080é€😀\u2028"}',
    '{"a":1,"aa":2,"b":3}',
    // By UTF-16 code units, which for these two is not the order of their bytes.
    '{"\u{1f600}":1,"\ufb33":2}',
    String.raw`{"\n":1,"\r":2,"1":3,"\"":4}`.replace('"1":3,"\\"":4', '"\\"":3,"1":4'),
  ])('such as %s', (text) => {
    expect([isTaken(text), isCanonicalObject(Buffer.from(text))]).toEqual([true, true]);
  });

  it('may be nested as deep as canonicalize goes, and no deeper', () => {
    const nested = (depth: number): string => `{"a":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`;
    expect(isTaken(nested(128))).toBe(true);
    expect(isTaken(nested(129))).toBe(false);
    const objects = (depth: number): string => `${'{"a":'.repeat(depth)}0${'}'.repeat(depth)}`;
    expect(isTaken(objects(128))).toBe(true);
    expect(isTaken(objects(129))).toBe(false);
    expect(scanEntry(Buffer.from('{"a":'.repeat(13_000)))).toBeUndefined();
  });
});

describe('what is not canonical', () => {
  it.each([
    ['nothing', ''],
    ['an array', '[]'],
    ['null', 'null'],
    ['a string', '"a"'],
    ['white space before', ' {}'],
    ['white space behind', '{} '],
    ['white space within', '{"a": 1}'],
    ['a second value', '{}{}'],
    ['a duplicate member', '{"a":1,"a":1}'],
    ['a duplicate member, escaped', String.raw`{"a":1,"\u0061":1}`],
    ['a duplicate of a name with escapes', String.raw`{"\n":1,"\n":1}`],
    ['members out of order', '{"b":1,"a":2}'],
    ['a prefix behind its name', '{"aa":1,"a":2}'],
    ['names in the order of their bytes', '{"\ufb33":1,"\u{1f600}":2}'],
    ['minus zero', '{"a":-0}'],
    ['a fraction that is none', '{"a":1.0}'],
    ['a trailing zero', '{"a":1.50}'],
    ['an exponent without plus', '{"a":1e21}'],
    ['an exponent that is none', '{"a":1e+2}'],
    ['a capital exponent', '{"a":1E+21}'],
    ['a leading zero', '{"a":01}'],
    ['a leading plus', '{"a":+1}'],
    ['a lone minus', '{"a":-}'],
    ['an integer that is not exact', '{"a":9007199254740993}'],
    ['a long integer', '{"a":1000000000000000000000}'],
    ['an infinity', '{"a":1e+400}'],
    ['an escaped slash', String.raw`{"a":"\/"}`],
    ['an escaped letter', String.raw`{"a":"\u0061"}`],
    ['a long escape of a newline', String.raw`{"a":"\u000a"}`],
    ['a capital escape', String.raw`{"a":"\u001F"}`],
    ['an escaped DEL', String.raw`{"a":"\u007f"}`],
    ['an escaped pair', String.raw`{"a":"\ud83d\ude00"}`],
    ['a lone surrogate', String.raw`{"a":"\ud800"}`],
    ['an unknown escape', String.raw`{"a":"\x"}`],
    ['a short escape', String.raw`{"a":"\u00"}`],
    ['a control character', '{"a":"\n"}'],
    ['an open string', '{"a":"b'],
    ['an escape at the end', '{"a":"\\'],
    ['a trailing comma', '{"a":1,}'],
    ['a comma in an array', '{"a":[1,]}'],
    ['a name that is no string', '{a:1}'],
    ['no colon', '{"a"1}'],
    ['half a word', '{"a":tru}'],
    ['another word', '{"a":nulL}'],
    ['NaN', '{"a":NaN}'],
    ['a comment', '{"a":1/**/}'],
    ['a byte order mark', '\ufeff{}'],
  ])('%s', (_name, text) => {
    expect([isTaken(text), isCanonicalObject(Buffer.from(text))]).toEqual([false, false]);
  });

  it.each([
    ['a lone continuation', [0x80]],
    ['an overlong form', [0xc0, 0xaf]],
    ['a surrogate', [0xed, 0xa0, 0x80]],
    ['over the last code point', [0xf4, 0x90, 0x80, 0x80]],
    ['a cut sequence', [0xe2, 0x82]],
    ['no UTF-8 at all', [0xff]],
  ])('UTF-8 with %s', (_name, bytes) => {
    expect(isTaken(Buffer.from([...Buffer.from('{"a":"'), ...bytes, ...Buffer.from('"}')]))).toBe(false);
  });

  it('is refused however a canonical text is damaged', () => {
    const damage = fc.record({
      at: fc.nat(),
      byte: fc.nat(255),
      kind: fc.constantFrom('set', 'insert', 'delete', 'cut'),
    });
    fc.assert(
      fc.property(anyObject, damage, (value, { at, byte, kind }) => {
        const whole = Buffer.from(canonicalize(value), 'utf8');
        const place = at % whole.length;
        const behind = kind === 'insert' ? place : place + 1;
        const damaged = Buffer.concat([
          whole.subarray(0, place),
          ...(kind === 'set' || kind === 'insert' ? [Buffer.of(byte)] : []),
          ...(kind === 'cut' ? [] : [whole.subarray(behind)]),
        ]);
        expect(isTaken(damaged)).toBe(isCanonicalObject(damaged));
      }),
      { numRuns: 5_000 },
    );
  });

  it('is refused whatever it is', () => {
    const tokens = [
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"',
      '"a"',
      '"b"',
      '1',
      '-',
      '0',
      '.5',
      'e+21',
      'true',
      'null',
      '\\',
      '\\n',
      ' ',
    ];
    const text = fc.array(fc.constantFrom(...tokens), { maxLength: 12 }).map((parts) => parts.join(''));
    const bytes = fc.oneof(
      { weight: 5, arbitrary: text.map((parts) => Buffer.from(`{"a":${parts}}`)) },
      fc.uint8Array({ maxLength: 20 }).map((each) => Buffer.from(each)),
    );
    fc.assert(
      fc.property(bytes, (each) => {
        expect(isTaken(each)).toBe(isCanonicalObject(each));
      }),
      { numRuns: 5_000 },
    );
  });
});

describe('the outline', () => {
  const outlineOf = (entry: unknown): ReturnType<typeof scanEntry> =>
    scanEntry(Buffer.from(canonicalize(entry as JsonValue), 'utf8'));
  const signed = entryOf(7, signedDraft('message', BODIES.message));

  it('is that of an entry', () => {
    const bytes = Buffer.from(canonicalize(signed as unknown as JsonValue), 'utf8');
    const outline = scanEntry(bytes);
    expect(outline).toMatchObject({ versionOne: true, index: 7, epoch: 0, named: true, signed: true });
    expect(outline).toMatchObject({ rotation: false, detailed: false });
    expect(bytes.subarray(outline!.timeAt, outline!.timeAt + 24).toString()).toBe(signed.time);
  });

  it.each([
    ['another version', { v: 2 }, { versionOne: false }],
    ['a version in words', { v: '1' }, { versionOne: false }],
    ['a version with more digits', { v: 11 }, { versionOne: false }],
    ['an index in words', { index: '7' }, { index: -1 }],
    ['a negative index', { index: -7 }, { index: -1 }],
    ['a fraction of an index', { index: 7.5 }, { index: -1 }],
    ['an index that is not exact', { index: 2 ** 60 }, { index: -1 }],
    ['a time of another length', { time: '2025-01-01' }, { timeAt: -1 }],
    ['no time', { time: undefined }, { timeAt: -1 }],
    ['a kind that is no text', { kind: null }, { named: false, signed: true }],
    ['no outcome', { outcome: undefined }, { named: false, signed: true }],
    ['neither signature nor kind', { signature: undefined, kind: 'signs' }, { signed: false }],
    ['a signature that should be there', { signature: undefined }, { signed: true }],
    ['a signature that is null', { signature: null, kind: 'x' }, { signed: true }],
    ['no service', { service: undefined }, { epoch: -1 }],
    ['a service that is no object', { service: [{ epoch: 1 }] }, { epoch: -1 }],
    ['an epoch elsewhere', { service: undefined, detail: { epoch: 3 } }, { epoch: -1 }],
    ['an epoch further down', { service: { a: { epoch: 3 } } }, { epoch: -1 }],
    ['a rotation', { kind: 'audit.key_rotated' }, { rotation: true }],
    ['data beside it', { intent: { dataHash: '0x' } }, { detailed: true }],
    ['limits', { decision: { limits: [] } }, { detailed: true }],
    [
      'members further down',
      { detail: { index: 1, v: 2, time: 3, kind: 4, signature: 5 } },
      { index: 7, versionOne: true },
    ],
  ])('shows %s', (_name, change, expected) => {
    expect(outlineOf({ ...signed, ...change })).toMatchObject(expected);
  });
});
