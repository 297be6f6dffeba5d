import assert from 'node:assert/strict';
import { AbiCoder, type Result } from 'ethers';
import type { Hex } from '../../../src/bytes.ts';
import type { AbiFunction, AbiType, AbiValue } from '../../../src/effects/abi.ts';
import { decodeArguments } from '../../../src/effects/abi-decode.ts';
import { encodeCall } from '../../../src/effects/abi-encode.ts';
import { formatType, parseFunction } from '../../../src/effects/abi-signature.ts';
import { attempt } from '../attempt.ts';

const coder = AbiCoder.defaultAbiCoder();

/** A signature in text, a newline, arguments: what is taken encodes to the same bytes, and is what ethers reads. */
export function fuzz(bytes: Uint8Array): void {
  const input = Buffer.from(bytes);
  const end = input.indexOf('\n');
  if (end === -1) return;
  const text = input.toString('latin1', 0, end);
  const fn = attempt(['invalid_request'], () => parseFunction(text));
  if (fn === undefined) return;
  const again = parseFunction(fn.signature);
  assert.equal(again.signature, fn.signature);
  assert.equal(again.selector, fn.selector);

  const data: Hex = `${fn.selector}${input.toString('hex', end + 1)}`;
  const values = attempt(['unprocessable'], () => decodeArguments(fn, data));
  if (values !== undefined) {
    assert.equal(encodeCall(fn, values), data);
    assert.deepEqual(decodeWithEthers(fn, data), values);
  }
}

function decodeWithEthers({ inputs }: AbiFunction, data: Hex): readonly AbiValue[] {
  const types = inputs.map(({ type }) => formatType(type));
  const result = coder.decode(types, `0x${data.slice(10)}`);
  return inputs.map(({ type }, index) => plain(result[index], type));
}

/** Ethers gives addresses with their checksum. */
function plain(value: unknown, type: AbiType): AbiValue {
  if (type.kind === 'array') return (value as Result).map((item: unknown) => plain(item, type.of));
  if (type.kind === 'tuple')
    return type.of.map((field, index) => plain((value as Result)[index], field.type));
  return type.kind === 'address' ? (value as string).toLowerCase() : (value as AbiValue);
}
