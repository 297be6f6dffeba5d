/** Random policy documents and requests, over few values so that rules and requests meet. */
import * as fc from 'fast-check';
import { CountersignError } from '../../src/errors.ts';
import type { JsonValue } from '../../src/jcs.ts';
import { compilePolicy } from '../../src/policy/policy.ts';
import { CREATED, MAIL, PUNKS } from './arbitrary-requests.ts';
import { ALICE, BOB, documentOf } from './fixtures.ts';

type Arbitrary = fc.Arbitrary<JsonValue>;

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

const tokenAmounts = comparison(fc.constantFrom('0', '1', '5 usdc', '1000000', '0.000002 usdc'), [
  '0',
  '1',
  '2',
]);
const party: Arbitrary = fc.oneof(
  { weight: 3, arbitrary: addressTest },
  { weight: 1, arbitrary: fc.boolean().map((isSigner) => ({ isSigner })) },
);

const tokenTest: Arbitrary = fc.oneof(
  fc
    .record(
      {
        token: fc.constant('usdc'),
        action: fc.oneof(
          fc.constantFrom('transfer', 'approve', 'permit', 'transferFrom', 'transferWithAuthorization'),
          someOf(['transfer', 'approve', 'permit']),
        ),
        to: party,
        from: party,
        spender: party,
        amount: tokenAmounts,
      },
      { requiredKeys: ['token', 'action'] },
    )
    .map((token) => ({ token: token as JsonValue })),
  fc
    .record(
      {
        token: fc.constantFrom('punks', 'things'),
        action: fc.constantFrom('approve', 'transferFrom', 'setApprovalForAll'),
        tokenId: comparison(fc.constantFrom(0, 1, '2'), [0, 1, 2]),
      },
      { requiredKeys: ['token', 'action'] },
    )
    .map((token) => ({ token: token as JsonValue })),
);

const swap = record({ amount: comparison(fc.constantFrom('0', '1', '2'), ['0', '1']), to: party }).map(
  (args) => ({ fn: 'swap', args }),
);

const callTest: Arbitrary = fc
  .tuple(
    fc.option(addressTest, { nil: undefined }),
    fc.option(fc.boolean(), { nil: undefined, freq: 1 }),
    fc.oneof(
      swap,
      record({
        recipients: fc.oneof(
          record({ every: party }),
          record({ some: party }),
          comparison(fc.constantFrom(0, 1, 2), [0, 1]).map((len) => ({ len })),
        ),
        note: fc.oneof(
          fc.constantFrom('a', 'ab').map((prefix) => ({ prefix })),
          fc.constant({ len: { lte: 1 } }),
        ),
        flag: fc.boolean().map((eq) => ({ eq })),
      }).map((args) => ({ fn: 'pay(address[],string,bool)', args })),
      record({
        orders: fc.oneof(
          record({
            every: record({ amount: comparison(fc.constantFrom('0', '1'), ['0', '1']), '0': party }),
          }),
          record({ some: record({ amount: comparison(fc.constantFrom('0', '1'), ['0', '1']) }) }),
        ),
      }).map((args) => ({ fn: 'fill', args })),
      fc.constantFrom('multicall(bytes[])', 'multicall', 'aggregate3Value').map((fn) => ({ fn })),
      fc.constant({ fn: 'execTransaction' }),
    ),
  )
  .map(([to, delegate, call]) => ({
    call: {
      abi: 'router',
      ...(to === undefined ? {} : { to }),
      ...(delegate === undefined ? {} : { delegate }),
      ...call,
    } as JsonValue,
  }));

const ABIS = {
  router: [
    'swap(uint256 amount, address to)',
    'pay(address[] recipients, string note, bool flag)',
    'fill((address to, uint256 amount)[] orders)',
    'multicall(bytes[] data)',
    'aggregate3Value((address target,bool allowFailure,uint256 value,bytes callData)[] calls)',
    'execTransaction(address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,uint256 baseGas,uint256 gasPrice,address gasToken,address refundReceiver,bytes signatures)',
  ],
};

