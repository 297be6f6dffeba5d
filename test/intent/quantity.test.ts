import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  MAX_CHAIN_ID,
  readAuthorizationChainId,
  readChainId,
  readCount,
  readGasLimit,
  readNonce,
  readQuantity,
} from '../../src/intent/quantity.ts';

const uint256 = fc.bigInt({ min: 0n, max: 2n ** 256n - 1n });

describe('readQuantity', () => {
  it('reads decimal and hex, leading zeros of hex included', () => {
    fc.assert(
      fc.property(uint256, (value) => {
        expect(readQuantity(value.toString(), 'value')).toBe(value);
        expect(readQuantity(`0x${value.toString(16)}`, 'value')).toBe(value);
        expect(readQuantity(`0x${value.toString(16).toUpperCase()}`, 'value')).toBe(value);
        expect(readQuantity(`0x${value.toString(16).padStart(64, '0')}`, 'value')).toBe(value);
      }),
    );
    expect(readQuantity('0', 'value')).toBe(0n);
    expect(readQuantity('0x00', 'value')).toBe(0n);
  });

  it.each([
    '',
    '0x',
    '0X1',
    '-1',
    '+1',
    ' 1',
    '1 ',
    '1\n',
    '01',
    '00',
    '1.0',
    '1e3',
    '1_000',
    '0b1',
    '0o7',
    'ff',
    '0xg',
    '٣',
    `0x${'0'.repeat(65)}`,
    '1'.repeat(79),
  ])('refuses %j', (text) => {
    expect(() => readQuantity(text, 'value')).toThrow(/^value: must be a decimal integer/);
  });

  it('refuses 2^256 and more', () => {
    expect(() => readQuantity((2n ** 256n).toString(), 'value')).toThrow('value: must be less than 2^256');
  });

  it.each([0, 1, 1.5, -1, 2 ** 60, Number.NaN])(
    'tells the caller to send a string instead of %d',
    (number) => {
      expect(() => readQuantity(number, 'value')).toThrow('value: must be a string, such as "1000"');
    },
  );

  it.each([null, true, [], {}, ['1']])('refuses %j', (value) => {
    expect(() => readQuantity(value, 'value')).toThrow('value: must be a string');
  });
});

describe('readCount', () => {
  it('reads JSON integers that a double holds exactly', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (n) => {
        expect(readCount(n, 'nonce')).toBe(BigInt(n));
      }),
    );
  });

  it.each([
    [-1, 'must not be negative'],
    [1.5, 'must be an integer'],
    [Number.NaN, 'must be an integer'],
    [Number.POSITIVE_INFINITY, 'must be an integer'],
    [2 ** 53, 'must be a string when above 2^53 - 1'],
  ])('refuses %d: %s', (number, message) => {
    expect(() => readCount(number, 'nonce')).toThrow(`nonce: ${message}`);
  });
});

describe('bounds', () => {
  it('chain id: 1 to EIP-2294’s maximum', () => {
    expect(MAX_CHAIN_ID).toBe((2n ** 64n - 1n) / 2n - 36n);
    expect(readChainId(1, 'chainId')).toBe(1n);
    expect(readChainId(MAX_CHAIN_ID.toString(), 'chainId')).toBe(MAX_CHAIN_ID);
    expect(() => readChainId(0, 'chainId')).toThrow('chainId: must be at least 1');
    expect(() => readChainId((MAX_CHAIN_ID + 1n).toString(), 'chainId')).toThrow('EIP-2294');
  });

  it('an authorization’s chain id 0 is refused with its reason', () => {
    expect(() => readAuthorizationChainId('0x0', 'chainId')).toThrow('on every chain');
    expect(readAuthorizationChainId('1', 'chainId')).toBe(1n);
  });

  it('nonce: below 2^64 - 1 (EIP-2681)', () => {
    expect(readNonce((2n ** 64n - 2n).toString(), 'nonce')).toBe(2n ** 64n - 2n);
    expect(() => readNonce((2n ** 64n - 1n).toString(), 'nonce')).toThrow('EIP-2681');
  });

  it('gas limit: below 2^64', () => {
    expect(readGasLimit((2n ** 64n - 1n).toString(), 'gasLimit')).toBe(2n ** 64n - 1n);
    expect(() => readGasLimit((2n ** 64n).toString(), 'gasLimit')).toThrow('2^64');
  });
});
