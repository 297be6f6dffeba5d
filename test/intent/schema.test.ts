import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { CountersignError } from '../../src/errors.ts';
import type { Operation } from '../../src/intent/intent.ts';
import { parseIntent, signBodies, toIntent } from '../../src/intent/schema.ts';

const TO = '0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed';
const BASE = { chainId: 1, nonce: 0, to: TO, gasLimit: 21_000 };
const FEES = { maxFeePerGas: '2', maxPriorityFeePerGas: '1' };
const LEGACY = { type: 0, gasPrice: '1', maxFeePerGas: undefined, maxPriorityFeePerGas: undefined };
const HASH = `0x01${'ab'.repeat(31)}`;
const AUTHORIZATION = { chainId: 1, address: TO, nonce: 0, yParity: 0, r: '1', s: '1' };
const HALF_ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n / 2n;

describe('transaction', () => {
  it.each([
    [0, { gasPrice: '1' }],
    [1, { gasPrice: '1', accessList: [] }],
    [2, FEES],
    [2, { ...FEES, accessList: [] }],
    [3, { ...FEES, maxFeePerBlobGas: '1', blobVersionedHashes: [HASH] }],
    [4, { ...FEES, authorizationList: [AUTHORIZATION] }],
  ])('infers type %i, and takes it when given as number, hex or decimal', (type, fields) => {
    const inferred = parse({ ...BASE, ...fields });
    expect(inferred.type).toBe(type);
    for (const given of [type, `0x${type}`, `0x0${type}`, String(type)]) {
      expect(parse({ ...BASE, ...fields, type: given })).toEqual(inferred);
    }
  });

  it('is lower-case, with defaults for what may be absent', () => {
    expect(
      parse({
        chainId: '0x1',
        nonce: '0x00',
        to: '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed',
        data: '0xABcd',
        gasLimit: '21000',
        gasPrice: '0xFF',
        accessList: [
          { address: TO.toUpperCase().replace('0X', '0x'), storageKeys: [`0x${'AB'.repeat(32)}`] },
        ],
      }),
    ).toEqual({
      type: 1,
      chainId: 1n,
      nonce: 0n,
      to: TO,
      value: 0n,
      data: '0xabcd',
      gasLimit: 21_000n,
      gasPrice: 255n,
      accessList: [{ address: TO, storageKeys: [`0x${'ab'.repeat(32)}`] }],
    });
  });

  it('creates a contract when `to` is absent or null', () => {
    const { to: _to, ...create } = { ...BASE, ...FEES };
    expect(parse(create).to).toBeNull();
    expect(parse({ ...create, to: null }).to).toBeNull();
  });

  it.each<[string, string, object]>([
    ['chainId', 'is required', { chainId: undefined }],
    ['chainId', 'at least 1', { chainId: 0 }],
    ['nonce', 'is required', { nonce: undefined }],
    ['gasLimit', 'is required', { gasLimit: undefined }],
    ['value', 'must be a string, such as', { value: 1 }],
    ['value', 'must be a string', { value: null }],
    ['maxFeePerGas', 'must be a string, such as', { maxFeePerGas: 1 }],
    ['to', 'must be an address, or absent to create a contract', { to: '' }],
    ['to', 'EIP-55 checksum', { to: '0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed' }],
    ['data', 'even number', { data: '0xabc' }],
    ['data', 'hex digits', { data: 'abcd' }],
    ['data', 'at most 131072 bytes', { data: `0x${'00'.repeat(131_073)}` }],
    ['type', '0, 1, 2, 3 or 4', { type: 5 }],
    ['gas', 'is not a known field', { gas: '21000' }],
    ['from', 'is not a known field', { from: TO }],
    ['gasPrice', 'does not belong to a transaction of type 2', { gasPrice: '1' }],
    ['accessList', 'does not belong to a transaction of type 0', { ...LEGACY, accessList: [] }],
    ['blobVersionedHashes', 'does not belong', { type: 2, blobVersionedHashes: [HASH] }],
    ['maxFeePerBlobGas', 'is required by a transaction of type 3', { blobVersionedHashes: [HASH] }],
    ['blobVersionedHashes', 'is required by a transaction of type 3', { maxFeePerBlobGas: '1' }],
    ['blobVersionedHashes', 'must not be empty', { maxFeePerBlobGas: '1', blobVersionedHashes: [] }],
    [
      'blobVersionedHashes',
      'at most 16',
      { maxFeePerBlobGas: '1', blobVersionedHashes: Array.from({ length: 17 }, () => HASH) },
    ],
    [
      'blobVersionedHashes.1',
      'must begin with 0x01',
      { maxFeePerBlobGas: '1', blobVersionedHashes: [HASH, `0x02${'00'.repeat(31)}`] },
    ],
    [
      'blobVersionedHashes.0',
      'exactly 32 bytes, not 31',
      { maxFeePerBlobGas: '1', blobVersionedHashes: [`0x01${'00'.repeat(30)}`] },
    ],
    ['to', 'is required', { maxFeePerBlobGas: '1', blobVersionedHashes: [HASH], to: null }],
    ['to', 'is required', { authorizationList: [AUTHORIZATION], to: undefined }],
    ['maxPriorityFeePerGas', 'must not be above maxFeePerGas', { maxPriorityFeePerGas: '3' }],
    ['maxPriorityFeePerGas', 'is required by a transaction of type 2', { maxPriorityFeePerGas: undefined }],
    ['maxFeePerGas', 'is required by a transaction of type 2', { maxFeePerGas: undefined }],
    ['authorizationList', 'must not be empty', { authorizationList: [] }],
    [
      'authorizationList',
      'at most 256',
      { authorizationList: Array.from({ length: 257 }, () => AUTHORIZATION) },
    ],
    [
      'authorizationList.0.chainId',
      'on every chain',
      { authorizationList: [{ ...AUTHORIZATION, chainId: 0 }] },
    ],
    [
      'authorizationList.0.yParity',
      'must be 0 or 1',
      { authorizationList: [{ ...AUTHORIZATION, yParity: 27 }] },
    ],
    ['authorizationList.0.r', 'must be from 1', { authorizationList: [{ ...AUTHORIZATION, r: '0' }] }],
    [
      'authorizationList.0.s',
      'half the curve order (EIP-7702)',
      { authorizationList: [{ ...AUTHORIZATION, s: `${HALF_ORDER + 1n}` }] },
    ],
    ['authorizationList.0.v', 'is not a known field', { authorizationList: [{ ...AUTHORIZATION, v: 27 }] }],
    ['accessList.0.storageKeys', 'is required', { accessList: [{ address: TO }] }],
    ['accessList.0.storageKeys.0', '32 bytes', { accessList: [{ address: TO, storageKeys: ['0x'] }] }],
    [
      'accessList',
      'at most 4096',
      {
        accessList: [{ address: TO, storageKeys: Array.from({ length: 4096 }, () => HASH) }],
      },
    ],
  ])('%s: %s', (path, message, change) => {
    const errors = errorsOf('transaction', { transaction: { ...BASE, ...FEES, ...change } });
    expect(errors).toEqual([
      { path: `transaction.${path}`, message: expect.stringContaining(message) as string },
    ]);
  });

  it('names every field that does not belong to the type', () => {
    const errors = errorsOf('transaction', { transaction: { ...BASE, ...FEES, type: 1, gasPrice: '1' } });
    expect(errors.map(({ path }) => path)).toEqual([
      'transaction.maxFeePerGas',
      'transaction.maxPriorityFeePerGas',
    ]);
  });

  it('names every field that is wrong', () => {
    const errors = errorsOf('transaction', { transaction: { chainId: 0, nonce: -1, to: '', value: 1 } });
    expect(errors.map(({ path }) => path)).toEqual([
      'transaction.chainId',
      'transaction.nonce',
      'transaction.to',
      'transaction.value',
      'transaction.gasLimit',
    ]);
  });

  it('says which fees are missing when there are none', () => {
    const [error] = errorsOf('transaction', { transaction: BASE });
    expect(error?.path).toBe('transaction.gasPrice');
    expect(error?.message).toContain('or give maxFeePerGas and maxPriorityFeePerGas');
  });

  it('accepts s at half the order, and not the fields of Object.prototype', () => {
    const authorizationList = [{ ...AUTHORIZATION, s: `0x${HALF_ORDER.toString(16)}` }];
    expect(parse({ ...BASE, ...FEES, authorizationList }).type).toBe(4);
    const body: unknown = JSON.parse(
      '{"transaction":{"chainId":1,"nonce":0,"gasLimit":1,"gasPrice":"1","__proto__":{}}}',
    );
    expect(errorsOf('transaction', body).map(({ path }) => path)).toEqual(['transaction.__proto__']);
  });
});

