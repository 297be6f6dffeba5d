import * as fc from 'fast-check';
import type { Hex } from '../../src/bytes.ts';
import type {
  AccessListEntry,
  Intent,
  SignedAuthorization,
  Transaction,
  TypedData,
  TypedDataField,
  TypedValue,
} from '../../src/intent/intent.ts';
import { MAX_CHAIN_ID } from '../../src/intent/fields.ts';

const UINT256_MAX = 2n ** 256n - 1n;
const CURVE_ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;

export function arbitraryHex(minLength: number, maxLength = minLength): fc.Arbitrary<Hex> {
  return fc
    .uint8Array({ minLength, maxLength })
    .map((bytes): Hex => `0x${Buffer.from(bytes).toString('hex')}`);
}

/** Integers of every size up to `max`, the bounds of each size among them. */
function arbitraryUint(max: bigint, min = 0n): fc.Arbitrary<bigint> {
  const clamp = (value: bigint): bigint => (value > max ? max : value < min ? min : value);
  const sized = fc
    .tuple(fc.integer({ min: 0, max: max.toString(2).length }), fc.bigInt({ min: -2n, max: 2n }))
    .map(([bits, offset]) => clamp(2n ** BigInt(bits) + offset));
  return fc.oneof(
    fc.bigInt({ min, max }),
    sized,
    fc.constantFrom(min, max),
    fc.nat(1000).map((n) => clamp(BigInt(n))),
  );
}

const arbitraryAddress = arbitraryHex(20);
const arbitraryWei = arbitraryUint(UINT256_MAX);
const arbitraryChainId = arbitraryUint(MAX_CHAIN_ID, 1n);

const arbitraryAccessList: fc.Arbitrary<AccessListEntry[]> = fc.array(
  fc.record({ address: arbitraryAddress, storageKeys: fc.array(arbitraryHex(32), { maxLength: 4 }) }),
  { maxLength: 4 },
);

function arbitraryAuthorization(maxNonce: bigint): fc.Arbitrary<SignedAuthorization> {
  return fc.record({
    chainId: arbitraryChainId,
    address: arbitraryAddress,
    nonce: arbitraryUint(maxNonce),
    yParity: fc.constantFrom(0 as const, 1 as const),
    r: arbitraryUint(CURVE_ORDER - 1n, 1n),
    s: arbitraryUint(CURVE_ORDER / 2n, 1n),
  });
}

/**
 * Any transaction that may be signed, of all types alike. Nonces are below 2^53 unless told otherwise: other
 * libraries hold them in doubles.
 */
export function arbitraryTransaction(maxNonce = BigInt(Number.MAX_SAFE_INTEGER)): fc.Arbitrary<Transaction> {
  const base = {
    chainId: arbitraryChainId,
    nonce: arbitraryUint(maxNonce),
    value: arbitraryWei,
    data: fc.oneof(arbitraryHex(0, 80), arbitraryHex(250, 260)),
    gasLimit: arbitraryUint(2n ** 64n - 1n),
  };
  const toOrCreate = fc.option(arbitraryAddress, { nil: null, freq: 5 });
  const fees = fc
    .tuple(arbitraryWei, arbitraryWei)
    .map(([a, b]) =>
      a < b ? { maxFeePerGas: b, maxPriorityFeePerGas: a } : { maxFeePerGas: a, maxPriorityFeePerGas: b },
    );

  const legacy = fc.record({
    type: fc.constant(0 as const),
    ...base,
    to: toOrCreate,
    gasPrice: arbitraryWei,
  });
  const withAccessList = fc.record({
    type: fc.constant(1 as const),
    ...base,
    to: toOrCreate,
    gasPrice: arbitraryWei,
    accessList: arbitraryAccessList,
  });
  const market = <T extends object>(own: fc.Arbitrary<T>) =>
    fc
      .tuple(fc.record({ ...base, accessList: arbitraryAccessList }), fees, own)
      .map(([common, prices, own]) => Object.assign(common, prices, own));
  return fc.oneof(
    legacy,
    withAccessList,
    market(fc.record({ type: fc.constant(2 as const), to: toOrCreate })),
    market(
      fc.record({
        type: fc.constant(3 as const),
        to: arbitraryAddress,
        maxFeePerBlobGas: arbitraryWei,
        blobVersionedHashes: fc.array(
          arbitraryHex(31).map((tail): Hex => `0x01${tail.slice(2)}`),
          { minLength: 1, maxLength: 6 },
        ),
      }),
    ),
    market(
      fc.record({
        type: fc.constant(4 as const),
        to: arbitraryAddress,
        authorizationList: fc.array(arbitraryAuthorization(maxNonce), { minLength: 1, maxLength: 3 }),
      }),
    ),
  );
}

