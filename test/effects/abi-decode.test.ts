import { AbiCoder, type Result } from 'ethers';
import * as fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import type { Hex } from '../../src/bytes.ts';
import type { AbiField, AbiFunction, AbiType, AbiValue } from '../../src/effects/abi.ts';
import { AbiFault, createDecoder, decodeArguments } from '../../src/effects/abi-decode.ts';
import { encodeCall } from '../../src/effects/abi-encode.ts';
import { formatType, parseFunction } from '../../src/effects/abi-signature.ts';
import { arbitraryCase, functionOf, type Case } from './abi-types.ts';

const SEED = Number(process.env['COUNTERSIGN_TEST_SEED'] ?? 20_260_101);

const coder = AbiCoder.defaultAbiCoder();

function encodeWithEthers({ fn, values }: Case): Hex {
  const types = fn.inputs.map(({ type }) => formatType(type));
  return `${fn.selector}${coder.encode(types, values).slice(2)}`;
}

/** What ethers decodes, in the form of AbiValue: it gives addresses with their checksum, and hex in lower case. */
function decodeWithEthers(inputs: readonly AbiField[], data: Hex): readonly AbiValue[] {
  const types = inputs.map(({ type }) => formatType(type));
  const result = coder.decode(types, `0x${data.slice(10)}`);
  return inputs.map(({ type }, index) => plain(result[index], type));
}

function plain(value: unknown, type: AbiType): AbiValue {
  if (type.kind === 'array') return (value as Result).map((item: unknown) => plain(item, type.of));
  if (type.kind === 'tuple')
    return type.of.map((field, index) => plain((value as Result)[index], field.type));
  return type.kind === 'address' ? (value as string).toLowerCase() : (value as AbiValue);
}

function attempt(signature: string, data: string): readonly AbiValue[] | string {
  const fn = parseFunction(signature);
  return read(fn, `${fn.selector}${data}`);
}

/** The decoded values, or the reason of the fault; any other error is thrown. */
function read(fn: AbiFunction, data: Hex): readonly AbiValue[] | string {
  try {
    return decodeArguments(fn, data);
  } catch (error) {
    if (error instanceof AbiFault) return error.message;
    throw error;
  }
}

const word = (value: bigint | number) => BigInt.asUintN(256, BigInt(value)).toString(16).padStart(64, '0');
const words = (...values: (bigint | number)[]) => values.map(word).join('');
const left = (digits: string) => digits.padEnd(64, '0');

describe('against ethers', () => {
  it('decodes what ethers encodes, and ethers decodes the same, on random types and values', () => {
    const kinds = new Map<string, number>();
    fc.assert(
      fc.property(arbitraryCase(), (random) => {
        const data = encodeWithEthers(random);
        for (const { type } of random.fn.inputs) kinds.set(type.kind, (kinds.get(type.kind) ?? 0) + 1);
        expect(decodeArguments(random.fn, data)).toEqual(random.values);
        expect(decodeWithEthers(random.fn.inputs, data)).toEqual(random.values);
      }),
      { numRuns: 1_500, seed: SEED },
    );
    expect(kinds.size).toBe(9);
    expect(Math.min(...kinds.values())).toBeGreaterThan(100);
  });
});

type Corrupt = (digits: string) => string;

/** Changes of one word or one byte, anywhere; most keep whole words, so that they go deep. */
function arbitraryCorruption(): fc.Arbitrary<Corrupt> {
  const place = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  const wordAt = (digits: string, at: number) => 64 * Math.floor((at * digits.length) / 64);
  const byteAt = (digits: string, at: number) => 2 * Math.floor((at * digits.length) / 2);
  const small = fc.integer({ min: 0, max: 12 }).map((units) => word(units * 32));
  const count = fc.integer({ min: 0, max: 9 }).map(word);
  const noise = fc
    .uint8Array({ minLength: 32, maxLength: 32 })
    .map((bytes) => Buffer.from(bytes).toString('hex'));
  const any = fc.oneof(small, count, noise);
  return fc.oneof(
    fc.tuple(place, any).map(([at, value]): Corrupt => (digits) => {
      const start = wordAt(digits, at);
      return digits.slice(0, start) + value + digits.slice(start + 64);
    }),
    fc.tuple(place, any).map(([at, value]): Corrupt => (digits) => {
      const start = wordAt(digits, at);
      return digits.slice(0, start) + value + digits.slice(start);
    }),
    place.map((at): Corrupt => (digits) => {
      const start = wordAt(digits, at);
      return digits.slice(0, start) + digits.slice(start + 64);
    }),
    fc.tuple(place, place).map(([at, other]): Corrupt => (digits) => {
      const [from, to] = [wordAt(digits, at), wordAt(digits, other)];
      return digits.slice(0, to) + digits.slice(from, from + 64) + digits.slice(to + 64);
    }),
    fc.tuple(place, fc.integer({ min: 1, max: 255 })).map(([at, mask]): Corrupt => (digits) => {
      const start = byteAt(digits, at);
      const byte = Number.parseInt(digits.slice(start, start + 2) || '0', 16) ^ mask;
      return digits.slice(0, start) + byte.toString(16).padStart(2, '0') + digits.slice(start + 2);
    }),
    place.map(
      (at): Corrupt =>
        (digits) =>
          digits.slice(0, byteAt(digits, at)),
    ),
    place.map((at): Corrupt => (digits) => {
      const start = byteAt(digits, at);
      return digits.slice(0, start) + digits.slice(start + 2);
    }),
    fc.tuple(place, fc.constantFrom('00', '01', 'ff')).map(([at, byte]): Corrupt => (digits) => {
      const start = byteAt(digits, at);
      return digits.slice(0, start) + byte + digits.slice(start);
    }),
    fc.constantFrom('00', '0'.repeat(64)).map(
      (tail): Corrupt =>
        (digits) =>
          digits + tail,
    ),
  );
}

