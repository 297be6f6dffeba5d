import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bigintToBytes, toHex } from '../../src/bytes.ts';
import { CountersignError } from '../../src/errors.ts';
import { OPERATIONS, type Operation } from '../../src/intent/intent.ts';
import { MAX_CHAIN_ID } from '../../src/intent/fields.ts';
import { preimageOf } from '../../src/intent/preimage.ts';
import { encodeRlp, type RlpItem } from '../../src/intent/rlp.ts';
import { checkPreimageShape } from '../../src/intent/shape.ts';
import { arbitraryHex, arbitraryIntent } from './arbitrary.ts';

const PREFIX = '\x19Ethereum Signed Message:\n';
const NONE = Buffer.alloc(0);
const ONE = Buffer.of(1);
const ADDRESS = Buffer.alloc(20, 0xaa);
const WORD = Buffer.alloc(32, 0xff);
const BLOB = Buffer.from(`01${'00'.repeat(31)}`, 'hex');
const AUTHORIZATION = [ONE, ADDRESS, NONE, NONE, ONE, ONE];

/** Valid fields by type; a change of one of them must be refused where the table below says so. */
const MARKET = [ONE, NONE, NONE, NONE, NONE, ADDRESS, NONE, NONE, []];
const FIELDS: Readonly<Record<number, readonly RlpItem[]>> = {
  0: [NONE, NONE, NONE, ADDRESS, NONE, NONE, ONE, NONE, NONE],
  1: [ONE, NONE, NONE, NONE, ADDRESS, NONE, NONE, []],
  2: MARKET,
  3: [...MARKET, NONE, [BLOB]],
  4: [...MARKET, [AUTHORIZATION]],
};

