import { TypedDataEncoder } from 'ethers';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHex } from '../../src/bytes.ts';
import { CountersignError } from '../../src/errors.ts';
import type { TypedData } from '../../src/intent/intent.ts';
import { digestOf, preimageOf } from '../../src/intent/preimage.ts';
import { parseIntent } from '../../src/intent/schema.ts';
import { domainSeparator, hashMessage } from '../../src/intent/typed-data.ts';
import { encodeType, parseTypes, parseValueType } from '../../src/intent/typed-data-types.ts';
import { arbitraryTypedData } from './arbitrary.ts';
import { signatureHex, signNative } from './signing.ts';
import { ethersVectors, hasSharedVectors, sharedVectors } from './vectors.ts';

interface Vector {
  readonly name: string;
  readonly domain: object;
  readonly types: Record<string, { name: string; type: string }[]>;
  readonly primaryType: string;
  readonly data: object;
  readonly digest: string;
  readonly privateKey?: string;
  readonly signature?: string;
}

const MAIL = {
  domain: {
    name: 'Ether Mail',
    version: '1',
    chainId: 1,
    verifyingContract: '0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC',
  },
  types: {
    Person: [
      { name: 'name', type: 'string' },
      { name: 'wallet', type: 'address' },
    ],
    Mail: [
      { name: 'from', type: 'Person' },
      { name: 'to', type: 'Person' },
      { name: 'contents', type: 'string' },
    ],
  },
  primaryType: 'Mail',
  message: {
    from: { name: 'Cow', wallet: '0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826' },
    to: { name: 'Bob', wallet: '0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB' },
    contents: 'Hello, Bob!',
  },
};
const MAIL_DIGEST = '0xbe609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2';
const EIP712_DOMAIN = [
  { name: 'name', type: 'string' },
  { name: 'version', type: 'string' },
  { name: 'chainId', type: 'uint256' },
  { name: 'verifyingContract', type: 'address' },
];

describe('vectors', () => {
  const shared = hasSharedVectors ? (sharedVectors('eip712/ethers-typed-data.json.gz') as Vector[]) : [];

  // None of the vectors contains anything that is refused: every one is hashed, and there are this many.
  it.skipIf(!hasSharedVectors)('all 130 of ../shared/vectors/eip712, signatures included', () => {
    expect(shared.length).toBe(130);
    expect(shared.filter(({ signature }) => signature !== undefined).length).toBeGreaterThan(0);
    expect(failing(shared)).toEqual([]);
  });

  it('all 1,025 of @ethersproject/testcases', () => {
    const vectors = ethersVectors('eip712') as Vector[];
    expect(vectors.length).toBe(1025);
    expect(failing(vectors)).toEqual([]);
  });
});

describe('against ethers', () => {
  it('random typed data have the same hashes', () => {
    fc.assert(
      fc.property(arbitraryTypedData(), (typedData) => {
        const types = withoutReadonly(typedData.types);
        const parsed = parseIntent('typed-data', typedData).typedData;
        expect(parsed).toEqual(typedData);
        expect(toHex(domainSeparator(typedData))).toBe(TypedDataEncoder.hashDomain(typedData.domain));
        expect(toHex(hashMessage(typedData))).toBe(
          TypedDataEncoder.hashStruct(typedData.primaryType, types, typedData.message),
        );
        expect(digest(typedData)).toBe(TypedDataEncoder.hash(typedData.domain, types, typedData.message));
        const structs = parseTypes(typedData.types, typedData.primaryType, 'types');
        expect(encodeType(structs, 'Root')).toBe(TypedDataEncoder.from(types).encodeType('Root'));
      }),
      { numRuns: 1_500 },
    );
  });
});