describe('corrupted data', () => {
  it('is refused, or is the canonical encoding of what was read', () => {
    const outcomes = { refused: 0, read: 0, changed: 0 };
    fc.assert(
      fc.property(
        arbitraryCase(),
        fc.array(arbitraryCorruption(), { minLength: 1, maxLength: 2 }),
        (random, corruptions) => {
          const original = encodeWithEthers(random);
          const digits = corruptions.reduce((digits, corrupt) => corrupt(digits), original.slice(10));
          const data: Hex = `${random.fn.selector}${digits}`;
          const values = read(random.fn, data);
          if (typeof values === 'string') {
            outcomes.refused += 1;
            return;
          }
          outcomes.read += 1;
          if (data !== original) outcomes.changed += 1;
          expect(encodeCall(random.fn, values)).toBe(data);
          expect(encodeWithEthers({ fn: random.fn, values })).toBe(data);
        },
      ),
      { numRuns: 6_000, seed: SEED },
    );
    expect(outcomes.refused).toBeGreaterThan(2_000);
    expect(outcomes.changed).toBeGreaterThan(100);
  });

  it('has no byte that can be left out or put in at the end', () => {
    fc.assert(
      fc.property(arbitraryCase(), fc.integer({ min: 1, max: 40 }), (random, size) => {
        const data = encodeWithEthers(random);
        expect(() => decodeArguments(random.fn, `${data}${'00'.repeat(size)}`)).toThrow(AbiFault);
        if (random.values.length === 0) return;
        const short = data.slice(0, Math.max(10, data.length - 2 * size)) as Hex;
        expect(() => decodeArguments(random.fn, short)).toThrow(AbiFault);
      }),
      { numRuns: 1_000, seed: SEED },
    );
  });
});

