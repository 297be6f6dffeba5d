import { toHex, type Hex } from '../bytes.ts';
import { CountersignError, invalidField } from '../errors.ts';
import { at, readObject } from '../intent/fields.ts';
import { keccak256 } from '../keccak.ts';
import type { AbiField, AbiFunction, AbiType } from './abi.ts';

/** Values in one list of arguments: leaves, and arrays without fixed length. Bounds decoding and what is built from it. */
export const MAX_VALUES = 4096;

const MAX_TEXT = 4096;
const MAX_DEPTH = 8;
/** Of one list; all lists of a function together may have `MAX_FIELDS`. */
const MAX_ARGUMENTS = 64;
const MAX_FIELDS = 256;
const MAX_NAME = 128;

const NAME = /^[A-Za-z_$][A-Za-z0-9_$]*$/;
/** Words that stand between a type and a name in source code; as a name they would be a slip. */
const KEYWORDS: ReadonlySet<string> = new Set(['calldata', 'memory', 'storage', 'payable', 'indexed']);
const INTEGER = /^(u?int)([1-9][0-9]{0,2})?$/;
const FIXED_BYTES = /^bytes([1-9][0-9]?)$/;
const JSON_TYPE = /^([a-z0-9]+)((?:\[[0-9]*\])*)$/;

const SPACES = / */y;
const WORD = /[A-Za-z0-9_$]+/y;
const DIMENSION = /\[([0-9]*)\]/y;

const FORM = 'write it as name(type,type), for example transfer(address,uint256)';

/** Of a canonical signature: the first four bytes of its keccak256. */
export function functionSelector(signature: string): Hex {
  return toHex(keccak256(Buffer.from(signature, 'latin1')).subarray(0, 4));
}

/** A type as it stands in a canonical signature: `(address,bytes)[]`. */
export function formatType(type: AbiType): string {
  switch (type.kind) {
    case 'uint':
    case 'int':
      return `${type.kind}${type.bits}`;
    case 'fixed-bytes':
      return `bytes${type.size}`;
    case 'array':
      return `${formatType(type.of)}[${type.length ?? ''}]`;
    case 'tuple':
      return formatFields(type.of);
    case 'address':
    case 'bool':
    case 'bytes':
    case 'string':
    default:
      return type.kind;
  }
}

function formatFields(fields: readonly AbiField[]): string {
  return `(${fields.map(({ type }) => formatType(type)).join(',')})`;
}

/** The least number of values that data of this type has; `MAX_VALUES` counts them. */
export function leastValues(type: AbiType): number {
  if (type.kind === 'tuple') return type.of.reduce((sum, field) => sum + leastValues(field.type), 0);
  return type.kind === 'array' && type.length !== undefined ? type.length * leastValues(type.of) : 1;
}

/**
 * A function from its signature in text, with or without names: `transfer(address to, uint256 amount)`. Tuples are
 * `(address target, bytes data)[]` or `tuple(…)[]`; `uint` and `int` are of 256 bits. Nothing else of source code is
 * taken: neither `function`, nor what follows the arguments.
 * @throws CountersignError `invalid_request`.
 */
export function parseFunction(text: string): AbiFunction {
  if (text.length > MAX_TEXT) throw invalid(`has more than ${MAX_TEXT} characters; ${FORM}`);
  if (/^ *function /.test(text)) throw invalid(`begins with \`function\`; ${FORM}`);
  const cursor: Cursor = { text, position: 0, fieldsLeft: MAX_FIELDS };
  const name = take(cursor, WORD)?.[0] ?? '';
  if (!isName(name) || text[cursor.position] !== '(') throw invalid(`is not a function's signature; ${FORM}`);
  const inputs = parseFields(cursor, 0);
  if (cursor.position !== text.length) {
    throw invalid(
      'goes on after the closing parenthesis; end it there, without modifiers, returns or white space',
    );
  }
  return functionOf(name, inputs, (message) => invalid(message));
}

/**
 * A function from an item of a JSON ABI (`{ type: 'function', name, inputs: [{ name, type, components }] }`). Members
 * that say nothing of the arguments are not read.
 * @throws CountersignError `invalid_request` whose field error has the path inside the item.
 */
