import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { EntryDecision } from '../../src/audit/entry.ts';
import { toHex, type Hex } from '../../src/bytes.ts';
import { encodeCall } from '../../src/effects/abi-encode.ts';
import { parseFunction } from '../../src/effects/abi-signature.ts';
import { intentToJson } from '../../src/intent/codec.ts';
import type { FeeMarketTransaction, Intent } from '../../src/intent/intent.ts';
import { digestOf, preimageOf } from '../../src/intent/preimage.ts';
import type { JsonValue } from '../../src/jcs.ts';
import { loadPolicy, type CompiledPolicy } from '../../src/policy/policy.ts';
import { createReplay, type Difference } from '../../src/policy/replay.ts';

const ALICE: Hex = '0x00000000000000000000000000000000000000aa';
const BOB = '0x1111111111111111111111111111111111111111';
const USDC: Hex = '0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48';
const START = Date.parse('2026-11-20T10:00:00Z');
const MINUTE = 60_000;

function policy({
  max = '1000000',
  cap = '1000',
  onExceed = 'deny',
  rolling = '10m',
  more = '',
}: { max?: string; cap?: string; onExceed?: string; rolling?: string; more?: string } = {}): CompiledPolicy {
  return loadPolicy(
    `apiVersion: countersign/policy/v1
revision: 2
tokens: { usdc: { chain: 1, address: "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48", standard: erc20, decimals: 6 } }
approvals: { big: { all: [{ role: approver, m: 1 }] }, other: { all: [{ role: operator, m: 1 }] } }
limits:
  usdc: { meter: { token: usdc, include: [transfer] }, per: [principal], window: { rolling: ${rolling}, bucket: 1m }, max: "${max}", onExceed: ${onExceed} }
rules:
  - id: pay
    effect: allow
    principals: { roles: [signer] }
    keys: { tags: [hot] }
    operations: [transaction]
    when: { all: [{ chainId: { eq: 1 } }, { token: { token: usdc, action: transfer, amount: { lte: "${cap}" } } }, { maxTotalFee: { lte: "1 ether" } }] }
  - id: talk
    effect: allow
    principals: { roles: [signer] }
    keys: { tags: [hot] }
    operations: [message]
  - id: digests
    effect: allow
    principals: { roles: [signer] }
    keys: { tags: [hot] }
    operations: [digest]
    when: { digest: { purpose: { eq: any } } }
${more}`,
    'candidate.yaml',
  );
}

const TRANSFER = parseFunction('transfer(address,uint256)');

function pay(amount: bigint, nonce = 0n): Intent {
  const transaction: FeeMarketTransaction = {
    type: 2,
    chainId: 1n,
    nonce,
    to: USDC,
    value: 0n,
    data: encodeCall(TRANSFER, [BOB, amount]),
    gasLimit: 60_000n,
    maxFeePerGas: 1_000_000_000n,
    maxPriorityFeePerGas: 1n,
    accessList: [],
  };
  return { operation: 'transaction', transaction };
}

type Entry = { [name: string]: JsonValue };

let counter = 0;

/** A sign entry as the service writes it. */
function entry(
  intent: Intent,
  decision: Partial<EntryDecision> & { effect: EntryDecision['effect'] },
  more: Entry = {},
  minute = 0,
): Entry {
  const outcomes = { allow: 'done', deny: 'denied', require: 'pending' };
  return {
    v: 1,
    index: counter++,
    time: new Date(Math.round(START + minute * MINUTE)).toISOString(),
    kind: 'sign',
    outcome: outcomes[decision.effect],
    actor: { principal: 'payroll', principalId: 'p-1', roles: ['signer'], address: '10.1.1.1' },
    requestId: 'r',
    key: { name: 'hot-1', version: 1, address: ALICE, tags: ['hot'] },
    operation: intent.operation,
    intent: intentToJson(intent),
    digest: toHex(digestOf(intent.operation, preimageOf(intent))),
    decision: {
      policyRevision: 1,
      policyHash: 'aa',
      reason: 'as it was',
      ...decision,
    } as unknown as JsonValue,
    ...more,
  };
}

function effects(candidate: CompiledPolicy, entries: readonly Entry[]): (string | undefined)[] {
  const replay = createReplay(candidate);
  return entries.map((each) => replay.feed(each)?.after.effect);
}