describe('each refusal', () => {
  const DIRTY = `${'0'.repeat(23)}1${'11'.repeat(20)}`;
  const HELLO = left('68656c6c6f');

  test.each<[string, string, string, readonly AbiValue[] | string]>([
    ['a clean address', 'f(address)', word(0x11n), [`0x${'0'.repeat(38)}11`]],
    ['an address with dirty bits', 'f(address)', DIRTY, 'address has dirty upper bits (byte 4)'],
    [
      'the dirtiest address',
      'f(bool,address)',
      word(1) + 'f'.repeat(64),
      'address has dirty upper bits (byte 36)',
    ],
    ['true', 'f(bool)', word(1), [true]],
    ['false', 'f(bool)', word(0), [false]],
    ['a bool of 2', 'f(bool)', word(2), 'bool is neither 0 nor 1 (byte 4)'],
    ['a bool with a high bit', 'f(bool)', word(2n ** 255n + 1n), 'bool is neither 0 nor 1 (byte 4)'],
    ['the largest uint8', 'f(uint8)', word(255), [255n]],
    ['a uint8 of 256', 'f(uint8)', word(256), 'uint8 has dirty upper bits (byte 4)'],
    ['a uint248 of 2^248', 'f(uint248)', word(2n ** 248n), 'uint248 has dirty upper bits (byte 4)'],
    ['the largest uint256', 'f(uint256)', 'f'.repeat(64), [2n ** 256n - 1n]],
    ['the least int8', 'f(int8)', word(-128), [-128n]],
    ['an int8 of -129', 'f(int8)', word(-129), 'int8 is not sign-extended (byte 4)'],
    ['an int8 of 128', 'f(int8)', word(128), 'int8 is not sign-extended (byte 4)'],
    ['an int8 without extension', 'f(int8)', word(0xff), 'int8 is not sign-extended (byte 4)'],
    ['the least int256', 'f(int256)', word(-(2n ** 255n)), [-(2n ** 255n)]],
    ['bytes4', 'f(bytes4)', left('12345678'), ['0x12345678']],
    [
      'bytes4 with padding',
      'f(bytes4)',
      `${left('12345678').slice(0, 63)}1`,
      'bytes4 has dirty padding (byte 4)',
    ],
    ['bytes4 on the right', 'f(bytes4)', word(0x12345678), 'bytes4 has dirty padding (byte 4)'],
    ['bytes32', 'f(bytes32)', 'ab'.repeat(32), [`0x${'ab'.repeat(32)}`]],
    ['no arguments', 'f()', '', []],
    ['bytes after no arguments', 'f()', '00', 'bytes follow the arguments (byte 4)'],
    ['a missing word', 'f(bool,bool)', word(1), 'data ends too early (byte 4)'],
    ['half a word', 'f(bool)', word(1).slice(0, 62), 'data ends too early (byte 4)'],
    ['an odd digit', 'f(bool)', `${word(1)}0`, 'bytes follow the arguments (byte 36)'],
    ['a word too many', 'f(bool)', words(1, 0), 'bytes follow the arguments (byte 36)'],
    ['text', 'f(string)', words(32, 5) + HELLO, ['hello']],
    ['empty text', 'f(string)', words(32, 0), ['']],
    ['empty text with a word', 'f(string)', words(32, 0, 0), 'bytes follow the arguments (byte 68)'],
    [
      'text with a gap before',
      'f(string)',
      words(64, 0, 5) + HELLO,
      'offset is not the canonical one (byte 4)',
    ],
    [
      'an offset into the head',
      'f(uint256,string)',
      words(5, 0) + HELLO,
      'offset is not the canonical one (byte 36)',
    ],
    ['an odd offset', 'f(string)', `${word(33)}00${word(0)}`, 'offset is not the canonical one (byte 4)'],
    ['an offset beyond 2^32', 'f(string)', words(2n ** 32n + 32n, 0), 'offset is beyond the data (byte 4)'],
    ['an offset that wraps', 'f(string)', words(2n ** 256n - 32n, 0), 'offset is beyond the data (byte 4)'],
    [
      'a shared tail',
      'f(bytes,bytes)',
      words(64, 64, 5) + HELLO,
      'offset is not the canonical one (byte 36)',
    ],
    [
      'tails in another order',
      'f(bytes,bytes)',
      words(96, 64, 0, 0),
      'offset is not the canonical one (byte 4)',
    ],
    ['a length beyond the data', 'f(bytes)', words(32, 33) + HELLO, 'data ends too early (byte 68)'],
    ['a length beyond 2^32', 'f(bytes)', words(32, 2n ** 32n) + HELLO, 'length is beyond the data (byte 36)'],
    ['a length at all', 'f(bytes)', words(32, 2n ** 256n - 1n), 'length is beyond the data (byte 36)'],
    ['no length', 'f(bytes)', words(32), 'data ends too early (byte 36)'],
    ['bytes cut short', 'f(bytes)', words(32, 5) + '68656c6c6f', 'data ends too early (byte 68)'],
    [
      'bytes with dirty padding',
      'f(bytes)',
      `${words(32, 5)}68656c6c6f01${'0'.repeat(52)}`,
      'bytes have dirty padding (byte 73)',
    ],
    [
      'text with dirty padding',
      'f(string)',
      `${words(32, 5)}${HELLO.slice(0, 63)}1`,
      'bytes have dirty padding (byte 73)',
    ],
    ['an overlong form of /', 'f(string)', words(32, 2) + left('c0af'), 'string is not UTF-8 (byte 36)'],
    ['a surrogate in UTF-8', 'f(string)', words(32, 3) + left('eda080'), 'string is not UTF-8 (byte 36)'],
    ['half a character', 'f(string)', words(32, 1) + left('c3'), 'string is not UTF-8 (byte 36)'],
    ['a byte order mark', 'f(string)', words(32, 4) + left('efbbbf61'), ['\u{FEFF}a']],
    ['the same as bytes', 'f(bytes)', words(32, 2) + left('c0af'), ['0xc0af']],
    ['a list', 'f(uint8[])', words(32, 2, 7, 9), [[7n, 9n]]],
    ['an empty list', 'f(uint8[])', words(32, 0), [[]]],
    ['a list that is short', 'f(uint8[])', words(32, 3, 7, 9), 'data ends too early (byte 68)'],
    ['a list that is long', 'f(uint8[])', words(32, 1, 7, 9), 'bytes follow the arguments (byte 100)'],
    ['a dirty item', 'f(uint8[])', words(32, 2, 7, 256), 'uint8 has dirty upper bits (byte 100)'],
    ['a list of 2^32 - 1', 'f(bytes[])', words(32, 2n ** 32n - 1n), 'more than 4096 values (byte 36)'],
    ['a dirty member', 'f((bool,uint8))', words(2, 1), 'bool is neither 0 nor 1 (byte 4)'],
    ['a dirty item of a fixed array', 'f(bool[2])', words(1, 2), 'bool is neither 0 nor 1 (byte 36)'],
    [
      'inner offsets from the wrong base',
      'f(bytes[])',
      words(32, 1, 64, 0),
      'offset is not the canonical one (byte 68)',
    ],
    [
      'items that share a tail',
      'f((bytes)[])',
      words(32, 2, 64, 64, 32, 0),
      'offset is not the canonical one (byte 100)',
    ],
    [
      'a list that contains itself',
      'f(bytes[][])',
      words(32, 1, 0),
      'offset is not the canonical one (byte 68)',
    ],
  ])('%s', (_name, signature, data, expected) => {
    expect(attempt(signature, data)).toEqual(expected);
  });

  it('refuses the call of another function', () => {
    const transfer = parseFunction('transfer(address,uint256)');
    const approve = parseFunction('approve(address,uint256)');
    const data = encodeCall(transfer, [`0x${'11'.repeat(20)}`, 1]);
    expect(() => decodeArguments(approve, data)).toThrow('is not a call of approve(address,uint256)');
    expect(() => decodeArguments(transfer, '0xa9059c')).toThrow(AbiFault);
    expect(() => decodeArguments(transfer, '0xa9059cbb')).toThrow('data ends too early');
  });

  it('is an error that an API can show', () => {
    expect(new AbiFault('x')).toMatchObject({ name: 'AbiFault', code: 'unprocessable', message: 'x' });
  });
});

