import {
  CST,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  parseAllDocuments,
  Scalar,
  type Document,
  type Pair,
  type ParsedNode,
  type YAMLMap,
} from 'yaml';
import type { JsonValue } from '../jcs.ts';
import { createProblems, type Path, type Problems } from './read.ts';

const MAX_BYTES = 1_048_576;

/** What the lexer makes of a text: words, signs, spaces. Parsing takes time by these, and a hostile text has one a byte. */
const MAX_LEXEMES = 200_000;

/** Far above what a policy needs, far below what recursion can bear. */
const MAX_DEPTH = 64;

/** Columns; every level of a block takes at least one. */
const MAX_INDENTATION = 256;
const TOO_DEEP = `is nested more than ${MAX_DEPTH} levels deep; flatten it`;

const DECIMAL_INTEGER = /^(0|-?[1-9][0-9]*)$/;

/** Syntax of YAML 1.2 that policies do not use: each can make a reader and the machine see two documents. */
const REFUSED_SYNTAX: ReadonlyMap<string, string> = new Map([
  ['anchor', 'anchors are not supported; write the value out, or use lists and keyGroups'],
  [
    'alias',
    'aliases are not supported; write the value out, or use lists and keyGroups (quote a text that starts with *)',
  ],
  ['tag', 'tags are not supported; leave it out (quote a text that starts with !)'],
  ['directive-line', 'directives are not supported; leave the line out'],
]);

/**
 * Parses the strict YAML subset of policies: YAML 1.2 core schema, one document, string keys, no anchors,
 * aliases, tags, directives, merge keys or duplicate keys, and no number but a plain decimal integer.
 * What is refused lands in `problems`, which also find the position of whatever is reported later.
 * Throws at once where there is no document to go on with. Messages name the `subject`.
 */