describe('what is fed', () => {
  test('differs where the effect does', () => {
    const replay = createReplay(policy());
    const differences = [
      entry(pay(1000n), { effect: 'allow', rule: 'old' }),
      entry(pay(1001n, 1n), { effect: 'allow', rule: 'old' }),
      entry(pay(1n, 2n), { effect: 'deny', rule: 'no' }),
      entry(pay(1n, 3n), { effect: 'require', rule: 'old', approvals: ['big'] }),
    ].map((each) => replay.feed(each));
    expect(differences[0]).toBeUndefined();
    expect(differences[1]).toMatchObject({
      time: '2026-11-20T10:00:00.000Z',
      principal: 'payroll',
      key: 'hot-1',
      operation: 'transaction',
      before: { effect: 'allow', rule: 'old' },
      after: { effect: 'deny' },
    } satisfies Partial<Record<keyof Difference, unknown>>);
    expect(differences[1]?.after.reason).toContain('token.amount');
    expect(differences[2]).toMatchObject({
      before: { effect: 'deny', rule: 'no' },
      after: { effect: 'allow', rule: 'pay' },
    });
    expect(differences[3]).toMatchObject({ before: { effect: 'require' }, after: { effect: 'allow' } });
    expect(replay.summary()).toEqual({ evaluated: 4, changed: 3, skipped: 0, reasons: {} });
  });

  test('differs where other approvals are asked for', () => {
    const rule = `  - { id: ask, effect: require, operations: [transaction], approval: other }`;
    const candidate = policy({ more: rule });
    expect(
      effects(candidate, [
        entry(pay(1n), { effect: 'require', approvals: ['other'] }),
        entry(pay(1n), { effect: 'require', approvals: ['big'] }),
        entry(pay(1n), { effect: 'require', approvals: ['big', 'other'] }),
      ]),
    ).toEqual([undefined, 'require', 'require']);
  });

  test('is asked with what was known then', () => {
    const only = (part: string) =>
      policy({ more: `  - { id: no, effect: deny, operations: [transaction], ${part} }` });
    const log = [entry(pay(1n), { effect: 'allow' }, { detail: { mtls: true } })];
    expect(effects(only('principals: { ids: [p-1] }'), log)).toEqual(['deny']);
    expect(effects(only('principals: { ids: [p-2] }'), log)).toEqual([undefined]);
    expect(effects(only('source: { cidr: [10.1.0.0/16] }'), log)).toEqual(['deny']);
    expect(effects(only('source: { cidr: [10.2.0.0/16] }'), log)).toEqual([undefined]);
    expect(effects(only('source: { mtls: true }'), log)).toEqual(['deny']);
    expect(effects(only('source: { mtls: false }'), log)).toEqual([undefined]);
    expect(effects(only('keys: { names: [hot-1] }'), log)).toEqual(['deny']);
    const window = (from: string, to: string) =>
      only(`windows: [{ tz: UTC, days: [fri], from: "${from}", to: "${to}" }]`);
    expect(effects(window('10:00', '10:01'), log)).toEqual(['deny']);
    expect(effects(window('10:01', '10:02'), log)).toEqual([undefined]);
  });

  test('is asked with the reason that was given for break-glass, and for the version of the key', () => {
    const glass =
      'breakGlass: { approval: big, principals: { roles: [signer] }, keys: { tags: [hot] }, operations: [transaction] }';
    const detail = { breakGlass: 'fire' };
    expect(effects(policy({ more: glass }), [entry(pay(5000n), { effect: 'deny' }, { detail })])).toEqual([
      'require',
    ]);
    expect(effects(policy({ more: glass }), [entry(pay(5000n), { effect: 'deny' })])).toEqual([undefined]);
    const key = { name: 'hot-1', address: ALICE, tags: ['hot'], draining: true };
    expect(effects(policy(), [entry(pay(1n), { effect: 'allow' }, { key })])).toEqual(['deny']);
  });

  test('is asked for the requester of an approved request, not for whoever carried it out', () => {
    const detail = {
      request: 'q-1',
      requester: 'payroll',
      requesterId: 'p-1',
      requesterRoles: ['signer'],
      address: '10.1.1.1',
    };
    const actor = { principal: 'boss', principalId: 'p-9', roles: ['approver'], address: '10.9.9.9' };
    const done = entry(
      pay(1n),
      { effect: 'require', approvals: ['big'] },
      { outcome: 'done', actor, detail },
    );
    const candidate = policy({
      more: `  - { id: ask, effect: require, operations: [transaction], source: { cidr: [10.1.0.0/16] }, approval: big }`,
    });
    expect(effects(candidate, [done])).toEqual([undefined]);
  });

  test.each<[string, Entry, string]>([
    ['another kind', { kind: 'service.started' }, 'it is no request to sign'],
    ['no decision', { decision: null }, 'it was not decided'],
    ['an unknown operation', { operation: 'key.export' }, 'its operation is not known'],
    [
      'data by hash',
      { intent: { transaction: { chainId: '1', dataHash: '0xaa', dataLength: 20000 } } },
      'its data is kept by its hash only',
    ],
    [
      'a message by hash',
      { operation: 'message', intent: { dataHash: '0xaa', dataLength: 20000 } },
      'its data is kept by its hash only',
    ],
    [
      'an intent that is none',
      { intent: { transaction: { chainId: '1' } } },
      'its intent is not valid in this version',
    ],
    [
      'an entry without roles',
      { actor: { principal: 'payroll' } },
      'it does not say who asked with which roles',
    ],
    ['an entry without address', { key: { name: 'hot-1' } }, 'it does not name its key'],
    [
      'an approved request without requester',
      { detail: { request: 'q' } },
      'it does not say who asked with which roles',
    ],
  ])('is skipped where it is %s', (_, more, reason) => {
    const replay = createReplay(policy());
    expect(replay.feed({ ...entry(pay(1n), { effect: 'deny' }), ...more })).toBeUndefined();
    expect(replay.summary()).toEqual({ evaluated: 0, changed: 0, skipped: 1, reasons: { [reason]: 1 } });
    expect(() => replay.warm({ ...entry(pay(1n), { effect: 'deny' }), ...more })).not.toThrow();
  });
});

