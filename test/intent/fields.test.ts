import { getAddress } from 'ethers';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  MAX_CHAIN_ID,
  readAddress,
  readAuthorizationChainId,
  readChainId,
  readCount,
  readGasLimit,
  readNonce,
  readQuantity,
  readRecipient,
  toChecksumAddress,
} from '../../src/intent/fields.ts';
import { arbitraryHex } from './arbitrary.ts';

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

describe('toChecksumAddress', () => {
  it('agrees with ethers', () => {
    fc.assert(
      fc.property(arbitraryHex(20), (address) => {
        expect(toChecksumAddress(address)).toBe(getAddress(address));
      }),
      { numRuns: 1000 },
    );
  });

  // The examples of EIP-55.
  it.each([
    '0x52908400098527886E0F7030069857D2E4169EE7',
    '0xde709f2102306220921060314715629080e2fb77',
    '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed',
    '0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359',
    '0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB',
    '0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb',
  ])('%s', (address) => {
    expect(toChecksumAddress(address.toLowerCase() as `0x${string}`)).toBe(address);
    expect(readAddress(address, 'to')).toBe(address.toLowerCase());
  });
});

describe('readAddress', () => {
  it('accepts one case or the checksum, and no other mix', () => {
    fc.assert(
      fc.property(arbitraryHex(20), fc.nat(39), (address, position) => {
        const checksummed = toChecksumAddress(address);
        expect(readAddress(address, 'to')).toBe(address);
        expect(readAddress(`0x${address.slice(2).toUpperCase()}`, 'to')).toBe(address);
        expect(readAddress(checksummed, 'to')).toBe(address);

        const flipped = flipCase(checksummed, position + 2);
        const digits = flipped.slice(2);
        const mixed = digits !== digits.toLowerCase() && digits !== digits.toUpperCase();
        fc.pre(flipped !== checksummed && mixed);
        expect(() => readAddress(flipped, 'to')).toThrow(`EIP-55 checksum`);
        expect(() => readAddress(flipped, 'to')).toThrow(checksummed);
      }),
    );
  });

  it.each([
    '',
    '0x',
    'vitalik.eth',
    '5aaeb6053f3e94c9b9a09f33669435e7ef1beaed',
    '0X5aaeb6053f3e94c9b9a09f33669435e7ef1beaed',
    '0x5aaeb6053f3e94c9b9a09f33669435e7ef1beae',
    '0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed0',
    '0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed\n',
    '0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaeg',
    7,
    null,
    {},
  ])('refuses %j', (value) => {
    expect(() => readAddress(value, 'to')).toThrow('to: must be an address');
  });
});

describe('readRecipient', () => {
  it('takes null for a contract’s creation, and not the empty string', () => {
    expect(readRecipient(null, 'to')).toBeNull();
    expect(() => readRecipient('', 'to')).toThrow('to: must be an address, or absent to create a contract');
  });
});

function flipCase(text: string, position: number): string {
  const char = text.charAt(position);
  const flipped = char === char.toLowerCase() ? char.toUpperCase() : char.toLowerCase();
  return text.slice(0, position) + flipped + text.slice(position + 1);
}
