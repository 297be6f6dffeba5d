/** Random policy documents and requests, over few values so that rules and requests meet. */
import * as fc from 'fast-check';
import type { Hex } from '../../src/bytes.ts';
import type { Intent, Transaction } from '../../src/intent/intent.ts';
import type { JsonValue } from '../../src/jcs.ts';
import type { PolicyRequest } from '../../src/policy/decision.ts';
import { ALICE, authorization, BOB, CAROL, documentOf } from './fixtures.ts';

type Arbitrary = fc.Arbitrary<JsonValue>;

const ADDRESSES: readonly Hex[] = [ALICE, BOB, CAROL];
const WRITTEN_ADDRESSES = [ALICE, BOB, '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed'];
const CHAINS = [1, 10, 31337];
const AMOUNTS = ['0', '1', '1 wei', '21000 gwei', '0.5 ether', '1 ether', '0.000021 ether'];
export const ROLES = ['signer', 'operator'];
const NAMES = ['treasury', 'payroll'];
export const TAGS = ['hot', 'cold'];
const PURPOSES = ['login', 'login:web', 'audit'];

const someOf = <T>(items: readonly T[]): fc.Arbitrary<T[]> => fc.subarray([...items], { minLength: 1 });

const record = (members: { [name: string]: Arbitrary }): Arbitrary =>
  fc.record(members, { requiredKeys: [] }).filter((value) => Object.keys(value).length > 0);

function comparison(value: Arbitrary, items: readonly JsonValue[]): Arbitrary {
  const one = ['eq', 'lt', 'lte', 'gt', 'gte'].map((name) => value.map((v) => ({ [name]: v })));
  return fc.oneof(
    ...one,
    someOf(items).map((v) => ({ in: v })),
    someOf(items).map((v) => ({ notIn: v })),
    fc.tuple(value, value).map(([gte, lte]) => ({ gte, lte })),
  );
}

const addresses: Arbitrary = fc.oneof(someOf(WRITTEN_ADDRESSES), fc.constant('$payouts'));
const addressTest: Arbitrary = fc.oneof(
  addresses.map((v) => ({ in: v })),
  addresses.map((v) => ({ notIn: v })),
);
const chains = comparison(fc.constantFrom(...CHAINS), CHAINS);
const amounts = comparison(fc.constantFrom(...AMOUNTS), ['0', '1', '1 ether']);
const nonces = comparison(fc.constantFrom(0, 1, '2'), [0, 1, 2]);

const predicates: { [operation: string]: Arbitrary } = {
  transaction: fc.oneof(
    chains.map((chainId) => ({ chainId })),
    amounts.map((value) => ({ value })),
    amounts.map((maxTotalFee) => ({ maxTotalFee })),
    fc
      .tuple(fc.constantFrom('gasPrice', 'maxFeePerGas', 'maxPriorityFeePerGas', 'maxFeePerBlobGas'), amounts)
      .map(([name, cmp]) => ({ [name]: cmp })),
    comparison(fc.integer({ min: 0, max: 4 }), [0, 1, 2, 3, 4]).map((txType) => ({ txType })),
    nonces.map((nonce) => ({ nonce })),
    comparison(fc.constantFrom(21000, '30000'), [21000]).map((gasLimit) => ({ gasLimit })),
    addressTest.map((to) => ({ to })),
    fc.boolean().map((create) => ({ to: { create } })),
    fc.nat(2).map((max) => ({ accessList: { max } })),
    fc.nat(2).map((max) => ({ blobs: { max } })),
    record({ max: fc.nat(2), every: record({ address: addressTest, chainId: chains }) }).map(
      (authorizations) => ({
        authorizations,
      }),
    ),
  ),
  authorization: fc.oneof(
    chains.map((chainId) => ({ chainId })),
    nonces.map((nonce) => ({ nonce })),
    record({ max: fc.nat(2), every: record({ address: addressTest, chainId: chains }) }).map(
      (authorizations) => ({
        authorizations,
      }),
    ),
  ),
  digest: fc
    .oneof(
      fc.constantFrom(...PURPOSES).map((eq) => ({ eq })),
      someOf(PURPOSES).map((v) => ({ in: v })),
      fc.constantFrom('log', 'login:', 'a').map((prefix) => ({ prefix })),
    )
    .map((purpose) => ({ digest: { purpose } })),
};

