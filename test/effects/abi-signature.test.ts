import { FunctionFragment } from 'ethers';
import * as fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import type { AbiType } from '../../src/effects/abi.ts';
import {
  formatType,
  fromJsonAbi,
  functionSelector,
  leastValues,
  parseFunction,
} from '../../src/effects/abi-signature.ts';
import { arbitraryCase } from './abi-types.ts';

const SEED = Number(process.env['COUNTERSIGN_TEST_SEED'] ?? 20_260_101);

const ADDRESS: AbiType = { kind: 'address' };
const UINT: AbiType = { kind: 'uint', bits: 256 };

function refusalOf(run: () => unknown): { code?: string; message: string; path?: string } {
  try {
    run();
  } catch (error) {
    const { code, message, errors } = error as {
      code: string;
      message: string;
      errors: readonly { path: string }[];
    };
    return { code, message, ...(errors[0] === undefined ? {} : { path: errors[0].path }) };
  }
  return { message: 'accepted' };
}

describe('functionSelector', () => {
  test.each([
    ['transfer(address,uint256)', '0xa9059cbb'],
    ['approve(address,uint256)', '0x095ea7b3'],
    [
      'execTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes)',
      '0x6a761202',
    ],
  ])('%s', (signature, selector) => {
    expect(functionSelector(signature)).toBe(selector);
  });
});

