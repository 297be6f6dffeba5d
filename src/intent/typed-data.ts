import { fromHex, type Hex } from '../bytes.ts';
import { CountersignError, invalidField } from '../errors.ts';
import { keccak256 } from '../keccak.ts';
import {
  at,
  readAddress,
  readBytes,
  readFixedBytes,
  readObject,
  readText,
  type JsonObject,
} from './fields.ts';
import type { TypedData, TypedDataField, TypedValue } from './intent.ts';
import {
  DOMAIN_FIELDS,
  domainFields,
  encodeType,
  parseTypes,
  type AtomType,
  type StructField,
  type StructTypes,
  type ValueType,
} from './typed-data-types.ts';

/** Values in one message, structs and arrays included: bounds the work of hashing. */
const MAX_VALUES = 10_000;
const MAX_BYTES = 131_072;

const DECIMAL = /^(?:0|-?[1-9][0-9]{0,77})$/;
const HEX = /^0x[0-9a-fA-F]{1,64}$/;

interface Context {
  readonly structs: StructTypes;
  valuesLeft: number;
}

/** Typed data as callers send it: each part any JSON object. */
export interface TypedDataInput {
  readonly domain: unknown;
  readonly types: unknown;
  readonly primaryType: string;
  readonly message: unknown;
}

/**
 * EIP-712 typed data in canonical form, from what callers send. What is shown is what is signed: every value
 * has its type's form and range, and no member is missing, unknown or unused. In the result, integers are
 * decimal strings, hex is lower-case, members are in the order of their type, and `types` is without
 * EIP712Domain, which the domain's own fields imply.
 */
export function readTypedData(input: TypedDataInput): TypedData {
  const { primaryType } = input;
  if (primaryType === 'EIP712Domain') {
    throw invalidField('primaryType', 'must not be EIP712Domain: a domain alone says nothing to sign');
  }
  const structs = parseTypes(input.types, primaryType, 'types');
  const domain = readDomain(input.domain, 'domain');
  checkDomainType(input.types, domain);
  const context: Context = { structs, valuesLeft: MAX_VALUES };
  const message = readStruct(input.message, structs.get(primaryType) ?? [], 'message', context);
  const types = [...structs].map(([name, fields]) => [
    name,
    fields.map((field) => ({ name: field.name, type: field.type })),
  ]);
  return {
    domain,
    types: Object.fromEntries(types) as TypedData['types'],
    primaryType,
    message,
  };
}

function readDomain(value: unknown, path: string): TypedData['domain'] {
  const domain = readObject(value, path);
  for (const name of Object.keys(domain)) {
    if (!DOMAIN_FIELDS.some((field) => field.name === name)) {
      throw invalidField(at(path, name), 'is not a field of an EIP-712 domain');
    }
  }
  const present = domainFields(domain);
  const context: Context = { structs: new Map(), valuesLeft: present.length };
  return readMembers(domain, present, path, context);
}

/** A given EIP712Domain must be the one that the domain's fields imply: that is the one that is hashed. */
function checkDomainType(types: unknown, domain: TypedData['domain']): void {
  const given = readObject(types, 'types');
  if (!Object.hasOwn(given, 'EIP712Domain')) return;
  const expected = domainFields(domain);
  const declared = given['EIP712Domain'];
  const matches =
    Array.isArray(declared) &&
    declared.length === expected.length &&
    expected.every((field, index) => isField(declared[index], field));
  if (!matches) {
    const fields = expected.map(({ name, type }) => `${type} ${name}`).join(',');
    throw invalidField(
      'types.EIP712Domain',
      `must be absent or match the domain, in the standard's order: EIP712Domain(${fields})`,
    );
  }
}

function isField(value: unknown, expected: TypedDataField): boolean {
  const field = readObject(value, 'types.EIP712Domain');
  return (
    Object.keys(field).length === 2 && field['name'] === expected.name && field['type'] === expected.type
  );
}

function readStruct(
  value: unknown,
  fields: readonly StructField[],
  path: string,
  context: Context,
): { readonly [name: string]: TypedValue } {
  const struct = readObject(value, path);
  const known = new Set(fields.map(({ name }) => name));
  for (const name of Object.keys(struct)) {
    if (!known.has(name))
      throw invalidField(at(path, name), 'is not a field of its type, so it would not be signed');
  }
  return readMembers(struct, fields, path, context);
}

function readMembers(
  struct: JsonObject,
  fields: readonly StructField[],
  path: string,
  context: Context,
): { readonly [name: string]: TypedValue } {
  const members = fields.map(({ name, valueType }): [string, TypedValue] => {
    if (!Object.hasOwn(struct, name)) throw invalidField(at(path, name), 'is required by its type');
    return [name, readValue(struct[name], valueType, at(path, name), context)];
  });
  return Object.fromEntries(members);
}

function readValue(value: unknown, type: ValueType, path: string, context: Context): TypedValue {
  context.valuesLeft -= 1;
  if (context.valuesLeft < 0)
    throw invalidField(path, `is one too many: at most ${MAX_VALUES} values are signed`);
  if (type.kind === 'struct') {
    return readStruct(value, context.structs.get(type.name) ?? [], path, context);
  }
  if (type.kind === 'array') {
    return readArray(value, type.length, path).map((element, index) =>
      readValue(element, type.element, at(path, index), context),
    );
  }
  return readAtom(value, type, path);
}

