import type { Hex } from '../bytes.ts';
import { invalidField } from '../errors.ts';

const HEX = /^0x[0-9a-fA-F]*$/;

/** The JSON Schema pattern of what `readBytes` takes. */
export const BYTES_PATTERN = '^0x([0-9a-fA-F]{2})*$';

/** `0x` hex of whole bytes, at most `maxBytes` of them; the result is lower-case. */
export function readBytes(value: unknown, path: string, maxBytes: number): Hex {
  const hex = readHex(value, path);
  if (hex.length > 2 + 2 * maxBytes) throw invalidField(path, `must be at most ${maxBytes} bytes`);
  return hex;
}

/** `0x` hex of exactly `length` bytes; the result is lower-case. */
export function readFixedBytes(value: unknown, path: string, length: number): Hex {
  const hex = readHex(value, path);
  if (hex.length !== 2 + 2 * length) {
    throw invalidField(path, `must be exactly ${length} bytes, not ${(hex.length - 2) / 2}`);
  }
  return hex;
}

function readHex(value: unknown, path: string): Hex {
  if (typeof value !== 'string' || !HEX.test(value)) {
    throw invalidField(path, 'must be a string of hex digits that begins with 0x');
  }
  if (value.length % 2 !== 0) throw invalidField(path, 'must have an even number of hex digits');
  return value.toLowerCase() as Hex;
}
