import { encodeRlp as ethersEncode, decodeRlp as ethersDecode, hexlify } from 'ethers';
import type { RlpStructuredData } from 'ethers';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bigintToBytes } from '../../src/bytes.ts';
import { CountersignError } from '../../src/errors.ts';
import { appendMembers, decodeRlp, encodeRlp, rlpLength, type RlpItem } from '../../src/intent/rlp.ts';
import { hasSharedVectors, sharedVectors } from './vectors.ts';

type VectorItem = string | number | readonly VectorItem[];
interface Vector {
  readonly in: VectorItem;
  readonly out: string;
}

const { item: arbitraryItem } = fc.letrec<{ item: RlpItem }>((tie) => ({
  item: fc.oneof(
    { depthSize: 'small' },
    fc.uint8Array({ maxLength: 4 }),
    fc.uint8Array({ minLength: 50, maxLength: 60 }),
    fc.uint8Array({ minLength: 254, maxLength: 258 }),
    fc.array(tie('item'), { maxLength: 6 }),
  ),
}));

describe.skipIf(!hasSharedVectors)('RLP vectors of ethereum/tests (../shared/vectors)', () => {
  const valid = hasSharedVectors
    ? Object.entries(sharedVectors('rlp/rlptest.json') as Record<string, Vector>)
    : [];
  const invalid = hasSharedVectors
    ? Object.entries(sharedVectors('rlp/invalidRLPTest.json') as Record<string, Vector>)
    : [];

  it('has all of them', () => {
    expect([valid.length, invalid.length]).toEqual([28, 26]);
  });

  it.each(valid)('%s', (_name, vector) => {
    const item = fromVector(vector.in);
    expect(`0x${encodeRlp(item).toString('hex')}`).toBe(vector.out);
    expect(toNested(decodeRlp(Buffer.from(vector.out.slice(2), 'hex')))).toEqual(toNested(item));
  });

  it.each(invalid)('refuses %s', (_name, vector) => {
    const bytes = Buffer.from(vector.out.replace('0x', ''), 'hex');
    expect(() => decodeRlp(bytes)).toThrow(CountersignError);
  });
});

describe('encodeRlp', () => {
  it('agrees with ethers, and decodes to what it encoded', () => {
    fc.assert(
      fc.property(arbitraryItem, (item) => {
        const encoded = encodeRlp(item);
        expect(hexlify(encoded)).toBe(ethersEncode(item as RlpStructuredData as never));
        expect(rlpLength(item)).toBe(encoded.length);
        expect(toNested(decodeRlp(encoded))).toEqual(toNested(item));
      }),
      { numRuns: 2000 },
    );
  });

  it.each([55, 56, 255, 256, 65_535, 65_536])('agrees with ethers at length %i', (length) => {
    const bytes = Buffer.alloc(length, 0x81);
    expect(encodeRlp([bytes]).equals(Buffer.from(ethersEncode([hexlify(bytes)]).slice(2), 'hex'))).toBe(true);
    expect(toNested(decodeRlp(encodeRlp([bytes])))).toEqual([bytes.toString('hex')]);
  });
});

describe('appendMembers', () => {
  it('gives the encoding of the longer list, behind what stood before it', () => {
    const list = fc.array(arbitraryItem, { maxLength: 6 });
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2 }), list, list, (before, members, more) => {
        const bytes = Buffer.concat([before, encodeRlp(members)]);
        const longer = Buffer.concat([before, encodeRlp([...members, ...more])]);
        expect(appendMembers(bytes, before.length, more).equals(longer)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    ['bytes after the list', '02c10509'],
    ['a list that is cut short', '02c205'],
    ['a string', '0283010203'],
    ['a single byte', '0205'],
    ['no item', '02'],
  ])('refuses %s in place of a list that ends with the bytes', (_, bytes) => {
    expect(() => appendMembers(Buffer.from(bytes, 'hex'), 1, [Buffer.of(1)])).toThrow(CountersignError);
  });
});

