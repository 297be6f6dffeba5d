import { invalidField } from '../errors.ts';
import { at, readObject, type JsonObject } from './fields.ts';
import type { TypedDataField } from './intent.ts';

/** Types that hold one value, of 32 bytes or hashed to 32 bytes. */
export type AtomType =
  | { readonly kind: 'uint' | 'int'; readonly bits: number }
  | { readonly kind: 'fixed-bytes'; readonly length: number }
  | { readonly kind: 'bytes' | 'string' | 'bool' | 'address' };

/** A field's type, parsed (EIP-712, "Definition of typed structured data"). */
export type ValueType =
  | AtomType
  | { readonly kind: 'struct'; readonly name: string }
  | { readonly kind: 'array'; readonly element: ValueType; readonly length: number | null };

export interface StructField extends TypedDataField {
  readonly valueType: ValueType;
}

/** Every struct type by its name. Built by `parseTypes`: all are known, and none contains itself. */
export type StructTypes = ReadonlyMap<string, readonly StructField[]>;

// Together these bound the text that is hashed: a type's hash covers every type it contains.
const MAX_TYPES = 32;
const MAX_FIELDS = 256;
const MAX_NAME_LENGTH = 64;
const MAX_TYPE_LENGTH = 128;
const MAX_DIMENSIONS = 8;

const FIELD_NAME = /^[A-Za-z_$][A-Za-z0-9_$]*$/;
/** Identifiers, and the colon that some protocols put in them; it cannot be mistaken for encodeType's own signs. */
const TYPE_NAME = /^[A-Za-z_$][A-Za-z0-9_$:]*$/;
/** What is an atomic type, or would read like one. */
const RESERVED = /^(?:u?int[0-9]*|u?fixed.*|bytes[0-9]*|string|bool|address|function)$/;
const ARRAY = /^(.*)\[([1-9][0-9]{0,4})?\]$/;
const INTEGER = /^(u?int)([1-9][0-9]{0,2})$/;
const FIXED_BYTES = /^bytes([1-9][0-9]?)$/;

/** EIP-712: the fields a domain may have, in the order in which they are encoded. */
export const DOMAIN_FIELDS: readonly StructField[] = [
  { name: 'name', type: 'string', valueType: { kind: 'string' } },
  { name: 'version', type: 'string', valueType: { kind: 'string' } },
  { name: 'chainId', type: 'uint256', valueType: { kind: 'uint', bits: 256 } },
  { name: 'verifyingContract', type: 'address', valueType: { kind: 'address' } },
  { name: 'salt', type: 'bytes32', valueType: { kind: 'fixed-bytes', length: 32 } },
];

/** The domain's fields in the standard's order: those that are present, as EIP-712 has it. */
export function domainFields(domain: JsonObject): StructField[] {
  return DOMAIN_FIELDS.filter(({ name }) => Object.hasOwn(domain, name));
}

/**
 * Reads `types` and checks them as a whole: names and types are well-formed, every struct that is named is
 * there, none contains itself (its size would be without bound, and implementations disagree on its hash),
 * and none is unused by `primaryType` (it would be shown to a reviewer and not be signed).
 */
export function parseTypes(types: unknown, primaryType: string, path: string): StructTypes {
  const entries = Object.entries(readObject(types, path));
  if (entries.length > MAX_TYPES) throw invalidField(path, `must have at most ${MAX_TYPES} types`);
  const structs = new Map<string, readonly StructField[]>();
  for (const [name, fields] of entries) {
    if (name === 'EIP712Domain') continue;
    checkTypeName(name, at(path, name));
    structs.set(name, readFields(fields, at(path, name)));
  }
  if (!structs.has(primaryType))
    throw invalidField('primaryType', 'must be one of the struct types in types');
  checkReferences(structs, path);
  const used = containedTypes(structs, primaryType);
  for (const name of structs.keys()) {
    if (name !== primaryType && !used.has(name)) {
      throw invalidField(at(path, name), `is not used by ${primaryType}, so it would not be signed`);
    }
  }
  return structs;
}

/** The struct types that a type contains, at any depth. */
export function containedTypes(structs: StructTypes, name: string): ReadonlySet<string> {
  const contained = new Set(directlyContained(structs, name));
  for (const next of contained) {
    for (const struct of directlyContained(structs, next)) contained.add(struct);
  }
  return contained;
}