describe('what is charged', () => {
  const candidate = policy({ max: '1000' });

  test('is what the candidate allows, in its windows', () => {
    const log = [0, 5, 9, 11, 12].map((minute, index) =>
      entry(pay(600n, BigInt(index)), { effect: 'allow' }, {}, minute),
    );
    // The bucket of minute 0 ends with minute 1, and leaves a window of ten minutes with minute 11.
    expect(effects(candidate, log)).toEqual([undefined, 'deny', 'deny', undefined, 'deny']);
  });

  test('is what comes before, when it is warmed', () => {
    const replay = createReplay(candidate);
    replay.warm(entry(pay(600n), { effect: 'allow' }));
    expect(replay.summary()).toMatchObject({ evaluated: 0 });
    expect(replay.feed(entry(pay(600n, 1n), { effect: 'allow' }, {}, 1))?.after.effect).toBe('deny');
  });

  test('is what was denied then and would be signed', () => {
    const log = [entry(pay(600n), { effect: 'deny' }), entry(pay(600n, 1n), { effect: 'allow' })];
    expect(effects(candidate, log)).toEqual(['allow', 'deny']);
  });

  test('is not what came to nothing', () => {
    for (const outcome of ['refused', 'failed']) {
      const log = [
        entry(pay(600n), { effect: 'allow' }, { outcome }),
        entry(pay(600n, 1n), { effect: 'allow' }),
      ];
      expect(effects(candidate, log)).toEqual([undefined, undefined]);
    }
  });

  test('is what needs approval only where it was given', () => {
    const asking = policy({
      max: '1000',
      more: '  - { id: ask, effect: require, operations: [transaction], approval: big }',
    });
    const require = { effect: 'require', approvals: ['big'] } as const;
    const waiting = entry(pay(600n), require);
    const given = { outcome: 'done' };
    expect(effects(asking, [waiting, waiting, waiting])).toEqual([undefined, undefined, undefined]);
    expect(effects(asking, [entry(pay(600n), require, given), entry(pay(600n, 1n), require, given)])).toEqual(
      [undefined, 'deny'],
    );
  });

  test('is charged once where it needs no approval any more', () => {
    const require = { effect: 'require', approvals: ['big'] } as const;
    const message: Intent = { operation: 'message', data: '0x61' };
    const counting = loadPolicy(
      `apiVersion: countersign/policy/v1
revision: 2
limits: { calls: { meter: count, window: { rolling: 10m, bucket: 1m }, max: 2, onExceed: deny } }
rules:
  - { id: talk, effect: allow, principals: { roles: [signer] }, keys: { names: ["*"] }, operations: [message] }
`,
      'candidate.yaml',
    );
    const detail = { request: 'q', requester: 'payroll', requesterId: 'p-1', requesterRoles: ['signer'] };
    const log = [
      entry(message, require),
      entry(message, require, { outcome: 'done', detail }),
      entry(message, { effect: 'allow' }),
      entry(message, { effect: 'allow' }),
    ];
    expect(effects(counting, log)).toEqual(['allow', undefined, undefined, 'deny']);
  });

  test('is charged once where one transaction takes the place of another', () => {
    const log = [
      entry(pay(600n), { effect: 'allow' }),
      entry(pay(600n), { effect: 'allow' }, {}, 1),
      entry(pay(600n, 1n), { effect: 'allow' }, {}, 2),
    ];
    expect(effects(candidate, log)).toEqual([undefined, undefined, 'deny']);
  });

  test('is charged in full where nobody has said that it takes the place of another', () => {
    const log = [entry(pay(600n), { effect: 'allow' }), entry(pay(500n), { effect: 'deny' })];
    expect(effects(candidate, log)).toEqual([undefined, undefined]);
  });

  test('is each principal’s own where the limit says so', () => {
    const actor = { principal: 'other', principalId: 'p-2', roles: ['signer'] };
    const log = [
      entry(pay(600n), { effect: 'allow' }),
      entry(pay(600n, 1n), { effect: 'allow' }, { actor }),
      entry(pay(600n, 2n), { effect: 'allow' }),
    ];
    expect(effects(candidate, log)).toEqual([undefined, undefined, 'deny']);
  });
});