describe('canonical form', () => {
  it('the example of EIP-712', () => {
    expect(digest(MAIL)).toBe(MAIL_DIGEST);
  });

  it('is the same for every way of writing the same values', () => {
    const canonical = parseIntent('typed-data', MAIL).typedData;
    expect(canonical.domain).toEqual({
      name: 'Ether Mail',
      version: '1',
      chainId: '1',
      verifyingContract: '0xcccccccccccccccccccccccccccccccccccccccc',
    });
    for (const chainId of ['1', '0x1', '0x01']) {
      const variant = { ...MAIL, domain: { ...MAIL.domain, chainId } };
      expect(parseIntent('typed-data', variant).typedData).toEqual(canonical);
    }
    const declared = { ...MAIL, types: { EIP712Domain: EIP712_DOMAIN, ...MAIL.types } };
    expect(parseIntent('typed-data', declared).typedData).toEqual(canonical);
    const { contents, to, from } = MAIL.message;
    const reordered = parseIntent('typed-data', { ...MAIL, message: { contents, to, from } }).typedData;
    expect(Object.keys(reordered.message)).toEqual(['from', 'to', 'contents']);
  });

  it.each<[string, unknown, string]>([
    ['uint8', 255, '255'],
    ['uint8', '0xFF', '255'],
    ['int8', -128, '-128'],
    ['int8', '-128', '-128'],
    ['int8', 127, '127'],
    ['uint256', '0x' + 'f'.repeat(64), (2n ** 256n - 1n).toString()],
    ['int256', (-(2n ** 255n)).toString(), (-(2n ** 255n)).toString()],
    ['bytes2', '0xABCD', '0xabcd'],
    ['bytes', '0x', '0x'],
  ])('%s %j', (type, value, expected) => {
    expect(parseOne(type, value)['x']).toBe(expected);
  });

  it('supports type names with a colon, as Hyperliquid has them', () => {
    const typedData = {
      domain: {},
      types: { 'HyperliquidTransaction:UsdSend': [{ name: 'amount', type: 'string' }] },
      primaryType: 'HyperliquidTransaction:UsdSend',
      message: { amount: '1' },
    };
    expect(digest(typedData)).toBe(TypedDataEncoder.hash({}, typedData.types, typedData.message));
  });

  it('hashes an empty array and a struct without fields', () => {
    const typedData = {
      domain: {},
      types: {
        A: [
          { name: 'b', type: 'B[]' },
          { name: 'c', type: 'B' },
        ],
        B: [],
      },
      primaryType: 'A',
      message: { b: [], c: {} },
    };
    expect(digest(typedData)).toBe(TypedDataEncoder.hash({}, typedData.types, typedData.message));
  });
});

describe('refuses values that do not fit their type', () => {
  it.each<[string, unknown]>([
    ['uint8', 256],
    ['uint8', -1],
    ['uint8', '256'],
    ['uint8', 1.5],
    ['uint8', true],
    ['uint8', null],
    ['uint8', ''],
    ['uint8', '0x'],
    ['uint8', ' 1'],
    ['uint8', '01'],
    ['uint8', '-0'],
    ['uint8', '-0x1'],
    ['uint8', '1e1'],
    ['int8', 128],
    ['int8', -129],
    ['uint256', 2 ** 53],
    ['uint256', `1${'0'.repeat(78)}`],
    ['bytes2', '0xab'],
    ['bytes2', '0xabcdef'],
    ['bytes2', 'abcd'],
    ['bytes', '0xabc'],
    ['bytes', 'text'],
    ['bytes', [1, 2]],
    ['bool', 'true'],
    ['bool', 1],
    ['bool', 0],
    ['bool', null],
    ['string', 7],
    ['string', null],
    ['string', '\udc00'],
    ['address', ''],
    ['address', '0x00'],
    ['address', null],
    ['address', '0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8dd826'],
    ['uint8[]', 1],
    ['uint8[]', {}],
    ['uint8[]', '0x01'],
    ['uint8[2]', [1]],
    ['uint8[2]', [1, 2, 3]],
    ['uint8[2][]', [[1, 2], [1]]],
    ['uint8[]', [256]],
    ['uint8[]', null],
  ])('%s %j', (type, value) => {
    expect(() => parseOne(type, value)).toThrow(CountersignError);
    expect(errorOf({ ...one(type, value) }).path).toMatch(/^message\.x(\.\d+)*$/);
  });

  it('bounds the number of values', () => {
    expect(
      errorOf(
        one(
          'bool[]',
          Array.from({ length: 10_001 }, () => true),
        ),
      ).message,
    ).toContain('at most 10000');
  });
});