describe('checkPreimageShape', () => {
  it('accepts every preimage as what it is, and as nothing else but a digest of 32 bytes', () => {
    fc.assert(
      fc.property(arbitraryIntent(), (intent) => {
        const preimage = preimageOf(intent);
        for (const operation of OPERATIONS) {
          const fits = operation === intent.operation || (operation === 'digest' && preimage.length === 32);
          expect(accepts(operation, preimage)).toBe(fits);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('no bytes at all pass as two operations, digests aside', () => {
    const mutated = fc.tuple(arbitraryIntent(), fc.nat(), fc.nat(255)).map(([intent, position, byte]) => {
      const preimage = preimageOf(intent);
      preimage[position % preimage.length] = byte;
      return preimage;
    });
    fc.assert(
      fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 80 })), (bytes) => {
        const accepted = OPERATIONS.filter(
          (operation) => operation !== 'digest' && accepts(operation, bytes),
        );
        expect(accepted.length).toBeLessThanOrEqual(1);
      }),
      { numRuns: 5000 },
    );
  });

  it('refuses truncated and extended preimages', () => {
    const others = arbitraryIntent().filter(({ operation }) => operation !== 'message');
    const arbitraryTail = fc.uint8Array({ minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(others, fc.nat(), arbitraryTail, (intent, cut, tail) => {
        const { operation } = intent;
        const preimage = preimageOf(intent);
        expect(accepts(operation, preimage.subarray(0, cut % preimage.length))).toBe(false);
        expect(accepts(operation, Buffer.concat([preimage, tail]))).toBe(false);
      }),
      { numRuns: 2000 },
    );
  });

  // A message cut short can be another message: "10" and ten bytes, cut to "1" and the byte "0".
  it('accepts as a message exactly what is the preimage of one', () => {
    const digits = fc.stringMatching(/^[0-9a]{0,14}$/).map((text) => Buffer.from(PREFIX + text));
    const cut = fc
      .tuple(arbitraryHex(0, 120), fc.nat(150))
      .map(([data, length]) => preimageOf({ operation: 'message', data }).subarray(0, length));
    fc.assert(
      fc.property(fc.oneof(digits, cut), (bytes) => {
        const isPreimage = [1, 2, 3].some((width) => {
          const data = toHex(bytes.subarray(PREFIX.length + width));
          return preimageOf({ operation: 'message', data }).equals(bytes);
        });
        expect(accepts('message', bytes)).toBe(isPreimage);
      }),
      { numRuns: 5000 },
    );
  });

  it('refuses a message whose length is not its own', () => {
    const passes = (text: string) => accepts('message', Buffer.from(PREFIX + text));
    const wrong = ['', '0a', '1', '2a', '01a', ' 1a', '1 a', '3abcd', `10${'a'.repeat(9)}`, '+1a', '0x1a'];
    expect(wrong.filter(passes)).toEqual([]);
    // "111…": one digit and ten ones would be wrong, two digits and eleven ones are right.
    const right = ['0', '1a', '11', `11${'1'.repeat(11)}`, `10${'a'.repeat(10)}`, `100${'7'.repeat(100)}`];
    expect(right.filter(passes)).toEqual(right);
  });

  it.each(Object.entries(FIELDS))('accepts a minimal transaction of type %s', (type, fields) => {
    expect(accepts('transaction', encode(Number(type), fields))).toBe(true);
    expect(accepts('transaction', encode(Number(type), [...fields, NONE]))).toBe(false);
    expect(accepts('transaction', encode(Number(type), fields.slice(0, -1)))).toBe(false);
  });

  const tooLarge = Buffer.concat([ONE, Buffer.alloc(32)]);
  const uint64Max = bigintToBytes(2n ** 64n - 1n);
  it.each<[string, number, number, RlpItem]>([
    ['chain id 0', 0, 6, NONE],
    ['chain id above EIP-2294', 0, 6, bigintToBytes(MAX_CHAIN_ID + 1n)],
    ['no replay protection', 0, 7, ONE],
    ['a signed s', 0, 8, ONE],
    ['nonce with leading zeros', 0, 0, Buffer.of(0, 1)],
    ['nonce zero as a byte', 0, 0, Buffer.of(0)],
    ['nonce 2^64 - 1', 0, 0, uint64Max],
    ['nonce a list', 0, 0, []],
    ['gas price above 2^256', 0, 1, tooLarge],
    ['gas limit above 2^64', 0, 2, bigintToBytes(2n ** 64n)],
    ['to of 19 bytes', 0, 3, ADDRESS.subarray(1)],
    ['to of 21 bytes', 0, 3, Buffer.alloc(21, 1)],
    ['to a list', 0, 3, [ADDRESS]],
    ['value above 2^256', 0, 4, tooLarge],
    ['value with leading zeros', 0, 4, Buffer.of(0, 0xff)],
    ['data a list', 0, 5, [ONE]],
    ['chain id 0', 1, 0, NONE],
    ['access list bytes', 1, 7, ONE],
    ['access list entry without keys', 1, 7, [[ADDRESS]]],
    ['access list address of 19 bytes', 1, 7, [[ADDRESS.subarray(1), []]]],
    ['access list key of 31 bytes', 1, 7, [[ADDRESS, [WORD.subarray(1)]]]],
    ['access list keys bytes', 1, 7, [[ADDRESS, WORD]]],
    ['access list entry with more', 1, 7, [[ADDRESS, [], []]]],
    ['chain id 0', 2, 0, NONE],
    ['to of 1 byte', 2, 5, ONE],
    ['access list bytes', 2, 8, NONE],
    ['creation', 3, 5, NONE],
    ['blob fee above 2^256', 3, 9, tooLarge],
    ['no blobs', 3, 10, []],
    ['blob hash of version 2', 3, 10, [Buffer.alloc(32, 2)]],
    ['blob hash of 31 bytes', 3, 10, [BLOB.subarray(0, 31)]],
    ['creation', 4, 5, NONE],
    ['no authorizations', 4, 9, []],
    ['authorization for every chain', 4, 9, [[NONE, ...AUTHORIZATION.slice(1)]]],
    ['authorization without s', 4, 9, [AUTHORIZATION.slice(0, -1)]],
    ['authorization of y parity 2', 4, 9, [[ONE, ADDRESS, NONE, Buffer.of(2), ONE, ONE]]],
    ['authorization with high s', 4, 9, [[ONE, ADDRESS, NONE, NONE, ONE, WORD]]],
    ['authorization with r 0', 4, 9, [[ONE, ADDRESS, NONE, NONE, NONE, ONE]]],
  ])('refuses %s (type %i)', (_what, type, index, item) => {
    const fields = [...(FIELDS[type] ?? [])];
    fields[index] = item;
    expect(accepts('transaction', encode(type, fields))).toBe(false);
  });

  it('refuses a transaction before EIP-155, of an unknown type, and a signed one', () => {
    expect(accepts('transaction', encode(0, (FIELDS[0] ?? []).slice(0, 6)))).toBe(false);
    for (const type of [0x00, 0x05, 0x7f, 0x80]) {
      expect(accepts('transaction', Buffer.concat([Buffer.of(type), encodeRlp(MARKET)]))).toBe(false);
    }
    expect(accepts('transaction', encode(2, [...MARKET, ONE, WORD, WORD]))).toBe(false);
    expect(accepts('transaction', NONE)).toBe(false);
  });

  it.each<[string, readonly RlpItem[]]>([
    ['for every chain', [NONE, ADDRESS, NONE]],
    ['without a nonce', [ONE, ADDRESS]],
    ['to nobody', [ONE, NONE, NONE]],
    ['with more', [ONE, ADDRESS, NONE, NONE]],
  ])('refuses an authorization %s', (_what, fields) => {
    expect(accepts('authorization', encode(5, [ONE, ADDRESS, NONE]))).toBe(true);
    expect(accepts('authorization', encode(5, fields))).toBe(false);
  });
});

function encode(type: number, fields: readonly RlpItem[]): Buffer {
  return type === 0 ? encodeRlp(fields) : Buffer.concat([Buffer.of(type), encodeRlp(fields)]);
}

function accepts(operation: Operation, preimage: Uint8Array): boolean {
  try {
    checkPreimageShape(operation, preimage);
    return true;
  } catch (error) {
    if (error instanceof CountersignError && error.code === 'internal') return false;
    throw error;
  }
}
