import * as fc from 'fast-check';
import type { Hex } from '../../src/bytes.ts';
import type { AbiField, AbiFunction, AbiType, AbiValue } from '../../src/effects/abi.ts';
import { formatType, functionSelector } from '../../src/effects/abi-signature.ts';

/** A function of some arguments, and values for them in the form that the decoder gives. */
export interface Case {
  readonly fn: AbiFunction;
  readonly values: readonly AbiValue[];
}

export function functionOf(inputs: readonly AbiField[], name = 'f'): AbiFunction {
  const signature = `${name}(${inputs.map(({ type }) => formatType(type)).join(',')})`;
  return { name, inputs, signature, selector: functionSelector(signature) };
}

/** Functions of up to four arguments, whose types are up to `depth` tuples and arrays in each other. */
export function arbitraryCase(depth = 3): fc.Arbitrary<Case> {
  return fc
    .array(arbitraryType(depth), { maxLength: 4 })
    .map(fieldsOf)
    .chain((inputs) =>
      fc
        .tuple(...inputs.map(({ type }) => arbitraryValue(type)))
        .map((values) => ({ fn: functionOf(inputs), values })),
    );
}

export function arbitraryType(depth: number): fc.Arbitrary<AbiType> {
  if (depth === 0) return arbitraryAtom();
  const of = arbitraryType(depth - 1);
  return fc.oneof(
    { arbitrary: arbitraryAtom(), weight: 2 },
    { arbitrary: of.map((of): AbiType => ({ kind: 'array', of })), weight: 1 },
    {
      arbitrary: fc
        .tuple(of, fc.integer({ min: 1, max: 3 }))
        .map(([of, length]): AbiType => ({ kind: 'array', of, length })),
      weight: 1,
    },
    {
      arbitrary: fc
        .array(of, { minLength: 1, maxLength: 3 })
        .map((types): AbiType => ({ kind: 'tuple', of: fieldsOf(types) })),
      weight: 1,
    },
  );
}

function fieldsOf(types: readonly AbiType[]): AbiField[] {
  return types.map((type, index) => ({ name: index === 0 ? '' : `a${index}`, type }));
}

function arbitraryAtom(): fc.Arbitrary<AbiType> {
  const size = fc.oneof(fc.constant(32), fc.integer({ min: 1, max: 32 }));
  const bits = size.map((bytes) => 8 * bytes);
  return fc.oneof(
    bits.map((bits): AbiType => ({ kind: 'uint', bits })),
    bits.map((bits): AbiType => ({ kind: 'int', bits })),
    size.map((size): AbiType => ({ kind: 'fixed-bytes', size })),
    ...(['address', 'bool', 'bytes', 'string'] as const).map((kind) => fc.constant<AbiType>({ kind })),
  );
}

export function hexOf(minBytes: number, maxBytes = minBytes): fc.Arbitrary<Hex> {
  return fc
    .uint8Array({ minLength: minBytes, maxLength: maxBytes })
    .map((bytes): Hex => `0x${Buffer.from(bytes).toString('hex')}`);
}

function arbitraryValue(type: AbiType): fc.Arbitrary<AbiValue> {
  switch (type.kind) {
    case 'uint':
      return fc.bigInt({ min: 0n, max: 2n ** BigInt(type.bits) - 1n });
    case 'int': {
      const half = 2n ** BigInt(type.bits - 1);
      return fc.bigInt({ min: -half, max: half - 1n });
    }
    case 'address':
      return hexOf(20);
    case 'bool':
      return fc.boolean();
    case 'fixed-bytes':
      return hexOf(type.size);
    case 'bytes':
      return hexOf(0, 70);
    case 'string':
      return fc.string({ unit: 'binary', maxLength: 40 });
    case 'array':
      return fc.array(
        arbitraryValue(type.of),
        type.length === undefined ? { maxLength: 3 } : { minLength: type.length, maxLength: type.length },
      );
    case 'tuple':
    default:
      return fc.tuple(...type.of.map((field) => arbitraryValue(field.type)));
  }
}
