import type { Hex } from '../bytes.ts';
import type { JsonValue } from '../jcs.ts';
import type { Intent, SignedAuthorization, Transaction, TypedData } from './intent.ts';

/**
 * The intent's canonical JSON, for the audit log and for hashing: a valid request body of its own route, and
 * `parseIntent(intent.operation, intentToJson(intent))` is the intent again. Quantities are decimal strings,
 * `type` and `yParity` numbers, hex is lower-case, every field of a transaction's type is there.
 */
export function intentToJson(intent: Intent): JsonValue {
  if (intent.operation === 'transaction') return { transaction: transactionToJson(intent.transaction) };
  if (intent.operation === 'message') return { data: intent.data };
  if (intent.operation === 'typed-data') {
    const { domain, types, primaryType, message } = intent.typedData;
    return { domain, types: typesToJson(types), primaryType, message };
  }
  if (intent.operation === 'authorization') {
    return { chainId: `${intent.chainId}`, address: intent.address, nonce: `${intent.nonce}` };
  }
  const { digest, purpose } = intent;
  return { digest, purpose };
}

/** Members in the order of canonical JSON: then it is written faster (jcs.ts). */
function transactionToJson(transaction: Transaction): JsonValue {
  const { type, to, data } = transaction;
  const first = { chainId: `${transaction.chainId}`, data, gasLimit: `${transaction.gasLimit}` };
  const last = { nonce: `${transaction.nonce}`, to, type, value: `${transaction.value}` };
  if (transaction.type === 0) return { ...first, gasPrice: `${transaction.gasPrice}`, ...last };

  const accessList = transaction.accessList.map(({ address, storageKeys }) => ({ address, storageKeys }));
  if (transaction.type === 1) return { accessList, ...first, gasPrice: `${transaction.gasPrice}`, ...last };

  const maxFeePerGas = `${transaction.maxFeePerGas}`;
  const maxPriorityFeePerGas = `${transaction.maxPriorityFeePerGas}`;
  if (transaction.type === 2) return { accessList, ...first, maxFeePerGas, maxPriorityFeePerGas, ...last };
  if (transaction.type === 3) {
    const { blobVersionedHashes } = transaction;
    const maxFeePerBlobGas = `${transaction.maxFeePerBlobGas}`;
    const fees = { maxFeePerBlobGas, maxFeePerGas, maxPriorityFeePerGas };
    return { accessList, blobVersionedHashes, ...first, ...fees, ...last };
  }
  const authorizationList = transaction.authorizationList.map(authorizationToJson);
  return { accessList, authorizationList, ...first, maxFeePerGas, maxPriorityFeePerGas, ...last };
}

function authorizationToJson({ chainId, address, nonce, yParity, r, s }: SignedAuthorization): JsonValue {
  return { address, chainId: `${chainId}`, nonce: `${nonce}`, r: toWord(r), s: toWord(s), yParity };
}

function typesToJson(types: TypedData['types']): JsonValue {
  const entries = Object.entries(types).map(([name, fields]): [string, JsonValue] => [
    name,
    fields.map((field) => ({ name: field.name, type: field.type })),
  ]);
  return Object.fromEntries(entries);
}

/** Signature parts are written as 32-byte words, as everywhere else. */
function toWord(value: bigint): Hex {
  return `0x${value.toString(16).padStart(64, '0')}`;
}
