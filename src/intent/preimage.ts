import { bigintToBytes, fromHex } from '../bytes.ts';
import { CountersignError } from '../errors.ts';
import { keccak256 } from '../keccak.ts';
import type { AccessListEntry, Intent, Operation, SignedAuthorization, Transaction } from './intent.ts';
import { appendMembers, rlpLength, writeRlp, type RlpItem } from './rlp.ts';
import { domainSeparator, hashMessage } from './typed-data.ts';

/** EIP-7702: what separates an authorization from every transaction type. */
const AUTHORIZATION_MAGIC = 0x05;
const TYPED_DATA_PREFIX = Buffer.from([0x19, 0x01]);
const MESSAGE_PREFIX = '\x19Ethereum Signed Message:\n';
const EMPTY: RlpItem = Buffer.alloc(0);
const ONE: RlpItem = Buffer.from([1]);

/** An ECDSA signature as transactions carry it; r and s are big-endian, 32 bytes each. */
export interface TransactionSignature {
  readonly r: Uint8Array;
  readonly s: Uint8Array;
  readonly yParity: 0 | 1;
}

/**
 * The bytes whose keccak256 is signed: an unsigned transaction (EIP-155, EIP-2718), a message with its
 * prefix (EIP-191), typed data's two hashes (EIP-712), an authorization (EIP-7702); or, for a digest, the 32
 * bytes that are signed as they are. The intent must come from `parseIntent`.
 */
export function preimageOf(intent: Intent): Buffer {
  if (intent.operation === 'transaction') return unsignedTransaction(intent.transaction);
  if (intent.operation === 'message') {
    const data = fromHex(intent.data);
    return Buffer.concat([Buffer.from(`${MESSAGE_PREFIX}${data.length}`, 'latin1'), data]);
  }
  if (intent.operation === 'typed-data') {
    const { typedData } = intent;
    return Buffer.concat([TYPED_DATA_PREFIX, domainSeparator(typedData), hashMessage(typedData)]);
  }
  if (intent.operation === 'authorization') {
    const { chainId, address, nonce } = intent;
    return encodeTyped(AUTHORIZATION_MAGIC, [bigintToBytes(chainId), fromHex(address), bigintToBytes(nonce)]);
  }
  return fromHex(intent.digest);
}

/** The 32 bytes that are signed. */
export function digestOf(operation: Operation, preimage: Uint8Array): Buffer {
  return operation === 'digest' ? Buffer.from(preimage) : keccak256(preimage);
}

/**
 * The raw transaction as nodes take it.
 *
 * @param preimage of the transaction, where it is at hand: what was signed is then what is sent, and nothing is encoded twice. Of
 *   another type of transaction, or no list to its end, it is refused.
 */
export function serializeSigned(
  transaction: Transaction,
  signature: TransactionSignature,
  preimage: Buffer = unsignedTransaction(transaction),
): Buffer {
  const { r, s, yParity } = signature;
  if (r.length !== 32 || s.length !== 32) {
    throw new CountersignError('internal', 'a signature’s r and s must be 32 bytes each');
  }
  if (transaction.type === 0) {
    // Its chain id stands where v goes (EIP-155).
    const v = transaction.chainId * 2n + 35n + BigInt(yParity);
    const fields = transactionFields(transaction);
    return encodeTyped(undefined, [...fields, bigintToBytes(v), trimZeros(r), trimZeros(s)]);
  }
  if (preimage[0] !== transaction.type)
    throw new CountersignError('internal', 'the preimage is not of a transaction of that type');
  const parity = yParity === 0 ? EMPTY : ONE;
  return appendMembers(preimage, 1, [parity, trimZeros(r), trimZeros(s)]);
}

/** What nodes and explorers call the transaction: the keccak256 of its raw form. */
export function transactionHash(raw: Uint8Array): Buffer {
  return keccak256(raw);
}

function unsignedTransaction(transaction: Transaction): Buffer {
  const fields = transactionFields(transaction);
  return transaction.type === 0
    ? encodeTyped(undefined, [...fields, bigintToBytes(transaction.chainId), EMPTY, EMPTY])
    : encodeTyped(transaction.type, fields);
}

/** `type ‖ rlp(fields)`, or without a type the RLP alone. */
function encodeTyped(type: number | undefined, fields: readonly RlpItem[]): Buffer {
  const start = type === undefined ? 0 : 1;
  const out = Buffer.allocUnsafe(start + rlpLength(fields));
  if (type !== undefined) out[0] = type;
  writeRlp(fields, out, start);
  return out;
}

/** The fields in the order of their EIP, up to where the signature follows. */
function transactionFields(transaction: Transaction): RlpItem[] {
  const nonce = bigintToBytes(transaction.nonce);
  const gasLimit = bigintToBytes(transaction.gasLimit);
  const to = transaction.to === null ? EMPTY : fromHex(transaction.to);
  const value = bigintToBytes(transaction.value);
  const data = fromHex(transaction.data);
  if (transaction.type === 0) return [nonce, bigintToBytes(transaction.gasPrice), gasLimit, to, value, data];

  const chainId = bigintToBytes(transaction.chainId);
  const accessList = encodeAccessList(transaction.accessList);
  if (transaction.type === 1) {
    const gasPrice = bigintToBytes(transaction.gasPrice);
    return [chainId, nonce, gasPrice, gasLimit, to, value, data, accessList];
  }

  const tip = bigintToBytes(transaction.maxPriorityFeePerGas);
  const fee = bigintToBytes(transaction.maxFeePerGas);
  const fields: RlpItem[] = [chainId, nonce, tip, fee, gasLimit, to, value, data, accessList];
  if (transaction.type === 3) {
    fields.push(bigintToBytes(transaction.maxFeePerBlobGas), transaction.blobVersionedHashes.map(fromHex));
  } else if (transaction.type === 4) {
    fields.push(transaction.authorizationList.map(encodeAuthorization));
  }
  return fields;
}

function encodeAccessList(accessList: readonly AccessListEntry[]): RlpItem {
  return accessList.map(({ address, storageKeys }) => [fromHex(address), storageKeys.map(fromHex)]);
}

function encodeAuthorization(authorization: SignedAuthorization): RlpItem {
  const { chainId, address, nonce, yParity, r, s } = authorization;
  return [
    bigintToBytes(chainId),
    fromHex(address),
    bigintToBytes(nonce),
    yParity === 0 ? EMPTY : ONE,
    bigintToBytes(r),
    bigintToBytes(s),
  ];
}

function trimZeros(bytes: Uint8Array): Uint8Array {
  let first = 0;
  while (first < bytes.length && bytes[first] === 0) first++;
  return first === 0 ? bytes : bytes.subarray(first);
}