describe('refuses what would be shown and not signed, or the reverse', () => {
  it.each<[string, object, string, string]>([
    ['unknown member', { message: { ...MAIL.message, extra: 1 } }, 'message.extra', 'would not be signed'],
    [
      'unknown member of a member',
      { message: { ...MAIL.message, to: { ...MAIL.message.to, note: '' } } },
      'message.to.note',
      'would not be signed',
    ],
    [
      'missing member',
      { message: { from: MAIL.message.from, to: MAIL.message.to } },
      'message.contents',
      'required',
    ],
    ['null member', { message: { ...MAIL.message, to: null } }, 'message.to', 'must be an object'],
    [
      'member of a prototype',
      { types: { A: [{ name: 'toString', type: 'string' }] }, primaryType: 'A', message: {} },
      'message.toString',
      'is required',
    ],
    ['unused type', { types: { ...MAIL.types, Unused: [] } }, 'types.Unused', 'is not used by Mail'],
    ['unknown type', { types: { Mail: MAIL.types.Mail } }, 'types.Mail', 'needs Person'],
    ['unknown primaryType', { primaryType: 'Letter' }, 'primaryType', 'must be one of'],
    ['primaryType of a prototype', { primaryType: 'toString' }, 'primaryType', 'must be one of'],
    ['primaryType EIP712Domain', { primaryType: 'EIP712Domain' }, 'primaryType', 'must not be EIP712Domain'],
    [
      'domain field',
      { domain: { ...MAIL.domain, chain: 1 } },
      'domain.chain',
      'not a field of an EIP-712 domain',
    ],
    ['domain chainId', { domain: { ...MAIL.domain, chainId: -1 } }, 'domain.chainId', 'out of range'],
    ['domain null', { domain: { ...MAIL.domain, salt: null } }, 'domain.salt', 'hex'],
    ['domain salt', { domain: { salt: '0x00' } }, 'domain.salt', 'exactly 32 bytes'],
    [
      'domain verifyingContract',
      { domain: { verifyingContract: '' } },
      'domain.verifyingContract',
      'an address',
    ],
    ['domain name', { domain: { name: 1 } }, 'domain.name', 'must be a string'],
    ['domain', { domain: [] }, 'domain', 'must be an object'],
    ['types', { types: [] }, 'types', 'must be an object'],
    ['message', { message: 'Hello' }, 'message', 'must be an object'],
  ])('%s', (_what, change, path, message) => {
    const error = errorOf({ ...MAIL, ...change });
    expect(error).toEqual({ path, message: expect.stringContaining(message) as string });
  });

  it.each<[string, unknown]>([
    ['another order', [...EIP712_DOMAIN].reverse()],
    ['a missing field', EIP712_DOMAIN.slice(1)],
    ['an additional field', [...EIP712_DOMAIN, { name: 'salt', type: 'bytes32' }]],
    [
      'another type',
      EIP712_DOMAIN.map(({ name, type }) => ({ name, type: type.replace('uint256', 'uint32') })),
    ],
    ['something in a field', EIP712_DOMAIN.map(({ name, type }) => ({ name, type, note: '' }))],
    ['null', null],
  ])('EIP712Domain with %s', (_what, EIP712Domain) => {
    const error = errorOf({ ...MAIL, types: { ...MAIL.types, EIP712Domain } });
    expect(error.path).toBe('types.EIP712Domain');
    expect(error.message).toContain(
      'EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)',
    );
  });
});

