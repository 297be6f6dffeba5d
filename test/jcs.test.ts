import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CountersignError } from '../src/errors.ts';
import { canonicalize, isCanonical, type JsonValue } from '../src/jcs.ts';

const VECTORS = path.resolve(import.meta.dirname, '../../shared/vectors/jcs');
const missing = !existsSync(VECTORS);

/** Any JSON, with strings of any well-formed Unicode. */
const anyJson = fc.jsonValue({ stringUnit: 'binary', depthSize: 'medium' }) as fc.Arbitrary<JsonValue>;

/** What JSON.parse makes of JSON.stringify's text: the same, but without -0. */
function throughJson(value: JsonValue): unknown {
  return JSON.parse(JSON.stringify(value));
}

function writtenOrNull(value: number): string | null {
  try {
    return canonicalize(value);
  } catch (error) {
    if (error instanceof CountersignError) return null;
    throw error;
  }
}

/** Members in another order, at every level. */
function shuffled(value: unknown, seed: number): JsonValue {
  if (Array.isArray(value)) return value.map((item) => shuffled(item, seed));
  if (typeof value !== 'object' || value === null) return value as JsonValue;
  const members = Object.entries(value).map(([name, member]) => [name, shuffled(member, seed)] as const);
  const turned = [
    ...members.slice(seed % (members.length + 1)),
    ...members.slice(0, seed % (members.length + 1)),
  ];
  // defineProperty semantics, so that a member named __proto__ stays a member.
  return Object.fromEntries(turned.reverse());
}

function namesInOrder(value: unknown): boolean {
  if (Array.isArray(value)) return value.every(namesInOrder);
  if (typeof value !== 'object' || value === null) return true;
  // Integer-like names come first in JavaScript objects whatever the text says.
  const names = Object.keys(value).filter((name) => !/^\d+$/.test(name));
  const sorted = names.every((name, i) => i === 0 || utf16Before(names[i - 1]!, name));
  return sorted && Object.values(value).every(namesInOrder);
}

function utf16Before(a: string, b: string): boolean {
  return Buffer.compare(Buffer.from(a, 'utf16le').swap16(), Buffer.from(b, 'utf16le').swap16()) < 0;
}

describe.skipIf(missing)(`vectors of RFC 8785${missing ? ' (shared/vectors is not there)' : ''}`, () => {
  const files = missing ? [] : readdirSync(path.join(VECTORS, 'input'));

  it.each(files)('%s', (file) => {
    const input = JSON.parse(readFileSync(path.join(VECTORS, 'input', file), 'utf8')) as JsonValue;
    const hex = readFileSync(path.join(VECTORS, 'outhex', file.replace('.json', '.txt')), 'utf8');
    const bytes = Buffer.from(canonicalize(input), 'utf8');
    expect(bytes.toString('hex')).toBe(hex.replaceAll(/\s/g, ''));
    expect(bytes).toEqual(readFileSync(path.join(VECTORS, 'output', file)));
  });

  it('appendix B, numbers', () => {
    const numbers = JSON.parse(
      readFileSync(path.join(VECTORS, 'appendix-b-numbers.json'), 'utf8'),
    ) as readonly { ieee754: string; json: string | null }[];
    expect(numbers.length).toBeGreaterThan(20);
    const written = numbers.map(({ ieee754 }) => writtenOrNull(Buffer.from(ieee754, 'hex').readDoubleBE()));
    expect(written).toEqual(numbers.map(({ json }) => json));
  });
});

describe('properties', () => {
  it('parses back to the same value', () => {
    fc.assert(
      fc.property(anyJson, (value) => {
        expect(JSON.parse(canonicalize(value))).toEqual(throughJson(value));
      }),
      { numRuns: 2_000 },
    );
  });

  it('is idempotent', () => {
    fc.assert(
      fc.property(anyJson, (value) => {
        const once = canonicalize(value);
        expect(canonicalize(JSON.parse(once) as JsonValue)).toBe(once);
      }),
      { numRuns: 2_000 },
    );
  });

  it('does not depend on the order of members, and writes them by UTF-16 code unit', () => {
    fc.assert(
      fc.property(anyJson, fc.nat(), (value, seed) => {
        const json = canonicalize(value);
        expect(canonicalize(shuffled(throughJson(value), seed))).toBe(json);
        expect(namesInOrder(JSON.parse(json))).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  it('writes strings of every length and character as JSON.stringify does', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
        expect(canonicalize(text)).toBe(JSON.stringify(text));
      }),
      { numRuns: 3_000 },
    );
    const units = Array.from({ length: 0xd800 }, (_, code) => String.fromCharCode(code));
    expect(units.filter((unit) => canonicalize(unit) !== JSON.stringify(unit))).toEqual([]);
  });

  it('sorts objects of many members', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.string(), { minLength: 30, maxLength: 80 }), (names) => {
        const json = canonicalize(Object.fromEntries(names.map((name) => [name, 0])));
        const sorted = names.toSorted((a, b) => (a === b ? 0 : utf16Before(a, b) ? -1 : 1));
        expect(json).toBe(`{${sorted.map((name) => `${JSON.stringify(name)}:0`).join(',')}}`);
      }),
      { numRuns: 200 },
    );
  });
});

