import { CountersignError, type FieldError } from '../errors.ts';
import type { JsonValue } from '../jcs.ts';

/** Where a value stands in the document: member names and, for lists, positions from 0. */
export type Path = readonly (string | number)[];

/** A member's name, or the value it holds. */
type Spot = 'key' | 'value';

/** Finds `line:column` of a path, or of its nearest ancestor that was written. */
type Locate = (path: Path, spot: Spot) => string | undefined;

/** What is wrong with a document, gathered so that its author can repair it in one go. */
export interface Problems {
  /**
   * `known` is a `file:line:column` that is known better than by the path. One problem a path: the first. Throws
   * as `throwIfAny` does when there are so many that more would help nobody.
   */
  add(path: Path, message: string, spot?: Spot, known?: string): void;
  readonly count: number;
  /** Throws one `invalid_request` with all of them, if there are any. */
  throwIfAny(): void;
}

/** Bounds the work on a hostile document, and the answer to it. */
const MAX_PROBLEMS = 100;

/** Of what an author wrote, in a message or a path. */
const MAX_QUOTED = 80;

const MAX_NAMES = 12;

const PLAIN_NAME = /^[A-Za-z_][A-Za-z0-9_-]{0,63}$/;

/** `rules[2].when.all[0].value`; a name that is not a plain word stands in brackets and quotes. */
function formatPath(path: Path): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else if (PLAIN_NAME.test(step)) text += text === '' ? step : `.${step}`;
    else text += `[${quote(step)}]`;
  }
  return text;
}

export function createProblems(subject: string, locate: Locate): Problems {
  const errors: FieldError[] = [];
  let summary = '';
  const seen = new Set<string>();
  const throwIfAny = (): void => {
    if (errors.length === 0) return;
    const more = errors.length === 1 ? '' : ` (and ${errors.length - 1} more)`;
    throw new CountersignError('invalid_request', `${subject} is not valid: ${summary}${more}`, errors);
  };
  return {
    add(path, message, spot = 'value', known) {
      const text = formatPath(path);
      if (seen.has(text)) return;
      const where = known ?? locate(path, spot);
      if (text !== '') seen.add(text);
      if (errors.length === 0) summary = [where, text, message].filter((part) => part).join(': ');
      errors.push({ path: text, message: where === undefined ? message : `${where}: ${message}` });
      if (errors.length >= MAX_PROBLEMS) throwIfAny();
    },
    get count() {
      return errors.length;
    },
    throwIfAny,
  };
}

/** What the author wrote, for a message: as JSON, and cut where it is long. */
export function quote(value: JsonValue | undefined): string {
  if (typeof value === 'object' || value === undefined) return describe(value);
  const text = typeof value === 'string' ? value : String(value);
  const shown = text.length > MAX_QUOTED ? `${text.slice(0, MAX_QUOTED)}…` : text;
  return typeof value === 'string' ? JSON.stringify(shown) : shown;
}

/** The names that something could have been called by; `prefix` stands before each. */
export function listNames(names: Iterable<string>, prefix = ''): string {
  const shown: string[] = [];
  let more = 0;
  for (const name of names) {
    if (shown.length < MAX_NAMES) shown.push(prefix + name);
    else more++;
  }
  if (shown.length === 0) return 'there are none';
  return more === 0 ? shown.join(', ') : `${shown.join(', ')}, and ${more} more`;
}

/** Names of rules, lists, groups, keys, tags and roles: no case, no Unicode, so that a name has one spelling. */
export const NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/;
export const NAME_HINT = 'use 1 to 63 of a-z, 0-9, ".", "_", "-", starting with a letter or digit';

export type Mapping = ReadonlyMap<string, JsonValue>;

/** The members of a mapping, which are of those in `known`; others are reported and left out. */
export function readMapping(
  value: JsonValue | undefined,
  path: Path,
  problems: Problems,
  known: readonly string[],
): Mapping | undefined {
  const entries = readEntries(value, path, problems);
  if (entries === undefined) return undefined;
  const members = new Map<string, JsonValue>();
  for (const [name, member] of entries) {
    if (known.includes(name)) members.set(name, member);
    else {
      const shown = quote(name).slice(1, -1);
      problems.add([...path, name], `\`${shown}\` is not known here; use one of: ${known.join(', ')}`, 'key');
    }
  }
  return members;
}

