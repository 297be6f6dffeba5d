import { keccak_256 } from '@noble/hashes/sha3.js';
import type { Hex } from '../bytes.ts';
import { invalidField } from '../errors.ts';
import { field } from './field.ts';

const ADDRESS = /^0x[0-9a-fA-F]{40}$/;
const ONE_CASE = /^0x(?:[0-9a-f]{40}|[0-9A-F]{40})$/;

/** JSON Schema keywords of an address. */
export const ADDRESS_SCHEMA = {
  type: 'string',
  pattern: '^0x[0-9a-fA-F]{40}$',
  examples: ['0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed'],
};

/**
 * An address, lower-case in the result. Mixed case must be its EIP-55 checksum: a caller who writes a
 * checksum is asking to be told of a mistyped digit.
 */
export function readAddress(value: unknown, path: string): Hex {
  if (typeof value !== 'string' || !ADDRESS.test(value)) {
    throw invalidField(path, 'must be an address: 0x and 40 hex digits');
  }
  const address = value.toLowerCase() as Hex;
  if (value !== address && !ONE_CASE.test(value)) {
    const expected = toChecksumAddress(address);
    if (value !== expected) {
      throw invalidField(
        path,
        `has a wrong EIP-55 checksum: a digit may be mistyped; these digits are written ${expected}`,
      );
    }
  }
  return address;
}

/** A transaction's recipient: an address, or null to create a contract. */
export function readRecipient(value: unknown, path: string): Hex | null {
  if (value === null) return null;
  if (value === '') throw invalidField(path, 'must be an address, or absent to create a contract');
  return readAddress(value, path);
}

/** The EIP-55 form of a lower-case address. */
export function toChecksumAddress(address: Hex): Hex {
  const digits = address.slice(2);
  const hash = keccak_256(Buffer.from(digits, 'latin1'));
  let checksummed = '';
  for (let i = 0; i < digits.length; i++) {
    const byte = hash[i >> 1] ?? 0;
    const nibble = i % 2 === 0 ? byte >> 4 : byte & 0x0f;
    const digit = digits.charAt(i);
    checksummed += nibble >= 8 ? digit.toUpperCase() : digit;
  }
  return `0x${checksummed}`;
}

/** The zod schema of an address. */
export const addressSchema = (description: string) =>
  field(readAddress, {
    ...ADDRESS_SCHEMA,
    description: `${description} Any case; mixed case must be a valid EIP-55 checksum.`,
  });
