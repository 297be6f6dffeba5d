import { invalidField } from '../errors.ts';

const UINT64_LIMIT = 1n << 64n;
const UINT256_LIMIT = 1n << 256n;

/** EIP-2294: floor((2^64 - 1) / 2) - 36, so that the `v` of EIP-155 (chainId × 2 + 36) fits 64 bits. */
export const MAX_CHAIN_ID = UINT64_LIMIT / 2n - 37n;

const HEX = /^0x[0-9a-fA-F]{1,64}$/;
const DECIMAL = /^(?:0|[1-9][0-9]{0,77})$/;

/** The JSON Schema pattern of what `readQuantity` takes. */
export const QUANTITY_PATTERN = '^(0x[0-9a-fA-F]{1,64}|0|[1-9][0-9]{0,77})$';

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
