import { isUtf8 } from 'node:buffer';
import type { Hex } from '../bytes.ts';
import { CountersignError } from '../errors.ts';
import type { AbiField, AbiFunction, AbiType, AbiValue } from './abi.ts';
import { leastValues, MAX_VALUES } from './abi-signature.ts';

/** Data that is not the canonical encoding of its types; the message is short and says where. */
export class AbiFault extends CountersignError {
  constructor(message: string) {
    super('unprocessable', message);
    this.name = 'AbiFault';
  }
}

/** Reads lower-case hex; throws AbiFault. */
export type Decoder = (data: Hex) => readonly AbiValue[];

/** Hex digits of a word. Positions and sizes here are in digits of the text, not in bytes. */
const WORD = 64;
const ZEROS = '0'.repeat(WORD);
/** Of a length or an offset: what is above 32 bits is zero, so that a double holds it and it adds up. */
const SHORT = 56;
const SHORT_ZEROS = ZEROS.slice(0, SHORT);

interface Reading {
  readonly data: string;
  /** Where the next dynamic value has to stand: right after all that was read before. */
  tail: number;
  valuesLeft: number;
}

/**
 * Reads one value at `position`. Of a static type, the caller has seen that it lies inside the data. Of a dynamic
 * type, it moves `tail` to the end of what it read.
 */
type Read = (reading: Reading, position: number) => AbiValue;

interface Part {
  readonly read: Read;
  /** What it takes in the head: of a dynamic type, the offset. */
  readonly size: number;
  readonly dynamic: boolean;
}

interface DecoderOptions {
  /** Whether the data begins with a function's selector (it does, unless this is false); it is skipped. */
  readonly selector?: boolean;
}

/**
 * A strict decoder of the contract ABI (https://docs.soliditylang.org/en/latest/abi-spec.html, "Formal specification
 * of the encoding"): data passes only if it is what encoding the result gives, digit by digit. So there are no dirty
 * bits, no bytes between, behind or shared by values, and no second way to write a call. At most `MAX_VALUES` values.
 */
export function createDecoder(inputs: readonly AbiField[], options: DecoderOptions = {}): Decoder {
  const start = options.selector === false ? 2 : 10;
  const parts = inputs.map(({ type }) => partOf(type));
  const head = headOf(parts);
  const valuesLeft = MAX_VALUES - inputs.reduce((sum, { type }) => sum + leastValues(type), 0);
  return (data) => {
    const reading: Reading = { data, tail: start, valuesLeft };
    const values = readParts(reading, start, parts, head);
    if (reading.tail !== data.length) throw faultAt(reading.tail, 'bytes follow the arguments');
    return values;
  };
}

const decoders = new WeakMap<AbiFunction, Decoder>();

/** The arguments of a call of this function. Throws AbiFault, also for another function's selector. */
export function decodeArguments(fn: AbiFunction, data: Hex): readonly AbiValue[] {
  if (!data.startsWith(fn.selector)) throw new AbiFault(`is not a call of ${fn.signature}`);
  let decoder = decoders.get(fn);
  if (decoder === undefined) decoders.set(fn, (decoder = createDecoder(fn.inputs)));
  return decoder(data);
}

function faultAt(position: number, message: string): AbiFault {
  return new AbiFault(`${message} (byte ${Math.floor((position - 2) / 2)})`);
}

function headOf(parts: readonly Part[]): number {
  return parts.reduce((sum, { size }) => sum + size, 0);
}

/** Reads a head at `base` and its tails. */
function readParts(reading: Reading, base: number, parts: readonly Part[], head: number): AbiValue[] {
  claim(reading, base, head);
  const values: AbiValue[] = [];
  let position = base;
  for (const part of parts) {
    values.push(part.dynamic ? readTail(reading, position, base, part.read) : part.read(reading, position));
    position += part.size;
  }
  return values;
}

/** Takes the next `size` digits, which begin at `position`, for values. */
function claim(reading: Reading, position: number, size: number): void {
  const end = position + size;
  if (end > reading.data.length) throw faultAt(position, 'data ends too early');
  reading.tail = end;
}

/** Follows the offset at `position`, which has to be the one that the encoding gives. */
function readTail(reading: Reading, position: number, base: number, read: Read): AbiValue {
  const { tail } = reading;
  if (base + 2 * readShort(reading.data, position, 'offset') !== tail) {
    throw faultAt(position, 'offset is not the canonical one');
  }
  return read(reading, tail);
}

function readShort(data: string, position: number, what: string): number {
  if (!data.startsWith(SHORT_ZEROS, position)) throw faultAt(position, `${what} is beyond the data`);
  let short = 0;
  for (let at = position + SHORT; at < position + WORD; at += 1) {
    short = 16 * short + digitOf(data.charCodeAt(at));
  }
  return short;
}

/** Of the code of `0` to `9` or `a` to `f`. */
function digitOf(code: number): number {
  return code < 58 ? code - 48 : code - 87;
}

