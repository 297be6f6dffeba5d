import type { z } from 'zod';
import { CountersignError, type FieldError } from './errors.ts';

/**
 * Parses outside input with a zod schema; what does not fit is an `invalid_request` that names every
 * offending field by its dotted path.
 */
export function parseWith<T>(schema: z.ZodType<T>, value: unknown, subject = 'the request'): T {
  const result = schema.safeParse(value);
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
  if (issue.code === 'invalid_type' && issue.message.endsWith('received undefined')) {
    return [{ path, message: 'is required' }];
  }
  return [{ path, message: issue.message }];
}
