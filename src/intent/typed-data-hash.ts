import { keccak_256 } from '@noble/hashes/sha3.js';
import { fromHex, type Hex } from '../bytes.ts';
import { CountersignError } from '../errors.ts';
import type { TypedData, TypedValue } from './intent.ts';
import { domainFields } from './typed-data.ts';
import {
  containedTypes,
  parseTypes,
  type StructField,
  type StructTypes,
  type ValueType,
} from './typed-data-types.ts';

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

/** EIP-712 `encodeType`: the type, then those it contains by name. */
export function encodeType(structs: StructTypes, name: string): string {
  const contained = [...containedTypes(structs, name)].sort();
  return [name, ...contained].map((type) => describe(type, structs.get(type) ?? [])).join('');
}

function describe(name: string, fields: readonly StructField[]): string {
  return `${name}(${fields.map((field) => `${field.type} ${field.name}`).join(',')})`;
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
  return keccak_256(encoded);
}

function typeHash(name: string, { structs, typeHashes }: Hasher): Uint8Array {
  const known = typeHashes.get(name);
  if (known !== undefined) return known;
  const hash = keccak_256(Buffer.from(encodeType(structs, name), 'utf8'));
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
      out.set(keccak_256(Buffer.from(text(value), 'utf8')), offset);
      return;
    case 'bytes':
      out.set(keccak_256(fromHex(text(value) as Hex)), offset);
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
  return keccak_256(encoded);
}

function text(value: TypedValue | undefined): string {
  if (typeof value === 'string') return value;
  throw new CountersignError('internal', 'typed data is not in canonical form');
}
