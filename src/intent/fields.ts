import { z } from 'zod';
import type { Hex } from '../bytes.ts';
import { CountersignError, invalidField } from '../errors.ts';
import { keccak256 } from '../keccak.ts';

/** Reads one value of parsed JSON, or throws an `invalid_request` whose field errors start with `path`. */
export type Read<T> = (value: unknown, path: string) => T;

/**
 * A zod schema around a reader, so that its precise messages reach the caller. `meta` is what the OpenAPI
 * document says of the input: description, examples and JSON Schema keywords. It is on the input's side of
 * the schema, since zod drops the examples of what is transformed.
 */
export function field<T>(read: Read<T>, meta: z.GlobalMeta) {
  const convert = issuing((value: unknown) => {
    if (value === undefined) throw invalidField('', 'is required');
    return read(value, '');
  });
  return z.unknown().meta(meta).transform(convert);
}

/** Turns the field errors that `convert` throws into issues of the zod schema that it transforms. */
export function issuing<I, T>(convert: (input: I) => T): (input: I, context: z.RefinementCtx) => T {
  return (input, context) => {
    try {
      return convert(input);
    } catch (error) {
      if (!(error instanceof CountersignError)) throw error;
      for (const { path, message } of error.errors) {
        context.issues.push({
          code: 'custom',
          message,
          input,
          path: path === '' ? [] : path.split('.'),
        });
      }
      return z.NEVER;
    }
  };
}

/** The dotted path of a member. */
export function at(path: string, member: string | number): string {
  return path === '' ? String(member) : `${path}.${member}`;
}

/** JSON text as it may be signed: a string that has a UTF-8 form (no lone surrogates). */
export function readText(value: unknown, path: string): string {
  if (typeof value !== 'string') throw invalidField(path, 'must be a string');
  if (!value.isWellFormed()) {
    throw invalidField(path, 'must be valid Unicode: it contains a lone surrogate, which has no UTF-8 form');
  }
  return value;
}

export type JsonObject = Readonly<Record<string, unknown>>;

export function readObject(value: unknown, path: string): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalidField(path, 'must be an object');
  }
  return value as JsonObject;
}

const HEX_DIGITS = /^0x[0-9a-fA-F]*$/;

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
  if (typeof value !== 'string' || !HEX_DIGITS.test(value)) {
    throw invalidField(path, 'must be a string of hex digits that begins with 0x');
  }
  if (value.length % 2 !== 0) throw invalidField(path, 'must have an even number of hex digits');
  return value.toLowerCase() as Hex;
}

/** What geth's and other clients' pools take as a whole transaction (txMaxSize, 4 × 32 KiB). */
export const MAX_DATA_BYTES = 131_072;

export const dataSchema = (description: string) =>
  field((value, path) => readBytes(value, path, MAX_DATA_BYTES), {
    type: 'string',
    pattern: '^0x([0-9a-fA-F]{2})*$',
    maxLength: 2 + 2 * MAX_DATA_BYTES,
    description: `${description} Hex with 0x, at most 128 KiB.`,
    examples: ['0x'],
  });

export const bytes32Schema = (description: string) =>
  field((value, path) => readFixedBytes(value, path, 32), {
    type: 'string',
    pattern: '^0x[0-9a-fA-F]{64}$',
    description,
    examples: [`0x${'00'.repeat(31)}01`],
  });

const UINT64_LIMIT = 1n << 64n;
const UINT256_LIMIT = 1n << 256n;

/** EIP-2294: floor((2^64 - 1) / 2) - 36, so that the `v` of EIP-155 (chainId × 2 + 36) fits 64 bits. */
export const MAX_CHAIN_ID = UINT64_LIMIT / 2n - 37n;

const HEX = /^0x[0-9a-fA-F]{1,64}$/;
const DECIMAL = /^(?:0|[1-9][0-9]{0,77})$/;

/** JSON Schema keywords of what `readQuantity` takes. */
export const QUANTITY_SCHEMA = { type: 'string', pattern: '^(0x[0-9a-fA-F]{1,64}|0|[1-9][0-9]{0,77})$' };