describe('message', () => {
  it('is text as UTF-8, or bytes', () => {
    expect(parseIntent('message', { message: 'héllo 🚀' })).toEqual({
      operation: 'message',
      data: `0x${Buffer.from('héllo 🚀', 'utf8').toString('hex')}`,
    });
    expect(parseIntent('message', { data: '0xABCD' })).toEqual({ operation: 'message', data: '0xabcd' });
    expect(parseIntent('message', { message: '' })).toEqual({ operation: 'message', data: '0x' });
    expect(parseIntent('message', { message: '0xabcd' }).data).toBe('0x307861626364');
  });

  it.each<[string, string, object]>([
    ['message', 'give message (text) or data', {}],
    ['data', 'must be absent when message is given', { message: 'a', data: '0x' }],
    ['message', 'lone surrogate', { message: 'a\ud800b' }],
    ['message', 'must be a string', { message: 7 }],
    ['message', 'at most 131072 bytes', { message: 'é'.repeat(65_537) }],
    ['data', 'hex digits', { data: 'hello' }],
  ])('%s: %s', (path, message, body) => {
    expect(errorsOf('message', body)).toEqual([
      { path, message: expect.stringContaining(message) as string },
    ]);
  });
});

describe('authorization', () => {
  it('is a chain, a delegate and a nonce', () => {
    expect(parseIntent('authorization', { chainId: '0x1', address: TO, nonce: 7 })).toEqual({
      operation: 'authorization',
      chainId: 1n,
      address: TO,
      nonce: 7n,
    });
  });

  it('refuses chain id 0 with its reason', () => {
    expect(errorsOf('authorization', { chainId: 0, address: TO, nonce: 0 })).toEqual([
      { path: 'chainId', message: expect.stringContaining('on every chain') as string },
    ]);
  });

  it.each(['chainId', 'address', 'nonce'])('requires %s', (name) => {
    const body = { chainId: 1, address: TO, nonce: 0, [name]: undefined };
    expect(errorsOf('authorization', body)).toEqual([{ path: name, message: 'is required' }]);
  });
});

