/** Random requests, over few values so that they meet the random documents of arbitraries.ts. */
import { Interface, keccak256 } from 'ethers';
import * as fc from 'fast-check';
import type { Hex } from '../../src/bytes.ts';
import { decodeEffects } from '../../src/effects/decode.ts';
import type { PolicyIntent } from '../../src/effects/effect.ts';
import type { Transaction } from '../../src/intent/intent.ts';
import { parseIntent } from '../../src/intent/schema.ts';
import type { PolicyRequest } from '../../src/policy/decision.ts';
import { ALICE, authorization, BOB, CAROL } from './fixtures.ts';

const ADDRESSES: readonly Hex[] = [ALICE, BOB, CAROL];
const USDC: Hex = '0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48';
export const PUNKS = BOB;
/** The address of the key that signs. */
const SIGNER = CAROL;

const INIT_CODE: Hex = '0x600160005500';
/** keccak256 of the init code of some creations. */
export const CREATED = keccak256(INIT_CODE);
export const MAIL = 'Mail(Person from,string contents)Person(string name,address wallet)';

export const NOW = Date.parse('2026-11-20T10:00:00Z');
const TIMES = [
  NOW,
  Date.parse('2026-11-21T22:30:00Z'),
  Date.parse('2026-03-29T01:30:00Z'),
  Date.parse('2027-02-01T05:00:00Z'),
];

const ROLES = ['signer', 'operator', 'auditor'];
const NAMES = ['treasury', 'payroll', 'other'];
const TAGS = ['hot', 'cold'];
const PURPOSES = ['login', 'login:web', 'audit', 'other'];

const CONTRACTS = new Interface([
  'function transfer(address to, uint256 amount)',
  'function approve(address spender, uint256 amount)',
  'function transferFrom(address from, address to, uint256 amountOrId)',
  'function transferFrom(address from, address to, uint160 amount, address token)',
  'function setApprovalForAll(address operator, bool approved)',
  'function safeTransferFrom(address from, address to, uint256 id, uint256 amount, bytes data)',
  'function approve(address token, address spender, uint160 amount, uint48 expiration)',
  'function swap(uint256 amount, address to)',
  'function pay(address[] recipients, string note, bool flag)',
  'function fill((address to, uint256 amount)[] orders)',
  'function multicall(bytes[] data)',
  'function aggregate3Value((address target,bool allowFailure,uint256 value,bytes callData)[] calls)',
  'function execTransaction(address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,uint256 baseGas,uint256 gasPrice,address gasToken,address refundReceiver,bytes signatures)',
]);

const wei = fc.constantFrom(0n, 0n, 0n, 1n, 10n ** 9n, 5n * 10n ** 17n, 10n ** 18n, 2n ** 256n - 1n);
const small = fc.constantFrom(0n, 1n, 2n, 5_000_000n);
const chainId = fc.constantFrom(1n, 10n, 31337n, 31337n, 31337n, 31337n, 31337n, 5n);
const address = fc.constantFrom(...ADDRESSES);
const amountOf = fc.oneof({ weight: 9, arbitrary: small }, { weight: 1, arbitrary: wei });

const encode = (name: string, args: readonly unknown[]): Hex =>
  CONTRACTS.encodeFunctionData(name, args) as Hex;

const simpleCall: fc.Arbitrary<Hex> = fc.oneof(
  fc.tuple(address, amountOf).map((args) => encode('transfer', args)),
  fc.tuple(address, amountOf).map((args) => encode('approve(address,uint256)', args)),
  // Permit2: of another contract than the one that is called.
  fc
    .tuple(fc.constantFrom(USDC, PUNKS), address, small)
    .map((args) => encode('approve(address,address,uint160,uint48)', [...args, 0])),
  fc.tuple(address, address, small).map((args) => encode('transferFrom(address,address,uint256)', args)),
  fc
    .tuple(address, address, small)
    .map((args) => encode('transferFrom(address,address,uint160,address)', [...args, USDC])),
  fc.tuple(address, fc.boolean()).map((args) => encode('setApprovalForAll', args)),
  fc.tuple(address, address, small, small).map((args) => encode('safeTransferFrom', [...args, '0x'])),
  { weight: 4, arbitrary: fc.tuple(small, address).map((args) => encode('swap', args)) },
  fc
    .tuple(fc.array(address, { maxLength: 2 }), fc.constantFrom('', 'a', 'abc'), fc.boolean())
    .map((args) => encode('pay', args)),
  fc.array(fc.tuple(address, small), { maxLength: 2 }).map((orders) => encode('fill', [orders])),
  fc.constantFrom<Hex>('0xdeadbeef', '0xdeadbeef00'),
);

