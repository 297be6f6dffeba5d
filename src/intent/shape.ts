import { asBuffer } from '../bytes.ts';
import { CountersignError } from '../errors.ts';
import type { Operation } from './intent.ts';
import { decodeRlp, encodeRlp, type RlpItem } from './rlp.ts';

/** Throws when an item does not have the shape of its field. `name` is the field's, for the message. */
type Check = (item: RlpItem, name: string) => void;
type Fields = readonly (readonly [name: string, check: Check])[];

const MESSAGE_PREFIX = Buffer.from('\x19Ethereum Signed Message:\n', 'latin1');

/** EIP-2294. */
const MAX_CHAIN_ID = 2n ** 63n - 37n;
/** Half the order of secp256k1's group: EIP-7702 wants s no higher. */
const MAX_LOW_S = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0n;

const uint256 = integer(0n, 2n ** 256n - 1n);
const uint64 = integer(0n, 2n ** 64n - 1n);
const nonce = integer(0n, 2n ** 64n - 2n);
const chainId = integer(1n, MAX_CHAIN_ID);
const zero = bytes(0);
const address = bytes(20);
const hash = bytes(32);
const data: Check = (item, name) => void bytesOf(item, name);
const recipient = bytes(0, 20);

const accessList = listOf(
  record([
    ['address', address],
    ['storageKeys', listOf(hash)],
  ]),
);

const authorizationList = listOf(
  record([
    ['chainId', chainId],
    ['address', address],
    ['nonce', nonce],
    ['yParity', integer(0n, 1n)],
    ['r', integer(1n, 2n ** 256n - 1n)],
    ['s', integer(1n, MAX_LOW_S)],
  ]),
  1,
);

/** EIP-155: six fields, then chain id and two zeros in the place of the signature. */
const LEGACY: Fields = [
  ['nonce', nonce],
  ['gasPrice', uint256],
  ['gasLimit', uint64],
  ['to', recipient],
  ['value', uint256],
  ['data', data],
  ['chainId', chainId],
  ['r', zero],
  ['s', zero],
];

/** The first nine fields of types 2, 3 and 4. */
function feeMarket(to: Check): Fields {
  return [
    ['chainId', chainId],
    ['nonce', nonce],
    ['maxPriorityFeePerGas', uint256],
    ['maxFeePerGas', uint256],
    ['gasLimit', uint64],
    ['to', to],
    ['value', uint256],
    ['data', data],
    ['accessList', accessList],
  ];
}

const TYPED: ReadonlyMap<number, Check> = new Map([
  [
    0x01,
    record([
      ['chainId', chainId],
      ['nonce', nonce],
      ['gasPrice', uint256],
      ['gasLimit', uint64],
      ['to', recipient],
      ['value', uint256],
      ['data', data],
      ['accessList', accessList],
    ]),
  ],
  [0x02, record(feeMarket(recipient))],
  [
    0x03,
    record([
      ...feeMarket(address),
      ['maxFeePerBlobGas', uint256],
      ['blobVersionedHashes', listOf(versionedHash, 1)],
    ]),
  ],
  [0x04, record([...feeMarket(address), ['authorizationList', authorizationList]])],
]);

const legacyTransaction = record(LEGACY);
const authorization = record([
  ['chainId', chainId],
  ['address', address],
  ['nonce', nonce],
]);

/**
 * The signer's own look at what it is about to sign, by code that shares nothing with the encoder but RLP:
 * the preimage must be exactly of the shape of the operation asked for, so that a transaction cannot pass as
 * a message. Throws `internal`: no caller's input can lead here unless another part has failed.
 */
