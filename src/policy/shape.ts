import type { AbiField, AbiType } from '../effects/abi.ts';
import { formatType } from '../effects/abi-signature.ts';
import type { StructTypes, ValueType } from '../intent/typed-data-types.ts';

/** What a value inside arguments or a message can be compared with. */
export type Shape =
  | { readonly kind: 'number'; readonly type: string; readonly min: bigint; readonly max: bigint }
  | { readonly kind: 'address' | 'bool' | 'text' }
  | { readonly kind: 'bytes'; readonly size?: number }
  | { readonly kind: 'list'; readonly of: Shape }
  | RecordShape;

export interface RecordShape {
  readonly kind: 'record';
  /** Made when asked for: struct types can name each other so often that all of them would not fit anywhere. */
  members(): readonly Member[];
}

export interface Member {
  /** The empty string where it has none. */
  readonly name: string;
  /** How decoded values are indexed: by position (ABI), by name (EIP-712). */
  readonly step: number | string;
  readonly shape: Shape;
}

/** Of a function's arguments, or of a tuple. */
export function shapeOfFields(fields: readonly AbiField[]): RecordShape {
  return {
    kind: 'record',
    members: () => fields.map(({ name, type }, step) => ({ name, step, shape: shapeOfAbi(type) })),
  };
}

function shapeOfAbi(type: AbiType): Shape {
  if (type.kind === 'tuple') return shapeOfFields(type.of);
  if (type.kind === 'array') return { kind: 'list', of: shapeOfAbi(type.of) };
  if (type.kind === 'fixed-bytes') return { kind: 'bytes', size: type.size };
  if (type.kind === 'uint' || type.kind === 'int')
    return shapeOfInteger(type.kind === 'int', type.bits, formatType(type));
  return shapeOfPlain(type.kind);
}

/** Of an EIP-712 struct. */
export function shapeOfStruct(structs: StructTypes, name: string): RecordShape {
  return {
    kind: 'record',
    members: () =>
      (structs.get(name) ?? []).map((field) => ({
        name: field.name,
        step: field.name,
        shape: shapeOfValue(structs, field.valueType),
      })),
  };
}

function shapeOfValue(structs: StructTypes, type: ValueType): Shape {
  if (type.kind === 'struct') return shapeOfStruct(structs, type.name);
  if (type.kind === 'array') return { kind: 'list', of: shapeOfValue(structs, type.element) };
  if (type.kind === 'fixed-bytes') return { kind: 'bytes', size: type.length };
  if (type.kind === 'uint' || type.kind === 'int')
    return shapeOfInteger(type.kind === 'int', type.bits, `${type.kind}${type.bits}`);
  return shapeOfPlain(type.kind);
}

function shapeOfPlain(kind: 'address' | 'bool' | 'string' | 'bytes'): Shape {
  return { kind: kind === 'string' ? 'text' : kind };
}

function shapeOfInteger(isSigned: boolean, bits: number, type: string): Shape {
  const values = 2n ** BigInt(bits);
  return isSigned
    ? { kind: 'number', type, min: -values / 2n, max: values / 2n - 1n }
    : { kind: 'number', type, min: 0n, max: values - 1n };
}