describe('refuses malformed types', () => {
  it.each([
    'uint',
    'int',
    'uint7',
    'uint0',
    'uint264',
    'uint08',
    'int512',
    'bytes0',
    'bytes33',
    'bytes01',
    'fixed',
    'ufixed128x18',
    'function',
    'byte32[',
    '[]',
    'uint8[0]',
    'uint8[01]',
    'uint8[-1]',
    'uint8[ ]',
    'uint8[]x',
    'uint8[100000]',
    ' uint8',
    'A B',
    'A(',
    'A,uint8 b',
    '',
    'EIP712Domain',
    '__proto__',
    `uint8${'[]'.repeat(9)}`,
    'A'.repeat(129),
  ])('field type %j', (type) => {
    expect(parseValueType(type)).toSatisfy((parsed: unknown) => parsed === undefined || type.length > 128);
    const { path } = errorOf({ ...one('uint8', 1), types: { A: [{ name: 'x', type }] } });
    expect(path).toBe('types.A.0.type');
  });

  it.each([
    'uint8',
    'bytes',
    'string',
    'int',
    'A(uint8 x)',
    'A B',
    '',
    '1A',
    'Ä',
    '__proto__',
    'A'.repeat(65),
  ])('type name %j', (name) => {
    const types = Object.fromEntries([
      ['B', []],
      [name, []],
    ]);
    expect(() => parseIntent('typed-data', { domain: {}, types, primaryType: 'B', message: {} })).toThrow(
      'must be an identifier',
    );
  });

  it.each(['', '1x', 'a b', 'a,b', 'x)', '__proto__', 'a:b', 7, null])('field name %j', (name) => {
    const error = errorOf({ ...one('uint8', 1), types: { A: [{ name, type: 'uint8' }] } });
    expect(error.path).toBe('types.A.0.name');
  });

  it.each<[string, unknown, string]>([
    ['types.A', 7, 'must be an array'],
    ['types.A.0', [7], 'must be an object'],
    ['types.A.0.note', [{ name: 'x', type: 'uint8', note: '' }], 'is not a known field'],
    [
      'types.A.1',
      [
        { name: 'x', type: 'uint8' },
        { name: 'x', type: 'bool' },
      ],
      'repeats the field x',
    ],
    ['types.A', [{ name: 'x', type: 'A' }], 'contains itself'],
    ['types.A', [{ name: 'x', type: 'A[]' }], 'contains itself'],
  ])('%s', (path, fields, message) => {
    const error = errorOf({ ...one('uint8', 1), types: { A: fields } });
    expect(error).toEqual({ path, message: expect.stringContaining(message) as string });
  });

  it('types that contain each other, however far apart', () => {
    const types = Object.fromEntries(
      Array.from({ length: 32 }, (_, i) => [`T${i}`, [{ name: 'x', type: `T${(i + 1) % 32}[]` }]]),
    );
    expect(errorOf({ domain: {}, types, primaryType: 'T0', message: { x: [] } }).message).toContain(
      'contains itself',
    );
  });

  it('too many types or fields', () => {
    const many = (length: number, type: string) =>
      Array.from({ length }, (_, i) => ({ name: `x${i}`, type: `${type}${type === 'T' ? i : ''}` }));
    const manyTypes = {
      A: many(32, 'T'),
      ...Object.fromEntries(Array.from({ length: 32 }, (_, i) => [`T${i}`, []])),
    };
    expect(errorOf({ ...one('uint8', 1), types: manyTypes }).message).toContain('at most 32 types');
    expect(errorOf({ ...one('uint8', 1), types: { A: many(257, 'uint8') } }).message).toContain(
      'at most 256 fields',
    );
  });

  it('the worst types that are accepted are hashed in bounded time', () => {
    const types = Object.fromEntries(
      Array.from({ length: 32 }, (_, i) => [
        `T${i}`.padEnd(64, 'x'),
        Array.from({ length: 8 }, (_, j) => ({
          name: `f${j}`.padEnd(64, 'y'),
          type: i < 31 && j === 0 ? `${`T${i + 1}`.padEnd(64, 'x')}[]` : 'bytes32[]',
        })),
      ]),
    );
    const empty = Object.fromEntries(Array.from({ length: 8 }, (_, j) => [`f${j}`.padEnd(64, 'y'), []]));
    const nested = Array.from({ length: 31 }).reduce<object>(
      (inner) => ({ ...empty, ['f0'.padEnd(64, 'y')]: [inner] }),
      empty,
    );
    const started = performance.now();
    digest({ domain: {}, types, primaryType: 'T0'.padEnd(64, 'x'), message: nested });
    expect(performance.now() - started).toBeLessThan(1_000);
  });
});

/** The names of the vectors whose digest, or signature where there is one, is not ours. */
function failing(vectors: readonly Vector[]): string[] {
  return vectors.filter((vector) => !agrees(vector)).map(({ name }) => name);
}

function agrees({ domain, types, primaryType, data, ...expected }: Vector): boolean {
  const intent = parseIntent('typed-data', { domain, types, primaryType, message: data });
  const signed = digestOf('typed-data', preimageOf(intent));
  if (toHex(signed) !== expected.digest) return false;
  if (expected.signature === undefined || expected.privateKey === undefined) return true;
  const privateKey = Buffer.from(expected.privateKey.slice(2), 'hex');
  return signatureHex(signNative(signed, privateKey)) === expected.signature;
}

function digest(typedData: object): string {
  return toHex(digestOf('typed-data', preimageOf(parseIntent('typed-data', typedData))));
}

function one(type: string, value: unknown) {
  return { domain: {}, types: { A: [{ name: 'x', type }] }, primaryType: 'A', message: { x: value } };
}

function parseOne(type: string, value: unknown) {
  return parseIntent('typed-data', one(type, value)).typedData.message;
}

function errorOf(typedData: object) {
  try {
    parseIntent('typed-data', typedData);
  } catch (error) {
    if (!(error instanceof CountersignError) || error.code !== 'invalid_request') throw error;
    const [first] = error.errors;
    if (first !== undefined) return first;
  }
  throw new Error('was accepted');
}

function withoutReadonly(types: TypedData['types']): Record<string, { name: string; type: string }[]> {
  return Object.fromEntries(Object.entries(types).map(([name, fields]) => [name, [...fields]]));
}
