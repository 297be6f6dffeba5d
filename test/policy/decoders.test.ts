import { expect, test } from 'vitest';
import { parseFunction } from '../../src/effects/abi-signature.ts';
import { createDecoders } from '../../src/policy/decoders.ts';
import { calldata } from '../effects/intents.ts';
import { ALICE } from './fixtures.ts';

const transfer = parseFunction('transfer(address to, uint256 value)');
const data = calldata('transfer(address,uint256)', [ALICE, 5n]);

test('functions that share a selector decode one calldata each in its own way', () => {
  const decoderOf = createDecoders();
  const other = parseFunction('many_msg_babbage(bytes1)');
  expect(other.selector).toBe(transfer.selector);
  for (let again = 0; again < 2; again++) {
    expect(decoderOf(transfer)(data)).toEqual([ALICE, 5n]);
    expect(() => decoderOf(other)(data)).toThrow(/bytes1 has dirty padding/);
  }
});

test('what was decoded is remembered, and so is an error', () => {
  const decode = createDecoders()(transfer);
  expect(decode(data)).toBe(decode(data));
  expect(() => decode(`${data}00`)).toThrow(/bytes follow/);
  expect(() => decode(`${data}00`)).toThrow(/bytes follow/);
  expect(decode(data)).toEqual([ALICE, 5n]);
});

test('more calls than are remembered are each decoded as they are', () => {
  const decode = createDecoders()(transfer);
  const values = Array.from({ length: 40 }, (_, i) => BigInt(i));
  for (const value of [...values, ...values.toReversed(), ...values]) {
    expect(decode(calldata('transfer(address,uint256)', [ALICE, value]))).toEqual([ALICE, value]);
  }
});