/** The members of a mapping whose keys are names that the author chose. */
export function readNamed(
  value: JsonValue | undefined,
  path: Path,
  problems: Problems,
): readonly (readonly [string, JsonValue])[] {
  if (value === undefined) return [];
  return (readEntries(value, path, problems) ?? []).filter(([name]) => {
    if (!NAME.test(name)) problems.add([...path, name], `is not a valid name; ${NAME_HINT}`, 'key');
    return NAME.test(name);
  });
}

/** The members of a mapping, whatever their names. */
export function readEntries(
  value: JsonValue | undefined,
  path: Path,
  problems: Problems,
): readonly [string, JsonValue][] | undefined {
  if (typeof value !== 'object' || value === null || isList(value)) {
    problems.add(path, `must be a mapping, not ${describe(value)}; write { name: value }`);
    return undefined;
  }
  return Object.entries(value).filter((entry): entry is [string, JsonValue] => entry[1] !== undefined);
}

/** A list with at least one item, each read by `readItem`; items that could not be read, and repeats, are left out. */
export function readList<T>(
  value: JsonValue | undefined,
  path: Path,
  problems: Problems,
  readItem: (item: JsonValue, path: Path) => T | undefined,
): ReadonlySet<T> {
  const items = new Set<T>();
  if (value === undefined || !isList(value)) {
    problems.add(path, `must be a list, not ${describe(value)}; write [item, item]`);
    return items;
  }
  if (value.length === 0) problems.add(path, 'is empty and matches nothing; add an item or remove it');
  for (const [index, item] of value.entries()) {
    const itemPath = [...path, index];
    const read = readItem(item, itemPath);
    if (read === undefined) continue;
    if (items.has(read)) problems.add(itemPath, 'is in the list twice; remove one');
    items.add(read);
  }
  return items;
}

/** A text that fits `pattern`. */
export function readText(
  value: JsonValue | undefined,
  path: Path,
  problems: Problems,
  pattern: RegExp,
  hint: string,
): string | undefined {
  if (typeof value !== 'string') {
    problems.add(path, `must be text, not ${describe(value)}; put it in quotes`);
    return undefined;
  }
  if (pattern.test(value)) return value;
  problems.add(path, `is not valid; ${hint}`);
  return undefined;
}

/** One of a few words. */
export function readChoice<T extends string>(
  value: JsonValue | undefined,
  path: Path,
  problems: Problems,
  options: readonly T[],
): T | undefined {
  const option = options.find((name) => name === value);
  if (option === undefined)
    problems.add(path, `must be ${options.length === 1 ? '' : 'one of '}${options.join(', ')}`);
  return option;
}

/** What a name stands for that the document defines under `section`. */
export function readReference<T>(
  value: JsonValue | undefined,
  path: Path,
  problems: Problems,
  defined: ReadonlyMap<string, T>,
  section: string,
): T | undefined {
  const found = typeof value === 'string' ? defined.get(value) : undefined;
  if (found === undefined) {
    const known = `\`${section}\` (${listNames(defined.keys())})`;
    const message =
      value === undefined
        ? `is missing; write a name that is defined under ${known}`
        : `${quote(value)} is not defined under ${known}; define it, or correct the name`;
    problems.add(path, message);
  }
  return found;
}

export function readBoolean(
  value: JsonValue | undefined,
  path: Path,
  problems: Problems,
): boolean | undefined {
  if (typeof value === 'boolean') return value;
  problems.add(path, 'must be true or false');
  return undefined;
}

export function readNames(value: JsonValue | undefined, path: Path, problems: Problems): ReadonlySet<string> {
  if (value === undefined) return new Set();
  return readList(value, path, problems, (item, itemPath) =>
    readText(item, itemPath, problems, NAME, NAME_HINT),
  );
}

export function isList(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}

function describe(value: JsonValue | undefined): string {
  if (value === undefined || value === null) return 'nothing';
  if (isList(value)) return 'a list';
  return typeof value === 'object' ? 'a mapping' : `a ${typeof value === 'string' ? 'text' : typeof value}`;
}