test('a digest of what the candidate denies is denied', () => {
  const denied = entry(pay(5000n), { effect: 'allow' });
  const digest: Intent = { operation: 'digest', digest: denied['digest'] as Hex, purpose: 'any' };
  const bytes: Intent = { operation: 'message', data: denied['digest'] as Hex };
  const preimage: Intent = { operation: 'message', data: toHex(preimageOf(pay(5000n))) };
  const other: Intent = { operation: 'message', data: toHex(preimageOf(pay(5001n))) };
  const allowed = { effect: 'allow' } as const;
  expect(
    effects(policy(), [
      entry(digest, allowed),
      denied,
      entry(digest, allowed),
      entry(bytes, allowed),
      entry(preimage, allowed),
      entry(other, allowed),
    ]),
  ).toEqual([undefined, 'deny', 'deny', 'deny', 'deny', undefined]);
});

test('a digest of what waits for approval is denied until that is signed', () => {
  const require = { effect: 'require', approvals: ['big'] } as const;
  const pending = entry(pay(5n), require);
  const digest: Intent = { operation: 'digest', digest: pending['digest'] as Hex, purpose: 'any' };
  const log = [
    pending,
    entry(digest, { effect: 'allow' }),
    entry(pay(5n), require, { outcome: 'done' }),
    entry(digest, { effect: 'allow' }),
  ];
  expect(effects(policy({ max: '4', onExceed: '{ approval: big }' }), log)).toEqual([
    undefined,
    'deny',
    undefined,
    undefined,
  ]);
});

test('a digest of what was denied and is signed in the end is not', () => {
  const again = entry(pay(600n, 1n), { effect: 'deny' });
  const digest: Intent = { operation: 'digest', digest: again['digest'] as Hex, purpose: 'any' };
  const log = [
    entry(pay(600n), { effect: 'allow' }),
    again,
    entry(digest, { effect: 'deny' }),
    entry(pay(600n, 1n), { effect: 'allow' }, {}, 20),
    entry(digest, { effect: 'allow' }, {}, 20),
  ];
  expect(effects(policy({ max: '1000' }), log)).toEqual(log.map(() => undefined));
});

interface Payment {
  readonly amount: bigint;
  readonly principal: string;
  readonly time: number;
}

/** The limit by the book: what was signed, bucket by bucket, as long as the bucket's end is in the window. */
function decideAll(payments: readonly Payment[], max: bigint, cap: bigint, rolling: number): string[] {
  const signed: { principal: string; amount: bigint; end: number }[] = [];
  return payments.map(({ amount, principal, time }) => {
    const used = signed
      .filter((one) => one.principal === principal && one.end > time - rolling)
      .reduce((sum, one) => sum + one.amount, 0n);
    if (amount > cap || (amount > 0n && used + amount > max)) return 'deny';
    signed.push({ principal, amount, end: time - (time % MINUTE) + MINUTE });
    return 'allow';
  });
}

test('decisions are those of a ledger that is summed up anew each time', () => {
  const payment = fc.record({
    amount: fc.bigInt({ min: 0n, max: 1200n }),
    principal: fc.constantFrom('one', 'two'),
    gap: fc.integer({ min: 0, max: 3 * MINUTE }),
  });
  fc.assert(
    fc.property(fc.array(payment, { maxLength: 40 }), fc.bigInt({ min: 1n, max: 4000n }), (list, max) => {
      let time = START;
      const payments = list.map(({ gap, ...rest }) => ({ ...rest, time: (time += gap) }));
      const before = decideAll(payments, 2000n, 1000n, 10 * MINUTE);
      const after = decideAll(payments, max, 900n, 5 * MINUTE);
      const log = payments.map(({ amount, principal, time: at }, index) => {
        const effect = before[index] === 'allow' ? 'allow' : 'deny';
        const actor = { principal, principalId: principal, roles: ['signer'] };
        return entry(pay(amount, BigInt(index)), { effect }, { actor }, (at - START) / MINUTE);
      });
      const expected = after.map((effect, index) => (effect === before[index] ? undefined : effect));
      expect(effects(policy({ max: `${max}`, cap: '900', rolling: '5m' }), log)).toEqual(expected);
      expect(effects(policy({ max: '2000' }), log).every((each) => each === undefined)).toBe(true);
    }),
    { numRuns: 100 },
  );
});
