import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { isTime } from '../../../src/audit/verify/order.ts';

const DATE_FORM = /^\d{4}-/;

function byDate(text: string): boolean {
  const date = new Date(text);
  return DATE_FORM.test(text) && !Number.isNaN(date.getTime()) && date.toISOString() === text;
}

it('knows every time that ECMAScript prints', () => {
  const date = fc.date({
    min: new Date('0000-01-01T00:00:00Z'),
    max: new Date('9999-12-31T23:59:59.999Z'),
    noInvalidDate: true,
  });
  fc.assert(
    fc.property(date, (each) => {
      expect(isTime(Buffer.from(each.toISOString()), 0)).toBe(true);
    }),
  );
});

it('agrees with ECMAScript on what is none', () => {
  const two = (max: number): fc.Arbitrary<string> => fc.nat(max).map((n) => String(n).padStart(2, '0'));
  const year = fc.nat(9_999).map((n) => String(n).padStart(4, '0'));
  const text = fc
    .tuple(year, two(14), two(33), two(26), two(62), two(62))
    .map(([y, mo, d, h, mi, s]) => `${y}-${mo}-${d}T${h}:${mi}:${s}.000Z`);
  fc.assert(
    fc.property(text, (each) => {
      expect(isTime(Buffer.from(`"${each}"`), 1)).toBe(byDate(each));
    }),
    { numRuns: 5_000 },
  );
});

it.each([
  '2024-02-29T00:00:00.000Z',
  '2023-02-29T00:00:00.000Z',
  '1900-02-29T00:00:00.000Z',
  '2000-02-29T00:00:00.000Z',
  '2025-04-31T00:00:00.000Z',
  '2025-00-10T00:00:00.000Z',
  '2025-01-00T00:00:00.000Z',
  '2025-01-01T24:00:00.000Z',
  '2025-01-01T23:59:60.000Z',
  '2025-01-01 00:00:00.000Z',
  '2025-01-01T00:00:00,000Z',
  '2025-01-01T00:00:00.000z',
])('agrees on %s', (text) => {
  expect(isTime(Buffer.from(text), 0)).toBe(byDate(text));
});