describe('parseFunction', () => {
  it('reads a signature without and with names', () => {
    const fn = parseFunction('transfer(address,uint256)');
    expect(fn).toEqual({
      name: 'transfer',
      inputs: [
        { name: '', type: ADDRESS },
        { name: '', type: UINT },
      ],
      signature: 'transfer(address,uint256)',
      selector: '0xa9059cbb',
    });
    const named = parseFunction('transfer(address to, uint amount)');
    expect(named).toEqual({
      ...fn,
      inputs: [
        { name: 'to', type: ADDRESS },
        { name: 'amount', type: UINT },
      ],
    });
  });

  test.each([
    ['pause()', 'pause()'],
    ['pause( )', 'pause()'],
    ['f(int a,uint b,int[] c,uint[2][] d)', 'f(int256,uint256,int256[],uint256[2][])'],
    ['batch((address target,bytes data)[] calls)', 'batch((address,bytes)[])'],
    ['batch(tuple(address target, bytes data)[] calls)', 'batch((address,bytes)[])'],
    ['f( ( uint8 , (bool)[3] x ) a , bytes1 )', 'f((uint8,(bool)[3]),bytes1)'],
    ['$_9(string)', '$_9(string)'],
    [`f(${'('.repeat(8)}bool${')'.repeat(8)})`, `f(${'('.repeat(8)}bool${')'.repeat(8)})`],
    [`f(bool${'[]'.repeat(8)})`, `f(bool${'[]'.repeat(8)})`],
  ])('%s', (text, signature) => {
    const fn = parseFunction(text);
    expect(fn.signature).toBe(signature);
    expect(fn.selector).toBe(FunctionFragment.from(`function ${signature}`).selector);
  });

  test.each([
    ['', 'is not a function'],
    ['transfer', 'is not a function'],
    ['9f(uint256)', 'is not a function'],
    ['(uint256)', 'is not a function'],
    ['f-g(uint256)', 'is not a function'],
    ['f (uint256)', 'is not a function'],
    [' f(uint256)', 'is not a function'],
    ['__proto__(uint256)', 'is not a function'],
    [`${'f'.repeat(129)}()`, 'is not a function'],
    ['function transfer(address)', 'begins with `function`'],
    ['transfer(address) external payable', 'goes on after'],
    ['transfer(address) returns (bool)', 'goes on after'],
    ['transfer(address)\n', 'goes on after'],
    ['transfer(address))', 'goes on after'],
    ['f(', 'needs a type at character 3'],
    ['f(uint256', 'needs a comma or a closing parenthesis at character 10'],
    ['f(uint256,)', 'needs a type at character 11'],
    ['f(,uint256)', 'needs a type at character 3'],
    ['f(())', 'needs a type at character 4'],
    ['f(uint256\tx)', 'needs a comma'],
    ['f(uint256 x y)', 'needs a comma'],
    ['f(uint256 9x)', 'names an argument'],
    ['f(bytes calldata)', 'names an argument "calldata"'],
    ['f(bytes calldata x)', 'names an argument "calldata"'],
    ['f(address payable)', 'names an argument "payable"'],
    ['f(bool __proto__)', 'names an argument'],
    ['f(uint256 a, bool a)', 'repeats the name a'],
    ['f((uint256 a, bool a) b)', 'repeats the name a'],
    ['f(uint7)', 'has 7 bits'],
    ['f(uint264)', 'has 264 bits'],
    ['f(uint08)', 'is not of the ABI'],
    ['f(bytes0)', 'is not of the ABI'],
    ['f(bytes33)', 'is not of the ABI'],
    ['f(IERC20)', 'for contracts address'],
    ['f(Uint256)', 'is not of the ABI'],
    ['f(tuple)', 'is not of the ABI'],
    ['f(function)', 'is not supported'],
    ['f(fixed128x18)', 'is not supported'],
    ['f(uint256[0])', 'length 0'],
    ['f(uint256[01])', 'length 01'],
    ['f(uint256[4097])', 'length 4097'],
    ['f(uint256[99999999999])', 'length 99999999'],
    ['f(uint256[-1])', 'needs a comma'],
    ['f(uint256[ ])', 'needs a comma'],
    ['f(uint256[64][65])', 'has more than 4096 values'],
    [`f(bool${'[4096]'.repeat(8)})`, 'has more than 4096 values'],
    [`f(${'('.repeat(9)}bool${')'.repeat(9)})`, 'nested too deep'],
    [`f(${'('.repeat(2_000)}`, 'nested too deep'],
    [`f(bool${'[]'.repeat(9)})`, 'nested too deep'],
    [`f(${'('.repeat(5)}bool${'[]'.repeat(4)}${')'.repeat(5)})`, 'nested too deep'],
    [`f(${Array(65).fill('bool').join(',')})`, 'too many types'],
    [
      `f(${Array(5)
        .fill(`(${Array(60).fill('bool').join(',')})`)
        .join(',')})`,
      'too many types',
    ],
    ['f'.repeat(5_000), 'has more than 4096 characters'],
  ])('refuses %s', (text, message) => {
    const refusal = refusalOf(() => parseFunction(text));
    expect(refusal).toEqual({ code: 'invalid_request', path: '', message: expect.stringContaining(message) });
  });

  it('takes as many arguments as it says', () => {
    expect(parseFunction(`f(${Array(64).fill('bool').join(',')})`).inputs).toHaveLength(64);
    expect(leastValues(parseFunction('f(uint256[64][64])').inputs[0]!.type)).toBe(4096);
  });

  it('reads signatures and JSON of random types as ethers does', () => {
    fc.assert(
      fc.property(arbitraryCase(), ({ fn }) => {
        const fragment = FunctionFragment.from(`function ${fn.signature}`);
        expect(parseFunction(fn.signature).signature).toBe(fragment.format('sighash'));
        expect(fn.selector).toBe(fragment.selector);
        const json: unknown = JSON.parse(fragment.format('json'));
        expect(fromJsonAbi(json)).toEqual(parseFunction(fn.signature));
      }),
      { numRuns: 500, seed: SEED },
    );
  });
});

