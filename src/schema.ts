import type { z } from 'zod';
import { CountersignError, type FieldError } from './errors.ts';

/**
 * Parses outside input with a zod schema; what does not fit is an `invalid_request` that names every
 * offending field by its dotted path.
 */
export function parseWith<T>(schema: z.ZodType<T>, value: unknown, subject = 'the request'): T {
  const result = schema.safeParse(value, { error: sentenceOf });
  if (result.success) return result.data;
  const errors = result.error.issues.flatMap(toFieldErrors);
  const first = errors[0];
  const summary = first === undefined ? '' : `: ${first.path === '' ? '' : `${first.path} `}${first.message}`;
  throw new CountersignError('invalid_request', `${subject} is not valid${summary}`, errors);
}

function toFieldErrors(issue: z.core.$ZodIssue): FieldError[] {
  const path = issue.path.map(String).join('.');
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      path: path === '' ? key : `${path}.${key}`,
      message: 'is not a known field',
    }));
  }
  return [{ path, message: issue.message }];
}

/**
 * What to say of an issue for which the schema has no words of its own: zod asks here only then. Follows the
 * field's name, and never quotes the input, which may be a secret.
 */
function sentenceOf(issue: z.core.$ZodRawIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined ? 'is required' : `must be ${TYPE[issue.expected] ?? issue.expected}`;
    case 'invalid_value':
      return issue.input === undefined ? 'is required' : choice(issue.values);
    case 'too_small':
      return bound(issue.inclusive === false ? 'more than' : 'at least', issue.minimum, issue);
    case 'too_big':
      return bound(issue.inclusive === false ? 'less than' : 'at most', issue.maximum, issue);
    case 'invalid_format':
      return issue.format === 'regex'
        ? `must match ${(issue.pattern ?? '').replaceAll(/^\/|\/$/g, '')}`
        : `must be ${FORMAT[issue.format] ?? `a valid ${issue.format}`}`;
    case 'not_multiple_of':
      return `must be a multiple of ${issue.divisor}`;
    case 'invalid_union':
      return unionSentence(issue);
    case 'unrecognized_keys':
      return 'has unknown fields';
    case 'invalid_key':
    case 'invalid_element':
    case 'custom':
    default:
      return 'is not valid';
  }
}

const TYPE: { readonly [expected: string]: string } = {
  string: 'a string',
  number: 'a number',
  int: 'an integer',
  boolean: 'true or false',
  array: 'an array',
  object: 'an object',
  record: 'an object',
};

const FORMAT: { readonly [format: string]: string } = {
  datetime: 'a time such as 2026-11-21T10:00:00Z',
  uuid: 'a UUID',
};

function choice(values: readonly unknown[]): string {
  return `must be ${values.length === 1 ? '' : 'one of '}${values.map(String).join(', ')}`;
}

/** The discriminator of a union is a field of `input`, and the issue's path ends in it. */
function unionSentence({
  discriminator,
  options,
  input,
}: Extract<z.core.$ZodRawIssue, { code: 'invalid_union' }>): string {
  if (discriminator === undefined || !Array.isArray(options)) return 'has none of the forms that it may have';
  const given = typeof input === 'object' && input !== null && Object.hasOwn(input, discriminator);
  return given ? choice(options) : 'is required';
}

function bound(
  relation: string,
  limit: number | bigint,
  { origin, exact }: { readonly origin: string; readonly exact?: boolean | undefined },
): string {
  const amount = `${exact === true ? 'exactly' : relation} ${limit}`;
  const plural = Number(limit) === 1 ? '' : 's';
  if (origin === 'string') return `must be ${amount} character${plural}`;
  if (origin === 'array') return `must have ${amount} item${plural}`;
  return `must be ${amount}`;
}