const payment = fc.tuple(
  fc.constantFrom(...ADDRESSES, USDC),
  fc.constant(false),
  wei,
  fc.oneof(fc.constant<Hex>('0x'), simpleCall),
);
const batch: fc.Arbitrary<Hex> = fc.oneof(
  fc.array(simpleCall, { maxLength: 3 }).map((calls) => encode('multicall', [calls])),
  fc.array(payment, { maxLength: 3 }).map((payments) => encode('aggregate3Value', [payments])),
);

const order: fc.Arbitrary<Hex> = fc
  .tuple(
    fc.constantFrom(...ADDRESSES, USDC),
    wei,
    fc.oneof(fc.constant<Hex>('0x'), simpleCall, batch),
    fc.constantFrom(0, 0, 0, 1),
  )
  .map(([to, value, data, operation]) => {
    const none = `0x${'00'.repeat(20)}`;
    return encode('execTransaction', [to, value, data, operation, 0, 0, 0, none, none, '0x']);
  });

/** Now and then with a byte changed, or cut off: what is not canonical. */
const calldata: fc.Arbitrary<Hex> = fc
  .tuple(
    fc.oneof(
      { weight: 5, arbitrary: simpleCall },
      { weight: 2, arbitrary: batch },
      { weight: 1, arbitrary: order },
    ),
    fc.nat(9),
    fc.nat(),
  )
  .map(([data, how, where]) => {
    if (how === 0) return data.slice(0, 2 + 2 * Math.max(4, where % (data.length / 2))) as Hex;
    if (how !== 1) return data;
    const at = 10 + (where % Math.max(1, data.length - 10));
    return `${data.slice(0, at)}1${data.slice(at + 1)}` as Hex;
  });

