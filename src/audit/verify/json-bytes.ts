/** Parts of JSON as bytes, for the scanner. */

/** \b \t \n \f \r have escapes of their own; a canonical text does not write them as \u00xx. */
const SHORT_ESCAPES = new Set([0x08, 0x09, 0x0a, 0x0c, 0x0d]);

/** How long a canonical escape (RFC 8785 3.2.2.2) is, behind the backslash; 0 for one that is not canonical. */
export function escapeLength(bytes: Uint8Array, at: number): number {
  switch (bytes[at] ?? 0) {
    case 0x22: // "
    case 0x5c: // \
    case 0x62: // b
    case 0x66: // f
    case 0x6e: // n
    case 0x72: // r
    case 0x74: // t
      return 1;
    case 0x75: {
      const high = bytes[at + 3];
      const low = lowerHexDigit(bytes[at + 4]);
      if (bytes[at + 1] !== 0x30 || bytes[at + 2] !== 0x30 || low === -1) return 0;
      if (high !== 0x30 && high !== 0x31) return 0;
      return SHORT_ESCAPES.has((high - 0x30) * 16 + low) ? 0 : 5;
    }
    default:
      return 0;
  }
}

function lowerHexDigit(byte: number | undefined): number {
  if (byte === undefined) return -1;
  if (isDigit(byte)) return byte - 0x30;
  return byte >= 0x61 && byte <= 0x66 ? byte - 0x57 : -1;
}

export function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}

export function isInNumber(byte: number | undefined): boolean {
  return isDigit(byte) || byte === 0x2d || byte === 0x2b || byte === 0x2e || byte === 0x65 || byte === 0x45;
}
