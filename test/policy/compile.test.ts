import { describe, expect, test } from 'vitest';
import type { Intent, Transaction } from '../../src/intent/intent.ts';
import type { JsonValue } from '../../src/jcs.ts';
import {
  ALICE,
  authorization,
  BLOB,
  BOB,
  CAROL,
  documentOf,
  ETHER,
  GWEI,
  LEGACY,
  request,
  SET_CODE,
  TRANSFER,
} from './fixtures.ts';
import { compilePolicy } from '../../src/policy/policy.ts';

/** Whether a condition holds: a deny rule has it, so that neither bounds nor cover have a say. */
function holds(when: JsonValue, subject: Transaction | Intent): boolean {
  const { intent } = request(subject);
  const rule = { id: 'it', effect: 'deny', operations: [intent.operation], when };
  const policy = compilePolicy({
    ...documentOf(rule),
    lists: { friends: [ALICE, '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed'] },
  });
  return policy.evaluate(request(subject)).rule === 'it';
}

const AUTHORIZATION: Intent = { operation: 'authorization', chainId: 1n, address: BOB, nonce: 3n };
const DIGEST: Intent = { operation: 'digest', digest: `0x${'00'.repeat(32)}`, purpose: 'login:web' };

describe('comparisons', () => {
  test.each<[JsonValue, boolean, boolean, boolean]>([
    // below, at, above 10
    [{ eq: '10' }, false, true, false],
    [{ lt: '10' }, true, false, false],
    [{ lte: '10' }, true, true, false],
    [{ gt: '10' }, false, false, true],
    [{ gte: '10' }, false, true, true],
    [{ in: ['10', '12'] }, false, true, false],
    [{ in: ['10'] }, false, true, false],
    [{ notIn: ['10', '12'] }, true, false, true],
    [{ gte: '9', lte: '10' }, true, true, false],
    [{ gte: '9', lte: '11', notIn: ['10'] }, true, false, true],
  ])('%j', (cmp, below, at, above) => {
    const results = [9n, 10n, 11n].map((value) => holds({ value: cmp }, { ...TRANSFER, value }));
    expect(results).toEqual([below, at, above]);
  });

  test('are exact over all of uint256', () => {
    const most = 2n ** 256n - 1n;
    expect(holds({ value: { eq: most.toString() } }, { ...TRANSFER, value: most })).toBe(true);
    expect(holds({ value: { lt: most.toString() } }, { ...TRANSFER, value: most - 1n })).toBe(true);
    expect(holds({ value: { gte: '9007199254740993' } }, { ...TRANSFER, value: 2n ** 53n })).toBe(false);
    expect(holds({ value: { eq: '1 ether' } }, { ...TRANSFER, value: ETHER })).toBe(true);
    expect(holds({ value: { eq: '1 ether' } }, { ...TRANSFER, value: ETHER + 1n })).toBe(false);
  });

  test('of the fee do not wrap: gas limit × price + 131,072 × blobs × blob price', () => {
    const huge = { ...TRANSFER, gasLimit: 2n ** 255n, maxFeePerGas: 2n };
    expect(holds({ maxTotalFee: { lte: '1 ether' } }, huge)).toBe(false);
    expect(holds({ maxTotalFee: { eq: '21000 gwei' } }, TRANSFER)).toBe(true);
    expect(holds({ maxTotalFee: { eq: '21000 gwei' } }, LEGACY)).toBe(true);
    const fee = 21_000n * GWEI + 131_072n * 3n;
    expect(holds({ maxTotalFee: { eq: fee.toString() } }, BLOB)).toBe(true);
  });
});

describe('number predicates', () => {
  test.each<[JsonValue, Transaction, boolean]>([
    [{ chainId: { eq: 31337 } }, TRANSFER, true],
    [{ chainId: { in: ['31337'] } }, TRANSFER, true],
    [{ chainId: { eq: 1 } }, TRANSFER, false],
    [{ txType: { eq: 2 } }, TRANSFER, true],
    [{ txType: { eq: 0 } }, LEGACY, true],
    [{ txType: { in: [3, 4] } }, TRANSFER, false],
    [{ nonce: { eq: 7 } }, TRANSFER, true],
    [{ gasLimit: { lte: 21000 } }, TRANSFER, true],
    [{ gasLimit: { lt: '21000' } }, TRANSFER, false],
    [{ gasPrice: { eq: '1 gwei' } }, LEGACY, true],
    [{ maxFeePerGas: { eq: '1 gwei' } }, TRANSFER, true],
    [{ maxPriorityFeePerGas: { eq: '1' } }, TRANSFER, true],
    [{ maxFeePerBlobGas: { eq: '3' } }, BLOB, true],
    // A transaction of another type has no such number: no comparison holds, and `not` of it does.
    [{ gasPrice: { gte: '0' } }, TRANSFER, false],
    [{ not: { gasPrice: { gte: '0' } } }, TRANSFER, true],
    [{ gasPrice: { notIn: ['5'] } }, TRANSFER, false],
    [{ maxFeePerGas: { gte: '0' } }, LEGACY, false],
    [{ maxFeePerBlobGas: { gte: '0' } }, TRANSFER, false],
  ])('%j', (when, transaction, expected) => {
    expect(holds(when, transaction)).toBe(expected);
  });

  test('of authorizations', () => {
    expect(holds({ chainId: { eq: 1 } }, AUTHORIZATION)).toBe(true);
    expect(holds({ nonce: { eq: 3 } }, AUTHORIZATION)).toBe(true);
    expect(holds({ nonce: { eq: 4 } }, AUTHORIZATION)).toBe(false);
  });
});

