import { describe, expect, test } from 'vitest';
import type { Intent, Transaction } from '../../src/intent/intent.ts';
import { loadPolicy } from '../../src/policy/policy.ts';
import { STARTER_POLICY } from '../../src/policy/starter.ts';
import {
  ALICE,
  authorization,
  BLOB,
  BOB,
  ETHER,
  GWEI,
  LEGACY,
  OWNER,
  request,
  SET_CODE,
  TRANSFER,
} from './fixtures.ts';

const DELEGATE = '0x2222222222222222222222222222222222222222';
const MESSAGE: Intent = { operation: 'message', data: '0x68656c6c6f' };
const TYPED_DATA: Intent = {
  operation: 'typed-data',
  typedData: {
    domain: {},
    types: { Login: [{ name: 'nonce', type: 'string' }] },
    primaryType: 'Login',
    message: { nonce: 'a' },
  },
};
const DELEGATION: Intent = { operation: 'authorization', chainId: 31337n, address: DELEGATE, nonce: 0n };

describe('the starter policy', () => {
  const policy = loadPolicy(STARTER_POLICY, 'policy.yaml');

  test.each<[string, Transaction | Intent, string]>([
    ['a legacy transfer', LEGACY, 'dev-transfers'],
    ['a transfer of 1 ether', { ...TRANSFER, value: ETHER }, 'dev-transfers'],
    ['the highest fee', { ...TRANSFER, gasLimit: 50_000n, maxFeePerGas: 1000n * GWEI }, 'dev-transfers'],
    ['a set-code transaction', SET_CODE, 'dev-set-code'],
    ['a message', MESSAGE, 'messages'],
  ])('lets a signer sign %s', (_, subject, rule) => {
    expect(policy.evaluate(request(subject))).toMatchObject({ effect: 'allow', rule });
  });

  const five = Array.from({ length: 5 }, () => authorization(31337n, BOB));
  test.each<[string, Transaction | Intent]>([
    ['more than 1 ether', { ...TRANSFER, value: ETHER + 1n }],
    ['a higher fee', { ...TRANSFER, gasLimit: 50_000n, maxFeePerGas: 1000n * GWEI + 1n }],
    ['another chain', { ...TRANSFER, chainId: 1n }],
    ['calldata', { ...TRANSFER, data: '0xa9059cbb' }],
    ['a contract creation', { ...TRANSFER, to: null, data: '0x00' }],
    ['blobs', BLOB],
    ['five authorizations', { ...SET_CODE, authorizationList: five }],
    ['an authorization for every chain', { ...SET_CODE, authorizationList: [authorization(0n, BOB)] }],
    ['typed data', TYPED_DATA],
    ['a delegation', DELEGATION],
    ['a digest', { operation: 'digest', digest: `0x${'00'.repeat(32)}`, purpose: 'login' }],
  ])('does not allow %s', (_, subject) => {
    const decision = policy.evaluate(request(subject));
    expect(decision.effect).toBe('deny');
    expect(decision).not.toHaveProperty('rule');
  });

  test('allows nothing to other roles', () => {
    const principal = { ...OWNER.principal, roles: ['admin', 'operator', 'auditor'] };
    for (const subject of [TRANSFER, SET_CODE, MESSAGE]) {
      expect(policy.evaluate(request(subject, { ...OWNER, principal })).effect).toBe('deny');
    }
  });

  test('has examples that work once they are uncommented', () => {
    const text = STARTER_POLICY.replaceAll(/^ {2}# (?=- id| {2})/gm, '  ').replaceAll(
      /^# (lists:| {2}payouts:)/gm,
      '$1',
    );
    const full = loadPolicy(text, 'policy.yaml');
    expect(full.document.rules.map(({ id }) => id)).toEqual([
      'dev-transfers',
      'dev-set-code',
      'messages',
      'no-hashes',
      'mainnet-payouts',
      'dev-delegation',
      'login-typed-data',
    ]);
    const delegator = { ...OWNER, key: { ...OWNER.key, name: 'delegator', tags: ['login'] } };
    expect(full.evaluate(request(DELEGATION, delegator)).rule).toBe('dev-delegation');
    expect(full.evaluate(request({ ...DELEGATION, address: ALICE }, delegator)).effect).toBe('deny');
    const hash = { operation: 'message', data: `0x${'ab'.repeat(32)}` } as const;
    expect(full.evaluate(request(hash)).rule).toBe('no-hashes');
    expect(policy.evaluate(request(hash)).rule).toBe('messages');
    expect(full.evaluate(request(TYPED_DATA, delegator)).rule).toBe('login-typed-data');
    expect(full.evaluate(request({ ...TRANSFER, chainId: 1n, to: BOB })).rule).toBe('mainnet-payouts');
    expect(full.evaluate(request({ ...TRANSFER, chainId: 1n })).effect).toBe('deny');
  });
});