export function fromJsonAbi(item: unknown): AbiFunction {
  const entry = readObject(item, '');
  const { type = 'function', name } = entry;
  if (type !== 'function') throw invalidField('type', 'must be function; other items describe no call');
  if (typeof name !== 'string' || !isName(name)) {
    throw invalidField('name', `must be an identifier of at most ${MAX_NAME} letters, digits, _ and $`);
  }
  const inputs = readFields(entry['inputs'], 'inputs', 0, { left: MAX_FIELDS });
  return functionOf(name, inputs, (message) => invalidField('inputs', message));
}

function functionOf(
  name: string,
  inputs: readonly AbiField[],
  fault: (message: string) => CountersignError,
): AbiFunction {
  if (inputs.reduce((sum, { type }) => sum + leastValues(type), 0) > MAX_VALUES) {
    throw fault(`has more than ${MAX_VALUES} values; use shorter fixed arrays`);
  }
  const signature = name + formatFields(inputs);
  return { name, inputs, signature, selector: functionSelector(signature) };
}

function invalid(message: string): CountersignError {
  return new CountersignError('invalid_request', message, [{ path: '', message }]);
}

interface Cursor {
  readonly text: string;
  position: number;
  fieldsLeft: number;
}

/** What a sticky expression matches here, moving past it. */
function take(cursor: Cursor, expression: RegExp): RegExpExecArray | null {
  expression.lastIndex = cursor.position;
  const match = expression.exec(cursor.text);
  if (match !== null) cursor.position += match[0].length;
  return match;
}

/** The parenthesis that opens the list stands at the cursor. */
function parseFields(cursor: Cursor, depth: number): AbiField[] {
  const fields: AbiField[] = [];
  cursor.position += 1;
  take(cursor, SPACES);
  if (depth === 0 && cursor.text[cursor.position] === ')') {
    cursor.position += 1;
    return fields;
  }
  for (;;) {
    take(cursor, SPACES);
    fields.push(parseField(cursor, depth));
    cursor.fieldsLeft -= 1;
    const sign = cursor.text[cursor.position];
    if (sign !== ',' && sign !== ')') throw unexpected(cursor, 'a comma or a closing parenthesis');
    cursor.position += 1;
    if (sign === ')') break;
    if (fields.length >= MAX_ARGUMENTS || cursor.fieldsLeft <= 0) throw invalid(TOO_MANY);
  }
  checkNames(fields, (_index, message) => invalid(message));
  return fields;
}

const TOO_MANY = `has too many types: at most ${MAX_ARGUMENTS} in one list and ${MAX_FIELDS} in all`;
const TOO_DEEP = `is nested too deep: at most ${MAX_DEPTH} tuples and arrays in each other`;

function parseField(cursor: Cursor, depth: number): AbiField {
  const type = parseType(cursor, depth);
  take(cursor, SPACES);
  const name = take(cursor, WORD)?.[0] ?? '';
  if (name !== '' && !isName(name)) {
    throw invalid(`names an argument ${JSON.stringify(name.slice(0, MAX_NAME))}; ${NAME_HINT}`);
  }
  take(cursor, SPACES);
  return { name, type };
}

const NAME_HINT = 'use a plain identifier, without calldata, memory, payable and the like';

function parseType(cursor: Cursor, depth: number): AbiType {
  const start = cursor.position;
  const word = take(cursor, WORD)?.[0] ?? '';
  const opens = cursor.text[cursor.position] === '(' && (word === '' || word === 'tuple');
  if (word === '' && !opens) throw unexpected(cursor, 'a type');
  if (depth > MAX_DEPTH) throw invalid(TOO_DEEP);
  const base = opens ? { kind: 'tuple' as const, of: parseFields(cursor, depth + 1) } : parseAtom(word);
  if (typeof base === 'string') throw invalid(`has at character ${start + 1} a type that ${base}`);
  const lengths: (number | undefined)[] = [];
  for (let match = take(cursor, DIMENSION); match !== null; match = take(cursor, DIMENSION)) {
    lengths.push(match[1] === '' ? undefined : parseLength(match[1] ?? '', invalid));
  }
  return arrayOf(base, lengths, invalid);
}

function unexpected(cursor: Cursor, expected: string): CountersignError {
  return invalid(`needs ${expected} at character ${cursor.position + 1}; ${FORM}`);
}

/** Wraps a type in arrays, the inner first, as `uint256[2][]` is a list of pairs. */
function arrayOf(
  base: AbiType,
  lengths: readonly (number | undefined)[],
  fault: (message: string) => CountersignError,
): AbiType {
  const type = lengths.reduce<AbiType>(
    (of, length) => (length === undefined ? { kind: 'array', of } : { kind: 'array', of, length }),
    base,
  );
  if (depthOf(type) > MAX_DEPTH) throw fault(TOO_DEEP);
  return type;
}

