import { CountersignError, invalidField } from '../errors.ts';

export interface JsonLimits {
  readonly depth: number;
  /** Members of all objects and elements of all arrays together. */
  readonly nodes: number;
}

export const DEFAULT_LIMITS: JsonLimits = { depth: 32, nodes: 20_000 };

/** Keeps nothing from one text to the next. */
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const FORBIDDEN_KEYS = new Set(['__proto__', 'constructor', 'prototype']);
/** So many digits are always below 2^53. */
const SAFE_DIGITS = 15;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * JSON (RFC 8259) as far as nobody can read it in two ways: UTF-8 without replacement, no duplicate keys, no keys
 * that mean something to JavaScript, numbers only where a double holds them exactly as written, bounded depth and
 * count. Throws `invalid_request`; the limits are checked before anything is built.
 */
export function parseStrictJson(bytes: Uint8Array, limits: JsonLimits = DEFAULT_LIMITS): unknown {
  let text: string;
  try {
    text = UTF8.decode(bytes);
  } catch (error) {
    throw new CountersignError('invalid_request', 'the body is not UTF-8', [], error);
  }
  checkStructure(text, limits);
  try {
    return JSON.parse(text) as unknown;
  } catch {
    // The parser's own message quotes the body, which may hold a secret.
    throw new CountersignError('invalid_request', 'the body is not JSON');
  }
}

interface Level {
  /** Undefined in an array. */
  readonly keys: Set<string> | undefined;
  key: string;
  /** In an object: the next string is a key. */
  expectsKey: boolean;
}

/**
 * One pass over the structural characters. It need not notice every syntax error, JSON.parse does that after it; it
 * must only be right about text that JSON.parse accepts.
 */
function checkStructure(text: string, limits: JsonLimits): void {
  const stack: Level[] = [];
  let level: Level | undefined;
  let nodes = 0;

  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) {
      const end = endOfString(text, i);
      if (level?.keys !== undefined && level.expectsKey) {
        addKey(level, level.keys, text.slice(i + 1, end), stack);
        level.expectsKey = false;
        nodes++;
      }
      i = end;
    } else if (code === 0x2c /* , */) {
      if (level?.keys === undefined) nodes++;
      else level.expectsKey = true;
    } else if (code === 0x2d /* - */ || isDigit(code)) {
      i = checkNumber(text, i, stack) - 1;
    } else if (code === 0x7b /* { */ || code === 0x5b /* [ */) {
      if (stack.length >= limits.depth) throw tooMuch(`nested deeper than ${limits.depth} levels`);
      const isObject = code === 0x7b;
      level = { keys: isObject ? new Set() : undefined, key: '', expectsKey: isObject };
      stack.push(level);
      nodes++;
    } else if (code === 0x7d /* } */ || code === 0x5d /* ] */) {
      stack.pop();
      level = stack.at(-1);
    }
    if (nodes > limits.nodes) throw tooMuch(`more than ${limits.nodes} members`);
  }
}

/** Index of the closing quote, or of the end of the text when there is none. */
function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1);
  while (end >= 0 && isEscaped(text, end)) end = text.indexOf('"', end + 1);
  return end < 0 ? text.length : end;
}

/** Whether an odd number of backslashes stands before it. The quote that begins its string ends the look back. */
function isEscaped(text: string, index: number): boolean {
  let first = index;
  while (text.charCodeAt(first - 1) === BACKSLASH) first--;
  return (index - first) % 2 === 1;
}

/** @param spelling what stands between the quotes. */
function addKey(level: Level, keys: Set<string>, spelling: string, stack: readonly Level[]): void {
  let key = spelling;
  // "\u0061" and "a" are the same key.
  if (spelling.includes('\\')) {
    try {
      key = JSON.parse(`"${spelling}"`) as string;
    } catch {
      return;
    }
    // Only an escape can make one. It would stand in messages and paths, and has no UTF-8 form.
    if (!key.isWellFormed()) {
      throw new CountersignError('invalid_request', 'the name of a field contains a lone surrogate');
    }
  }
  level.key = key;
  if (keys.has(key)) throw invalidField(pathOf(stack), 'is given twice');
  if (FORBIDDEN_KEYS.has(key)) throw invalidField(pathOf(stack), 'is not a name that a field may have');
  keys.add(key);
}

/** Index behind the number. */
function checkNumber(text: string, start: number, stack: readonly Level[]): number {
  let end = start;
  while (isDigit(text.charCodeAt(end))) end++;
  const isWhole = end > start && !'+-.eE'.includes(text.charAt(end));
  if (isWhole && end - start <= SAFE_DIGITS) return end;
  while (end < text.length && '+-.eE0123456789'.includes(text.charAt(end))) end++;
  const literal = text.slice(start, end);
  if (!/^-?\d+$/.test(literal) || !Number.isSafeInteger(Number(literal))) {
    throw invalidField(pathOf(stack), 'a JSON number must be an integer below 2^53; send amounts as strings');
  }
  return end;
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

function pathOf(stack: readonly Level[]): string {
  return stack
    .filter(({ keys }) => keys !== undefined)
    .map(({ key }) => key)
    .join('.');
}

function tooMuch(what: string): CountersignError {
  return new CountersignError('payload_too_large', `the body is ${what}`);
}
