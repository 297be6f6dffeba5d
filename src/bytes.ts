/** Lower-case hex with the `0x` prefix. */
export type Hex = `0x${string}`;

export function toHex(bytes: Uint8Array): Hex {
  return `0x${asBuffer(bytes).toString('hex')}`;
}

/** The bytes of even-length hex. Callers have checked the digits: Buffer stops silently at the first bad one. */
export function fromHex(hex: Hex): Buffer {
  return Buffer.from(hex.slice(2), 'hex');
}

/** A Buffer view of the same memory, no copy. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Below, `writeUIntBE` takes it, at half of what it costs by way of hex. */
const LEAST_OF_SEVEN_BYTES = 1n << 48n;

/** Shortest big-endian form; zero is the empty string, as RLP and `0x`-quantities want it. */
export function bigintToBytes(value: bigint): Buffer {
  if (value === 0n) return Buffer.alloc(0);
  if (value < LEAST_OF_SEVEN_BYTES) return smallToBytes(Number(value));
  const hex = value.toString(16);
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
}

function smallToBytes(value: number): Buffer {
  let length = 1;
  for (let rest = value; rest >= 256; rest = Math.floor(rest / 256)) length++;
  const bytes = Buffer.allocUnsafe(length);
  bytes.writeUIntBE(value, 0, length);
  return bytes;
}

/** Overwrites secrets in place; call it in `finally`. */
export function wipe(...secrets: readonly (Uint8Array | undefined)[]): void {
  for (const secret of secrets) secret?.fill(0);
}