describe('createDecoder', () => {
  it('reads data without a selector', () => {
    const { inputs } = parseFunction('f(address,string)');
    const values = [`0x${'ab'.repeat(20)}`, 'hello'];
    const data = encodeWithEthers({ fn: functionOf(inputs), values });
    expect(createDecoder(inputs, { selector: false })(`0x${data.slice(10)}`)).toEqual(values);
    expect(createDecoder(inputs)(data)).toEqual(values);
    expect(() => createDecoder(inputs, { selector: false })(data)).toThrow(AbiFault);
    expect(() => createDecoder(inputs, { selector: false })('0x')).toThrow('data ends too early (byte 0)');
  });
});

describe('bounds', () => {
  const list = (length: number) => words(32, length) + word(0).repeat(length);

  it('reads 4096 values and no more', () => {
    expect(attempt('f(bool[])', list(4095))).toEqual([Array(4095).fill(false)]);
    expect(attempt('f(bool[])', list(4096))).toBe('more than 4096 values (byte 36)');
    expect(attempt('f(bool[4095],bool[])', word(0).repeat(4095) + words(4096 * 32, 0))).toHaveLength(2);
    expect(attempt('f(bool[4095],bool[])', word(0).repeat(4095) + words(4096 * 32, 1, 0))).toBe(
      `more than 4096 values (byte ${4 + 4096 * 32})`,
    );
  });

  it('counts the members of the items of a list', () => {
    const pairs = (length: number) => words(32, length) + word(0).repeat(2 * length);
    expect(attempt('f((bool,bool)[])', pairs(2047))).toHaveLength(1);
    expect(attempt('f((bool,bool)[])', pairs(2048))).toBe('more than 4096 values (byte 36)');
  });

  it('counts values of lists in lists together', () => {
    const inner = word(1000) + word(0).repeat(1000);
    const lists = (length: number) => {
      const offsets = Array.from({ length }, (_, index) => length * 32 + index * (inner.length / 2));
      return words(32, length, ...offsets) + inner.repeat(length);
    };
    expect(attempt('f(bool[][])', lists(4))).toHaveLength(1);
    expect(attempt('f(bool[][])', lists(5))).toMatch(/^more than 4096 values/);
  });

  it('reads each digit a bounded number of times', () => {
    const reads = (length: number): number => {
      const fn = parseFunction('f((bytes,string)[])');
      const data = encodeWithEthers({ fn, values: [Array.from({ length }, () => ['0x', ''])] });
      let count = 0;
      const counted = Object.assign(Object(data) as string, {
        slice: (...range: [number, number?]) => {
          count += (range[1] ?? data.length) - range[0];
          return data.slice(...range);
        },
        startsWith: (text: string, at?: number) => {
          count += text.length;
          return data.startsWith(text, at);
        },
      });
      createDecoder(fn.inputs)(counted as Hex);
      return count;
    };
    const [small, large] = [reads(100), reads(1_000)];
    expect(small).toBeGreaterThan(0);
    expect(large).toBeLessThan(11 * small);
  });
});
