import fc from 'fast-check';

/** The part of JSON Schema that the API's document uses for what comes in. */
export interface Schema {
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly oneOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly pattern?: string;
  readonly format?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
}

/** What a generator cannot guess: by the name of a field or parameter, values that something is behind. */
export type Hints = Readonly<Record<string, readonly unknown[]>>;

/** Values that the schema takes, as far as it says; `name` is the field's. */
export function valid(schema: Schema, hints: Hints, name = ''): fc.Arbitrary<unknown> {
  const made = fromSchema(schema, hints);
  const known = hints[name];
  return known === undefined
    ? made
    : fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...known) }, { weight: 1, arbitrary: made });
}

function fromSchema(schema: Schema, hints: Hints): fc.Arbitrary<unknown> {
  const choices = schema.oneOf ?? schema.anyOf;
  if (choices !== undefined) return fc.oneof(...choices.map((each) => valid(each, hints)));
  if ('const' in schema) return fc.constant(schema.const);
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  if (schema.type === 'object') return objectOf(schema, hints);
  if (schema.type === 'array') {
    const { minItems = 0, maxItems = 4 } = schema;
    const most = Math.max(minItems, Math.min(maxItems, 4));
    return fc.array(valid(schema.items ?? {}, hints), { minLength: minItems, maxLength: most });
  }
  if (schema.type === 'string') return stringOf(schema);
  if (schema.type === 'integer' || schema.type === 'number') {
    const { minimum: min = 0, maximum: max = Number.MAX_SAFE_INTEGER } = schema;
    return fc.oneof(fc.integer({ min, max: Math.min(max, min + 40) }), fc.integer({ min, max }));
  }
  if (schema.type === 'boolean') return fc.boolean();
  if (schema.type === 'null') return fc.constant(null);
  return fc.jsonValue({ maxDepth: 2 });
}

function objectOf(schema: Schema, hints: Hints): fc.Arbitrary<unknown> {
  const { properties = {}, required = [], additionalProperties } = schema;
  const fields = Object.entries(properties).map(([name, each]) => [name, valid(each, hints, name)] as const);
  const known = fc.record(Object.fromEntries(fields), { requiredKeys: [...required] });
  if (typeof additionalProperties !== 'object') return known;
  const others = fc.dictionary(fc.stringMatching(/^[a-zA-Z]{1,8}$/), valid(additionalProperties, hints), {
    maxKeys: 3,
  });
  return fc.tuple(others, known).map(([more, object]) => Object.assign({}, more, object));
}

function stringOf({ pattern, format, minLength = 0, maxLength = 60 }: Schema): fc.Arbitrary<string> {
  if (format === 'uuid') return fc.uuid();
  if (pattern !== undefined) return fc.stringMatching(new RegExp(pattern), { size: 'small' });
  const most = Math.max(minLength, Math.min(maxLength, 60));
  return fc.string({ minLength, maxLength: most, unit: 'binary' });
}

/** Values that no schema of ours takes, or only just. */
const HOSTILE: readonly unknown[] = [
  null,
  true,
  -1,
  0,
  Number.MAX_SAFE_INTEGER,
  '',
  '0',
  '-1',
  '0x',
  '0X00',
  '1e400',
  '9'.repeat(80),
  '115792089237316195423570985008687907853269984665640564039457584007913129639936',
  'x'.repeat(70_000),
  '\u0000',
  '\ud800',
  '\u202e',
  '..',
  '__proto__',
  '${7*7}',
  "' OR 1=1 --",
  '2026-02-30T00:00:00.000Z',
  '+275760-09-13T00:00:00.001Z',
  '99999999-01-01T00:00:00Z',
  [],
  {},
  [[[[]]]],
  { toString: null, valueOf: 1, hasOwnProperty: 2 },
  { toJSON: 'y', length: -1 },
];

export const hostileValue: fc.Arbitrary<unknown> = fc.constantFrom(...HOSTILE);

/** The value with one of its members, at any depth, taken out, replaced, added or doubled. */
export function damaged(value: unknown, turns: readonly number[], hostile: unknown): unknown {
  const [turn = 0, ...rest] = turns;
  if (typeof value !== 'object' || value === null || rest.length === 0) return hostile;
  const names = Object.keys(value);
  if (names.length === 0 || turn % 7 === 0) {
    return Array.isArray(value)
      ? [...(value as unknown[]), hostile]
      : { ...value, [`x${turn % 3}`]: hostile };
  }
  const name = names[turn % names.length] ?? '';
  const members = Object.entries(value);
  const changed = members
    .filter(([each]) => each !== name || turn % 5 !== 0)
    .map(
      ([each, member]) =>
        [each, each === name ? damaged(member, rest, hostile) : (member as unknown)] as const,
    );
  return Array.isArray(value) ? changed.map(([, member]) => member) : Object.fromEntries(changed);
}