function condition(predicate: Arbitrary, depth: number): Arbitrary {
  if (depth === 0) return predicate;
  const inner = condition(predicate, depth - 1);
  const branches = fc.array(inner, { minLength: 1, maxLength: 3 });
  return fc.oneof(
    { weight: 3, arbitrary: predicate },
    { weight: 1, arbitrary: branches.map((all) => ({ all })) },
    { weight: 1, arbitrary: branches.map((any) => ({ any })) },
    { weight: 1, arbitrary: inner.map((not) => ({ not })) },
  );
}

const BOUNDED: { [operation: string]: Arbitrary } = {
  transaction: fc
    .tuple(
      someOf(CHAINS),
      fc.constantFrom('1 ether', '0.000021 ether'),
      fc.array(condition(predicates['transaction']!, 2), { maxLength: 3 }),
    )
    .map(([options, lte, more]) => ({
      all: [{ chainId: { in: options } }, { maxTotalFee: { lte } }, ...more],
    })),
  authorization: fc
    .tuple(chains, addresses, fc.array(condition(predicates['authorization']!, 1), { maxLength: 2 }))
    .map(([chainId, v, more]) => ({
      all: [{ authorizations: { every: { chainId, address: { in: v } } } }, ...more],
    })),
  digest: predicates['digest']!,
};

const operation = fc.oneof(
  { weight: 6, arbitrary: fc.constant('transaction') },
  { weight: 1, arbitrary: fc.constantFrom('message', 'typed-data', 'authorization', 'digest') },
);

const rule: Arbitrary = fc
  .tuple(
    operation,
    fc.oneof({ weight: 3, arbitrary: fc.constant('allow') }, { weight: 1, arbitrary: fc.constant('deny') }),
  )
  .chain(([name, effect]) => {
    const free = predicates[name];
    const bounded = effect === 'allow' ? BOUNDED[name] : undefined;
    const when =
      free === undefined
        ? undefined
        : fc.oneof(
            { weight: 1, arbitrary: condition(free, 2) },
            { weight: 4, arbitrary: bounded ?? condition(free, 2) },
          );
    return fc.record(
      {
        effect: fc.constant(effect),
        operations: fc.constant([name]),
        principals: record({ roles: someOf(ROLES), ids: fc.constant(['p-1']) }),
        keys: fc.oneof(
          fc.constant({ names: ['*'] }),
          record({
            names: someOf(NAMES),
            tags: someOf(TAGS),
            groups: fc.constantFrom(['warm'], ['warm', 'mixed']),
          }),
        ),
        ...(when === undefined ? {} : { when }),
      },
      {
        requiredKeys: [
          'effect',
          'operations',
          ...(effect === 'allow' ? (['principals', 'keys'] as const) : []),
        ],
      },
    );
  }) as Arbitrary;

const DEFINITIONS = {
  lists: { payouts: [BOB, '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed'] },
  keyGroups: { warm: { tags: ['cold'] }, mixed: { names: ['payroll'], tags: ['hot'] } },
};

export const document = fc.array(rule, { minLength: 1, maxLength: 6 }).map(toDocument);

function toDocument(bodies: readonly JsonValue[]): { [name: string]: JsonValue } {
  const rules = bodies.map((body, index) => Object.assign({ id: `r${index}` }, body));
  return { ...documentOf(...rules), ...DEFINITIONS };
}

const DIGEST: Hex = `0x${'00'.repeat(32)}`;

