import fc from 'fast-check';
import { expect, test } from 'vitest';
import { alternativeNames, matchText } from '../../src/access/certificates.ts';

test.each([
  ['', []],
  ['DNS:a.test', [['DNS', 'a.test']]],
  [
    'DNS:a.test, URI:spiffe://b/c, IP Address:192.0.2.1, email:x@y.test',
    [
      ['DNS', 'a.test'],
      ['URI', 'spiffe://b/c'],
      ['IP Address', '192.0.2.1'],
      ['email', 'x@y.test'],
    ],
  ],
  ['DNS:"a.test, DNS:admin.test"', [['DNS', 'a.test, DNS:admin.test']]],
  [
    String.raw`URI:"x:\"a\", DNS:b", DNS:c`,
    [
      ['URI', 'x:"a", DNS:b'],
      ['DNS', 'c'],
    ],
  ],
  // Half of a text is none of it.
  ['DNS:a.test,DNS:b.test', []],
  ['DNS:a.test, ', [['DNS', 'a.test']]],
  ['DNS:a"b, DNS:c', []],
  ['DNS:"a, DNS:c', []],
  [String.raw`DNS:"\x", DNS:c`, []],
  ['a.test', []],
])('%j', (text, expected) => {
  expect(alternativeNames(text).map(({ type, value }) => [type, value])).toEqual(expected);
});

test('names are read as they were written, whatever is in them', () => {
  const name = fc.tuple(fc.constantFrom('DNS', 'URI', 'IP Address'), fc.string());
  // As Node writes them: in quotes where a character could be taken for one of the list's own.
  const written = ([type, value]: [string, string]): string =>
    `${type}:${/^[\w.:/@ -]*$/.test(value) ? value : JSON.stringify(value)}`;
  fc.assert(
    fc.property(fc.array(name, { maxLength: 5 }), (names) => {
      const text = names.map(written).join(', ');
      expect(alternativeNames(text).map(({ type, value }) => [type, value])).toEqual(names);
    }),
    { numRuns: 1_000 },
  );
});

test('any text is read or gives no names', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(alternativeNames(text)).toBeInstanceOf(Array);
    }),
  );
});

test('a match has one spelling, and its sort in front', () => {
  const hex = 'ab'.repeat(32);
  expect(matchText({ fingerprint: hex.toUpperCase().replaceAll(/(..)(?!$)/g, '$1:') })).toBe(`sha256:${hex}`);
  expect(matchText({ dns: 'A.Test' })).toBe('dns:a.test');
  expect(matchText({ uri: 'spiffe://A/b' })).toBe('uri:spiffe://A/b');
});
