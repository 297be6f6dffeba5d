import { encodeCall } from '../../src/effects/abi-encode.ts';
import { parseFunction } from '../../src/effects/abi-signature.ts';
import type { AbiFunction, AbiType } from '../../src/effects/abi.ts';
import { KNOWN_FUNCTIONS } from '../../src/effects/functions.ts';

const ADDRESS = `0x${'a1'.repeat(20)}`;

const CALLS: readonly (readonly [string, readonly unknown[]])[] = [
  ['transfer(address to,uint256 amount)', [ADDRESS, 5]],
  ['multicall(bytes[])', [['0xa9059cbb', '0x']]],
  ['f((address,bytes)[],uint8[2][],string,bool,int16)', [[[ADDRESS, '0x01']], [[1, 2]], 'é', true, -2]],
  ['g(bytes4,(uint256,string)[1])', ['0x01020304', [[1, 'x']]]],
];

/** As `targets/abi.ts` reads them: a signature, a newline, the arguments. */
export function argumentSeeds(): Record<string, Buffer> {
  const seeds = CALLS.map(([text, args], index): [string, Buffer] => [
    `call-${index}`,
    Buffer.concat([Buffer.from(`${text}\n`), argumentsOf(parseFunction(text), args)]),
  ]);
  return Object.fromEntries(seeds);
}

/** As `targets/effects.ts` reads them: the number of a known function, the arguments. */
export function callSeeds(): Record<string, Buffer> {
  const seeds = KNOWN_FUNCTIONS.map(({ fn }, index): [string, Buffer] => {
    const args = argumentsOf(
      fn,
      fn.inputs.map(({ type }) => sample(type)),
    );
    return [`${fn.name}-${index}`, Buffer.concat([Buffer.of(index), args])];
  });
  return Object.fromEntries(seeds);
}

function argumentsOf(fn: AbiFunction, args: readonly unknown[]): Buffer {
  return Buffer.from(encodeCall(fn, args).slice(fn.selector.length), 'hex');
}

function sample(type: AbiType): unknown {
  switch (type.kind) {
    case 'tuple':
      return type.of.map((field) => sample(field.type));
    case 'array':
      return Array.from({ length: type.length ?? 1 }, () => sample(type.of));
    case 'fixed-bytes':
      return `0x${'01'.repeat(type.size)}`;
    case 'bytes':
      // Where it is an inner call, it is one that is known.
      return encodeCall(parseFunction('transfer(address,uint256)'), [ADDRESS, 1]);
    case 'address':
      return ADDRESS;
    case 'bool':
      return true;
    case 'string':
      return 'x';
    case 'uint':
    case 'int':
    default:
      return 1;
  }
}