describe('bigintToBytes', () => {
  it('is the shortest big-endian form, on both sides of every length', () => {
    for (let length = 1; length <= 33; length++) {
      const least = 1n << BigInt(8 * (length - 1));
      for (const value of [least, least + 1n, (least << 8n) - 1n]) {
        const bytes = bigintToBytes(value);
        expect(bytes.length).toBe(length);
        expect(BigInt(`0x${bytes.toString('hex')}`)).toBe(value);
      }
    }
    expect(bigintToBytes(0n).length).toBe(0);
  });
});

describe('decodeRlp', () => {
  it('reads lengths of four bytes', () => {
    const bytes = Buffer.alloc(2 ** 24, 0x81);
    const encoded = encodeRlp(bytes);
    expect(encoded.subarray(0, 5).toString('hex')).toBe('bb01000000');
    expect(bytes.equals(decodeRlp(encoded) as Buffer)).toBe(true);
  });

  it('accepts the one canonical encoding only', () => {
    const mutated = fc.tuple(arbitraryItem, fc.nat(), fc.nat(255)).map(([item, position, byte]) => {
      const encoded = encodeRlp(item);
      encoded[position % encoded.length] = byte;
      return encoded;
    });
    fc.assert(
      fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 12 })), (bytes) => {
        const item = attempt(bytes);
        if (item === undefined) return;
        expect(encodeRlp(item).equals(bytes)).toBe(true);
        expect(toNested(item)).toEqual(toNested(fromEthers(ethersDecode(hexlify(bytes)))));
      }),
      { numRuns: 5000 },
    );
  });

  it('refuses the long form of a length that fits the short form', () => {
    for (const prefix of [0xb8, 0xf8]) {
      const payload = Buffer.alloc(56, 0x7f);
      expect(() => decodeRlp(Buffer.concat([Buffer.of(prefix, 55), payload.subarray(1)]))).toThrow(
        'shortest form',
      );
      expect(() => decodeRlp(Buffer.concat([Buffer.of(prefix, 56), payload]))).not.toThrow();
    }
  });

  it('refuses bytes after the item', () => {
    fc.assert(
      fc.property(arbitraryItem, fc.uint8Array({ minLength: 1, maxLength: 3 }), (item, tail) => {
        expect(() => decodeRlp(Buffer.concat([encodeRlp(item), tail]))).toThrow('after the end');
      }),
    );
  });

  it('refuses every truncation', () => {
    fc.assert(
      fc.property(arbitraryItem, fc.nat(), (item, cut) => {
        const encoded = encodeRlp(item);
        expect(() => decodeRlp(encoded.subarray(0, cut % encoded.length))).toThrow('not canonical RLP');
      }),
    );
  });

  it('refuses nesting that would exhaust the stack', () => {
    const deep = Array.from({ length: 100 }).reduce<RlpItem>((inner) => [inner], []);
    expect(() => decodeRlp(encodeRlp(deep))).toThrow('nested too deeply');
    expect(() => decodeRlp(Buffer.alloc(100_000, 0xc1))).toThrow('not canonical RLP');
  });
});

function attempt(bytes: Uint8Array): RlpItem | undefined {
  try {
    return decodeRlp(bytes);
  } catch (error) {
    if (error instanceof CountersignError) return undefined;
    throw error;
  }
}

function fromVector(item: VectorItem): RlpItem {
  if (Array.isArray(item)) return item.map(fromVector);
  if (typeof item === 'number') return bigintToBytes(BigInt(item));
  const text = String(item);
  return text.startsWith('#') ? bigintToBytes(BigInt(text.slice(1))) : Buffer.from(text, 'utf8');
}

function fromEthers(data: RlpStructuredData): RlpItem {
  return typeof data === 'string' ? Buffer.from(data.slice(2), 'hex') : data.map(fromEthers);
}

type Nested = string | Nested[];

function toNested(item: RlpItem): Nested {
  return item instanceof Uint8Array ? Buffer.from(item).toString('hex') : item.map(toNested);
}