describe('digest', () => {
  const digest = `0x${'AB'.repeat(32)}`;

  it('is 32 bytes and a purpose', () => {
    expect(parseIntent('digest', { digest, purpose: 'rollup batch #7' })).toEqual({
      operation: 'digest',
      digest: digest.toLowerCase(),
      purpose: 'rollup batch #7',
    });
  });

  it.each<[string, object]>([
    ['digest', { digest: '0xab', purpose: 'x' }],
    ['digest', { digest: `${digest}00`, purpose: 'x' }],
    ['purpose', { digest, purpose: '' }],
    ['purpose', { digest, purpose: ' x' }],
    ['purpose', { digest, purpose: 'x\n' }],
    ['purpose', { digest, purpose: 'a\u0000b' }],
    ['purpose', { digest, purpose: 'x'.repeat(201) }],
    ['purpose', { digest }],
  ])('refuses a bad %s', (path, body) => {
    expect(errorsOf('digest', body).map((error) => error.path)).toEqual([path]);
  });
});

describe('signBodies', () => {
  it.each(Object.entries(signBodies))('%s can be extended and described for OpenAPI', (_operation, body) => {
    const extended = body.extend({ version: z.int().min(1).optional() });
    const schema = z.toJSONSchema(extended, { io: 'input', target: 'draft-2020-12' });
    expect(schema.additionalProperties).toBe(false);
    expect(schema.properties).toHaveProperty('version');
    for (const name of Object.keys(body.shape)) {
      expect(schema.properties).toHaveProperty(name);
    }
    for (const field of leaves(schema.properties?.['transaction'] ?? { properties: schema.properties })) {
      if (field === schema.properties?.['version']) continue;
      expect(field).toHaveProperty('description');
      expect(field).toSatisfy((it: object) => 'type' in it || 'anyOf' in it);
    }
  });

  it('requires what parsing requires, and shows examples', () => {
    const schema = z.toJSONSchema(signBodies.transaction, { io: 'input', target: 'draft-2020-12' });
    expect(schema.properties?.['transaction']).toMatchObject({
      type: 'object',
      required: ['chainId', 'nonce', 'gasLimit'],
      additionalProperties: false,
      properties: { gasLimit: { examples: [21_000] }, value: { type: 'string' } },
    });
  });

  it('gives the same intent through an extended schema', () => {
    const extended = signBodies.authorization.extend({ version: z.int().optional() });
    const body = extended.parse({ chainId: 1, address: TO, nonce: 7, version: 2 });
    expect(toIntent('authorization', body)).toEqual(
      parseIntent('authorization', { chainId: 1, address: TO, nonce: 7 }),
    );
  });

  it.each<[Operation, string]>([
    ['transaction', 'transaction'],
    ['typed-data', 'domain'],
    ['digest', 'digest'],
  ])('%s: a body that is no object, or empty, is an invalid_request', (operation, first) => {
    for (const body of [null, [], 'x', 7])
      expect(() => parseIntent(operation, body)).toThrow(CountersignError);
    expect(errorsOf(operation, {})[0]).toEqual({ path: first, message: 'is required' });
  });
});

function parse(transaction: object) {
  return parseIntent('transaction', { transaction }).transaction;
}

function errorsOf(operation: Operation, body: unknown) {
  try {
    parseIntent(operation, body);
  } catch (error) {
    if (error instanceof CountersignError && error.code === 'invalid_request') return error.errors;
    throw error;
  }
  throw new Error('was accepted');
}

interface SchemaNode {
  readonly properties?: Readonly<Record<string, unknown>> | undefined;
}

function leaves(node: unknown): unknown[] {
  return Object.values((node as SchemaNode).properties ?? {});
}
