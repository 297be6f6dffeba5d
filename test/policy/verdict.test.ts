import { describe, expect, test } from 'vitest';
import type { PolicyIntent } from '../../src/effects/effect.ts';
import type { JsonValue } from '../../src/jcs.ts';
import { calldata, members, typedDataOf } from '../effects/intents.ts';
import {
  ALICE,
  allowTransfers,
  BOB,
  CAROL,
  OWNER,
  policyOf,
  policyWith,
  request,
  TRANSFER,
  type Caller,
  type Members,
} from './fixtures.ts';

const APPROVALS: Members = {
  approvals: {
    big: { all: [{ role: 'approver', m: 2 }] },
    legal: { all: [{ role: 'admin', m: 1 }] },
    glass: { all: [{ role: 'approver', m: 1 }] },
  },
};
const MORE: Members = {
  ...APPROVALS,
  abis: { desk: ['multicall(bytes[] data)', 'ping(uint256 n)'] },
};

const DENY = { id: 'no', effect: 'deny', operations: ['transaction'] };
const demand = (id: string, approval: string, when?: JsonValue): { [name: string]: JsonValue } => ({
  id,
  effect: 'require',
  operations: ['transaction'],
  approval,
  ...(when === undefined ? {} : { when }),
});

const CALLS = { any: [{ call: { abi: 'desk', fn: 'multicall' } }, { call: { abi: 'desk', fn: 'ping' } }] };
const ping = (n: bigint): string => calldata('ping(uint256)', [n]);
const BATCH = {
  ...TRANSFER,
  to: BOB,
  value: 0n,
  data: calldata('multicall(bytes[])', [[ping(1n), ping(2n)]]),
};
const secondPing = { call: { abi: 'desk', fn: 'ping', args: { n: { eq: '2' } } } };

describe('several effects', () => {
  const one = { ...allowTransfers({ call: { abi: 'desk', fn: 'multicall' } }), id: 'outer' };
  const two = { ...allowTransfers({ call: { abi: 'desk', fn: 'ping' } }), id: 'inner' };

  test('may be allowed by several rules, which are named in the order of the effects', () => {
    expect(policyWith(MORE, two, one).evaluate(request(BATCH))).toMatchObject({
      effect: 'allow',
      rule: 'outer',
      rules: ['outer', 'inner'],
      reason: 'rules "outer", "inner" allow this transaction',
    });
    const alone = policyWith(MORE, { ...allowTransfers(CALLS), id: 'both' }).evaluate(request(BATCH));
    expect(alone).toMatchObject({ effect: 'allow', rule: 'both' });
    expect(alone).not.toHaveProperty('rules');
  });

  test('without a rule for one of them are denied, and the decision says which', () => {
    const not2 = { call: { abi: 'desk', fn: 'ping', args: { n: { lt: '2' } } } };
    const policy = policyWith(MORE, one, { ...allowTransfers(not2), id: 'inner' });
    const failed = [
      { rule: 'outer', predicate: `inner call 1 to ${BOB}: call: is no call of multicall(bytes[])` },
      { rule: 'inner', predicate: `inner call 1 to ${BOB}: call.args.n: 2 is not lt 2` },
    ];
    expect(policy.evaluate(request(BATCH))).toMatchObject({
      effect: 'deny',
      failed,
      reason: `no rule allows this transaction; the closest, "outer", fails at ${failed[0]!.predicate}`,
    });
  });

  test('are denied by a deny rule that matches one of them', () => {
    const decision = policyWith(MORE, allowTransfers(CALLS), { ...DENY, when: secondPing }).evaluate(
      request(BATCH),
    );
    expect(decision).toMatchObject({
      effect: 'deny',
      rule: 'no',
      reason: `rule "no" denies this transaction, at inner call 1 to ${BOB}`,
    });
  });

  test('that cannot be read to the end are denied, whatever the rules say', () => {
    const cut = { ...TRANSFER, data: '0xa9059cbb' } as const;
    const decision = policyWith(MORE, allowTransfers(), demand('ask', 'big')).evaluate(request(cut));
    expect(decision).toMatchObject({ effect: 'deny' });
    expect(decision).not.toHaveProperty('rule');
    expect(decision.reason).toMatch(/^this transaction cannot be read to its end: the call to transfer/);
    const none = { ...request(TRANSFER), effects: { effects: [] } };
    expect(policyOf(allowTransfers()).evaluate(none).effect).toBe('deny');
  });
});

