import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { CountersignError, type FieldError } from '../src/errors.ts';
import { parseWith } from '../src/schema.ts';

function refusal(schema: z.ZodType, value: unknown): CountersignError {
  try {
    parseWith(schema, value);
  } catch (error) {
    if (error instanceof CountersignError) return error;
    throw error;
  }
  throw new Error('the value was accepted');
}

function errorsOf(schema: z.ZodType, field: unknown): readonly FieldError[] {
  return refusal(z.strictObject({ field: schema }), field === undefined ? {} : { field }).errors;
}

const union = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('a') }),
  z.strictObject({ type: z.literal('b') }),
]);

describe('what is said of a field that does not fit', () => {
  test.each<[string, z.ZodType, unknown, string]>([
    ['absent string', z.string(), undefined, 'is required'],
    ['absent choice', z.enum(['on', 'off']), undefined, 'is required'],
    ['absent literal', z.literal(3), undefined, 'is required'],
    ['absent array', z.array(z.string()), undefined, 'is required'],
    ['number for a string', z.string(), 7, 'must be a string'],
    ['null for a string', z.string(), null, 'must be a string'],
    ['text for a number', z.number(), 'seven', 'must be a number'],
    ['text for an integer', z.int(), '7', 'must be a number'],
    ['fraction for an integer', z.int(), 7.5, 'must be an integer'],
    ['unsafe integer', z.int(), 2 ** 53, 'must be at most 9007199254740991'],
    ['text for a boolean', z.boolean(), 'yes', 'must be true or false'],
    ['object for an array', z.array(z.string()), {}, 'must be an array'],
    ['array for an object', z.strictObject({}), [], 'must be an object'],
    ['text for a record', z.record(z.string(), z.unknown()), 'x', 'must be an object'],
    ['none of the choices', z.enum(['enabled', 'disabled']), 'off', 'must be one of enabled, disabled'],
    ['not the literal', z.literal('scrypt'), 'md5', 'must be scrypt'],
    ['short text', z.string().min(12), 'short', 'must be at least 12 characters'],
    ['empty text', z.string().min(1), '', 'must be at least 1 character'],
    ['long text', z.string().max(3), 'four', 'must be at most 3 characters'],
    ['length of text', z.string().length(2), 'abc', 'must be exactly 2 characters'],
    ['empty array', z.array(z.string()).min(1), [], 'must have at least 1 item'],
    ['long array', z.array(z.string()).max(2), ['a', 'b', 'c'], 'must have at most 2 items'],
    ['small number', z.int().min(1), 0, 'must be at least 1'],
    ['large number', z.int().max(32), 33, 'must be at most 32'],
    ['number at an open bound', z.number().positive(), 0, 'must be more than 0'],
    ['number at an open bound', z.number().lt(5), 5, 'must be less than 5'],
    ['no multiple', z.number().multipleOf(8), 12, 'must be a multiple of 8'],
    ['no time', z.iso.datetime(), 'tomorrow', 'must be a time such as 2026-11-21T10:00:00Z'],
    ['no UUID', z.uuid(), 'me', 'must be a UUID'],
    ['another format', z.base64(), '?', 'must be a valid base64'],
    ['a pattern', z.string().regex(/^[0-9a-f]{16}$/), 'xyz', 'must match ^[0-9a-f]{16}$'],
    ['no form of a union', z.union([z.string(), z.number()]), true, 'has none of the forms that it may have'],
    ['a rule without words', z.string().refine(() => false), 'x', 'is not valid'],
  ])('%s', (_name, schema, value, message) => {
    expect(errorsOf(schema, value)).toEqual([{ path: 'field', message }]);
  });

  test.each<[string, z.ZodType, unknown, string]>([
    ['of a type', z.int({ error: 'must be whole' }), 'x', 'must be whole'],
    ['of a type, of what is absent', z.int({ error: 'must be whole' }), undefined, 'must be whole'],
    ['of a pattern', z.string().regex(/^a$/, 'must be the letter a'), 'b', 'must be the letter a'],
    ['of a bound', z.number().min(2, { error: 'must be two or more' }), 1, 'must be two or more'],
    ['of a rule', z.string().refine(() => false, 'must be in the future'), 'x', 'must be in the future'],
  ])("a schema's own words stay: %s", (_name, schema, value, message) => {
    expect(errorsOf(schema, value)).toEqual([{ path: 'field', message }]);
  });

  test('the discriminator of a union is named', () => {
    expect(errorsOf(union, {})).toEqual([{ path: 'field.type', message: 'is required' }]);
    expect(errorsOf(union, { type: 'c' })).toEqual([{ path: 'field.type', message: 'must be one of a, b' }]);
    expect(errorsOf(union, 'c')).toEqual([{ path: 'field', message: 'must be an object' }]);
  });

  test('each unknown field is named, and each field of an item', () => {
    expect(errorsOf(z.strictObject({}), { a: 1, b: 2 })).toEqual([
      { path: 'field.a', message: 'is not a known field' },
      { path: 'field.b', message: 'is not a known field' },
    ]);
    expect(errorsOf(z.array(z.strictObject({ id: z.string() })), [{ id: 'x' }, {}])).toEqual([
      { path: 'field.1.id', message: 'is required' },
    ]);
  });

  test('the summary is the first of them', () => {
    const schema = z.strictObject({ a: z.string(), b: z.int() });
    expect(refusal(schema, { a: 1 }).message).toBe('the request is not valid: a must be a string');
    expect(refusal(schema, 'x').message).toBe('the request is not valid: must be an object');
  });
});

test('no message quotes the input', () => {
  const secret = 'hunter2-hunter2';
  const schemas = [
    z.int(),
    z.boolean(),
    z.array(z.int()),
    z.strictObject({}),
    z.enum(['on', 'off']),
    z.literal('on'),
    z.string().min(99),
    z.string().max(3),
    z.string().regex(/^[0-9]$/),
    z.string().startsWith('0x'),
    z.iso.datetime(),
    z.uuid(),
    z.union([z.int(), z.boolean()]),
    union,
    z.strictObject({ type: z.literal('a') }),
  ];
  for (const schema of schemas) {
    for (const value of [secret, { type: secret }, [secret]]) {
      const { message, errors } = refusal(z.strictObject({ field: schema }), { field: value });
      expect(`${message} ${JSON.stringify(errors)}`).not.toContain(secret);
    }
  }
});