describe('fromJsonAbi', () => {
  const BATCH = {
    type: 'function',
    name: 'batch',
    inputs: [
      {
        name: 'calls',
        type: 'tuple[]',
        internalType: 'struct Call[]',
        components: [
          { name: 'target', type: 'address', internalType: 'address payable' },
          { name: 'data', type: 'bytes' },
        ],
      },
      { type: 'uint8', internalType: 'enum Mode' },
    ],
    outputs: [{ name: '', type: 'anything' }],
    stateMutability: 'payable',
  };

  it('reads an item', () => {
    expect(fromJsonAbi(BATCH)).toEqual(parseFunctionWith('batch((address target,bytes data)[] calls,uint8)'));
    expect(fromJsonAbi({ name: 'pause', inputs: [] }).signature).toBe('pause()');
  });

  function parseFunctionWith(text: string): object {
    return { ...parseFunction(text), selector: FunctionFragment.from(`function ${text}`).selector };
  }

  const input = (member: object) => ({ ...BATCH, inputs: [member] });
  const nest = (depth: number): object =>
    depth === 0 ? { name: '', type: 'bool' } : { name: '', type: 'tuple', components: [nest(depth - 1)] };

  test.each<[string, unknown, string, string]>([
    ['a text', 'f()', '', 'must be an object'],
    ['an event', { ...BATCH, type: 'event' }, 'type', 'must be function'],
    ['a constructor', { ...BATCH, type: 'constructor' }, 'type', 'must be function'],
    ['no name', { ...BATCH, name: undefined }, 'name', 'must be an identifier'],
    ['a name that is a signature', { ...BATCH, name: 'f()' }, 'name', 'must be an identifier'],
    ['no inputs', { ...BATCH, inputs: undefined }, 'inputs', 'must be an array'],
    ['an input without type', input({ name: 'a' }), 'inputs.0.type', 'must be a type'],
    ['an input of no type', input({ type: 'Call[]' }), 'inputs.0.type', 'must be a type'],
    ['an unknown type', input({ type: 'uint9' }), 'inputs.0.type', 'has 9 bits'],
    ['a tuple as text', input({ type: '(bool)' }), 'inputs.0.type', 'must be a type'],
    ['a name that is none', input({ name: 'a b', type: 'bool' }), 'inputs.0.name', 'must be empty or'],
    ['a tuple without components', input({ type: 'tuple' }), 'inputs.0.components', 'must be an array'],
    ['an empty tuple', input({ type: 'tuple', components: [] }), 'inputs.0.components', 'at least one'],
    ['a bad length', input({ type: 'bool[0]' }), 'inputs.0.type', 'length 0'],
    ['too many values', input({ type: 'bool[4096][2]' }), 'inputs', 'more than 4096 values'],
    [
      'a repeated name',
      { ...BATCH, inputs: [nest(0), { name: 'a', type: 'bool' }, { name: 'a', type: 'bool' }] },
      'inputs.2',
      'repeats the name a',
    ],
    ['too many inputs', { ...BATCH, inputs: Array(65).fill(nest(0)) }, 'inputs', 'too many types'],
    [
      'a bad component',
      input({ type: 'tuple', components: [{ type: 'x' }] }),
      'inputs.0.components.0.type',
      'is not of the ABI',
    ],
  ])('refuses %s', (_name, item, path, message) => {
    expect(refusalOf(() => fromJsonAbi(item))).toEqual({
      code: 'invalid_request',
      path,
      message: expect.stringContaining(message),
    });
  });

  it('nests eight deep and no deeper', () => {
    expect(fromJsonAbi(input(nest(8))).signature).toBe(`batch(${'('.repeat(8)}bool${')'.repeat(8)})`);
    expect(refusalOf(() => fromJsonAbi(input(nest(9)))).message).toContain('nested too deep');
  });

  it('takes as many inputs as it says', () => {
    const inputs = Array.from({ length: 64 }, () => nest(0));
    expect(fromJsonAbi({ ...BATCH, inputs }).inputs).toHaveLength(64);
  });

  it('counts what is nested', () => {
    const components = Array.from({ length: 60 }, () => ({ type: 'bool' }));
    const inputs = Array.from({ length: 5 }, () => ({ type: 'tuple', components }));
    expect(refusalOf(() => fromJsonAbi({ ...BATCH, inputs })).message).toContain('too many');
  });
});

describe('formatType', () => {
  it('is what ethers calls the canonical type', () => {
    const { inputs } = parseFunction('f((address a, bytes32[2] b)[] x, int8[3][] y)');
    expect(inputs.map(({ type }) => formatType(type))).toEqual(
      FunctionFragment.from('function f((address a, bytes32[2] b)[] x, int8[3][] y)').inputs.map((part) =>
        part.format('sighash'),
      ),
    );
  });
});
