import { z } from 'zod';
import type { Hex } from '../bytes.ts';
import { CountersignError, invalidField, type FieldError } from '../errors.ts';
import {
  ADDRESS_SCHEMA,
  addressSchema,
  authorizationChainIdSchema,
  bytes32Schema,
  chainIdSchema,
  COUNT_SCHEMA,
  dataSchema,
  field,
  issuing,
  nonceSchema,
  QUANTITY_SCHEMA,
  readCount,
  readFixedBytes,
  readGasLimit,
  readQuantity,
  readRecipient,
  weiSchema,
} from './fields.ts';
import type { Transaction } from './intent.ts';

/** Addresses and storage keys together: as many 32-byte words as such a transaction can hold. */
const MAX_ACCESS_LIST_ITEMS = 4_096;
/** Well above Ethereum's limit per transaction (EIP-7594: 6). */
const MAX_BLOBS = 16;
/** At 25,000 gas each (EIP-7702), more than 6 million gas before the transaction does anything. */
const MAX_AUTHORIZATIONS = 256;

/** The order of secp256k1's group (SEC 2, section 2.4.1). */
const CURVE_ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;

const accessListSchema = z
  .array(
    z.strictObject({
      address: addressSchema('The account.'),
      storageKeys: z.array(bytes32Schema('A storage key, 32 bytes.')),
    }),
  )
  .meta({ description: 'EIP-2930 access list. Types 1 to 4; empty when absent.' });

const authorizationListSchema = z
  .array(
    z.strictObject({
      chainId: authorizationChainIdSchema,
      address: addressSchema('The contract that is delegated to.'),
      nonce: nonceSchema,
      yParity: field(readParity, {
        ...COUNT_SCHEMA,
        description: 'The signature’s y parity, 0 or 1.',
        examples: [0],
      }),
      r: field(readR, { ...QUANTITY_SCHEMA, description: 'The signature’s r.' }),
      s: field(readLowS, {
        ...QUANTITY_SCHEMA,
        description: 'The signature’s s, in the lower half (EIP-7702).',
      }),
    }),
  )
  .min(1, 'must not be empty')
  .max(MAX_AUTHORIZATIONS, `must have at most ${MAX_AUTHORIZATIONS} entries`)
  .meta({ description: 'Signed EIP-7702 authorizations. Type 4 only.' });

const transactionFields = z.strictObject({
  type: field(readType, {
    anyOf: [{ type: 'integer', minimum: 0, maximum: 4 }, { type: 'string' }],
    description: 'EIP-2718 type, 0 to 4; inferred from the fields present when absent.',
    examples: [2],
  }).optional(),
  chainId: chainIdSchema,
  nonce: nonceSchema,
  to: field(readRecipient, {
    ...ADDRESS_SCHEMA,
    type: ['string', 'null'],
    description: 'Recipient; absent or null creates a contract.',
  }).optional(),
  value: weiSchema('Wei to transfer; 0 when absent.').optional(),
  data: dataSchema('Calldata, or the init code of a new contract.').optional(),
  gasLimit: field(readGasLimit, { ...COUNT_SCHEMA, description: 'Gas limit.', examples: [21000] }),
  gasPrice: weiSchema('Wei per gas. Types 0 and 1.').optional(),
  maxFeePerGas: weiSchema('Wei per gas at most. Types 2, 3 and 4.').optional(),
  maxPriorityFeePerGas: weiSchema('Tip in wei per gas at most. Types 2, 3 and 4.').optional(),
  accessList: accessListSchema.optional(),
  maxFeePerBlobGas: weiSchema('Wei per blob gas at most. Type 3.').optional(),
  blobVersionedHashes: z
    .array(
      field(readVersionedHash, {
        type: 'string',
        pattern: '^0x01[0-9a-fA-F]{62}$',
        description: 'KZG versioned hash of a blob.',
      }),
    )
    .min(1, 'must not be empty')
    .max(MAX_BLOBS, `must have at most ${MAX_BLOBS} entries`)
    .meta({ description: 'EIP-4844. Type 3 only.' })
    .optional(),
  authorizationList: authorizationListSchema.optional(),
});

type Fields = z.output<typeof transactionFields>;

/** One transaction as callers send it; the output is its canonical form. */
export const transactionSchema = transactionFields.transform(issuing(toTransaction));

const TYPED_FIELDS = [
  'gasPrice',
  'maxFeePerGas',
  'maxPriorityFeePerGas',
  'accessList',
  'maxFeePerBlobGas',
  'blobVersionedHashes',
  'authorizationList',
] as const satisfies readonly (keyof Fields)[];
type TypedField = (typeof TYPED_FIELDS)[number];

const FEE_MARKET_FIELDS: readonly TypedField[] = ['maxFeePerGas', 'maxPriorityFeePerGas', 'accessList'];
const FIELDS_OF_TYPE: Record<Transaction['type'], readonly TypedField[]> = {
  0: ['gasPrice'],
  1: ['gasPrice', 'accessList'],
  2: FEE_MARKET_FIELDS,
  3: [...FEE_MARKET_FIELDS, 'maxFeePerBlobGas', 'blobVersionedHashes'],
  4: [...FEE_MARKET_FIELDS, 'authorizationList'],
};

