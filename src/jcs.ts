import { CountersignError } from './errors.ts';

export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue | undefined };

/** Nesting beyond this is refused, so that neither a cycle nor a hostile document overflows the stack. */
const MAX_DEPTH = 128;

/** Below this length a scan by character code is faster than the native serializer. */
const SHORT_STRING = 64;

/**
 * Canonical JSON (RFC 8785): no white space, members sorted by the UTF-16 code units of their names
 * (3.2.3), numbers as ECMAScript prints them (3.2.2.3), strings with the fewest escapes (3.2.2.2).
 * Members that are `undefined` are left out.
 * @throws CountersignError `invalid_request` for what has no canonical form: NaN and infinities, lone
 * surrogates, bigints, `undefined` inside an array, functions, symbols, class instances, and nesting
 * deeper than 128.
 */
export function canonicalize(value: JsonValue): string {
  // ECMAScript's own serializer writes canonical JSON but for the order of members and lone surrogates, and is faster.
  if (isInOrder(value, 0)) {
    const json = JSON.stringify(value);
    if (!json.includes('\\ud')) return json;
  }
  return write(value, 0);
}

/** Whether `text`, which was parsed into `value`, is canonical. A duplicate member is lost in parsing, so that it shows. */
export function isCanonical(text: string, value: JsonValue): boolean {
  try {
    return canonicalize(value) === text;
  } catch {
    return false;
  }
}

/** Whether it is JSON with all members in canonical order. False also for what `write` refuses, which says why. */
function isInOrder(value: unknown, depth: number): boolean {
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return true;
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'object' || depth === MAX_DEPTH) return false;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) if (!isInOrder(value[i], depth + 1)) return false;
    return true;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return false;
  const members = value as { readonly [name: string]: unknown };
  let last = '';
  for (const name of Object.keys(members)) {
    const member = members[name];
    if (name < last || !(member === undefined || isInOrder(member, depth + 1))) return false;
    last = name;
  }
  return true;
}

function write(value: unknown, depth: number): string {
  if (typeof value === 'string') return quote(value);
  if (typeof value === 'number') return writeNumber(value);
  if (typeof value === 'boolean') return value ? 'true' : 'false';
  if (value === null) return 'null';
  if (typeof value !== 'object') throw refused(`a value of type ${typeof value} is not JSON`);
  if (depth === MAX_DEPTH) throw refused(`nesting is deeper than ${MAX_DEPTH}`);
  return Array.isArray(value) ? writeArray(value, depth + 1) : writeObject(value, depth + 1);
}

function writeNumber(value: number): string {
  if (!Number.isFinite(value)) throw refused(`${value} is not a JSON number`);
  return String(value);
}

function writeArray(items: readonly unknown[], depth: number): string {
  let json = '[';
  // By index, because iteration methods skip the holes of a sparse array.
  for (let i = 0; i < items.length; i++) {
    if (i > 0) json += ',';
    json += write(items[i], depth);
  }
  return `${json}]`;
}

function writeObject(object: object, depth: number): string {
  const prototype: unknown = Object.getPrototypeOf(object);
  if (prototype !== Object.prototype && prototype !== null) throw refused('only plain objects are JSON');
  const members = object as { readonly [name: string]: unknown };
  let json = '{';
  for (const name of sortNames(Object.keys(object))) {
    const value = members[name];
    if (value === undefined) continue;
    if (json.length > 1) json += ',';
    json += `${quote(name)}:${write(value, depth)}`;
  }
  return `${json}}`;
}

/** In place. Insertion sort: entries have few members, mostly in order already. `<` compares code units. */
function sortNames(names: string[]): string[] {
  if (names.length > 32) return names.sort();
  for (let i = 1; i < names.length; i++) {
    const name = names[i] as string;
    let j = i - 1;
    for (; j >= 0 && (names[j] as string) > name; j--) names[j + 1] = names[j] as string;
    names[j + 1] = name;
  }
  return names;
}

function quote(text: string): string {
  if (text.length <= SHORT_STRING && isPlain(text)) return `"${text}"`;
  if (!text.isWellFormed()) throw refused('a string holds a lone surrogate');
  // ECMAScript's escapes are those of RFC 8785 3.2.2.2 for every well-formed string.
  return JSON.stringify(text);
}

/** True when no character needs an escape or could be half of a surrogate pair. */
function isPlain(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x20 || code === 0x22 || code === 0x5c || (code >= 0xd800 && code <= 0xdfff)) return false;
  }
  return true;
}

function refused(what: string): CountersignError {
  return new CountersignError('invalid_request', `no canonical JSON (RFC 8785): ${what}`);
}
