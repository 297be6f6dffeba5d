import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CountersignError } from '../../src/errors.ts';
import { DEFAULT_LIMITS, parseStrictJson } from '../../src/http/json.ts';

const parse = (text: string): unknown => parseStrictJson(Buffer.from(text));

function refusal(bytes: Uint8Array | string): CountersignError {
  try {
    parseStrictJson(typeof bytes === 'string' ? Buffer.from(bytes) : bytes);
  } catch (error) {
    if (error instanceof CountersignError) return error;
    throw error;
  }
  throw new Error(`was parsed: ${String(bytes)}`);
}

/** Values that JSON.stringify writes and that mean the same to everybody: safe integers, no keys with a meaning. */
const key = fc
  .string({ unit: 'binary', maxLength: 8 })
  .filter((name) => !['__proto__', 'constructor', 'prototype'].includes(name));
const value = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom(null, true, false, '', '"', '\\', '\\"', '{"a":1}', ',', ']', '1e5', '\u2028'),
    fc.maxSafeInteger(),
    fc.string({ unit: 'binary' }),
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(key, tie('value'), { maxKeys: 5 }),
  ),
})).value;

describe('what is parsed', () => {
  test('is what JSON.parse makes of it, with any white space', () => {
    fc.assert(
      fc.property(value, fc.constantFrom(undefined, 1, '\t', '\r\n '), (given, space) => {
        const text = JSON.stringify(given, null, space);
        expect(parse(text)).toEqual(JSON.parse(text));
      }),
      { numRuns: 2_000 },
    );
  });

  test('is the same with every character escaped', () => {
    const escaped = (text: string): string =>
      [...text.matchAll(/[\s\S]/g)]
        .map(([c]) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
        .join('');
    fc.assert(
      fc.property(fc.uniqueArray(key, { maxLength: 6 }), (names) => {
        const text = `{${names.map((name, i) => `"${escaped(name)}":${i}`).join(',')}}`;
        expect(parse(text)).toEqual(JSON.parse(text));
      }),
    );
  });

  test('is never read in two ways: repeating any member of any object refuses it', () => {
    fc.assert(
      fc.property(fc.dictionary(key, value, { minKeys: 1, maxKeys: 4 }), fc.nat(), (object, pick) => {
        const names = Object.keys(object);
        const name = names[pick % names.length]!;
        const text = JSON.stringify(object);
        const twice = `${text.slice(0, -1)},${JSON.stringify(name)}:1}`;
        expect(refusal(twice).message).toMatch(/is given twice$/);
        expect(refusal(`{"a":[{"b":${twice}}]}`).errors[0]?.path).toBe(`a.b.${name}`);
      }),
    );
  });
});

describe('what is refused', () => {
  test.each([
    ['the same key twice', '{"a":1,"a":1}', 'a'],
    ['the same key, spelled with an escape', String.raw`{"a":1,"\u0061":2}`, 'a'],
    ['the same key, both with escapes', String.raw`{"\u0061":1,"\u0061":2}`, 'a'],
    ['the same key with an escaped slash', String.raw`{"a/b":1,"a\/b":2}`, 'a/b'],
    ['the same key, deep', '{"x":[{"y":{"a":1,"b":{},"a":2}}]}', 'x.y.a'],
    ['__proto__', '{"__proto__":{"admin":true}}', '__proto__'],
    ['__proto__ with escapes', String.raw`{"\u005f_proto__":1}`, '__proto__'],
    ['constructor', '{"a":{"constructor":1}}', 'a.constructor'],
    ['prototype', '{"a":[{"prototype":1}]}', 'a.prototype'],
    ['a fraction', '{"value":1.5}', 'value'],
    ['a fraction of zero', '{"value":1.0}', 'value'],
    ['an exponent', '{"a":{"value":1e3}}', 'a.value'],
    ['a capital exponent', '{"value":1E3}', 'value'],
    ['2^53', '{"value":9007199254740992}', 'value'],
    ['-2^53', '{"value":-9007199254740992}', 'value'],
    ['a number that would be rounded', '{"value":12345678901234567890}', 'value'],
    ['a number that would be infinite', `{"value":${'9'.repeat(400)}}`, 'value'],
  ])('%s', (_, text, path) => {
    const error = refusal(text);
    expect(error.code).toBe('invalid_request');
    expect(error.errors.map((field) => field.path)).toEqual([path]);
  });

  test.each([
    ['nothing', ''],
    ['white space', ' \n'],
    ['a byte order mark', '\ufeff{}'],
    ['white space that is not JSON’s', '\u00a0{}'],
    ['two values', '{}{}'],
    ['a trailing comma', '{"a":1,}'],
    ['a comment', '{"a":1/* */}'],
    ['single quotes', "{'a':1}"],
    ['a bare word', 'undefined'],
    ['NaN', '{"a":NaN}'],
    ['Infinity', '{"a":Infinity}'],
    ['a leading zero', '{"a":01}'],
    ['a plus sign', '{"a":+1}'],
    ['a hex number', '{"a":0x10}'],
    ['a raw newline in a string', '{"a":"\n"}'],
    ['a bad escape', String.raw`{"a":"\x41"}`],
    ['a bad escape in a key', String.raw`{"\x41":1}`],
    ['an open string', '{"a":"'],
    ['an open object', '{"a":1'],
    ['wrong brackets', '{"a":[1}]'],
  ])('%s', (_, text) => {
    expect(refusal(text).code).toBe('invalid_request');
  });

  test.each([
    ['a lone continuation byte', [0x22, 0x80, 0x22]],
    ['an overlong slash', [0x22, 0xc0, 0xaf, 0x22]],
    ['a surrogate', [0x22, 0xed, 0xa0, 0x80, 0x22]],
    ['above U+10FFFF', [0x22, 0xf4, 0x90, 0x80, 0x80, 0x22]],
    ['a cut sequence', [0x22, 0xe2, 0x82, 0x22]],
    ['UTF-16', [0xff, 0xfe, 0x7b, 0, 0x7d, 0]],
  ])('bytes that are not UTF-8: %s', (_, bytes) => {
    expect(refusal(Buffer.from(bytes)).message).toBe('the body is not UTF-8');
    // One decoder reads all bodies: what was wrong with one says nothing of the next.
    expect(parse('{"a":"ä€😀"}')).toEqual({ a: 'ä€😀' });
  });
});

describe('limits', () => {
  const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
  const wide = (members: number): string =>
    `{${Array.from({ length: members }, (_, i) => `"k${i}":0`).join(',')}}`;

  test('depth', () => {
    expect(() => parse(nested(DEFAULT_LIMITS.depth))).not.toThrow();
    expect(refusal(nested(DEFAULT_LIMITS.depth + 1)).code).toBe('payload_too_large');
    expect(refusal('{"a":'.repeat(33) + '1' + '}'.repeat(33)).code).toBe('payload_too_large');
    expect(refusal('['.repeat(1_000_000)).code).toBe('payload_too_large');
  });

  test('members of objects and elements of arrays', () => {
    const { nodes } = DEFAULT_LIMITS;
    expect(Object.keys(parse(wide(nodes - 1)) as object)).toHaveLength(nodes - 1);
    expect(refusal(wide(nodes + 1)).code).toBe('payload_too_large');
    expect((parse(`[${'0,'.repeat(nodes - 1)}0]`) as unknown[]).length).toBe(nodes);
    expect(refusal(`[${'0,'.repeat(nodes)}0]`).code).toBe('payload_too_large');
    expect(refusal(`[${'{},'.repeat(nodes)}{}]`).code).toBe('payload_too_large');
  });

  test('a body of the largest size is done quickly, whatever is in it', () => {
    const size = 1024 * 1024;
    const start = performance.now();
    for (const unit of ['[', '{"a":', '"', '\\', '0', '-', ',', '{"a":1},', '\\u0061', '"\\']) {
      refusal(unit.repeat(Math.floor(size / unit.length)));
    }
    expect(performance.now() - start).toBeLessThan(2_000);
  });
});

const REFUSED = Symbol('refused');

function parsedOrRefused(bytes: Uint8Array): unknown {
  try {
    return parseStrictJson(bytes);
  } catch (error) {
    if (error instanceof CountersignError) return REFUSED;
    throw error;
  }
}

test('any bytes are parsed as JSON.parse does, or refused with an error of ours', () => {
  const seeds = fc.constantFrom(
    '{"transaction":{"to":"0x11","value":"1","nonce":7,"accessList":[{"a":[]}]}}',
    String.raw`{"\u0061":"\"\\","b":[1,-2,{"c":null}]}`,
    '[[],{},"",0,true,null]',
  );
  const mutation = fc.record({
    at: fc.nat(),
    byte: fc.nat(255),
    kind: fc.constantFrom('set', 'insert', 'delete'),
  });
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.tuple(seeds, fc.array(mutation, { minLength: 1, maxLength: 4 })).map(([seed, mutations]) => {
      const out = [...Buffer.from(seed)];
      for (const { at, byte, kind } of mutations) {
        out.splice(at % out.length, kind === 'insert' ? 0 : 1, ...(kind === 'delete' ? [] : [byte]));
      }
      return Uint8Array.from(out);
    }),
  );
  fc.assert(
    fc.property(bytes, (given) => {
      // Whatever else it throws fails the test.
      const parsed = parsedOrRefused(given);
      expect(parsed).toEqual(parsed === REFUSED ? REFUSED : JSON.parse(Buffer.from(given).toString('utf8')));
    }),
    { numRuns: 20_000 },
  );
});

test.each([
  String.raw`{"\ud830#":1}`,
  String.raw`{"a":[{"\udc00":1}]}`,
  String.raw`{"\uDE00\uD83D":{"a":1,"a":2}}`,
])('a name with half a character is refused, and stands in no message: %s', (text) => {
  const { message, errors } = refusal(text);
  expect(message).toMatch(/lone surrogate/);
  expect(JSON.stringify([message, errors])).not.toMatch(/\\ud/i);
});

test('a name with whole characters that are escaped is taken', () => {
  expect(parse(String.raw`{"\ud83d\ude00":1}`)).toEqual({ '\u{1f600}': 1 });
});

test('no message quotes a value', () => {
  const secret = 'hunter2hunter2';
  for (const text of [
    `{"password":"${secret}"`,
    `{"password":"${secret}","password":"${secret}"}`,
    `{"password":${secret}}`,
    `["${secret}",1.5]`,
    `"${secret}`,
    secret,
    `{"password":"${secret}\n"}`,
  ]) {
    const error = refusal(text);
    expect(`${error.message} ${JSON.stringify(error.errors)}`).not.toContain(secret);
  }
});
