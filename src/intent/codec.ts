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

function transactionToJson(transaction: Transaction): JsonValue {
  const { type, chainId, nonce, to, value, data, gasLimit } = transaction;
  const base = {
    type,
    chainId: `${chainId}`,
    nonce: `${nonce}`,
    to,
    value: `${value}`,
    data,
    gasLimit: `${gasLimit}`,
  };
  if (transaction.type === 0) return { ...base, gasPrice: `${transaction.gasPrice}` };

  const accessList = transaction.accessList.map(({ address, storageKeys }) => ({ address, storageKeys }));
  if (transaction.type === 1) return { ...base, gasPrice: `${transaction.gasPrice}`, accessList };

  const market = {
    ...base,
    maxFeePerGas: `${transaction.maxFeePerGas}`,
    maxPriorityFeePerGas: `${transaction.maxPriorityFeePerGas}`,
    accessList,
  };
  if (transaction.type === 2) return market;
  if (transaction.type === 3) {
    const { maxFeePerBlobGas, blobVersionedHashes } = transaction;
    return { ...market, maxFeePerBlobGas: `${maxFeePerBlobGas}`, blobVersionedHashes };
  }
  return { ...market, authorizationList: transaction.authorizationList.map(authorizationToJson) };
}

function authorizationToJson({ chainId, address, nonce, yParity, r, s }: SignedAuthorization): JsonValue {
  return { chainId: `${chainId}`, address, nonce: `${nonce}`, yParity, r: toWord(r), s: toWord(s) };
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