describe('require rules', () => {
  test('add up, each approval once, in the order of the document', () => {
    const policy = policyWith(
      MORE,
      demand('second', 'legal', secondPing),
      demand('other', 'glass', { nonce: { eq: 1 } }),
      demand('first', 'big'),
      demand('again', 'big', { chainId: { eq: 31337 } }),
      allowTransfers(CALLS),
    );
    expect(policy.evaluate(request(BATCH))).toEqual({
      effect: 'require',
      rule: 'pay',
      approvals: ['legal', 'big'],
      policyRevision: 1,
      policyHash: policy.hash,
      reason:
        'rule "second" requires approval "legal" and rule "first" requires approval "big" and rule "again" requires approval "big" for this transaction',
    });
  });

  test('allow nothing, and override no deny rule', () => {
    expect(policyWith(MORE, demand('ask', 'big')).evaluate(request(TRANSFER)).effect).toBe('deny');
    const denied = policyWith(MORE, demand('ask', 'big'), allowTransfers(), DENY).evaluate(request(TRANSFER));
    expect(denied).toMatchObject({ effect: 'deny', rule: 'no' });
    expect(denied).not.toHaveProperty('approvals');
  });

  test('that cannot be evaluated require', () => {
    const type = 'Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)';
    // Its domain names no chain, so that it cannot be told whether it is the token's.
    const permit = typedDataOf({
      domain: { verifyingContract: BOB },
      types: { Permit: members(type.slice(7, -1)) },
      primaryType: 'Permit',
      message: { owner: ALICE, spender: ALICE, value: '9', nonce: '0', deadline: '1800000000' },
    });
    const token = { token: { token: 'coin', action: 'permit' } };
    const policy = policyWith(
      { ...MORE, tokens: { coin: { chain: 1, address: BOB, standard: 'erc20', decimals: 0 } } },
      { ...allowTransfers(), operations: ['typed-data'], when: { typed: { type } } },
      { ...demand('ask', 'big', token), operations: ['typed-data'] },
    );
    expect(policy.evaluate(request(permit))).toMatchObject({ effect: 'require', approvals: ['big'] });
  });
});

describe('rules in shadow mode', () => {
  test('decide nothing, and are listed with what they would have done', () => {
    const shadow = (rule: { [name: string]: JsonValue }): JsonValue => ({ ...rule, mode: 'shadow' });
    const policy = policyWith(
      MORE,
      shadow({ ...allowTransfers({ value: { lte: '2' } }), id: 'looser' }),
      shadow({ ...DENY, id: 'stricter', when: { to: { in: [ALICE] } } }),
      shadow(demand('asking', 'big')),
      shadow({ ...DENY, id: 'elsewhere', when: { to: { in: [BOB] } } }),
      allowTransfers({ value: { lte: '1' } }),
    );
    const all = [
      { rule: 'looser', effect: 'allow' },
      { rule: 'stricter', effect: 'deny' },
      { rule: 'asking', effect: 'require' },
    ];
    expect(policy.evaluate(request(TRANSFER))).toMatchObject({ effect: 'allow', rule: 'pay', shadow: all });
    const denied = policy.evaluate(request({ ...TRANSFER, value: 2n }));
    expect(denied).toMatchObject({ effect: 'deny', failed: [{ rule: 'pay' }], shadow: all });
    expect(policy.evaluate(request({ ...TRANSFER, value: 3n })).shadow).toEqual(all.slice(1));
    expect(policyOf(allowTransfers()).evaluate(request(TRANSFER))).not.toHaveProperty('shadow');
  });
});

describe('a superseded key version', () => {
  const draining: Caller = { ...OWNER, key: { ...OWNER.key, draining: true } };

  test('is for allow rules that say so', () => {
    const policy = policyOf(allowTransfers());
    expect(policy.evaluate(request(TRANSFER, draining))).toMatchObject({
      effect: 'deny',
      failed: [{ rule: 'pay', predicate: 'draining' }],
    });
    const for2 = policyOf({ ...allowTransfers(), draining: true });
    expect(for2.evaluate(request(TRANSFER, draining)).effect).toBe('allow');
    expect(for2.evaluate(request(TRANSFER)).effect).toBe('allow');
  });

  test('is denied, and its approvals required, as those of any other', () => {
    const rule = { ...allowTransfers(), draining: true };
    expect(policyWith(MORE, rule, DENY).evaluate(request(TRANSFER, draining)).rule).toBe('no');
    expect(policyWith(MORE, rule, demand('ask', 'big')).evaluate(request(TRANSFER, draining)).effect).toBe(
      'require',
    );
  });
});

