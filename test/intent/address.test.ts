import { getAddress } from 'ethers';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readAddress, readRecipient, toChecksumAddress } from '../../src/intent/address.ts';
import { arbitraryHex } from './arbitrary.ts';

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
