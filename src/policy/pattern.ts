import { RE2JS, RE2JSException } from 're2js';
import { CountersignError } from '../errors.ts';
import { MAX_DATA_BYTES } from '../intent/fields.ts';

/** Of a whole text. */
export interface Pattern {
  /** UTF-16 units: 128 Ki, and fewer for a pattern that takes many steps for each. */
  readonly longest: number;
  /** @throws CountersignError `unprocessable` for a text that is longer. */
  matches(text: string): boolean;
}

export type CompiledPattern = { readonly value: Pattern } | { readonly problem: string };

const MAX_LENGTH = 512;
/** Instructions. Matching takes at most this many steps for a character. */
const MAX_PROGRAM = 500;
/** Of one text. A step takes 25 ns, where an automaton has to be built for each character three times as long. */
const MAX_STEPS = 2 ** 21;

/**
 * A regular expression in the syntax of RE2 (https://github.com/google/re2/wiki/Syntax), which matches in time linear
 * in the text whatever the expression: there are no backreferences and no assertions about what stands around. It has
 * to match the whole text; a dot is no line break, unless the expression says `(?s)`.
 */
export function compilePattern(text: string): CompiledPattern {
  if (text.length > MAX_LENGTH) {
    return { problem: `is longer than ${MAX_LENGTH} characters; write a shorter pattern` };
  }
  const compiled = compile(text);
  if (typeof compiled === 'string') {
    return { problem: `is not a pattern of RE2: ${compiled}; see https://github.com/google/re2/wiki/Syntax` };
  }
  if (compiled.programSize() > MAX_PROGRAM) {
    return { problem: `needs more than ${MAX_PROGRAM} steps for a character; repeat fewer times` };
  }
  const longest = Math.min(MAX_DATA_BYTES, Math.floor(MAX_STEPS / compiled.programSize()));
  return { value: { longest, matches: (input) => matches(compiled, input, longest) } };
}

/** RE2 itself bounds repetition: 1000, in each other together. */
function compile(text: string): RE2JS | string {
  try {
    return RE2JS.compile(text);
  } catch (error) {
    if (error instanceof RE2JSException) return error.message.replace('error parsing regexp: ', '');
    throw error;
  }
}

function matches(compiled: RE2JS, input: string, longest: number): boolean {
  if (input.length > longest) {
    throw new CountersignError('unprocessable', `this pattern is for texts of at most ${longest} characters`);
  }
  return compiled.testExact(input);
}