function partOf(type: AbiType): Part {
  switch (type.kind) {
    case 'uint':
      return staticPart(type.bits === 256 ? readWord : uintReader(type.bits));
    case 'int':
      return staticPart(intReader(type.bits));
    case 'address':
      return staticPart(readAddress);
    case 'bool':
      return staticPart(readBool);
    case 'fixed-bytes':
      return staticPart(fixedBytesReader(type.size));
    case 'bytes':
      return dynamicPart(readBytes);
    case 'string':
      return dynamicPart(readString);
    case 'array':
      return type.length === undefined ? listPart(type.of) : fixedListPart(type.of, type.length);
    case 'tuple':
    default:
      return tuplePart(type.of.map((field) => partOf(field.type)));
  }
}

function staticPart(read: Read, size = WORD): Part {
  return { read, size, dynamic: false };
}

function dynamicPart(read: Read): Part {
  return { read, size: WORD, dynamic: true };
}

function readWord({ data }: Reading, position: number): bigint {
  return BigInt(`0x${data.slice(position, position + WORD)}`);
}

function uintReader(bits: number): Read {
  const unused = WORD - bits / 4;
  const zeros = ZEROS.slice(0, unused);
  return ({ data }, position) => {
    if (!data.startsWith(zeros, position)) throw faultAt(position, `uint${bits} has dirty upper bits`);
    return BigInt(`0x${data.slice(position + unused, position + WORD)}`);
  };
}

function intReader(bits: number): Read {
  return (reading, position) => {
    const value = BigInt.asIntN(256, readWord(reading, position));
    if (BigInt.asIntN(bits, value) !== value) throw faultAt(position, `int${bits} is not sign-extended`);
    return value;
  };
}

const ADDRESS_ZEROS = ZEROS.slice(0, 24);

function readAddress({ data }: Reading, position: number): string {
  if (!data.startsWith(ADDRESS_ZEROS, position)) throw faultAt(position, 'address has dirty upper bits');
  return `0x${data.slice(position + 24, position + WORD)}`;
}

const FALSE = ZEROS;
const TRUE = `${ZEROS.slice(1)}1`;

function readBool({ data }: Reading, position: number): boolean {
  if (data.startsWith(TRUE, position)) return true;
  if (!data.startsWith(FALSE, position)) throw faultAt(position, 'bool is neither 0 nor 1');
  return false;
}

function fixedBytesReader(size: number): Read {
  const zeros = ZEROS.slice(2 * size);
  return ({ data }, position) => {
    const end = position + 2 * size;
    if (!data.startsWith(zeros, end)) throw faultAt(position, `bytes${size} has dirty padding`);
    return `0x${data.slice(position, end)}`;
  };
}

function readBytes(reading: Reading, position: number): Hex {
  claim(reading, position, WORD);
  const { data } = reading;
  const digits = 2 * readShort(data, position, 'length');
  const start = position + WORD;
  const end = start + digits;
  const padded = Math.ceil(digits / WORD) * WORD;
  claim(reading, start, padded);
  if (!data.startsWith(ZEROS.slice(0, padded - digits), end)) throw faultAt(end, 'bytes have dirty padding');
  return `0x${data.slice(start, end)}`;
}

function readString(reading: Reading, position: number): string {
  const bytes = Buffer.from(readBytes(reading, position).slice(2), 'hex');
  if (!isUtf8(bytes)) throw faultAt(position, 'string is not UTF-8');
  return bytes.toString('utf8');
}

function listPart(of: AbiType): Part {
  const item = partOf(of);
  const values = leastValues(of);
  return dynamicPart((reading, position) => {
    claim(reading, position, WORD);
    const length = readShort(reading.data, position, 'length');
    reading.valuesLeft -= length * values;
    if (reading.valuesLeft < 0) throw faultAt(position, `more than ${MAX_VALUES} values`);
    return readItems(reading, position + WORD, item, length);
  });
}

/** Items of an array, whose head is at `base`. */
function readItems(reading: Reading, base: number, item: Part, length: number): AbiValue[] {
  claim(reading, base, length * item.size);
  const items: AbiValue[] = [];
  for (let index = 0; index < length; index += 1) {
    const position = base + index * item.size;
    items.push(item.dynamic ? readTail(reading, position, base, item.read) : item.read(reading, position));
  }
  return items;
}

function fixedListPart(of: AbiType, length: number): Part {
  const item = partOf(of);
  return tuplePart(Array.from({ length }, () => item));
}

/** A static tuple stands in the head of what it is in, whole; that head was claimed with it. */
function tuplePart(parts: readonly Part[]): Part {
  const head = headOf(parts);
  if (parts.some(({ dynamic }) => dynamic)) {
    return dynamicPart((reading, position) => readParts(reading, position, parts, head));
  }
  return staticPart((reading, position) => {
    let next = position;
    return parts.map(({ read, size }) => {
      const value = read(reading, next);
      next += size;
      return value;
    });
  }, head);
}
