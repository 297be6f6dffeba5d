/** Rules and requests that meet: with calls, batches, permits, messages, and much that only nearly matches. */
import type { Hex } from '../../src/bytes.ts';
import type { PolicyIntent } from '../../src/effects/effect.ts';
import type { Transaction } from '../../src/intent/intent.ts';
import type { JsonValue } from '../../src/jcs.ts';
import type { PolicyRequest } from '../../src/policy/decision.ts';
import { calldata, members, typedDataOf } from '../effects/intents.ts';
import { ALICE, BOB, CAROL, OWNER, request, SIGNER, TRANSFER, type Members } from './fixtures.ts';

const LISTED_CAROL = '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed';

export const DEFINITIONS: Members = {
  tokens: {
    usdc: { chain: 31337, address: BOB, standard: 'erc20', decimals: 6 },
    punks: { chain: 31337, address: LISTED_CAROL, standard: 'erc721' },
  },
  abis: {
    desk: ['multicall(bytes[] data)', 'ping(uint256 n)', 'transfer(address to, uint256 value)'],
  },
  approvals: { big: { all: [{ role: 'approver', m: 2 }] }, glass: { all: [{ role: 'approver', m: 1 }] } },
  limits: {
    often: { meter: 'count', window: { rolling: '1h', bucket: '1m' }, max: 1, onExceed: { approval: 'big' } },
  },
  breakGlass: {
    approval: 'glass',
    principals: { roles: ['signer'] },
    keys: { names: ['*'] },
    operations: ['transaction', 'typed-data'],
  },
};

const PERMIT = 'Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)';

const CONDITIONS: readonly (JsonValue | undefined)[] = [
  undefined,
  { to: { in: [BOB] } },
  { to: { in: [ALICE, LISTED_CAROL] } },
  { to: { notIn: [ALICE] } },
  { call: { abi: 'desk', fn: 'ping' } },
  { call: { to: { in: [LISTED_CAROL] }, abi: 'desk', fn: 'ping', args: { n: { lte: '1' } } } },
  { call: { to: { in: [BOB] }, abi: 'desk', fn: 'multicall' } },
  { call: { abi: 'desk', fn: 'transfer' } },
  { token: { token: 'usdc', action: ['transfer', 'permit'] } },
  { token: { token: 'usdc', action: 'transfer', to: { in: [ALICE] }, amount: { lte: '5' } } },
  { token: { token: 'punks', action: 'approve' } },
  { any: [{ to: { in: [ALICE] } }, { token: { token: 'usdc', action: 'permit' } }] },
  { all: [{ to: { in: [BOB, ALICE] } }, { token: { token: 'usdc', action: 'transfer' } }] },
  { any: [{ call: { abi: 'desk', fn: 'ping' } }, { call: { abi: 'desk', fn: 'multicall' } }] },
  { not: { call: { to: { in: [BOB] }, abi: 'desk', fn: 'ping' } } },
  { value: { lte: '1' } },
];

const SELECTORS: readonly { [name: string]: JsonValue }[] = [
  { principals: { roles: ['signer'] }, keys: { names: ['*'] } },
  { principals: { roles: ['signer'] }, keys: { names: ['treasury'] } },
  { principals: { ids: ['p-1'] }, keys: { tags: ['hot'] } },
  { principals: { roles: ['operator'] }, keys: { names: ['*'] } },
];

const EFFECTS: readonly { [name: string]: JsonValue }[] = [
  { effect: 'allow' },
  { effect: 'deny' },
  { effect: 'deny', hard: true },
  { effect: 'require', approval: 'big' },
  { effect: 'require', approval: 'glass' },
];

const CHAINS: JsonValue = [1, 31337];

function conditionOf(operation: string, condition: JsonValue | undefined): { [name: string]: JsonValue } {
  const bounds: JsonValue[] =
    operation === 'transaction' ? [{ chainId: { in: CHAINS } }, { maxTotalFee: { lte: '1 ether' } }] : [];
  const all = condition === undefined ? bounds : [...bounds, condition];
  return all.length === 0 ? {} : { when: { all } };
}

/** Every one compiles. `deny` and `require` rules are rarer than allow rules, or nothing would be allowed. */
export const RULES: readonly { [name: string]: JsonValue }[] = createRules();

function createRules(): { [name: string]: JsonValue }[] {
  const rules: { [name: string]: JsonValue }[] = [];
  const add = (...parts: readonly { [name: string]: JsonValue }[]): void => {
    rules.push(Object.assign({ id: `r${rules.length}` }, ...parts) as { [name: string]: JsonValue });
  };
  for (const [s, selectors] of SELECTORS.entries()) {
    for (const [c, condition] of CONDITIONS.entries()) {
      const [allowing = {}, ...others] = EFFECTS;
      for (const effect of [allowing, others[(c + s) % others.length] ?? {}]) {
        add(effect, selectors, { operations: ['transaction'] }, conditionOf('transaction', condition));
        add(effect, selectors, { operations: ['typed-data'] }, conditionOf('typed-data', condition));
      }
    }
    add({ effect: 'allow', operations: ['typed-data'], when: { typed: { type: PERMIT } } }, selectors);
  }
  return rules;
}

const ping = (n: bigint): Hex => calldata('ping(uint256)', [n]);
const pay = (to: Hex, amount: bigint): Hex => calldata('transfer(address,uint256)', [to, amount]);
const multicall = (...calls: readonly Hex[]): Hex => calldata('multicall(bytes[])', [calls]);
const call = (to: Hex, data: Hex, more: Partial<typeof TRANSFER> = {}): Transaction => ({
  ...TRANSFER,
  to,
  data,
  value: 0n,
  ...more,
});

const permit = (domain: object): PolicyIntent =>
  typedDataOf({
    domain: { verifyingContract: BOB, ...domain },
    types: { Permit: members(PERMIT.slice(7, -1)) },
    primaryType: 'Permit',
    message: { owner: SIGNER, spender: ALICE, value: '9', nonce: '0', deadline: '1800000000' },
  });

const SUBJECTS: readonly (Transaction | PolicyIntent)[] = [
  TRANSFER,
  { ...TRANSFER, to: CAROL, value: 2n },
  { ...TRANSFER, chainId: 5n },
  { ...TRANSFER, to: null, data: '0x00' },
  call(BOB, ping(1n)),
  call(CAROL, ping(1n)),
  call(CAROL, `${ping(1n)}00`),
  call(BOB, `${ping(1n)}00`),
  call(BOB, pay(ALICE, 5n)),
  call(BOB, pay(CAROL, 6n), { chainId: 1n }),
  call(CAROL, calldata('approve(address,uint256)', [ALICE, 3n])),
  call(BOB, multicall(ping(1n), pay(ALICE, 5n))),
  call(BOB, multicall(ping(1n), `${ping(1n)}00`)),
  call(CAROL, multicall(ping(1n), ping(2n))),
  call(BOB, multicall(multicall(pay(ALICE, 1n)), pay(CAROL, 9n))),
  permit({ chainId: 31337 }),
  permit({ chainId: 1 }),
  permit({}),
];

const CALLERS = [
  OWNER,
  { ...OWNER, breakGlass: 'because' },
  { ...OWNER, key: { name: 'cold', tags: [] } },
  { ...OWNER, principal: { id: 'p-2', name: 'desk', roles: ['operator'] } },
];

export const REQUESTS: readonly PolicyRequest[] = SUBJECTS.flatMap((subject) =>
  CALLERS.map((caller) => request(subject, caller)),
);