export function parseStrictYaml(
  text: string,
  file: string,
  subject = 'the policy',
): { value: JsonValue; problems: Problems } {
  const lines = new LineCounter();
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${line}:${col}`;
  };
  let root: ParsedNode | null = null;
  const problems = createProblems(subject, (path, spot) => at(locate(root, path, spot)));

  if (Buffer.byteLength(text, 'utf8') > MAX_BYTES) {
    problems.add([], 'is larger than 1 MiB; use lists and keyGroups to shorten it', 'value', file);
    problems.throwIfAny();
  }
  for (let start = 0; start >= 0; start = afterNewline(text, start)) lines.addNewLine(start);
  refuseSyntax(text, problems, at);
  problems.throwIfAny();
  root = parseOne(text, problems, at);
  problems.throwIfAny();
  return { value: toJson(root, [], problems, at), problems };
}

function afterNewline(text: string, from: number): number {
  const newline = text.indexOf('\n', from);
  return newline < 0 ? -1 : newline + 1;
}

/** Looks at lexemes, not at the text: a `*` inside quotes is no alias. */
function refuseSyntax(text: string, problems: Problems, at: (offset: number) => string): void {
  let offset = 0;
  let count = 0;
  let flowDepth = 0;
  let nestedOnLine = 0;
  let previous = 'newline';
  for (const lexeme of new Lexer().lex(text)) {
    const type = previous === 'scalar' ? 'scalar-text' : (CST.tokenType(lexeme) ?? '');
    const isIndentation = previous === 'newline' && type === 'space';
    previous = type;
    count++;
    if (count > MAX_LEXEMES) {
      const message = `has more than ${MAX_LEXEMES} words, signs and spaces; use lists and keyGroups to shorten it`;
      problems.add([], message, 'value', at(offset));
      return;
    }
    if (UNWRITTEN.has(type)) continue;
    flowDepth += FLOW_NESTING.get(type) ?? 0;
    if (type === 'newline') nestedOnLine = 0;
    if (type === 'seq-item-ind' || type === 'explicit-key-ind') nestedOnLine++;
    if (
      flowDepth > MAX_DEPTH ||
      nestedOnLine > MAX_DEPTH ||
      (isIndentation && lexeme.length > MAX_INDENTATION)
    ) {
      problems.add([], TOO_DEEP, 'value', at(offset));
      return;
    }
    const refusal = REFUSED_SYNTAX.get(type);
    if (refusal !== undefined) problems.add([], refusal, 'value', at(offset));
    offset += lexeme.length;
  }
}

/** Marks that the lexer puts between the lexemes of the text. */
const UNWRITTEN: ReadonlySet<string> = new Set(['scalar', 'doc-mode', 'flow-error-end']);

const FLOW_NESTING: ReadonlyMap<string, number> = new Map([
  ['flow-map-start', 1],
  ['flow-seq-start', 1],
  ['flow-map-end', -1],
  ['flow-seq-end', -1],
]);

function parseOne(text: string, problems: Problems, at: (offset: number) => string): ParsedNode | null {
  const documents = parseDocuments(text);
  if (documents === undefined) {
    problems.add([], TOO_DEEP, 'value', at(0));
    return null;
  }
  for (const { errors, warnings } of documents) {
    for (const fault of [...errors, ...warnings]) {
      problems.add([], `is not valid YAML: ${fault.message}`, 'value', at(fault.pos[0]));
    }
  }
  const [first, second] = documents;
  if (second !== undefined) {
    problems.add([], 'a policy is one YAML document; remove what follows ---', 'value', at(second.range[0]));
  }
  if (first === undefined || first.contents === null) {
    problems.add([], 'the document is empty; start from the starter policy', 'value', at(0));
    return null;
  }
  return first.contents;
}

function parseDocuments(text: string): Document.Parsed[] | undefined {
  // The parser makes an error for every fault, and gathering their stacks is most of the time that it takes.
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return parseAllDocuments(text, {
      version: '1.2',
      schema: 'core',
      merge: false,
      strict: true,
      // Checked in toJson, where it does not take quadratic time.
      uniqueKeys: false,
      prettyErrors: false,
      logLevel: 'error',
    });
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

function toJson(node: unknown, path: Path, problems: Problems, at: (offset: number) => string): JsonValue {
  if (path.length > MAX_DEPTH) {
    problems.add(path, TOO_DEEP);
    return null;
  }
  if (isSeq(node)) return node.items.map((item, index) => toJson(item, [...path, index], problems, at));
  if (isMap(node)) return mapToJson(node, path, problems, at);
  if (isScalar(node)) return scalarToJson(node, path, problems);
  if (node !== null) problems.add(path, 'is not a value of the supported YAML; write it out');
  return null;
}

function mapToJson(map: YAMLMap, path: Path, problems: Problems, at: (offset: number) => string): JsonValue {
  const members = new Map<string, JsonValue>();
  for (const { key, value } of map.items) {
    const refuse = (member: Path, message: string): void => {
      problems.add(member, message, 'key', at(startOf(key) ?? startOf(map) ?? 0));
    };
    if (!isScalar(key) || typeof key.value !== 'string') {
      const shown = isScalar(key) ? String(key.source ?? key.value) : 'a list or mapping';
      refuse([...path, shown], 'a key must be text; put it in quotes');
      continue;
    }
    const member = [...path, key.value];
    if (key.value === '<<') {
      refuse(member, 'merge keys are not supported; write the members out');
    } else if (members.has(key.value)) {
      refuse(member, 'this key is already there; keep one of the two');
    } else {
      members.set(key.value, toJson(value, member, problems, at));
    }
  }
  // Defines own members, so that a `__proto__` stays visible and is refused as unknown.
  return Object.fromEntries(members);
}

function scalarToJson(scalar: Scalar, path: Path, problems: Problems): JsonValue {
  const { value, source = '' } = scalar;
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return value;
  if (scalar.type === Scalar.PLAIN && DECIMAL_INTEGER.test(source) && Number.isSafeInteger(value)) {
    return value as number;
  }
  const why = /^[-+]?0x/i.test(source)
    ? 'unquoted hexadecimal reads as a number in YAML'
    : 'only plain decimal integers up to 2^53-1 may stand without quotes';
  problems.add(path, `${why}; write ${JSON.stringify(source)}`);
  return source;
}

/** Offset of the deepest part of `path` that was written. */
function locate(root: ParsedNode | null, path: Path, spot: 'key' | 'value'): number {
  let node: unknown = root;
  let found = startOf(root) ?? 0;
  for (const [index, step] of path.entries()) {
    const isLast = index === path.length - 1;
    if (isSeq(node) && typeof step === 'number') {
      node = node.items[step];
      found = startOf(node) ?? found;
    } else {
      const pair = isMap(node) ? node.items.find((item) => keyOf(item) === step) : undefined;
      if (pair === undefined) return found;
      const key = startOf(pair.key) ?? found;
      found = isLast && spot === 'key' ? key : (startOf(pair.value) ?? key);
      node = pair.value;
    }
  }
  return found;
}

function keyOf(pair: Pair): unknown {
  return isScalar(pair.key) ? pair.key.value : undefined;
}

function startOf(node: unknown): number | undefined {
  return isScalar(node) || isMap(node) || isSeq(node) ? node.range?.[0] : undefined;
}