const typedTest: Arbitrary = fc
  .oneof(
    record({
      domain: record({
        name: fc.constantFrom('Mail', { in: ['Mail', 'USD Coin'] } as JsonValue),
        chainId: fc.oneof(fc.constantFrom(1, 31337), chains),
        verifyingContract: addressTest,
      }),
    }),
    record({ message: record({ 'from.wallet': party, contents: fc.constant({ len: { lte: 3 } }) }) }).map(
      (typed) => Object.assign({ type: MAIL }, typed),
    ),
    fc.constant({
      type: 'Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)',
      message: { deadline: { within: '1h' } },
    }),
  )
  .map((typed) => ({ typed: typed }));

const messageTest: Arbitrary = fc.oneof(
  fc.constantFrom('hello.*', '[a-z]+', 'x').map((re2) => ({ message: { re2 } })),
  comparison(fc.constantFrom(1, 3, 11), [1, 3, 11]).map((len) => ({ message: { len } })),
  fc
    .record(
      {
        domain: fc.constantFrom({ eq: 'app.example' }, { in: ['app.example', 'b.example'] }),
        chainId: chains,
        expiresWithin: fc.constantFrom('5m', '1h'),
      },
      { requiredKeys: ['domain'] },
    )
    .map((siwe) => ({ message: { siwe: siwe } })),
);