describe('members', () => {
  it('leaves out undefined members', () => {
    expect(canonicalize({ b: undefined, a: 1, c: undefined })).toBe('{"a":1}');
    expect(canonicalize({ a: undefined })).toBe('{}');
  });

  it('keeps a member named __proto__', () => {
    const text = '{"__proto__":{"a":1},"b":2}';
    expect(canonicalize(JSON.parse(text) as JsonValue)).toBe(text);
  });

  it('does not call toJSON', () => {
    expect(() => canonicalize({ toJSON: () => 'x' } as unknown as JsonValue)).toThrow(CountersignError);
  });
});

describe('refusals', () => {
  const cycle: { self?: JsonValue } = {};
  cycle.self = cycle as JsonValue;
  const sparse: unknown[] = [];
  sparse[1] = 1;
  const cases: readonly (readonly [string, unknown])[] = [
    ['NaN', Number.NaN],
    ['Infinity', Number.POSITIVE_INFINITY],
    ['-Infinity', { a: [Number.NEGATIVE_INFINITY] }],
    ['a lone high surrogate', 'a\ud800b'],
    ['a lone low surrogate', '\udc00'],
    ['a lone surrogate in a long string', `${'x'.repeat(500)}\ud800`],
    ['a lone surrogate in a name', { '\udfff': 1 }],
    ['reversed surrogates', '\udc00\ud800'],
    ['a bigint', { a: 1n }],
    ['undefined', undefined],
    ['undefined in an array', [undefined]],
    ['a hole in an array', sparse],
    ['a function', () => 0],
    ['a symbol', Symbol('s')],
    ['a Date', new Date(0)],
    ['a Map', new Map()],
    ['a Buffer', Buffer.from('ab')],
    ['a cycle', cycle],
    ['deep nesting', JSON.parse(`${'['.repeat(200)}${']'.repeat(200)}`)],
  ];
  it.each(cases)('%s', (_name, value) => {
    expect(() => canonicalize(value as JsonValue)).toThrow(
      expect.objectContaining({ code: 'invalid_request', name: 'CountersignError' }),
    );
  });

  it('allows nesting to 128', () => {
    const deep = `${'['.repeat(128)}${']'.repeat(128)}`;
    expect(canonicalize(JSON.parse(deep) as JsonValue)).toBe(deep);
  });
});

describe('isCanonical', () => {
  /** By the definition. */
  function expected(text: string, value: JsonValue): boolean {
    try {
      return canonicalize(value) === text;
    } catch {
      return false;
    }
  }

  /** Undefined for what is not JSON. */
  function parsed(text: string): JsonValue | undefined {
    try {
      return JSON.parse(text) as JsonValue;
    } catch {
      return undefined;
    }
  }

  it('is what canonicalize gives back, for any text', () => {
    const edits = fc.record({
      at: fc.nat(),
      put: fc.oneof(
        fc.constantFrom(' ', '\\', '\\ud800', '"', ',', '0', '-', 'e', ''),
        fc.string({ maxLength: 1 }),
      ),
    });
    let canonical = 0;
    let others = 0;
    fc.assert(
      fc.property(anyJson, fc.nat(6), edits, (value, seed, { at, put }) => {
        const good = canonicalize(value);
        const cut = at % (good.length + 1);
        const bent = good.slice(0, cut) + put + good.slice(cut + (at % 2));
        for (const text of [good, JSON.stringify(shuffled(value, seed)), bent]) {
          const read = parsed(text);
          if (read === undefined) continue;
          const verdict = expected(text, read);
          if (verdict) canonical += 1;
          else others += 1;
          expect(isCanonical(text, read)).toBe(verdict);
        }
      }),
      { numRuns: 2_000 },
    );
    expect(Math.min(canonical, others)).toBeGreaterThan(200);
  });

  it.each([
    [true, '{"a":1,"b":[{"c":"\u00e9"}]}'],
    [true, String.raw`"\\ud800 is written here, not meant"`],
    [true, '{"10":1,"9":2}'],
    [false, '{"9":2,"10":1}'],
    [false, String.raw`"\ud800"`],
    [false, String.raw`{"\udfff":1}`],
    [false, '{"a":1,"a":1}'],
    [false, '[{"b":1,"a":2}]'],
    [false, '1.0'],
    [false, '-0'],
    [false, '1e999'],
    [false, ' 1'],
    [true, '['.repeat(128) + ']'.repeat(128)],
    [false, '['.repeat(129) + ']'.repeat(129)],
    [false, '['.repeat(32_000) + ']'.repeat(32_000)],
  ])('%s: %s', (verdict, text) => {
    expect(isCanonical(text, JSON.parse(text) as JsonValue)).toBe(verdict);
  });
});