describe('key.export', () => {
  const intent: PolicyIntent = { operation: 'key.export' };
  const { when: _, ...anything } = allowTransfers();
  const allowed = { ...anything, id: 'out', operations: ['key.export'] };
  const ask = { id: 'ask', effect: 'require', operations: ['key.export'], approval: 'big' };

  test('takes an allow rule and a require rule', () => {
    const count = { meter: 'count', window: { rolling: '1h', bucket: '1m' }, max: 0, onExceed: 'deny' };
    const effects = [[], [allowed], [ask], [allowed, ask]].map(
      (rules) => policyWith({ ...MORE, limits: { count } }, ...rules).evaluate(request(intent)).effect,
    );
    expect(effects).toEqual(['deny', 'deny', 'deny', 'require']);
    expect(policyWith(MORE, allowed).evaluate(request(intent)).reason).toBe(
      'this export needs an approval, and no rule requires one',
    );
    expect(policyWith(MORE).evaluate(request(intent)).reason).toBe(
      'no rule allows this principal to export key "treasury"',
    );
  });
});

describe('break-glass', () => {
  const glass = (operations: readonly string[] = ['transaction']): Members => ({
    ...MORE,
    breakGlass: { approval: 'glass', principals: { roles: ['signer'] }, keys: { tags: ['hot'] }, operations },
  });
  const asking: Caller = { ...OWNER, breakGlass: 'the vault is burning' };

  test('turns a denial into a requirement, with what else is required', () => {
    const policy = policyWith(glass(), DENY, demand('ask', 'big'));
    expect(policy.evaluate(request(TRANSFER, asking))).toMatchObject({
      effect: 'require',
      approvals: ['glass', 'big'],
      overrides: { rule: 'no', reason: 'rule "no" denies this transaction' },
      reason: 'break-glass overrides a denial: rule "no" denies this transaction',
    });
    expect(policy.evaluate(request(TRANSFER)).effect).toBe('deny');
  });

  test('overrides a default deny, also of a call that no rule knows', () => {
    const decision = policyWith(glass()).evaluate(request({ ...TRANSFER, data: '0x12345678' }, asking));
    expect(decision).toMatchObject({ effect: 'require', approvals: ['glass'] });
    expect(decision.overrides).toEqual({
      reason: 'no rule allows this principal to sign this transaction with key "treasury"',
    });
  });

  test('leaves alone what is allowed', () => {
    const decision = policyWith(glass(), allowTransfers()).evaluate(request(TRANSFER, asking));
    expect(decision.effect).toBe('allow');
    expect(decision).not.toHaveProperty('overrides');
  });

  test('overrides no hard deny rule, in whatever order and beside whatever others', () => {
    const hard = { ...DENY, id: 'never', hard: true };
    for (const rules of [[hard], [DENY, hard], [hard, DENY], [allowTransfers(), hard]]) {
      expect(policyWith(glass(), ...rules).evaluate(request(TRANSFER, asking)).effect).toBe('deny');
    }
    const elsewhere = { ...hard, when: { to: { in: [CAROL] } } };
    expect(policyWith(glass(), elsewhere).evaluate(request(TRANSFER, asking)).effect).toBe('require');
  });

  test('overrides nothing that cannot be read to its end', () => {
    const cut = request({ ...TRANSFER, data: '0xa9059cbb' }, asking);
    expect(policyWith(glass()).evaluate(cut).effect).toBe('deny');
  });

  test('is for its principals, keys and operations', () => {
    const policy = policyWith(glass(['message']));
    const message = { operation: 'message', data: '0x' } as const;
    const digest = { operation: 'digest', digest: `0x${'00'.repeat(32)}`, purpose: 'x' } as const;
    expect(policy.evaluate(request(message, asking)).effect).toBe('require');
    const others: PolicyIntent[] = [digest, { operation: 'key.export' }];
    for (const intent of others) expect(policy.evaluate(request(intent, asking)).effect).toBe('deny');
    expect(policy.evaluate(request(TRANSFER, asking)).effect).toBe('deny');
    const cold: Caller = { ...asking, key: { name: 'treasury', tags: ['cold'] } };
    expect(policy.evaluate(request(message, cold)).effect).toBe('deny');
    const operator: Caller = { ...asking, principal: { ...OWNER.principal, roles: ['operator'] } };
    expect(policy.evaluate(request(message, operator)).effect).toBe('deny');
  });
});