function readAtom(value: unknown, type: AtomType, path: string): string | boolean {
  if (type.kind === 'fixed-bytes') return readFixedBytes(value, path, type.length);
  if (type.kind === 'bytes') return readBytes(value, path, MAX_BYTES);
  if (type.kind === 'string') return readText(value, path);
  if (type.kind === 'address') return readAddress(value, path);
  if (type.kind === 'uint' || type.kind === 'int') return readInteger(value, type.kind, type.bits, path);
  if (typeof value !== 'boolean') throw invalidField(path, 'must be true or false');
  return value;
}

function readArray(value: unknown, length: number | null, path: string): readonly unknown[] {
  if (!Array.isArray(value)) throw invalidField(path, 'must be an array');
  if (length !== null && value.length !== length) {
    throw invalidField(path, `must have exactly ${length} elements, not ${value.length}`);
  }
  return value;
}

/** An integer of the type's range as a decimal string, from a JSON integer or a decimal or hex string. */
function readInteger(value: unknown, kind: 'uint' | 'int', bits: number, path: string): string {
  const integer = toInteger(value, path);
  const least = kind === 'uint' ? 0n : -(1n << BigInt(bits - 1));
  const limit = 1n << BigInt(kind === 'uint' ? bits : bits - 1);
  if (integer < least || integer >= limit) throw invalidField(path, `is out of range for ${kind}${bits}`);
  return integer.toString();
}

function toInteger(value: unknown, path: string): bigint {
  if (typeof value === 'number') {
    if (Number.isSafeInteger(value)) return BigInt(value);
    throw invalidField(
      path,
      'must be an integer, and a string when beyond 2^53: JSON numbers lose digits there',
    );
  }
  if (typeof value === 'string' && (DECIMAL.test(value) || HEX.test(value))) return BigInt(value);
  throw invalidField(path, 'must be an integer: a decimal string, hex with 0x, or a JSON integer');
}

const WORD = 32;

interface Hasher {
  readonly structs: StructTypes;
  readonly typeHashes: Map<string, Uint8Array>;
}

/** EIP-712 `domainSeparator`, of typed data in canonical form (`readTypedData`). */
export function domainSeparator({ domain }: TypedData): Uint8Array {
  const structs = new Map([['EIP712Domain', domainFields(domain)]]);
  return hashStruct('EIP712Domain', domain, { structs, typeHashes: new Map() });
}

/** EIP-712 `hashStruct(message)`, of typed data in canonical form (`readTypedData`). */
export function hashMessage({ types, primaryType, message }: TypedData): Uint8Array {
  const structs = parseTypes(types, primaryType, 'types');
  return hashStruct(primaryType, message, { structs, typeHashes: new Map() });
}

/** `keccak256(typeHash ‖ encodeData(value))`. */
function hashStruct(name: string, value: unknown, hasher: Hasher): Uint8Array {
  const fields = hasher.structs.get(name) ?? [];
  const members = value as Readonly<Record<string, TypedValue>>;
  const encoded = Buffer.alloc(WORD * (fields.length + 1));
  encoded.set(typeHash(name, hasher));
  fields.forEach((field, index) => {
    writeWord(members[field.name], field.valueType, encoded, WORD * (index + 1), hasher);
  });
  return keccak256(encoded);
}

function typeHash(name: string, { structs, typeHashes }: Hasher): Uint8Array {
  const known = typeHashes.get(name);
  if (known !== undefined) return known;
  const hash = keccak256(Buffer.from(encodeType(structs, name), 'utf8'));
  typeHashes.set(name, hash);
  return hash;
}

/** EIP-712 `encodeData` of one member: exactly 32 bytes at `offset`, where `out` is zero before. */
function writeWord(
  value: TypedValue | undefined,
  type: ValueType,
  out: Buffer,
  offset: number,
  hasher: Hasher,
): void {
  switch (type.kind) {
    case 'struct':
      out.set(hashStruct(type.name, value, hasher), offset);
      return;
    case 'array':
      out.set(hashArray(value as readonly TypedValue[], type.element, hasher), offset);
      return;
    case 'string':
      out.set(keccak256(Buffer.from(text(value), 'utf8')), offset);
      return;
    case 'bytes':
      out.set(keccak256(fromHex(text(value) as Hex)), offset);
      return;
    case 'fixed-bytes':
      out.write(text(value).slice(2), offset, type.length, 'hex');
      return;
    case 'address':
      out.write(text(value).slice(2), offset + 12, 20, 'hex');
      return;
    case 'bool':
      out[offset + WORD - 1] = value === true ? 1 : 0;
      return;
    case 'uint':
    case 'int': {
      const word = BigInt.asUintN(256, BigInt(text(value)));
      out.write(word.toString(16).padStart(2 * WORD, '0'), offset, WORD, 'hex');
    }
  }
}

/** The hash of the elements' words, one after the other. */
function hashArray(elements: readonly TypedValue[], type: ValueType, hasher: Hasher): Uint8Array {
  const encoded = Buffer.alloc(WORD * elements.length);
  elements.forEach((element, index) => writeWord(element, type, encoded, WORD * index, hasher));
  return keccak256(encoded);
}

function text(value: TypedValue | undefined): string {
  if (typeof value === 'string') return value;
  throw new CountersignError('internal', 'typed data is not in canonical form');
}
