import { z } from 'zod';
import { CountersignError, invalidField } from '../errors.ts';

/** Reads one value of parsed JSON, or throws an `invalid_request` whose field errors start with `path`. */
export type Read<T> = (value: unknown, path: string) => T;

/**
 * A zod schema around a reader, so that its precise messages reach the caller. `meta` is what the OpenAPI
 * document says of the input: description, examples and JSON Schema keywords. It is on the input's side of
 * the schema, since zod drops the examples of what is transformed.
 */
export function field<T>(read: Read<T>, meta: z.GlobalMeta) {
  const convert = issuing((value: unknown) => {
    if (value === undefined) throw invalidField('', 'is required');
    return read(value, '');
  });
  return z.unknown().meta(meta).transform(convert);
}

/** Turns the field errors that `convert` throws into issues of the zod schema that it transforms. */
export function issuing<I, T>(convert: (input: I) => T): (input: I, context: z.RefinementCtx) => T {
  return (input, context) => {
    try {
      return convert(input);
    } catch (error) {
      if (!(error instanceof CountersignError)) throw error;
      for (const { path, message } of error.errors) {
        context.issues.push({
          code: 'custom',
          message,
          input,
          path: path === '' ? [] : path.split('.'),
        });
      }
      return z.NEVER;
    }
  };
}

/** The dotted path of a member. */
export function at(path: string, member: string | number): string {
  return path === '' ? String(member) : `${path}.${member}`;
}

/** JSON text as it may be signed: a string that has a UTF-8 form (no lone surrogates). */
export function readText(value: unknown, path: string): string {
  if (typeof value !== 'string') throw invalidField(path, 'must be a string');
  if (!value.isWellFormed()) {
    throw invalidField(path, 'must be valid Unicode: it contains a lone surrogate, which has no UTF-8 form');
  }
  return value;
}

export type JsonObject = Readonly<Record<string, unknown>>;

export function readObject(value: unknown, path: string): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalidField(path, 'must be an object');
  }
  return value as JsonObject;
}