function toTransaction(fields: Fields): Transaction {
  const type = fields.type ?? inferType(fields);
  refuseForeignFields(fields, type);
  const { chainId, nonce, to = null, value = 0n, data = '0x', gasLimit, accessList = [] } = fields;
  const base = { chainId, nonce, to, value, data, gasLimit };
  if (countItems(accessList) > MAX_ACCESS_LIST_ITEMS) {
    throw invalidField('accessList', `must have at most ${MAX_ACCESS_LIST_ITEMS} addresses and storage keys`);
  }

  const need = <T>(name: TypedField, given: T | undefined): T => {
    if (given === undefined) throw invalidField(name, missing(name, type, fields));
    return given;
  };
  if (type === 0) return { type, ...base, gasPrice: need('gasPrice', fields.gasPrice) };
  if (type === 1) return { type, ...base, gasPrice: need('gasPrice', fields.gasPrice), accessList };

  const maxFeePerGas = need('maxFeePerGas', fields.maxFeePerGas);
  const maxPriorityFeePerGas = need('maxPriorityFeePerGas', fields.maxPriorityFeePerGas);
  if (maxPriorityFeePerGas > maxFeePerGas) {
    throw invalidField('maxPriorityFeePerGas', 'must not be above maxFeePerGas (EIP-1559)');
  }
  const market = { ...base, maxFeePerGas, maxPriorityFeePerGas, accessList };
  if (type === 2) return { type, ...market };

  const recipient = needRecipient(to, type);
  if (type === 3) {
    return {
      type,
      ...market,
      to: recipient,
      maxFeePerBlobGas: need('maxFeePerBlobGas', fields.maxFeePerBlobGas),
      blobVersionedHashes: need('blobVersionedHashes', fields.blobVersionedHashes),
    };
  }
  const authorizationList = need('authorizationList', fields.authorizationList);
  return { type, ...market, to: recipient, authorizationList };
}

function inferType(fields: Fields): Transaction['type'] {
  if (fields.authorizationList !== undefined) return 4;
  if (fields.blobVersionedHashes !== undefined || fields.maxFeePerBlobGas !== undefined) return 3;
  if (fields.maxFeePerGas !== undefined || fields.maxPriorityFeePerGas !== undefined) return 2;
  return fields.accessList === undefined ? 0 : 1;
}

function refuseForeignFields(fields: Fields, type: Transaction['type']): void {
  const allowed = FIELDS_OF_TYPE[type];
  const errors: FieldError[] = [];
  for (const name of TYPED_FIELDS) {
    if (fields[name] === undefined || allowed.includes(name)) continue;
    errors.push({ path: name, message: `does not belong to a transaction ${ofType(type, fields)}` });
  }
  const [first] = errors;
  if (first !== undefined) {
    throw new CountersignError('invalid_request', `${first.path} ${first.message}`, errors);
  }
}

function missing(name: TypedField, type: Transaction['type'], fields: Fields): string {
  const alternative =
    name === 'gasPrice' && fields.type === undefined
      ? '; or give maxFeePerGas and maxPriorityFeePerGas for type 2'
      : '';
  return `is required by a transaction ${ofType(type, fields)}${alternative}`;
}

function ofType(type: Transaction['type'], fields: Fields): string {
  return fields.type === undefined
    ? `of type ${type}, which is what the fields present make it`
    : `of type ${type}`;
}

function needRecipient(to: Hex | null, type: 3 | 4): Hex {
  if (to !== null) return to;
  const eip = type === 3 ? 'EIP-4844' : 'EIP-7702';
  throw invalidField('to', `is required: a transaction of type ${type} cannot create a contract (${eip})`);
}

function countItems(accessList: NonNullable<Fields['accessList']>): number {
  return accessList.reduce((sum, { storageKeys }) => sum + 1 + storageKeys.length, 0);
}

function readType(value: unknown, path: string): Transaction['type'] {
  const type = Number(readCount(value, path));
  if (type === 0 || type === 1 || type === 2 || type === 3 || type === 4) return type;
  throw invalidField(path, 'must be 0, 1, 2, 3 or 4');
}

function readVersionedHash(value: unknown, path: string): Hex {
  const hash = readFixedBytes(value, path, 32);
  if (!hash.startsWith('0x01')) throw invalidField(path, 'must begin with 0x01 (EIP-4844, KZG version)');
  return hash;
}

function readParity(value: unknown, path: string): 0 | 1 {
  const parity = readCount(value, path);
  if (parity === 0n) return 0;
  if (parity === 1n) return 1;
  throw invalidField(path, 'must be 0 or 1');
}

function readR(value: unknown, path: string): bigint {
  const r = readQuantity(value, path);
  if (r === 0n || r >= CURVE_ORDER) throw invalidField(path, 'must be from 1 to the curve order less one');
  return r;
}

function readLowS(value: unknown, path: string): bigint {
  const s = readQuantity(value, path);
  if (s === 0n || s > CURVE_ORDER / 2n) {
    throw invalidField(path, 'must be from 1 to half the curve order (EIP-7702)');
  }
  return s;
}

/** EIP-4844: GAS_PER_BLOB. */
const GAS_PER_BLOB = 131_072n;

/** The most wei the transaction can cost in fees: gas at its highest price, and blob gas. Never wraps. */
export function maxTotalFee(transaction: Transaction): bigint {
  if (transaction.type === 0 || transaction.type === 1) return transaction.gasLimit * transaction.gasPrice;
  const gas = transaction.gasLimit * transaction.maxFeePerGas;
  if (transaction.type !== 3) return gas;
  const blobs = BigInt(transaction.blobVersionedHashes.length);
  return gas + GAS_PER_BLOB * blobs * transaction.maxFeePerBlobGas;
}
