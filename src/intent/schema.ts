import { z } from 'zod';
import { toHex, type Hex } from '../bytes.ts';
import { invalidField } from '../errors.ts';
import { parseWith } from '../schema.ts';
import {
  addressSchema,
  authorizationChainIdSchema,
  bytes32Schema,
  dataSchema,
  field,
  MAX_DATA_BYTES,
  nonceSchema,
  readObject,
  readText,
} from './fields.ts';
import { PURPOSE, PURPOSE_FORM, type Intent, type Operation } from './intent.ts';
import { transactionSchema } from './transaction.ts';
import { readTypedData } from './typed-data.ts';

const transactionBody = z.strictObject({ transaction: transactionSchema });

const messageBody = z.strictObject({
  message: field(readMessage, {
    type: 'string',
    description: 'Text, signed as its UTF-8 bytes (EIP-191). Give this or data.',
    examples: ['Hello, world!'],
  }).optional(),
  data: dataSchema('Bytes to sign as an EIP-191 message. Give this or message.').optional(),
});

const typedDataBody = z.strictObject({
  domain: field(readObject, {
    type: 'object',
    properties: {
      name: { type: 'string' },
      version: { type: 'string' },
      chainId: { type: ['string', 'integer'] },
      verifyingContract: { type: 'string' },
      salt: { type: 'string' },
    },
    additionalProperties: false,
    description: 'EIP-712 domain.',
    examples: [{ name: 'Ether Mail', version: '1', chainId: 1 }],
  }),
  types: field(readObject, {
    type: 'object',
    additionalProperties: {
      type: 'array',
      items: {
        type: 'object',
        properties: { name: { type: 'string' }, type: { type: 'string' } },
        required: ['name', 'type'],
        additionalProperties: false,
      },
    },
    description:
      'The struct types that primaryType needs, and no others. EIP712Domain may be given; it must then match the domain.',
    examples: [{ Mail: [{ name: 'contents', type: 'string' }] }],
  }),
  primaryType: field(readText, {
    type: 'string',
    description: 'The type of message.',
    examples: ['Mail'],
  }),
  message: field(readObject, {
    type: 'object',
    description: 'Exactly the fields of its type.',
    examples: [{ contents: 'Hello, Bob!' }],
  }),
});

const authorizationBody = z.strictObject({
  chainId: authorizationChainIdSchema,
  address: addressSchema('The contract to delegate to (EIP-7702).'),
  nonce: nonceSchema,
});

const digestBody = z.strictObject({
  digest: bytes32Schema('The 32 bytes to sign, as they are.'),
  purpose: z
    .string()
    .regex(PURPOSE, `must be ${PURPOSE_FORM}`)
    .meta({
      description: 'What the digest is; policies and the audit log name it.',
      examples: ['rollup-batch'],
    }),
});

/** The bodies of `POST /v1/keys/{name}/sign/{operation}`, to be extended with `version` by the routes. */
export const signBodies = {
  transaction: transactionBody,
  message: messageBody,
  'typed-data': typedDataBody,
  authorization: authorizationBody,
  digest: digestBody,
} as const satisfies Record<Operation, z.ZodObject>;

export type SignBody<O extends Operation = Operation> = z.output<(typeof signBodies)[O]>;
export type IntentOf<O extends Operation> = Extract<Intent, { readonly operation: O }>;

const TO_INTENT: { readonly [O in Operation]: (body: SignBody<O>) => IntentOf<O> } = {
  transaction: ({ transaction }) => ({ operation: 'transaction', transaction }),
  message: (body) => ({ operation: 'message', data: messageBytes(body) }),
  'typed-data': (body) => ({ operation: 'typed-data', typedData: readTypedData(body) }),
  authorization: ({ chainId, address, nonce }) => ({ operation: 'authorization', chainId, address, nonce }),
  digest: ({ digest, purpose }) => ({ operation: 'digest', digest, purpose }),
};

/**
 * The intent of a body that its schema has parsed. Throws `invalid_request` for what only the whole body
 * shows: typed data that its types do not describe, a message given twice or not at all.
 */
export function toIntent<O extends Operation>(operation: O, body: SignBody<O>): IntentOf<O> {
  return TO_INTENT[operation](body);
}

/** Made when they are first needed: compiling takes milliseconds, and saves a third of every parse after it. */
const compiled = new Map<Operation, z.ZodType>();

/** Parses a request body into its intent; `invalid_request` names every field that does not fit. */
export function parseIntent<O extends Operation>(operation: O, body: unknown): IntentOf<O> {
  const schema: z.ZodType = compiled.get(operation) ?? z.compile(signBodies[operation]);
  compiled.set(operation, schema);
  return toIntent(operation, parseWith(schema, body) as SignBody<O>);
}

function readMessage(value: unknown, path: string): string {
  const message = readText(value, path);
  if (Buffer.byteLength(message, 'utf8') > MAX_DATA_BYTES) {
    throw invalidField(path, `must be at most ${MAX_DATA_BYTES} bytes of UTF-8`);
  }
  return message;
}

function messageBytes({ message, data }: SignBody<'message'>): Hex {
  if (message !== undefined && data !== undefined) {
    throw invalidField('data', 'must be absent when message is given: they are two forms of one thing');
  }
  if (message !== undefined) return toHex(Buffer.from(message, 'utf8'));
  if (data !== undefined) return data;
  throw invalidField('message', 'is required: give message (text) or data (bytes as hex)');
}