const arbitraryText = fc.string({ unit: 'binary', maxLength: 40 });

/** A field's type and the values it takes, in canonical form. */
interface Typed {
  readonly type: string;
  readonly value: fc.Arbitrary<TypedValue>;
}

const arbitraryAtom: fc.Arbitrary<Typed> = fc.oneof(
  fc.integer({ min: 1, max: 32 }).map((bytes) => ({
    type: `uint${8 * bytes}`,
    value: arbitraryUint(2n ** BigInt(8 * bytes) - 1n).map(String),
  })),
  fc.integer({ min: 1, max: 32 }).map((bytes) => {
    const limit = 2n ** BigInt(8 * bytes - 1);
    return { type: `int${8 * bytes}`, value: fc.bigInt({ min: -limit, max: limit - 1n }).map(String) };
  }),
  fc.integer({ min: 1, max: 32 }).map((length) => ({ type: `bytes${length}`, value: arbitraryHex(length) })),
  fc.constant({ type: 'bytes', value: arbitraryHex(0, 70) }),
  fc.constant({ type: 'string', value: arbitraryText }),
  fc.constant({ type: 'bool', value: fc.boolean() }),
  fc.constant({ type: 'address', value: arbitraryAddress }),
);

/** The suffixes of an array type, innermost first: a fixed length, or null. */
const arbitraryDimensions = fc.array(fc.option(fc.integer({ min: 1, max: 3 }), { nil: null }), {
  maxLength: 2,
});

function arrayOf({ type, value }: Typed, length: number | null): Typed {
  const bounds = length === null ? { maxLength: 3 } : { minLength: length, maxLength: length };
  return { type: `${type}[${length ?? ''}]`, value: fc.array(value, bounds) };
}

interface Struct {
  readonly fields: readonly TypedDataField[];
  readonly value: fc.Arbitrary<Readonly<Record<string, TypedValue>>>;
}

/** A struct with atoms and with the given structs, each used at least once. */
function arbitraryStruct(inner: readonly Typed[]): fc.Arbitrary<Struct> {
  const members = fc
    .tuple(
      fc.array(fc.tuple(arbitraryAtom, arbitraryDimensions), { minLength: 1, maxLength: 4 }),
      fc.tuple(...inner.map((struct) => fc.tuple(fc.constant(struct), arbitraryDimensions))),
    )
    .map(([atoms, structs]) =>
      [...structs, ...atoms].map(([typed, dimensions]) => dimensions.reduce<Typed>(arrayOf, typed)),
    );
  return members.map((typed) => ({
    fields: typed.map(({ type }, index) => ({ name: `field${index}`, type })),
    value: fc.record(Object.fromEntries(typed.map(({ value }, index) => [`field${index}`, value]))),
  }));
}

const arbitraryDomain = fc.record(
  {
    name: arbitraryText,
    version: arbitraryText,
    chainId: arbitraryWei.map(String),
    verifyingContract: arbitraryAddress,
    salt: arbitraryHex(32),
  },
  { requiredKeys: [] },
);

/** Typed data in canonical form: up to four struct types, shared between each other. */
export function arbitraryTypedData(): fc.Arbitrary<TypedData> {
  return arbitraryStruct([])
    .chain((leaf) =>
      arbitraryStruct([{ type: 'Leaf', value: leaf.value }]).chain((middle) =>
        arbitraryStruct([
          { type: 'Middle', value: middle.value },
          { type: 'Leaf', value: leaf.value },
        ]).map((root) => ({ root, middle, leaf })),
      ),
    )
    .chain(({ root, middle, leaf }) =>
      fc.record({
        domain: arbitraryDomain,
        types: fc.constant({ Root: root.fields, Middle: middle.fields, Leaf: leaf.fields }),
        primaryType: fc.constant('Root'),
        message: root.value,
      }),
    );
}

/** Any intent that `parseIntent` can return. */
export function arbitraryIntent(): fc.Arbitrary<Intent> {
  const maxNonce = 2n ** 64n - 2n;
  return fc.oneof(
    fc.record({
      operation: fc.constant('transaction' as const),
      transaction: arbitraryTransaction(maxNonce),
    }),
    fc.record({ operation: fc.constant('message' as const), data: arbitraryHex(0, 120) }),
    fc.record({ operation: fc.constant('typed-data' as const), typedData: arbitraryTypedData() }),
    fc.record({
      operation: fc.constant('authorization' as const),
      chainId: arbitraryChainId,
      address: arbitraryAddress,
      nonce: arbitraryUint(maxNonce),
    }),
    fc.record({
      operation: fc.constant('digest' as const),
      digest: arbitraryHex(32),
      purpose: fc.stringMatching(/^[!-~](?:[ -~]{0,20}[!-~])?$/),
    }),
  );
}