const predicates: { [operation: string]: Arbitrary } = {
  message: messageTest,
  'typed-data': fc.oneof(
    typedTest,
    tokenTest,
    chains.map((chainId) => ({ chainId })),
    callTest,
  ),
  transaction: fc.oneof(
    { weight: 12, arbitrary: plainTransactionTest() },
    { weight: 4, arbitrary: tokenTest },
    { weight: 4, arbitrary: callTest },
    { weight: 1, arbitrary: fc.constantFrom(CREATED).map((eq) => ({ create: { initcodeHash: { eq } } })) },
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

function plainTransactionTest(): Arbitrary {
  return fc.oneof(
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
  );
}

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
      fc.oneof(fc.constant(CHAINS), someOf(CHAINS)),
      fc.constantFrom('1 ether', '1 ether', '0.000021 ether'),
      fc.oneof(
        fc.array(condition(predicates['transaction']!, 2), { maxLength: 2 }),
        fc.oneof(tokenTest, callTest).map((one) => [one]),
      ),
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
  { weight: 12, arbitrary: fc.constant('transaction') },
  { weight: 3, arbitrary: fc.constant('typed-data') },
  { weight: 3, arbitrary: fc.constantFrom('message', 'authorization', 'digest', 'key.export') },
);

const effect = fc.oneof(
  { weight: 6, arbitrary: fc.constant('allow') },
  { weight: 1, arbitrary: fc.constant('deny') },
  { weight: 1, arbitrary: fc.constant('require') },
);

const window: Arbitrary = fc.record({
  tz: fc.constantFrom('Europe/Zurich', 'UTC', 'America/New_York'),
  days: someOf(['mon', 'fri', 'sat', 'sun']),
  from: fc.constantFrom('00:00', '08:30', '22:00'),
  to: fc.constantFrom('06:00', '12:00', '23:30'),
});

const rule: Arbitrary = fc.tuple(operation, effect).chain(([name, kind]) => {
  const free = predicates[name];
  const bounded = kind === 'allow' ? BOUNDED[name] : undefined;
  const when =
    free === undefined
      ? undefined
      : fc.oneof(
          { weight: 1, arbitrary: condition(free, 2) },
          { weight: 4, arbitrary: bounded ?? condition(free, 2) },
        );
  const rarely = (value: Arbitrary): Arbitrary => fc.option(value, { nil: undefined as never, freq: 1 });
  const sometimes = (value: Arbitrary, weight = 9): Arbitrary =>
    fc.oneof({ weight, arbitrary: fc.constant(undefined as never) }, { weight: 1, arbitrary: value });
  return fc
    .record({
      effect: fc.constant(kind),
      operations: fc.constant([name]),
      principals:
        kind === 'allow'
          ? record({ roles: someOf(ROLES), ids: fc.constant(['p-1']) })
          : rarely(record({ roles: someOf(ROLES), ids: fc.constant(['p-1']) })),
      keys: fc.oneof(
        fc.constant({ names: ['*'] }),
        record({
          names: someOf(NAMES),
          tags: someOf(TAGS),
          groups: fc.constantFrom(['warm'], ['warm', 'mixed']),
        }),
      ),
      mode: sometimes(fc.constantFrom('shadow', 'enforce'), 4),
      hard: kind === 'deny' ? sometimes(fc.boolean(), 1) : fc.constant(undefined as never),
      draining: kind === 'allow' ? sometimes(fc.boolean(), 2) : fc.constant(undefined as never),
      approval: kind === 'require' ? fc.constantFrom('big', 'two') : fc.constant(undefined as never),
      source: sometimes(
        record({ cidr: someOf(['10.0.0.0/8', '10.20.0.0/16', '192.0.2.1/32']), mtls: fc.boolean() }),
      ),
      validity: sometimes(
        record({
          from: fc.constant('2026-01-01T00:00:00Z'),
          until: fc.constantFrom('2026-06-01T00:00:00Z', '2027-01-01T00:00:00+01:00'),
        }),
        9,
      ),
      windows: sometimes(fc.array(window, { minLength: 1, maxLength: 2 }), 12),
      ...(when === undefined ? {} : { when }),
    })
    .map((made) => Object.fromEntries(Object.entries(made).filter(([, value]) => value !== undefined)));
}) as Arbitrary;

const DEFINITIONS = {
  lists: { payouts: [BOB, '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed'] },
  keyGroups: { warm: { tags: ['cold'] }, mixed: { names: ['payroll'], tags: ['hot'] } },
  tokens: {
    usdc: {
      chain: 31337,
      address: '0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48',
      standard: 'erc20',
      decimals: 6,
    },
    punks: { chain: 31337, address: PUNKS, standard: 'erc721' },
    things: { chain: 1, address: PUNKS, standard: 'erc1155' },
  },
  abis: ABIS,
  approvals: {
    big: { all: [{ role: 'approver', m: 2 }] },
    two: { all: [{ role: 'admin', m: 1 }], ttl: '1h' },
  },
};

const scopes = fc.subarray(['key', 'keyGroup', 'principal', 'chain']);
const limit = (meter: JsonValue, max: Arbitrary): Arbitrary =>
  fc
    .record({
      meter: fc.constant(meter),
      per: fc.option(
        scopes.filter((all) => all.length > 0),
        { nil: undefined },
      ),
      window: fc.constantFrom({ rolling: '1h', bucket: '5m' }, { rolling: '24h', bucket: '1h' }),
      max,
      onExceed: fc.oneof(
        fc.constant('deny'),
        fc.constantFrom('big', 'two').map((approval) => ({ approval })),
      ),
    })
    .map(({ per, ...made }) => Object.assign(made, per === undefined ? {} : { per }));

const limits: Arbitrary = fc.record(
  {
    money: limit('value', fc.constantFrom('0', '1 ether', '2 ether')),
    gas: limit('maxTotalFee', fc.constantFrom('0.5 ether', '1 gwei')),
    often: limit('count', fc.constantFrom(1, '3')),
    dollars: limit(
      { token: 'usdc', include: ['transfer', 'approve', 'permit'] },
      fc.constantFrom('3 usdc', '1'),
    ),
    nfts: limit(
      { token: 'punks', include: ['transferFrom', 'setApprovalForAll'] },
      fc.constantFrom('1', '0'),
    ),
  },
  { requiredKeys: [] },
);

const breakGlass: Arbitrary = fc.record({
  approval: fc.constantFrom('big', 'two'),
  principals: fc.constant({ roles: ['signer'] }),
  keys: fc.constantFrom({ groups: ['mixed'] } as JsonValue, { names: ['*'] }),
  operations: fc.constantFrom(['transaction'], ['transaction', 'typed-data', 'message']),
}) as Arbitrary;

/** More rules than are tried one by one: all of them about calls of few contracts and functions, and little else. */
const crowd: fc.Arbitrary<JsonValue[]> = fc
  .tuple(fc.constantFrom('allow', 'allow', 'allow', 'deny', 'require'), fc.boolean())
  .chain(([most, isOfOne]) =>
    fc.array(
      fc.record({
        kind: fc.oneof(
          { weight: 7, arbitrary: fc.constant(most) },
          { weight: 1, arbitrary: fc.constantFrom('allow', 'deny', 'require') },
        ),
        test: fc.oneof(
          { weight: isOfOne ? 20 : 0, arbitrary: swap.map((test) => ({ call: { abi: 'router', ...test } })) },
          { weight: 4, arbitrary: callTest },
          { weight: 2, arbitrary: tokenTest },
          {
            weight: 1,
            arbitrary: fc.constantFrom('swap', 'fill', 'pay').map((fn) => ({ call: { abi: 'router', fn } })),
          },
        ),
        more: fc.option(condition(predicates['transaction']!, 1), { nil: undefined, freq: 3 }),
        shape: fc.constantFrom('all', 'all', 'all', 'any'),
        isShadow: fc.constantFrom(false, false, false, true),
      }),
      { minLength: 6, maxLength: 14 },
    ),
  )
  .map((members) => [...members, ALLOWED_BATCH].map(ruleOfCrowd));

interface Member {
  readonly kind: string;
  readonly test: JsonValue;
  readonly more: JsonValue | undefined;
  readonly shape: string;
  readonly isShadow: boolean;
}

function ruleOfCrowd({ kind, test, more, shape, isShadow }: Member): JsonValue {
  const tests = more === undefined ? [test] : [test, more];
  const common = { effect: kind, operations: ['transaction'], ...(isShadow && { mode: 'shadow' }) };
  if (kind === 'require') return { ...common, approval: 'big', when: { [shape]: tests } };
  if (kind === 'deny') return { ...common, when: { [shape]: tests } };
  // A disjunction that leaves calldata open covers no call.
  const all = [{ chainId: { in: CHAINS } }, { maxTotalFee: { lte: '1 ether' } }, { [shape]: tests }];
  return { ...common, principals: { roles: ['signer'] }, keys: { names: ['*'] }, when: { all } };
}

const ALLOWED_BATCH: Member = {
  kind: 'allow',
  test: { call: { abi: 'router', fn: 'multicall' } },
  more: undefined,
  shape: 'all',
  isShadow: false,
};

export const document = fc
  .tuple(
    fc.oneof(
      { weight: 3, arbitrary: fc.array(rule, { minLength: 1, maxLength: 8 }) },
      { weight: 2, arbitrary: crowd },
      {
        weight: 1,
        arbitrary: fc.tuple(fc.array(rule, { minLength: 1, maxLength: 4 }), crowd).map((both) => both.flat()),
      },
    ),
    fc.option(limits, { nil: undefined }),
    fc.option(breakGlass, { nil: undefined, freq: 2 }),
  )
  .map(([bodies, someLimits, glass]) => {
    const rules = bodies.map((body, index) => Object.assign({ id: `r${index}` }, body));
    const made: { [name: string]: JsonValue } = Object.assign(documentOf(...rules), DEFINITIONS);
    if (someLimits !== undefined) made['limits'] = someLimits;
    if (glass !== undefined) made['breakGlass'] = glass;
    return made;
  });

/** The document with the rules that compile; the rest are not the evaluator's business. */
export function compilable(whole: { [name: string]: JsonValue }): { [name: string]: JsonValue } {
  const rules = (whole['rules'] as JsonValue[]).filter((one) => {
    try {
      compilePolicy({ ...whole, rules: [one] });
      return true;
    } catch (error) {
      if (error instanceof CountersignError && error.code === 'invalid_request') return false;
      throw error;
    }
  });
  return { ...whole, rules };
}