describe('to', () => {
  const creation: Transaction = { ...TRANSFER, to: null, data: '0x6000' };
  test.each<[JsonValue, boolean, boolean]>([
    // to Carol, a creation
    [{ in: [CAROL] }, true, false],
    [{ in: ['0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed'] }, true, false],
    [{ in: '$friends' }, true, false],
    [{ in: [BOB] }, false, false],
    [{ notIn: [BOB] }, true, false],
    [{ notIn: '$friends' }, false, false],
    [{ create: true }, false, true],
    [{ create: false }, true, false],
    [{ in: '$friends', notIn: [ALICE] }, true, false],
    [{ in: [CAROL], create: false }, true, false],
  ])('%j', (to, toCarol, creates) => {
    expect([holds({ to }, { ...TRANSFER, to: CAROL }), holds({ to }, creation)]).toEqual([toCarol, creates]);
  });
});

describe('lists', () => {
  const entry = { address: BOB, storageKeys: [] };
  test.each<[JsonValue, Transaction, boolean]>([
    [{ accessList: { max: 0 } }, TRANSFER, true],
    [{ accessList: { max: 0 } }, LEGACY, true],
    [{ accessList: { max: 0 } }, { ...TRANSFER, accessList: [entry] }, false],
    [{ accessList: { max: 1 } }, { ...TRANSFER, accessList: [entry] }, true],
    [{ blobs: { max: 1 } }, BLOB, true],
    [{ blobs: { max: 0 } }, BLOB, false],
    [{ blobs: { max: 0 } }, TRANSFER, true],
    [{ authorizations: { max: 1 } }, SET_CODE, true],
    [{ authorizations: { max: 0 } }, SET_CODE, false],
    [{ authorizations: { max: 0 } }, TRANSFER, true],
    [{ authorizations: { every: { address: { in: [BOB] } } } }, SET_CODE, true],
    [{ authorizations: { every: { address: { eq: ALICE } } } }, SET_CODE, false],
    [{ authorizations: { every: { address: { notIn: [BOB] } } } }, SET_CODE, false],
    [{ authorizations: { every: { chainId: { eq: 31337 } } } }, SET_CODE, true],
    [{ authorizations: { every: { chainId: { gt: 31337 } } } }, SET_CODE, false],
    [{ authorizations: { every: { chainId: { eq: 1 } } } }, TRANSFER, true],
    [
      { authorizations: { every: { chainId: { eq: 31337 } } } },
      { ...SET_CODE, authorizationList: [authorization(31337n, BOB), authorization(0n, BOB)] },
      false,
    ],
  ])('%j', (when, transaction, expected) => {
    expect(holds(when, transaction)).toBe(expected);
  });

  test('an authorization is a list of one', () => {
    expect(
      holds(
        { authorizations: { max: 1, every: { address: { in: [BOB] }, chainId: { eq: 1 } } } },
        AUTHORIZATION,
      ),
    ).toBe(true);
    expect(holds({ authorizations: { every: { address: { in: [ALICE] } } } }, AUTHORIZATION)).toBe(false);
    expect(holds({ authorizations: { max: 0 } }, AUTHORIZATION)).toBe(false);
  });
});

describe('digest', () => {
  test.each<[JsonValue, boolean]>([
    [{ eq: 'login:web' }, true],
    [{ eq: 'login' }, false],
    [{ eq: 'LOGIN:WEB' }, false],
    [{ in: ['a', 'login:web'] }, true],
    [{ in: ['a'] }, false],
    [{ prefix: 'login:' }, true],
    [{ prefix: 'web' }, false],
    [{ prefix: 'login:', in: ['login:web'] }, true],
  ])('purpose %j', (purpose, expected) => {
    expect(holds({ digest: { purpose } }, DIGEST)).toBe(expected);
  });
});

describe('all, any, not', () => {
  const yes = { nonce: { eq: 7 } };
  const no = { nonce: { eq: 8 } };
  test.each<[JsonValue, boolean]>([
    [{ all: [yes, yes] }, true],
    [{ all: [yes, { any: [no] }] }, false],
    [{ any: [no, yes] }, true],
    [{ any: [no, no] }, false],
    [{ not: no }, true],
    [{ not: yes }, false],
    [{ not: { not: yes } }, true],
    [{ not: { any: [no, no] } }, true],
    [{ all: [{ any: [no, yes] }, { not: { all: [yes, { any: [no] }] } }] }, true],
  ])('%j', (when, expected) => {
    expect(holds(when, TRANSFER)).toBe(expected);
  });
});