const parts = fc.record({
  type: fc.constantFrom(0, 1, ...Array<2>(10).fill(2), 3, 4),
  base: fc.record({
    chainId,
    nonce: fc.constantFrom(0n, 1n, 2n),
    value: wei,
    gasLimit: fc.constantFrom(21_000n, 30_000n),
  }),
  /** undefined: a plain transfer. */
  data: fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, { weight: 4, arbitrary: calldata }),
  market: fc.record({
    maxFeePerGas: fc.constantFrom(1n, 1n, 10n ** 9n, 10n ** 9n, 10n ** 14n),
    maxPriorityFeePerGas: fc.constantFrom(0n, 1n),
    accessList: fc.array(
      address.map((one) => ({ address: one, storageKeys: [] })),
      { maxLength: 3 },
    ),
  }),
  to: fc.option(fc.constantFrom(...ADDRESSES, USDC, USDC), { freq: 8 }),
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

function toTransaction({ data = '0x', ...all }: Parts): Transaction {
  const { type, market, to, gasPrice } = all;
  const base = { ...all.base, data };
  const creating = { ...all.base, data: to === null ? INIT_CODE : data };
  const recipient = to ?? ALICE;
  if (type === 0) return { type, ...creating, to, gasPrice };
  if (type === 1) return { type, ...creating, to, gasPrice, accessList: market.accessList };
  if (type === 2) return { type, ...creating, ...market, to };
  if (type === 4)
    return { type, ...base, ...market, to: recipient, authorizationList: all.authorizationList };
  const { maxFeePerBlobGas, blobVersionedHashes } = all;
  return { type: 3, ...base, ...market, to: recipient, maxFeePerBlobGas, blobVersionedHashes };
}

const domain = fc.record(
  {
    name: fc.constantFrom('Mail', 'USD Coin', 'x'),
    chainId: fc.constantFrom('1', '31337', '31337'),
    verifyingContract: fc.constantFrom<Hex>(USDC, USDC, BOB),
  },
  { requiredKeys: ['name'] },
);

const fields = (text: string): { name: string; type: string }[] =>
  text.split(',').map((field) => {
    const [type = '', name = ''] = field.split(' ');
    return { name, type };
  });

const mail = fc.tuple(domain, address, fc.constantFrom('hi', 'hello')).map(([given, wallet, contents]) => ({
  domain: given,
  types: { Mail: fields('Person from,string contents'), Person: fields('string name,address wallet') },
  primaryType: 'Mail',
  message: { from: { name: 'a', wallet }, contents },
}));

const permit = fc
  .tuple(domain, address, address, amountOf, fc.constantFrom(0, 60, 7200))
  .map(([given, owner, spender, value, later]) => ({
    domain: given,
    types: { Permit: fields('address owner,address spender,uint256 value,uint256 nonce,uint256 deadline') },
    primaryType: 'Permit',
    message: { owner, spender, value: `${value}`, nonce: '0', deadline: String(NOW / 1000 + later) },
  }));

const SAFE_TX =
  'address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,uint256 baseGas,uint256 gasPrice,address gasToken,address refundReceiver,uint256 nonce';
const safeTx = fc
  .tuple(
    domain,
    fc.constantFrom(...ADDRESSES, USDC),
    wei,
    fc.oneof(fc.constant<Hex>('0x'), simpleCall),
    fc.constantFrom('0', '0', '1'),
  )
  .map(([given, to, value, data, operation]) => ({
    domain: given,
    types: { SafeTx: fields(SAFE_TX) },
    primaryType: 'SafeTx',
    message: {
      to,
      value: `${value}`,
      data,
      operation,
      safeTxGas: '0',
      baseGas: '0',
      gasPrice: '0',
      gasToken: `0x${'00'.repeat(20)}`,
      refundReceiver: `0x${'00'.repeat(20)}`,
      nonce: '1',
    },
  }));

const typedData = fc.oneof(mail, permit, safeTx).map((body) => parseIntent('typed-data', body));

const siwe = fc
  .tuple(
    fc.constantFrom('app.example', 'b.example'),
    fc.constantFrom(CAROL_CHECKSUM(), BOB),
    fc.constantFrom(1, 31337),
    fc.constantFrom(undefined, 60, 3000, 9000),
  )
  .map(([host, signer, chain, later]) => {
    const expires =
      later === undefined ? '' : `\nExpiration Time: ${new Date(NOW + later * 1000).toISOString()}`;
    return `${host} wants you to sign in with your Ethereum account:\n${signer}\n\n\nURI: https://${host}/\nVersion: 1\nChain ID: ${chain}\nNonce: abcdefgh\nIssued At: ${new Date(NOW).toISOString()}${expires}`;
  });

function CAROL_CHECKSUM(): string {
  return '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed';
}

/** What only looks like one. */
const nearSiwe = fc
  .tuple(siwe, fc.nat(3))
  .map(([text, how]) =>
    how === 0
      ? text.replaceAll('\n', '\r\n')
      : how === 1
        ? `${text}\n`
        : how === 2
          ? text.toUpperCase()
          : text.slice(text.indexOf('\n')),
  );

const message = fc
  .oneof(
    fc.constantFrom('hello world', 'x', 'abc', 'A'),
    { weight: 2, arbitrary: siwe },
    { weight: 1, arbitrary: nearSiwe },
  )
  .map((text) => parseIntent('message', { message: text }));

const intent: fc.Arbitrary<PolicyIntent> = fc.oneof(
  {
    weight: 10,
    arbitrary: transaction.map((value) => ({ operation: 'transaction' as const, transaction: value })),
  },
  { weight: 2, arbitrary: message },
  { weight: 3, arbitrary: typedData },
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
      .constantFrom(...PURPOSES)
      .map((purpose) => ({ operation: 'digest' as const, digest: `0x${'00'.repeat(32)}` as const, purpose })),
  },
  { weight: 1, arbitrary: fc.constant({ operation: 'key.export' as const }) },
);

export const policyRequest: fc.Arbitrary<PolicyRequest> = fc
  .record({
    principal: fc.record({
      id: fc.constantFrom('p-1', 'p-2'),
      name: fc.constantFrom('service', 'worker'),
      roles: fc.oneof(
        { weight: 3, arbitrary: fc.constant(['signer']) },
        { weight: 1, arbitrary: fc.subarray(ROLES) },
      ),
    }),
    key: fc.record({
      name: fc.constantFrom(...NAMES),
      tags: fc.subarray(TAGS),
      address: fc.constant(SIGNER),
      draining: fc.nat(19).map((n) => n === 0),
    }),
    intent,
    source: fc.record({
      address: fc.constantFrom('10.20.1.1', '10.1.1.1', '192.0.2.1', undefined),
      mtls: fc.boolean(),
    }),
    now: fc.constantFrom(...TIMES),
    breakGlass: fc.constantFrom(...Array<undefined>(7).fill(undefined), 'the exchange is down'),
  })
  .map((made) => Object.assign(made, { effects: decodeEffects(made.intent, SIGNER) }));