const wei = fc.constantFrom(0n, 1n, 10n ** 9n, 5n * 10n ** 17n, 10n ** 18n, 2n ** 256n - 1n);
const chainId = fc.constantFrom(1n, 10n, 31337n, 31337n, 5n);
const address = fc.constantFrom(...ADDRESSES);

const parts = fc.record({
  type: fc.constantFrom(0, 1, 2, 2, 2, 3, 4),
  base: fc.record({
    chainId,
    nonce: fc.constantFrom(0n, 1n, 2n),
    value: wei,
    data: fc.constantFrom<Hex>('0x', '0x', '0x', '0x', '0xa9059cbb'),
    gasLimit: fc.constantFrom(21_000n, 30_000n),
  }),
  market: fc.record({
    maxFeePerGas: fc.constantFrom(1n, 10n ** 9n, 10n ** 14n),
    maxPriorityFeePerGas: fc.constantFrom(0n, 1n),
    accessList: fc.array(
      address.map((one) => ({ address: one, storageKeys: [] })),
      { maxLength: 3 },
    ),
  }),
  to: fc.option(address, { freq: 8 }),
  gasPrice: fc.constantFrom(1n, 10n ** 9n),
  maxFeePerBlobGas: fc.constantFrom(1n, 10n ** 9n),
  blobVersionedHashes: fc.array(fc.constant<Hex>(`0x01${'00'.repeat(31)}`), { minLength: 1, maxLength: 3 }),
  authorizationList: fc.array(
    fc
      .tuple(fc.constantFrom(0n, 1n, 31337n), address)
      .map(([chain, delegate]) => authorization(chain, delegate)),
    { minLength: 1, maxLength: 3 },
  ),
});

type Parts = typeof parts extends fc.Arbitrary<infer T> ? T : never;

export const transaction = parts.map(toTransaction);

function toTransaction(all: Parts): Transaction {
  const { type, base, market, to, gasPrice } = all;
  const recipient = to ?? ALICE;
  if (type === 0) return { type, ...base, to, gasPrice };
  if (type === 1) return { type, ...base, to, gasPrice, accessList: market.accessList };
  if (type === 2) return { type, ...base, ...market, to };
  if (type === 4)
    return { type, ...base, ...market, to: recipient, authorizationList: all.authorizationList };
  const { maxFeePerBlobGas, blobVersionedHashes } = all;
  return { type: 3, ...base, ...market, to: recipient, maxFeePerBlobGas, blobVersionedHashes };
}

const intent: fc.Arbitrary<Intent> = fc.oneof(
  {
    weight: 8,
    arbitrary: transaction.map((value) => ({ operation: 'transaction' as const, transaction: value })),
  },
  { weight: 1, arbitrary: fc.constant<Intent>({ operation: 'message', data: '0x61' }) },
  {
    weight: 1,
    arbitrary: fc.constant<Intent>({
      operation: 'typed-data',
      typedData: { domain: {}, types: {}, primaryType: 'A', message: {} },
    }),
  },
  {
    weight: 1,
    arbitrary: fc
      .record({ chainId: fc.constantFrom(0n, 1n, 31337n), address, nonce: fc.constantFrom(0n, 1n) })
      .map(({ chainId: chain, address: delegate, nonce }) => ({
        operation: 'authorization' as const,
        chainId: chain,
        address: delegate,
        nonce,
      })),
  },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom(...PURPOSES, 'other')
      .map((purpose) => ({ operation: 'digest' as const, digest: DIGEST, purpose })),
  },
);

export const policyRequest: fc.Arbitrary<PolicyRequest> = fc.record({
  principal: fc.record({
    id: fc.constantFrom('p-1', 'p-2'),
    name: fc.constant('service'),
    roles: fc.subarray([...ROLES, 'auditor']),
  }),
  key: fc.record({ name: fc.constantFrom(...NAMES, 'other'), tags: fc.subarray([...TAGS]) }),
  intent,
});
