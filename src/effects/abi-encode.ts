import type { Hex } from '../bytes.ts';
import { invalidField } from '../errors.ts';
import {
  at,
  MAX_DATA_BYTES,
  readAddress,
  readBytes,
  readFixedBytes,
  readObject,
  readText,
} from '../intent/fields.ts';
import type { AbiField, AbiFunction, AbiType } from './abi.ts';
import { formatType, MAX_VALUES } from './abi-signature.ts';

const WORD_DIGITS = 64;
const WORD_BYTES = 32;

const DECIMAL = /^(?:0|-?[1-9][0-9]{0,77})$/;
const HEX = /^0x[0-9a-fA-F]{1,64}$/;

/** What a value is written as: at its place, or, of a dynamic type, behind the head that it is in. */
interface Encoded {
  readonly digits: string;
  readonly dynamic: boolean;
}

interface Writing {
  valuesLeft: number;
}

/**
 * The data of a call (https://docs.soliditylang.org/en/latest/abi-spec.html) from values as JSON has them: integers as
 * decimal or `0x` strings, safe numbers or bigints, bytes and addresses as hex, tuples as lists or as objects by name.
 * @throws CountersignError `invalid_request` whose field error has the path, `args.0.amount`.
 */
export function encodeCall(fn: AbiFunction, args: readonly unknown[]): Hex {
  const writing: Writing = { valuesLeft: MAX_VALUES };
  const { digits } = encodeFields(readItems(args, fn.inputs.length, 'args'), fn.inputs, 'args', writing);
  const data: Hex = `${fn.selector}${digits}`;
  if (data.length > 2 + 2 * MAX_DATA_BYTES) {
    throw invalidField('args', `must encode to at most ${MAX_DATA_BYTES} bytes`);
  }
  return data;
}

function encodeValue(value: unknown, type: AbiType, path: string, writing: Writing): Encoded {
  if (type.kind === 'tuple') return encodeTuple(value, type.of, path, writing);
  if (type.kind === 'array') return encodeArray(value, type.of, type.length, path, writing);
  count(writing, path);
  switch (type.kind) {
    case 'uint':
    case 'int':
      return fixed(word(BigInt.asUintN(256, readInteger(value, type, path))));
    case 'address':
      return fixed(readAddress(value, path).slice(2).padStart(WORD_DIGITS, '0'));
    case 'bool':
      if (typeof value !== 'boolean') throw invalidField(path, 'must be true or false');
      return fixed(word(value ? 1n : 0n));
    case 'fixed-bytes':
      return fixed(readFixedBytes(value, path, type.size).slice(2).padEnd(WORD_DIGITS, '0'));
    case 'bytes':
      return encodeBytes(readBytes(value, path, MAX_DATA_BYTES).slice(2));
    case 'string':
    default:
      return encodeBytes(Buffer.from(readText(value, path), 'utf8').toString('hex'));
  }
}

function count(writing: Writing, path: string): void {
  writing.valuesLeft -= 1;
  if (writing.valuesLeft < 0) throw invalidField(path, `is one too many: at most ${MAX_VALUES} values`);
}

function fixed(digits: string): Encoded {
  return { digits, dynamic: false };
}

function word(value: bigint | number): string {
  return value.toString(16).padStart(WORD_DIGITS, '0');
}

function encodeBytes(digits: string): Encoded {
  const padded = digits.padEnd(Math.ceil(digits.length / WORD_DIGITS) * WORD_DIGITS, '0');
  return { digits: word(digits.length / 2) + padded, dynamic: true };
}

function encodeTuple(value: unknown, fields: readonly AbiField[], path: string, writing: Writing): Encoded {
  if (Array.isArray(value)) {
    return encodeFields(readItems(value, fields.length, path), fields, path, writing);
  }
  const members = readObject(value, path);
  const unknown = Object.keys(members).find((key) => !fields.some(({ name }) => name === key));
  if (unknown !== undefined) throw invalidField(at(path, unknown), 'is not a member of its tuple');
  const parts = fields.map(({ name, type }) => {
    if (name === '') throw invalidField(path, 'must be a list: its tuple has members without a name');
    if (!Object.hasOwn(members, name)) throw invalidField(at(path, name), 'is required by its tuple');
    return encodeValue(members[name], type, at(path, name), writing);
  });
  return join(parts);
}

function encodeFields(
  values: readonly unknown[],
  fields: readonly AbiField[],
  path: string,
  writing: Writing,
): Encoded {
  return join(fields.map(({ type }, index) => encodeValue(values[index], type, at(path, index), writing)));
}

function encodeArray(
  value: unknown,
  of: AbiType,
  length: number | undefined,
  path: string,
  writing: Writing,
): Encoded {
  const items = readItems(value, length, path);
  if (length === undefined) count(writing, path);
  const { digits, dynamic } = join(
    items.map((item, index) => encodeValue(item, of, at(path, index), writing)),
  );
  return length === undefined ? { digits: word(items.length) + digits, dynamic: true } : { digits, dynamic };
}

/** Head, then tails; an offset counts from the beginning of the head. */
function join(parts: readonly Encoded[]): Encoded {
  const isDynamic = parts.some(({ dynamic }) => dynamic);
  let offset = parts.reduce(
    (sum, { digits, dynamic }) => sum + (dynamic ? WORD_BYTES : digits.length / 2),
    0,
  );
  let head = '';
  let tail = '';
  for (const { digits, dynamic } of parts) {
    head += dynamic ? word(offset) : digits;
    if (!dynamic) continue;
    tail += digits;
    offset += digits.length / 2;
  }
  return { digits: head + tail, dynamic: isDynamic };
}

function readItems(value: unknown, length: number | undefined, path: string): readonly unknown[] {
  if (!Array.isArray(value)) throw invalidField(path, 'must be a list');
  if (length !== undefined && value.length !== length) {
    throw invalidField(path, `must have exactly ${length} items, not ${value.length}`);
  }
  return value;
}

function readInteger(
  value: unknown,
  type: Extract<AbiType, { readonly kind: 'uint' | 'int' }>,
  path: string,
): bigint {
  const integer = toInteger(value, path);
  const wrapped =
    type.kind === 'uint' ? BigInt.asUintN(type.bits, integer) : BigInt.asIntN(type.bits, integer);
  if (wrapped !== integer) throw invalidField(path, `is out of range for ${formatType(type)}`);
  return integer;
}

function toInteger(value: unknown, path: string): bigint {
  if (typeof value === 'bigint') return value;
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