/** How many tuples and arrays are in each other; recursion of what reads values is bounded by it. */
function depthOf(type: AbiType): number {
  if (type.kind === 'array') return 1 + depthOf(type.of);
  if (type.kind !== 'tuple') return 0;
  return 1 + Math.max(...type.of.map((field) => depthOf(field.type)));
}

function parseLength(digits: string, fault: (message: string) => CountersignError): number {
  const length = digits.length <= 4 && !digits.startsWith('0') ? Number(digits) : 0;
  if (length < 1 || length > MAX_VALUES) {
    throw fault(`has a fixed array of length ${digits.slice(0, 8)}; lengths are from 1 to ${MAX_VALUES}`);
  }
  return length;
}

/** A type without parts, or what is wrong with it. */
function parseAtom(word: string): AbiType | string {
  if (word === 'address' || word === 'bool' || word === 'bytes' || word === 'string') return { kind: word };
  const integer = INTEGER.exec(word);
  if (integer !== null) {
    const bits = Number(integer[2] ?? 256);
    if (bits % 8 !== 0 || bits > 256) return `has ${bits} bits; use a multiple of 8 up to 256`;
    return { kind: integer[1] === 'int' ? 'int' : 'uint', bits };
  }
  const size = Number(FIXED_BYTES.exec(word)?.[1] ?? 0);
  if (size >= 1 && size <= 32) return { kind: 'fixed-bytes', size };
  if (word === 'function' || /^u?fixed/.test(word)) return 'is not supported; no contract in use has it';
  return 'is not of the ABI; use address, bool, uint256, int256, bytes32, bytes, string, tuples and arrays, for contracts address and for enums uint8';
}

function readFields(value: unknown, path: string, depth: number, count: { left: number }): AbiField[] {
  if (!Array.isArray(value)) throw invalidField(path, 'must be an array of { name, type }');
  count.left -= value.length;
  if (value.length > MAX_ARGUMENTS || count.left < 0) throw invalidField(path, TOO_MANY);
  const fields = value.map((item: unknown, index) => readField(item, at(path, index), depth, count));
  checkNames(fields, (index, message) => invalidField(at(path, index), message));
  return fields;
}

function readField(value: unknown, path: string, depth: number, count: { left: number }): AbiField {
  const { name = '', type, components } = readObject(value, path);
  if (typeof name !== 'string' || (name !== '' && !isName(name))) {
    throw invalidField(at(path, 'name'), `must be empty or an identifier; ${NAME_HINT}`);
  }
  const typePath = at(path, 'type');
  if (depth > MAX_DEPTH) throw invalidField(typePath, TOO_DEEP);
  const match = typeof type === 'string' && type.length <= MAX_NAME ? JSON_TYPE.exec(type) : null;
  if (match === null) throw invalidField(typePath, 'must be a type of the ABI, such as uint256 or tuple[]');
  const [, word = '', dimensions = ''] = match;
  const base = word === 'tuple' ? readTuple(components, path, depth, count) : parseAtom(word);
  if (typeof base === 'string') throw invalidField(typePath, base);
  const fault = (message: string) => invalidField(typePath, message);
  const lengths = [...dimensions.matchAll(/\[([0-9]*)\]/g)].map(([, digits = '']) =>
    digits === '' ? undefined : parseLength(digits, fault),
  );
  return { name, type: arrayOf(base, lengths, fault) };
}

function readTuple(components: unknown, path: string, depth: number, count: { left: number }): AbiType {
  const of = readFields(components, at(path, 'components'), depth + 1, count);
  if (of.length === 0) throw invalidField(at(path, 'components'), 'must name at least one member');
  return { kind: 'tuple', of };
}

/** `__proto__` is not safe as a member's name everywhere that JSON goes. */
function isName(name: string): boolean {
  return NAME.test(name) && name.length <= MAX_NAME && !KEYWORDS.has(name) && name !== '__proto__';
}

/** A path of a policy has to mean one argument. */
function checkNames(
  fields: readonly AbiField[],
  fault: (index: number, message: string) => CountersignError,
): void {
  const seen = new Set<string>();
  for (const [index, { name }] of fields.entries()) {
    if (name !== '' && seen.has(name))
      throw fault(index, `repeats the name ${name}; give each its own or none`);
    seen.add(name);
  }
}