export function checkPreimageShape(operation: Operation, preimage: Uint8Array): void {
  const input = asBuffer(preimage);
  switch (operation) {
    case 'transaction':
      return checkTransaction(input);
    case 'message':
      return checkMessage(input);
    case 'typed-data':
      if (input.length === 66 && input[0] === 0x19 && input[1] === 0x01) return;
      throw refused('typed data must be 0x1901 and two hashes (EIP-712)');
    case 'authorization':
      if (input[0] !== 0x05) throw refused('an authorization must begin with 0x05 (EIP-7702)');
      return checkRlp(input.subarray(1), authorization, 'authorization');
    case 'digest':
      if (input.length === 32) return;
      throw refused('a digest must be 32 bytes');
  }
}

function checkTransaction(input: Buffer): void {
  const first = input[0] ?? 0;
  if (first >= 0xc0) return checkRlp(input, legacyTransaction, 'transaction');
  const check = TYPED.get(first);
  if (check === undefined) throw refused('a transaction must be an RLP list or begin with its type, 1 to 4');
  checkRlp(input.subarray(1), check, 'transaction');
}

/** EIP-191 version 0x45: the prefix, the number of bytes in decimal, the bytes. */
function checkMessage(input: Buffer): void {
  const start = MESSAGE_PREFIX.length;
  if (!input.subarray(0, start).equals(MESSAGE_PREFIX)) {
    throw refused('a message must begin with the prefix of EIP-191');
  }
  // The digits and the message are not delimited: "\n" ‖ "11" ‖ "1…" reads two ways. Only one length fits.
  for (let digits = 1; start + digits <= input.length; digits++) {
    const length = input.length - start - digits;
    const text = String(length);
    if (text.length < digits) break;
    if (input.toString('latin1', start, start + digits) === text) return;
  }
  throw refused('a message’s length must follow the prefix, in decimal');
}

function checkRlp(encoded: Buffer, check: Check, name: string): void {
  const item = decode(encoded);
  check(item, name);
  if (!encodeRlp(item).equals(encoded)) throw refused(`${name} does not encode to the same bytes again`);
}

function decode(encoded: Buffer): RlpItem {
  try {
    return decodeRlp(encoded);
  } catch (error) {
    throw refused(error instanceof Error ? error.message : 'not RLP');
  }
}

function record(fields: Fields): Check {
  return (item, name) => {
    const members = listItem(item, name);
    if (members.length !== fields.length) throw refused(`${name} must have ${fields.length} fields`);
    for (const [index, [field, check]] of fields.entries()) check(members[index] ?? [], field);
  };
}

function listOf(check: Check, least = 0): Check {
  return (item, name) => {
    const members = listItem(item, name);
    if (members.length < least) throw refused(`${name} must not be empty`);
    for (const member of members) check(member, name);
  };
}

function integer(least: bigint, most: bigint): Check {
  return (item, name) => {
    const encoded = bytesOf(item, name);
    if (encoded[0] === 0) throw refused(`${name} must not have leading zeros`);
    if (encoded.length > 32) throw refused(`${name} must be at most 32 bytes`);
    const value = encoded.length === 0 ? 0n : BigInt(`0x${encoded.toString('hex')}`);
    if (value < least || value > most) throw refused(`${name} is out of range`);
  };
}

function bytes(...lengths: readonly number[]): Check {
  return (item, name) => {
    if (!lengths.includes(bytesOf(item, name).length)) {
      throw refused(`${name} must be ${lengths.join(' or ')} bytes`);
    }
  };
}

/** EIP-4844: 32 bytes, the first is the version of the commitment scheme. */
function versionedHash(item: RlpItem, name: string): void {
  hash(item, name);
  if (bytesOf(item, name)[0] !== 0x01) throw refused(`${name} must begin with 0x01`);
}

function bytesOf(item: RlpItem, name: string): Buffer {
  if (item instanceof Uint8Array) return asBuffer(item);
  throw refused(`${name} must be bytes, not a list`);
}

function listItem(item: RlpItem, name: string): readonly RlpItem[] {
  if (item instanceof Uint8Array) throw refused(`${name} must be a list`);
  return item;
}

function refused(reason: string): CountersignError {
  return new CountersignError('internal', `refused to sign: ${reason}`);
}
