import { asBuffer } from '../bytes.ts';
import { CountersignError } from '../errors.ts';

/** Recursive Length Prefix (Ethereum yellow paper, appendix B): a byte string or a list of items. */
export type RlpItem = Uint8Array | readonly RlpItem[];

/** Deeper than any structure that is signed (a transaction's storage keys are at depth 4). */
const MAX_DEPTH = 64;

export function encodeRlp(item: RlpItem): Buffer {
  const out = Buffer.allocUnsafe(rlpLength(item));
  writeRlp(item, out, 0);
  return out;
}

/** The number of bytes that `writeRlp` will write. */
export function rlpLength(item: RlpItem): number {
  if (!isList(item)) {
    return item.length === 1 && (item[0] ?? 0) < 0x80 ? 1 : headerLength(item.length) + item.length;
  }
  const payload = payloadLength(item);
  return headerLength(payload) + payload;
}

/** Writes the encoding at `offset`; returns the offset after it. */
export function writeRlp(item: RlpItem, out: Buffer, offset: number): number {
  if (isList(item)) {
    let next = writeHeader(0xc0, payloadLength(item), out, offset);
    for (const member of item) next = writeRlp(member, out, next);
    return next;
  }
  const first = item[0] ?? 0;
  if (item.length === 1 && first < 0x80) {
    out[offset] = first;
    return offset + 1;
  }
  const start = writeHeader(0x80, item.length, out, offset);
  out.set(item, start);
  return start + item.length;
}

/**
 * A copy of `bytes` in which the list that begins at `offset`, and ends with them, has more members. It must be the canonical
 * encoding of a list; anything else throws. What is before it is kept.
 */
export function appendMembers(bytes: Buffer, offset: number, members: readonly RlpItem[]): Buffer {
  const { start, end } = readExtent(bytes, (bytes[offset] ?? 0) - 0xc0, offset + 1, bytes.length);
  if (start > end || end !== bytes.length)
    throw new CountersignError('internal', 'there is no list that ends with the bytes');
  const payload = bytes.length - start + payloadLength(members);
  const out = Buffer.allocUnsafe(offset + headerLength(payload) + payload);
  bytes.copy(out, 0, 0, offset);
  let next = writeHeader(0xc0, payload, out, offset);
  next += bytes.copy(out, next, start);
  for (const member of members) next = writeRlp(member, out, next);
  return out;
}

/**
 * The one item that `bytes` encode, as views of the same memory. Only the canonical encoding is accepted, so
 * that `encodeRlp(decodeRlp(bytes))` equals `bytes`; anything else, trailing bytes included, is an
 * `invalid_request`.
 */
export function decodeRlp(bytes: Uint8Array): RlpItem {
  const input = asBuffer(bytes);
  const { item, end } = readItem(input, 0, input.length, 0);
  if (end !== input.length) throw malformed('bytes after the end of the item');
  return item;
}

interface Parsed {
  readonly item: RlpItem;
  readonly end: number;
}

function readItem(input: Buffer, offset: number, limit: number, depth: number): Parsed {
  if (depth > MAX_DEPTH) throw malformed('nested too deeply');
  if (offset >= limit) throw malformed('truncated');
  const prefix = input.readUInt8(offset);
  if (prefix < 0x80) return { item: input.subarray(offset, offset + 1), end: offset + 1 };

  const base = prefix < 0xc0 ? 0x80 : 0xc0;
  const { start, end } = readExtent(input, prefix - base, offset + 1, limit);
  if (base === 0xc0) return { item: readList(input, start, end, depth), end };
  if (end - start === 1 && input.readUInt8(start) < 0x80) throw malformed('a byte below 0x80 with a prefix');
  return { item: input.subarray(start, end), end };
}

function readList(input: Buffer, start: number, end: number, depth: number): RlpItem[] {
  const items: RlpItem[] = [];
  for (let next = start; next < end;) {
    const member = readItem(input, next, end, depth + 1);
    items.push(member.item);
    next = member.end;
  }
  return items;
}

/** Where the payload is; `code` is the prefix byte less 0x80 or 0xc0: a length up to 55, or 55 + its bytes. */
function readExtent(
  input: Buffer,
  code: number,
  offset: number,
  limit: number,
): { readonly start: number; readonly end: number } {
  const lengthBytes = code <= 55 ? 0 : code - 55;
  const start = offset + lengthBytes;
  if (start > limit) throw malformed('truncated');
  let length = code;
  if (lengthBytes > 0) {
    if (lengthBytes > 4) throw malformed('longer than the input');
    length = input.readUIntBE(offset, lengthBytes);
    if (length < 2 ** (8 * (lengthBytes - 1))) throw malformed('a length with leading zeros');
    if (length <= 55) throw malformed('a length that is not in its shortest form');
  }
  if (length > limit - start) throw malformed('longer than the input');
  return { start, end: start + length };
}

function malformed(reason: string): CountersignError {
  return new CountersignError('invalid_request', `not canonical RLP: ${reason}`);
}

function isList(item: RlpItem): item is readonly RlpItem[] {
  return Array.isArray(item);
}

function payloadLength(list: readonly RlpItem[]): number {
  let length = 0;
  for (const member of list) length += rlpLength(member);
  return length;
}

function headerLength(length: number): number {
  return length <= 55 ? 1 : 1 + byteLength(length);
}

function writeHeader(base: number, length: number, out: Buffer, offset: number): number {
  if (length <= 55) {
    out[offset] = base + length;
    return offset + 1;
  }
  const lengthBytes = byteLength(length);
  out[offset] = base + 55 + lengthBytes;
  return out.writeUIntBE(length, offset + 1, lengthBytes);
}

/** Buffers are shorter than 2^48 bytes, as far as writeUIntBE goes. */
function byteLength(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 256; rest = Math.floor(rest / 256)) bytes++;
  return bytes;
}