/** JSON Schema keywords of what `readCount` takes. */
export const COUNT_SCHEMA = {
  anyOf: [QUANTITY_SCHEMA, { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER }],
};

/**
 * A uint256 from a string: decimal, or hex with `0x`. Unlike Ethereum's JSON-RPC, leading zeros are accepted
 * in hex (`0x00`, `0x01`, 32-byte words: common encoders write them and they can mean one number only); in
 * decimal they are refused, because other readers take them for octal. JSON numbers are refused.
 */
export function readQuantity(value: unknown, path: string): bigint {
  if (typeof value === 'number') {
    throw invalidField(path, 'must be a string, such as "1000": JSON numbers lose digits above 2^53');
  }
  if (typeof value !== 'string') throw invalidField(path, 'must be a string: decimal, or hex with 0x');
  if (!HEX.test(value) && !DECIMAL.test(value)) {
    throw invalidField(
      path,
      'must be a decimal integer without sign, spaces or leading zeros, or 0x and 1 to 64 hex digits',
    );
  }
  const quantity = BigInt(value);
  if (quantity >= UINT256_LIMIT) throw invalidField(path, 'must be less than 2^256');
  return quantity;
}

/** As `readQuantity`, and JSON integers too, as long as a double holds them exactly. */
export function readCount(value: unknown, path: string): bigint {
  if (typeof value !== 'number') return readQuantity(value, path);
  if (!Number.isInteger(value)) throw invalidField(path, 'must be an integer');
  if (value < 0) throw invalidField(path, 'must not be negative');
  if (!Number.isSafeInteger(value)) {
    throw invalidField(path, 'must be a string when above 2^53 - 1: JSON numbers lose digits there');
  }
  return BigInt(value);
}

/** EIP-155 and EIP-2294. Zero would make a signature valid on every chain, so it is never accepted. */
export function readChainId(value: unknown, path: string): bigint {
  const chainId = readCount(value, path);
  if (chainId === 0n) throw invalidField(path, 'must be at least 1: a signature is for one chain');
  if (chainId > MAX_CHAIN_ID) throw invalidField(path, `must be at most ${MAX_CHAIN_ID} (EIP-2294)`);
  return chainId;
}

/** EIP-7702 lets chain id 0 delegate the account on every chain at once; that is refused. */
export function readAuthorizationChainId(value: unknown, path: string): bigint {
  if (readCount(value, path) === 0n) {
    throw invalidField(
      path,
      'must be at least 1: an authorization for chain id 0 delegates the account on every chain',
    );
  }
  return readChainId(value, path);
}

/** EIP-2681: an account's nonce never reaches 2^64 - 1. */
export function readNonce(value: unknown, path: string): bigint {
  const nonce = readCount(value, path);
  if (nonce >= UINT64_LIMIT - 1n) throw invalidField(path, 'must be less than 2^64 - 1 (EIP-2681)');
  return nonce;
}

export function readGasLimit(value: unknown, path: string): bigint {
  const gasLimit = readCount(value, path);
  if (gasLimit >= UINT64_LIMIT) throw invalidField(path, 'must be less than 2^64');
  return gasLimit;
}

/** An amount of wei, or a price in wei. */
export const weiSchema = (description: string) =>
  field(readQuantity, {
    ...QUANTITY_SCHEMA,
    description: `${description} As a string.`,
    examples: ['1000000000'],
  });

export const chainIdSchema = field(readChainId, {
  ...COUNT_SCHEMA,
  description: 'EIP-155 chain id, at least 1.',
  examples: [1],
});

export const authorizationChainIdSchema = field(readAuthorizationChainId, {
  ...COUNT_SCHEMA,
  description: 'Chain id, at least 1; 0 (every chain) is refused.',
  examples: [1],
});

export const nonceSchema = field(readNonce, {
  ...COUNT_SCHEMA,
  description: 'Account nonce.',
  examples: [0],
});

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
  const hash = keccak256(Buffer.from(digits, 'latin1'));
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
