import { AbiCoder } from 'ethers';
import * as fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import type { AbiType, AbiValue } from '../../src/effects/abi.ts';
import { decodeArguments } from '../../src/effects/abi-decode.ts';
import { encodeCall } from '../../src/effects/abi-encode.ts';
import { formatType, parseFunction } from '../../src/effects/abi-signature.ts';
import { arbitraryCase } from './abi-types.ts';

const SEED = Number(process.env['COUNTERSIGN_TEST_SEED'] ?? 20_260_101);

const PAYEE = '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed';

/** One of the other ways in which JSON may have the value; `choice` picks. */
function asJson(value: AbiValue, type: AbiType, choice: number): unknown {
  if (typeof value === 'bigint') {
    if (choice % 3 === 0 && value >= 0n) return `0x${value.toString(16).toUpperCase()}`;
    if (choice % 3 === 1 && Number.isSafeInteger(Number(value))) return Number(value);
    return value.toString();
  }
  if (Array.isArray(value) && type.kind === 'array') {
    return value.map((item: AbiValue) => asJson(item, type.of, choice));
  }
  if (Array.isArray(value) && type.kind === 'tuple') {
    const members = type.of.map(
      (field, index) => [field.name, asJson(value[index] as AbiValue, field.type, choice)] as const,
    );
    const isNamed = choice % 2 === 0 && type.of.every(({ name }) => name !== '');
    return isNamed ? Object.fromEntries(members.toReversed()) : members.map(([, member]) => member);
  }
  if (type.kind === 'bytes' || type.kind === 'fixed-bytes') {
    return choice % 2 === 0 ? `0x${String(value).slice(2).toUpperCase()}` : value;
  }
  return value;
}

describe('encodeCall', () => {
  it('gives what ethers gives, in whatever form the values are', () => {
    fc.assert(
      fc.property(arbitraryCase(), fc.nat(5), ({ fn, values }, choice) => {
        const types = fn.inputs.map(({ type }) => formatType(type));
        const expected = fn.selector + AbiCoder.defaultAbiCoder().encode(types, values).slice(2);
        expect(encodeCall(fn, values)).toBe(expected);
        const json = values.map((value, index) => asJson(value, fn.inputs[index]!.type, choice));
        expect(encodeCall(fn, json)).toBe(expected);
      }),
      { numRuns: 1_500, seed: SEED },
    );
  });

  it('reads tuples as lists and by name', () => {
    const fn = parseFunction('batch((address target,uint256 value)[] calls)');
    const data = encodeCall(fn, [[{ value: '7', target: PAYEE }]]);
    expect(encodeCall(fn, [[[PAYEE, 7n]]])).toBe(data);
    expect(decodeArguments(fn, data)).toEqual([[[PAYEE.toLowerCase(), 7n]]]);
  });

  test.each<[string, readonly unknown[], string, string]>([
    ['f(bool)', [], 'args', 'must have exactly 1 items, not 0'],
    ['f(bool)', [true, true], 'args', 'must have exactly 1 items, not 2'],
    ['f(bool)', ['true'], 'args.0', 'must be true or false'],
    ['f(bool)', [1], 'args.0', 'must be true or false'],
    ['f(uint8)', [256], 'args.0', 'is out of range for uint8'],
    ['f(uint8)', ['-1'], 'args.0', 'is out of range for uint8'],
    ['f(int8)', [128], 'args.0', 'is out of range for int8'],
    ['f(int8)', [-129n], 'args.0', 'is out of range for int8'],
    ['f(uint256)', [2n ** 256n], 'args.0', 'is out of range for uint256'],
    ['f(uint256)', ['9'.repeat(78)], 'args.0', 'is out of range for uint256'],
    ['f(uint256)', ['01'], 'args.0', 'must be an integer'],
    ['f(uint256)', ['-0'], 'args.0', 'must be an integer'],
    ['f(uint256)', [''], 'args.0', 'must be an integer'],
    ['f(uint256)', ['1 ether'], 'args.0', 'must be an integer'],
    ['f(uint256)', ['9'.repeat(1_000_000)], 'args.0', 'must be an integer'],
    ['f(uint256)', [0.5], 'args.0', 'must be an integer'],
    ['f(uint256)', [2 ** 53], 'args.0', 'JSON numbers lose digits'],
    ['f(uint256)', [null], 'args.0', 'must be an integer'],
    ['f(address)', ['0x11'], 'args.0', 'must be an address'],
    ['f(address)', [PAYEE.replace('5aA', '5aa')], 'args.0', 'has a wrong EIP-55 checksum'],
    ['f(bytes4)', ['0x1234'], 'args.0', 'must be exactly 4 bytes'],
    ['f(bytes)', ['0x123'], 'args.0', 'even number of hex digits'],
    ['f(bytes)', ['12'], 'args.0', 'begins with 0x'],
    ['f(string)', [7], 'args.0', 'must be a string'],
    ['f(string)', ['\u{D800}'], 'args.0', 'lone surrogate'],
    ['f(bool[2])', [[true]], 'args.0', 'must have exactly 2 items, not 1'],
    ['f(bool[])', [true], 'args.0', 'must be a list'],
    ['f(bool[])', [[true, 2]], 'args.0.1', 'must be true or false'],
    ['f((bool ok))', [true], 'args.0', 'must be an object'],
    ['f((bool ok))', [{}], 'args.0.ok', 'is required'],
    ['f((bool ok))', [{ ok: true, other: true }], 'args.0.other', 'is not a member'],
    ['f((bool ok))', [{ ok: 2 }], 'args.0.ok', 'must be true or false'],
    ['f((bool))', [{}], 'args.0', 'must be a list'],
    ['f((bool))', [{ '': true }], 'args.0', 'must be a list'],
    ['f((bool,bool))', [[true]], 'args.0', 'must have exactly 2 items, not 1'],
    ['f(bool[])', [Array(4096).fill(true)], 'args.0.4095', 'is one too many'],
    ['f(bytes,bytes)', Array(2).fill(`0x${'00'.repeat(70_000)}`), 'args', 'at most 131072 bytes'],
  ])('%s refuses what is not of it: %#', (signature, args, path, message) => {
    expect(() => encodeCall(parseFunction(signature), args)).toThrow(
      expect.objectContaining({
        code: 'invalid_request',
        errors: [{ path, message: expect.stringContaining(message) }],
      }),
    );
  });

  it('fills the data that a transaction may have', () => {
    const fn = parseFunction('f(bool[])');
    const args = [Array<boolean>(4093).fill(true)];
    expect(decodeArguments(fn, encodeCall(fn, args))).toEqual(args);
    expect(() => encodeCall(fn, [Array<boolean>(4094).fill(true)])).toThrow('at most 131072 bytes');
  });
});