/** EIP-712 `encodeType`: the type, then those it contains by name. */
export function encodeType(structs: StructTypes, name: string): string {
  const contained = [...containedTypes(structs, name)].sort();
  return [name, ...contained].map((type) => describe(type, structs.get(type) ?? [])).join('');
}

function describe(name: string, fields: readonly StructField[]): string {
  return `${name}(${fields.map((field) => `${field.type} ${field.name}`).join(',')})`;
}

function directlyContained(structs: StructTypes, name: string): string[] {
  return (structs.get(name) ?? []).flatMap(({ valueType }) => structIn(valueType) ?? []);
}

/** The parsed form of a field's type, or undefined when it is not well-formed. */
export function parseValueType(type: string, dimensions = 0): ValueType | undefined {
  const array = ARRAY.exec(type);
  if (array !== null) {
    const element = dimensions < MAX_DIMENSIONS ? parseValueType(array[1] ?? '', dimensions + 1) : undefined;
    return element && { kind: 'array', element, length: array[2] === undefined ? null : Number(array[2]) };
  }
  if (type === 'bytes' || type === 'string' || type === 'bool' || type === 'address') return { kind: type };
  const integer = INTEGER.exec(type);
  if (integer !== null) {
    const bits = Number(integer[2]);
    if (bits % 8 !== 0 || bits > 256) return undefined;
    return { kind: integer[1] === 'int' ? 'int' : 'uint', bits };
  }
  const length = Number(FIXED_BYTES.exec(type)?.[1] ?? 0);
  if (length >= 1 && length <= 32) return { kind: 'fixed-bytes', length };
  return isTypeName(type) ? { kind: 'struct', name: type } : undefined;
}

function readFields(value: unknown, path: string): StructField[] {
  if (!Array.isArray(value)) throw invalidField(path, 'must be an array of {name, type}');
  const names = new Set<string>();
  return value.map((entry: unknown, index) => {
    const field = readField(entry, at(path, index));
    if (names.has(field.name)) throw invalidField(at(path, index), `repeats the field ${field.name}`);
    names.add(field.name);
    return field;
  });
}

function readField(value: unknown, path: string): StructField {
  const entry = readObject(value, path);
  const unknown = Object.keys(entry).find((key) => key !== 'name' && key !== 'type');
  if (unknown !== undefined) throw invalidField(at(path, unknown), 'is not a known field');
  const { name, type } = entry;
  if (typeof name !== 'string' || !FIELD_NAME.test(name) || !isBoundedName(name)) {
    throw invalidField(at(path, 'name'), 'must be an identifier: letters, digits, _ and $');
  }
  if (typeof type !== 'string') throw invalidField(at(path, 'type'), 'must be a string');
  const valueType = type.length <= MAX_TYPE_LENGTH ? parseValueType(type) : undefined;
  if (valueType === undefined) {
    const hint = /^u?int(?:\[|$)/.test(type) ? `: write ${type.replace('int', 'int256')}` : '';
    throw invalidField(at(path, 'type'), `is not a type of EIP-712${hint}`);
  }
  return { name, type, valueType };
}

function checkTypeName(name: string, path: string): void {
  if (!isTypeName(name)) {
    throw invalidField(path, 'must be an identifier that is not the name of an atomic type');
  }
}

function isTypeName(name: string): boolean {
  return TYPE_NAME.test(name) && !RESERVED.test(name) && isBoundedName(name) && name !== 'EIP712Domain';
}

/** `__proto__` is not safe as a member's name everywhere that JSON goes. */
function isBoundedName(name: string): boolean {
  return name.length <= MAX_NAME_LENGTH && name !== '__proto__';
}

function checkReferences(structs: StructTypes, path: string): void {
  const fields = [...structs.values()].reduce((sum, struct) => sum + struct.length, 0);
  if (fields > MAX_FIELDS) throw invalidField(path, `must have at most ${MAX_FIELDS} fields in all`);
  for (const name of structs.keys()) {
    const contained = containedTypes(structs, name);
    if (contained.has(name)) throw invalidField(at(path, name), 'contains itself, which is not supported');
    for (const struct of contained) {
      if (!structs.has(struct)) throw invalidField(at(path, name), `needs ${struct}, which is not in types`);
    }
  }
}

function structIn(type: ValueType): string | undefined {
  if (type.kind === 'array') return structIn(type.element);
  return type.kind === 'struct' ? type.name : undefined;
}
