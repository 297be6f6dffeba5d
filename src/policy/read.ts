import type { JsonValue } from '../jcs.ts';
import type { Path, Problems } from './problems.ts';

/** Names of rules, lists, groups, keys, tags and roles: no case, no Unicode, so that a name has one spelling. */
export const NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/;
export const NAME_HINT = 'use 1 to 63 of a-z, 0-9, ".", "_", "-", starting with a letter or digit';

export type Mapping = ReadonlyMap<string, JsonValue>;

/** What a mapping may hold: `known` members, and `later` ones that the grammar has and this version refuses. */
export interface Members {
  readonly known: readonly string[];
  readonly later?: readonly string[];
}

/** The members of a mapping; unknown ones are reported and left out. */
export function readMapping(
  value: JsonValue | undefined,
  path: Path,
  problems: Problems,
  { known, later = [] }: Members,
): Mapping | undefined {
  const entries = readEntries(value, path, problems);
  if (entries === undefined) return undefined;
  const members = new Map<string, JsonValue>();
  for (const [name, member] of entries) {
    if (known.includes(name)) members.set(name, member);
    else if (later.includes(name)) {
      problems.add([...path, name], `\`${name}\` is not supported by this version; remove it`, 'key');
    } else {
      problems.add([...path, name], `\`${name}\` is not known here; use one of: ${known.join(', ')}`, 'key');
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

function readEntries(
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
