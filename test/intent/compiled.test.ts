import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { z } from 'zod';
import { CountersignError } from '../../src/errors.ts';
import { intentToJson } from '../../src/intent/codec.ts';
import type { Operation } from '../../src/intent/intent.ts';
import { parseIntent, signBodies, toIntent } from '../../src/intent/schema.ts';
import { parseWith } from '../../src/schema.ts';
import { arbitraryIntent } from './arbitrary.ts';

type Json = { readonly [name: string]: unknown };

const strange = fc.constantFrom(undefined, null, true, -1, 1.5, 0, '', '0x', '0x0', 'a', [], {}, [null]);

/** One member of a body, or of the object that it holds, is something else, or one is there that nobody knows. */
function change(body: Json, inner: boolean, pick: number, name: string, value: unknown): Json {
  const [first] = Object.keys(body);
  const held = first === undefined ? undefined : body[first];
  if (inner && first !== undefined && typeof held === 'object' && held !== null && !Array.isArray(held))
    return { ...body, [first]: change(held as Json, false, pick, name, value) };
  const names = [...Object.keys(body), name];
  return { ...body, [names[pick % names.length] ?? name]: value };
}

function outcome(parse: () => unknown): unknown {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof CountersignError)) throw error;
    return { code: error.code, message: error.message, errors: error.errors };
  }
}

test('a compiled schema takes and refuses what the schema does, in the same words', () => {
  fc.assert(
    fc.property(
      arbitraryIntent(),
      fc.boolean(),
      fc.nat(),
      fc.constantFrom('extra', 'gasPrice', 'accessList', 'data', '__proto__', 'a.b', ''),
      strange,
      (intent, inner, pick, name, value) => {
        const operation: Operation = intent.operation;
        const schema: z.ZodType = signBodies[operation];
        const body = intentToJson(intent) as Json;
        for (const given of [body, change(body, inner, pick, name, value)])
          expect(outcome(() => parseIntent(operation, given))).toEqual(
            outcome(() => toIntent(operation, parseWith(schema, given) as never)),
          );
      },
    ),
    { numRuns: 1_000 },
  );
});
