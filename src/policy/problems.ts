import { CountersignError, type FieldError } from '../errors.ts';

/** Where a value stands in the document: member names and, for lists, positions from 0. */
export type Path = readonly (string | number)[];

/** A member's name, or the value it holds. */
export type Spot = 'key' | 'value';

/** Finds `line:column` of a path, or of its nearest ancestor that was written. */
export type Locate = (path: Path, spot: Spot) => string | undefined;

/** What is wrong with a document, gathered so that its author can repair it in one go. */
export interface Problems {
  /** `known` is a `file:line:column` that is known better than by the path. One problem a path: the first. */
  add(path: Path, message: string, spot?: Spot, known?: string): void;
  readonly count: number;
  /** Throws one `invalid_request` with all of them, if there are any. */
  throwIfAny(): void;
}

/** More than this helps nobody, and bounds the answer to a hostile document. */
const MAX_PROBLEMS = 100;

const PLAIN_NAME = /^[A-Za-z_][A-Za-z0-9_-]*$/;

/** `rules[2].when.all[0].value`; a name that is not a plain word stands in brackets and quotes. */
export function formatPath(path: Path): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else if (PLAIN_NAME.test(step)) text += text === '' ? step : `.${step}`;
    else text += `[${JSON.stringify(step)}]`;
  }
  return text;
}

export function createProblems(subject: string, locate: Locate): Problems {
  const errors: FieldError[] = [];
  let summary = '';
  const seen = new Set<string>();
  return {
    add(path, message, spot = 'value', known) {
      const text = formatPath(path);
      if (seen.has(text) || errors.length >= MAX_PROBLEMS) return;
      const where = known ?? locate(path, spot);
      if (text !== '') seen.add(text);
      if (errors.length === 0) summary = [where, text, message].filter((part) => part).join(': ');
      errors.push({ path: text, message: where === undefined ? message : `${where}: ${message}` });
    },
    get count() {
      return errors.length;
    },
    throwIfAny() {
      if (errors.length === 0) return;
      const more = errors.length === 1 ? '' : ` (and ${errors.length - 1} more)`;
      throw new CountersignError('invalid_request', `${subject} is not valid: ${summary}${more}`, errors);
    },
  };
}
