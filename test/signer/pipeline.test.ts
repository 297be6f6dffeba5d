import { hash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setImmediate as tick } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CanaryAlarms } from '../../src/access/canaries.ts';
import { systemAct, type Act } from '../../src/audit/act.ts';
import type { Entry } from '../../src/audit/entry.ts';
import type { ReleaseGate } from '../../src/audit/gate.ts';
import { AuditLog } from '../../src/audit/log.ts';
import { checkSignedEntry } from '../../src/audit/verify/entry.ts';
import type { EntryFields } from '../../src/audit/verify/fields.ts';
import { asBuffer, fromHex, toHex, type Hex } from '../../src/bytes.ts';
import { CountersignError } from '../../src/errors.ts';
import type { Intent } from '../../src/intent/intent.ts';
import { digestOf, preimageOf } from '../../src/intent/preimage.ts';
import { parseIntent } from '../../src/intent/schema.ts';
import { maxTotalFee } from '../../src/intent/transaction.ts';
import type { Key, KeyVersion } from '../../src/keystore/keys.ts';
import { move } from '../../src/keystore/life-cycle.ts';
import type { Charge, Decision, PolicyRequest, Verdict } from '../../src/policy/decision.ts';
import { LimitLedger } from '../../src/policy/ledger.ts';
import { addressOf, publicKeyOf, signDigest, splitSignature } from '../../src/secp256k1.ts';
import type { CheckedSigner } from '../../src/signer/checked-signer.ts';
import type { RequestDraft } from '../../src/signer/approval-desk.ts';
import type { Custody } from '../../src/signer/custody.ts';
import { KeyService } from '../../src/signer/keys.ts';
import { NonceGuard } from '../../src/signer/nonces.ts';
import { SigningPipeline } from '../../src/signer/pipeline.ts';
import type { SignRequest } from '../../src/signer/sign-request.ts';
import type { SignAnswer } from '../../src/signer/sign-answer.ts';
import { openSqliteStorage, type Storage, type StorageTx } from '../../src/storage/sqlite/storage.ts';
import { SERVICE } from '../audit/memory-log.ts';

const PRIVATE_KEYS: { readonly [name: string]: Buffer } = {
  treasury: Buffer.alloc(32, 1),
  payroll: Buffer.alloc(32, 2),
};
const START = Date.UTC(2030, 0, 1);
const HOUR = 3_600_000;
const POLICY_HASH = 'ab'.repeat(32);
const IDENTITY = { policyRevision: 3, policyHash: POLICY_HASH };
const ALLOW: Decision = { effect: 'allow', rule: 'pay', reason: 'rule "pay" allows it', ...IDENTITY };
const DENY: Decision = { effect: 'deny', rule: 'no', reason: 'rule "no" denies it', ...IDENTITY };
const REQUIRE: Decision = {
  effect: 'require',
  rule: 'pay',
  approvals: ['big'],
  reason: 'rule "big" requires approval',
  ...IDENTITY,
};

const REQUESTER = { id: 'p1', name: 'app', roles: ['signer'] };

let folder: string;
let storage: Storage;
let log: AuditLog<StorageTx>;
let act: Act<StorageTx>;
let ledger: LimitLedger;
let pipeline: SigningPipeline<StorageTx>;
let now: number;
/** What the policy says to a request; tests put their own here. */
let judge: (request: PolicyRequest) => Verdict;
let policyHash: string;
let asked: PolicyRequest[];
let drafts: RequestDraft[];
/** Runs while the signer process would be busy. */
let whileSigning: () => unknown;
let gate: ReleaseGate;
let keys: KeyService;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'pipeline-'));
  storage = openSqliteStorage(folder, () => 'example.org/log');
  log = new AuditLog(storage, SERVICE);
  act = systemAct(log);
  now = START;
  judge = () => ({ decision: ALLOW, charges: [] });
  policyHash = POLICY_HASH;
  asked = [];
  drafts = [];
  whileSigning = () => undefined;
  gate = { requireOpen: () => undefined, covered: async () => undefined, isCovered: () => true };
  for (const name of Object.keys(PRIVATE_KEYS))
    storage.commit((tx) => tx.insertKey(keyOf(name), Buffer.of(1)));
  build();
});

afterEach(() => {
  storage.close();
  rmSync(folder, { recursive: true });
});

function keyOf(name: string): Key {
  const publicKey = publicKeyOf(PRIVATE_KEYS[name]!);
  const createdAt = '2030-01-01T00:00:00.000Z';
  const version: KeyVersion = {
    version: 1,
    address: addressOf(publicKey),
    publicKey: toHex(publicKey),
    state: 'enabled',
    origin: 'generated',
    createdAt,
  };
  const flags = { exportable: false, canary: false };
  return { id: `id-${name}`, name, tags: ['hot'], createdAt, primary: 1, ...flags, versions: [version] };
}

function build(): void {
  const custody = {
    requireUnsealed: () => undefined,
    unload: async () => undefined,
  } as unknown as Custody;
  const sign: CheckedSigner['sign'] = async ({ identity }, operation, preimage, digest) => {
    await tick();
    await whileSigning();
    expect(toHex(digestOf(operation, asBuffer(preimage)))).toBe(digest);
    return splitSignature(signDigest(fromHex(digest), PRIVATE_KEYS[identity.keyId.slice(3)]!));
  };
  ledger = new LimitLedger(storage.reads, storage.head().time, () => now);
  keys = new KeyService(storage.reads, custody);
  pipeline = new SigningPipeline<StorageTx>({
    keys,
    policy: {
      get hash() {
        return policyHash;
      },
      judge: (request) => {
        asked.push(request);
        return judge(request);
      },
    },
    ledger,
    nonces: new NonceGuard(storage.reads),
    denied: storage.reads,
    desk: {
      open: (_act, draft) => {
        drafts.push(draft);
        const request = { id: 'r1', status: 'pending', expiresAt: '2030-01-01T04:00:00.000Z', approval: {} };
        return Promise.resolve({ request });
      },
    },
    canaries: new CanaryAlarms(log),
    custody,
    signer: { sign },
    gate: {
      requireOpen: () => gate.requireOpen(),
      covered: async (index) => await gate.covered(index),
      isCovered: (index) => gate.isCovered(index),
    },
    log,
  });
}

function requestOf(intent: Intent, over: Partial<SignRequest> = {}): SignRequest {
  return {
    requestId: 'req',
    requester: REQUESTER,
    source: { address: '10.0.0.1', mtls: false },
    keyName: 'treasury',
    intent,
    ...over,
  };
}

async function sign(intent: Intent, over: Partial<SignRequest> = {}): Promise<SignAnswer> {
  return (await pipeline.sign(act, requestOf(intent, over))) as SignAnswer;
}

function transaction(over: Record<string, unknown> = {}): Intent & { operation: 'transaction' } {
  const base = { type: 2, chainId: 1, nonce: 7, to: `0x${'11'.repeat(20)}`, value: '5', gasLimit: 1 };
  return parseIntent('transaction', {
    transaction: { ...base, maxFeePerGas: '60', maxPriorityFeePerGas: '1', ...over },
  });
}

const message = (text: string): Intent => parseIntent('message', { message: text });
const data = (bytes: Hex): Intent => parseIntent('message', { data: bytes });
const digest = (bytes: Hex): Intent => parseIntent('digest', { digest: bytes, purpose: 'rollup' });
const digestFor = (intent: Intent): Hex => toHex(digestOf(intent.operation, preimageOf(intent)));

function entries(): Entry[] {
  return storage.reads
    .entries({ from: 0, limit: 1_000 })
    .map(({ bytes }) => JSON.parse(Buffer.from(bytes).toString()) as Entry);
}

const last = (): Entry => entries().at(-1)!;
const code = (expected: string): Error => expect.objectContaining({ code: expected }) as Error;

const WINDOW = { rolling: HOUR, bucket: 5 * 60_000 };

/** A limit that every request takes `amount` from. */
function charging(amount: (intent: PolicyRequest['intent']) => bigint, max = 100n): typeof judge {
  return ({ intent }) => {
    const taken = amount(intent);
    const charge: Charge = {
      limit: 'day',
      scope: 'all',
      amount: taken,
      max,
      window: WINDOW,
      onExceed: 'deny',
    };
    return { decision: ALLOW, charges: taken === 0n ? [] : [charge] };
  };
}

const usage = (reads = ledger): bigint =>
  reads.usageOf({ limit: 'day', scope: 'all', amount: 1n, max: 1n, window: WINDOW, onExceed: 'deny' });
const storedUsage = (): bigint => usage(new LimitLedger(storage.reads, '', () => now));

describe('a request to sign', () => {
  it('is asked of the policy whole, signed, and logged with what it was asked with', async () => {
    const answer = await sign(message('hi'), { source: { address: '10.0.0.1', mtls: true } });
    expect(asked).toEqual([
      {
        principal: REQUESTER,
        key: { name: 'treasury', tags: ['hot'], address: addressOfKey('treasury'), draining: false },
        intent: message('hi'),
        effects: { effects: [{ kind: 'message', text: 'hi' }] },
        source: { address: '10.0.0.1', mtls: true },
        now: START,
        breakGlass: undefined,
      },
    ]);
    expect(last()).toMatchObject({
      kind: 'sign',
      outcome: 'done',
      operation: 'message',
      signature: answer.signature,
      key: { name: 'treasury', version: 1, tags: ['hot'] },
      decision: { effect: 'allow', rule: 'pay', policyRevision: 3, policyHash: POLICY_HASH },
      detail: { mtls: true },
    });
    expect(checkSignedEntry(last() as unknown as EntryFields)).toEqual({ ok: true, digestRecomputed: true });
    expect(answer['receipt']).toMatchObject({ index: 0 });
  });

  it('signs nothing while the log could not vouch for it', async () => {
    let signed = 0;
    whileSigning = () => signed++;
    gate.requireOpen = () => {
      throw new CountersignError('unavailable', 'a required sink is behind');
    };
    await expect(sign(message('hi'))).rejects.toThrow(code('unavailable'));
    expect(signed).toBe(0);
    expect(entries()).toEqual([]);
  });

  it('shows no signature before its entry is vouched for, and logs none twice', async () => {
    const waiting = Promise.withResolvers<void>();
    const covered: number[] = [];
    gate.covered = async (index) => {
      covered.push(index);
      await waiting.promise;
    };
    const answer = sign(message('hi'));
    while (covered.length === 0) await tick();
    const early = await Promise.race([answer, tick().then(tick).then(tick).then(tick)]);
    expect(early).toBeUndefined();
    waiting.reject(new CountersignError('unavailable', 'no witness answered'));
    await expect(answer).rejects.toThrow(code('unavailable'));
    expect(covered).toEqual([0]);
    expect(entries().map(({ outcome }) => outcome)).toEqual(['done']);
  });

  it('keeps calldata that is too long for an entry beside it', async () => {
    const calldata = Buffer.alloc(20_000, 7);
    await sign(transaction({ data: toHex(calldata) }));
    const dataHash = hash('sha256', calldata, 'buffer');
    expect(last()).toMatchObject({
      intent: { transaction: { dataHash: toHex(dataHash), dataLength: 20_000 } },
    });
    expect(last()).not.toHaveProperty('beside');
    expect(Buffer.from(storage.reads.data(dataHash)!)).toEqual(calldata);
  });

  it('logs all that a decision says, numbers as decimals', async () => {
    judge = () => ({
      decision: {
        ...ALLOW,
        rules: ['pay', 'more'],
        shadow: [{ rule: 'soon', effect: 'deny' }],
      },
      charges: charging(() => 2n ** 200n, 2n ** 201n)(asked[0]!).charges,
    });
    await sign(message('hi'));
    expect(last().decision).toMatchObject({
      rules: ['pay', 'more'],
      shadow: [{ rule: 'soon', effect: 'deny' }],
      limits: [
        {
          limit: 'day',
          scope: 'all',
          amount: `${2n ** 200n}`,
          before: '0',
          after: `${2n ** 200n}`,
          max: `${2n ** 201n}`,
        },
      ],
    });
  });

  it('is an entry that fits, with the longest intent and the longest lists', async () => {
    const name = 'x'.repeat(63);
    const charges = Array.from({ length: 64 }, (_, i) => ({
      limit: `${name.slice(2)}${i + 10}`,
      scope: `${name}/${name}/${name}/${2n ** 64n}`,
      amount: 2n ** 256n - 1n,
      max: 2n ** 257n,
      window: WINDOW,
      onExceed: 'deny' as const,
    }));
    const rules = Array.from({ length: 300 }, (_, i) => `${name.slice(3)}${i + 100}`);
    const shadow = rules.map((rule) => ({ rule, effect: 'require' as const }));
    judge = () => ({ decision: { ...ALLOW, rules, shadow, reason: 'é'.repeat(100_000) }, charges });
    const body = {
      domain: { name: 'x'.repeat(47_800) },
      types: { M: [{ name: 'a', type: 'string' }] },
      primaryType: 'M',
      message: { a: '' },
    };
    await sign(parseIntent('typed-data', body), { breakGlass: '☎'.repeat(500) });
    expect(last().outcome).toBe('done');
  });

  it('says what it would ask of a key, its export included', () => {
    const question = {
      keyName: 'payroll',
      requester: REQUESTER,
      source: { address: undefined, mtls: false },
      intent: { operation: 'key.export' },
    } as const;
    expect(pipeline.ask(question)).toMatchObject({
      intent: { operation: 'key.export' },
      effects: { effects: [{ kind: 'key.export' }] },
      key: { name: 'payroll', draining: false },
    });
    expect(() => pipeline.ask({ ...question, keyName: 'nobody' })).toThrow(code('not_found'));
    expect(() => pipeline.ask({ ...question, version: 2 })).toThrow(code('not_found'));
  });

  it('gives nothing and takes nothing when the signer process fails', async () => {
    judge = charging(() => 60n);
    whileSigning = () => {
      throw new CountersignError('unavailable', 'gone');
    };
    await expect(sign(transaction())).rejects.toThrow(code('unavailable'));
    expect(last()).toMatchObject({ outcome: 'failed', detail: { code: 'unavailable', reason: 'gone' } });
    expect(last().signature).toBeUndefined();
    whileSigning = () => undefined;
    // Neither the limit nor the nonce is taken.
    await sign(transaction({ value: '6' }));
    expect(usage()).toBe(60n);
  });

  it('is not signed under a policy that was replaced meanwhile', async () => {
    judge = charging(() => 60n);
    whileSigning = () => (policyHash = 'cd'.repeat(32));
    await expect(sign(transaction())).rejects.toThrow(/policy changed while this was being signed/);
    expect(last()).toMatchObject({ outcome: 'failed', detail: { code: 'unavailable' } });
    expect(storage.reads.nonceClaim({ keyId: 'id-treasury', version: 1, chainId: '1', nonce: '7' })).toBe(
      undefined,
    );
    expect([usage(), storedUsage()]).toEqual([0n, 0n]);
  });
});

function addressOfKey(name: string): Hex {
  return addressOf(publicKeyOf(PRIVATE_KEYS[name]!));
}

describe('what was denied', () => {
  const tx = transaction();
  const deniesTransactions: typeof judge = ({ intent }) => ({
    decision: intent.operation === 'transaction' ? DENY : ALLOW,
    charges: [],
  });

  it('is logged with its digest and the decision, and thrown', async () => {
    judge = () => ({ decision: DENY, charges: [] });
    await expect(sign(tx)).rejects.toMatchObject({ code: 'policy_denied', decision: DENY });
    expect(last()).toMatchObject({
      outcome: 'denied',
      digest: digestFor(tx),
      decision: { effect: 'deny', rule: 'no' },
    });
    expect(entries()).toHaveLength(1);
  });

  const typedData = parseIntent('typed-data', {
    domain: {},
    primaryType: 'M',
    message: { a: 'b' },
    types: { M: [{ name: 'a', type: 'string' }] },
  });
  const authorization = parseIntent('authorization', {
    chainId: 1,
    address: `0x${'11'.repeat(20)}`,
    nonce: 1,
  });

  it.each([
    ['a transaction', tx],
    ['typed data', typedData],
    ['an authorization', authorization],
    ['a message', message('hi')],
  ])('is not signed as a digest either: %s', async (name, intent) => {
    judge = () => ({ decision: DENY, charges: [] });
    await expect(sign(intent)).rejects.toThrow(code('policy_denied'));
    judge = () => ({ decision: ALLOW, charges: [] });
    const reason = `it hashes to ${name} that was not allowed in entry 0`;
    await expect(sign(digest(digestFor(intent)))).rejects.toThrow(reason);
    expect(last()).toMatchObject({
      outcome: 'denied',
      decision: { effect: 'deny', reason, policyRevision: 3 },
    });
    expect(last().decision?.rule).toBeUndefined();
    await sign(digest(`0x${'5a'.repeat(32)}`));
  });

  it('is not signed as a message that is it, nor with any other key', async () => {
    judge = deniesTransactions;
    await expect(sign(tx)).rejects.toThrow(code('policy_denied'));
    const preimage = toHex(preimageOf(tx));
    for (const disguise of [data(digestFor(tx)), data(preimage), digest(digestFor(tx))]) {
      for (const keyName of ['treasury', 'payroll']) {
        await expect(sign(disguise, { keyName })).rejects.toThrow(
          /hashes to a transaction that was not allowed/,
        );
      }
    }
    await sign(data(`${preimage}00`));
    await sign(data(`0x${digestFor(tx).slice(4)}`));
  });

  it('may be signed in any form once it was signed as what it is', async () => {
    judge = deniesTransactions;
    await expect(sign(tx)).rejects.toThrow(code('policy_denied'));
    judge = () => ({ decision: ALLOW, charges: [] });
    await sign(tx);
    await sign(digest(digestFor(tx)));
    await sign(data(digestFor(tx)));
  });

  it('stays denied when another key has signed it', async () => {
    judge = deniesTransactions;
    await expect(sign(tx)).rejects.toThrow(code('policy_denied'));
    judge = () => ({ decision: ALLOW, charges: [] });
    await sign(tx, { keyName: 'payroll' });
    await expect(sign(digest(digestFor(tx)))).rejects.toThrow(/not allowed in entry 0/);
  });

  it('says what the policy says where that denies, too', async () => {
    judge = () => ({ decision: DENY, charges: [] });
    await expect(sign(tx)).rejects.toThrow(code('policy_denied'));
    await expect(sign(digest(digestFor(tx)))).rejects.toThrow(/rule "no" denies it/);
  });

  it('includes what a limit denied', async () => {
    judge = charging(({ operation }) => (operation === 'transaction' ? 101n : 0n));
    await expect(sign(tx)).rejects.toMatchObject({ decision: { effect: 'deny', limit: 'day' } });
    await expect(sign(digest(digestFor(tx)))).rejects.toThrow(/hashes to a transaction/);
    expect(usage()).toBe(0n);
  });
});

describe('a clock that was ahead and steps back', () => {
  const tx = transaction();
  const opensAt = (time: number, effect: Decision) => (request: PolicyRequest) => ({
    decision: request.now >= time ? effect : DENY,
    charges: [],
  });

  it('opens nothing that is closed by the time that it says now', async () => {
    judge = opensAt(START + HOUR, ALLOW);
    now = START + HOUR;
    await sign(tx);
    now = START;
    await expect(sign(tx)).rejects.toThrow(code('policy_denied'));
    expect(asked.map((one) => one.now)).toEqual([START + HOUR, START + HOUR, START]);
  });

  it('keeps closed what is closed by the time that it said', async () => {
    judge = ({ now: time }) => ({ decision: time > START ? DENY : ALLOW, charges: [] });
    now = START + HOUR;
    ledger.time();
    now = START;
    await expect(sign(tx)).rejects.toThrow(code('policy_denied'));
  });

  it('asks for the approvals of both', async () => {
    const other: Decision = { ...REQUIRE, approvals: ['big', 'night'] };
    judge = ({ now: time }) => ({ decision: time > START ? REQUIRE : other, charges: [] });
    now = START + HOUR;
    ledger.time();
    now = START;
    await sign(tx);
    expect(drafts[0]?.decision.approvals).toEqual(['big', 'night']);
    judge = ({ now: time }) => ({ decision: time > START ? ALLOW : REQUIRE, charges: [] });
    await sign(tx);
    expect(drafts[1]?.decision.approvals).toEqual(['big']);
  });
});

describe('what needs approval', () => {
  const tx = transaction();
  const approved = { requestId: 'r1', approvals: new Set(['big']), approvers: ['carol', 'dave'] };

  it('is not signed as a digest or a message meanwhile, nor when it was rejected', async () => {
    judge = ({ intent: { operation } }) => ({
      decision: operation === 'transaction' ? REQUIRE : ALLOW,
      charges: [],
    });
    await sign(tx);
    for (const disguise of [digest(digestFor(tx)), data(digestFor(tx)), data(toHex(preimageOf(tx)))]) {
      await expect(sign(disguise)).rejects.toThrow(
        'it hashes to a transaction that was not allowed in entry 0',
      );
    }
    await sign(tx, { approved });
    await sign(digest(digestFor(tx)));
  });

  it('goes to the desk, with a decision in the log and nothing charged', async () => {
    judge = (request) => ({ ...charging(() => 60n)(request), decision: REQUIRE });
    const answer = await pipeline.sign(
      act,
      requestOf(tx, { breakGlass: 'pager', source: { address: undefined, mtls: true } }),
    );
    expect(answer).toMatchObject({ request: { id: 'r1', status: 'pending' } });
    expect(asked[0]?.breakGlass).toBe('pager');
    expect(drafts).toEqual([
      {
        requester: { id: 'p1', name: 'app' },
        source: { address: undefined, mtls: true },
        key: { id: 'id-treasury', name: 'treasury', version: 1, address: addressOfKey('treasury') },
        intent: tx,
        digest: digestFor(tx),
        decision: expect.objectContaining({ effect: 'require', approvals: ['big'] }) as Decision,
        breakGlass: 'pager',
      },
    ]);
    expect(entries()).toHaveLength(1);
    expect(last()).toMatchObject({
      outcome: 'pending',
      decision: { effect: 'require', approvals: ['big'] },
      detail: { mtls: true, breakGlass: 'pager' },
    });
    expect(last().signature).toBeUndefined();
    expect(usage()).toBe(0n);
  });

  it('is not asked for with a key that could not sign it', async () => {
    judge = () => ({ decision: REQUIRE, charges: [] });
    storage.commit((tx) => tx.setKeyState('id-treasury', 1, ['enabled'], { state: 'disabled' }));
    build();
    await expect(sign(tx)).rejects.toThrow(code('key_state'));
    expect(last()).toMatchObject({ outcome: 'refused', detail: { code: 'key_state' } });
    expect(drafts).toEqual([]);
  });

  it('is signed once it is approved, with who asked and who approved in the log', async () => {
    judge = (request) => ({ ...charging(() => 60n)(request), decision: REQUIRE });
    const answer = await sign(tx, { approved });
    expect(answer['decision']).toEqual({ effect: 'require', rule: 'pay', policyRevision: 3 });
    expect(last()).toMatchObject({
      outcome: 'done',
      decision: { effect: 'require', approvals: ['big'], approvers: ['carol', 'dave'] },
      detail: {
        request: 'r1',
        requester: 'app',
        requesterId: 'p1',
        requesterRoles: ['signer'],
        address: '10.0.0.1',
      },
    });
    expect(usage()).toBe(60n);
    expect(drafts).toEqual([]);
  });

  it('is not signed with fewer approvals than it takes by now, nor when it is denied by now', async () => {
    judge = () => ({ decision: { ...REQUIRE, approvals: ['big', 'more'] }, charges: [] });
    await expect(sign(tx, { approved })).rejects.toThrow(/approvals that it does not have \(more\)/);
    expect(last()).toMatchObject({
      outcome: 'refused',
      detail: { code: 'approval_required', request: 'r1' },
    });
    judge = () => ({ decision: DENY, charges: [] });
    await expect(sign(tx, { approved })).rejects.toThrow(code('policy_denied'));
    judge = () => {
      const { approvals: _, ...nameless } = REQUIRE;
      return { decision: nameless, charges: [] };
    };
    await expect(sign(tx, { approved })).rejects.toThrow(code('approval_required'));
    expect(entries().some(({ signature }) => signature !== undefined)).toBe(false);
  });
});

describe('a key that changes while it signs', () => {
  const tx = transaction();

  /** Commits the change in the middle of the first signature. */
  const meanwhile = (transition: 'supersede' | 'disable'): void => {
    whileSigning = async () => {
      whileSigning = () => undefined;
      const [version] = keys.get('treasury').versions;
      const occasion = { time: '2030-01-02T00:00:00.000Z', reason: 'meanwhile' };
      const standing = move('it', version!, transition, occasion);
      await act.commit({ kind: 'rotation.cut_over', outcome: 'done' }, (writes) => {
        writes.setKeyState('id-treasury', 1, ['enabled'], standing);
        return {};
      });
    };
  };
  const kinds = (): unknown[] => entries().map(({ kind, outcome }) => [kind, outcome]);

  it('is decided about again when it begins to drain', async () => {
    judge = ({ key }) => ({ decision: key.draining ? DENY : ALLOW, charges: [] });
    meanwhile('supersede');
    await expect(sign(tx)).rejects.toThrow(code('policy_denied'));
    expect(asked.map(({ key }) => key.draining)).toEqual([false, true]);
    expect(kinds()).toEqual([
      ['rotation.cut_over', 'done'],
      ['sign', 'denied'],
    ]);
  });

  it('signs once, behind the change, where the policy allows that', async () => {
    judge = (request) => ({ ...charging(() => 60n)(request), decision: ALLOW });
    meanwhile('supersede');
    expect(await sign(tx)).toMatchObject({ operation: 'transaction' });
    expect(asked.map(({ key }) => key.draining)).toEqual([false, true]);
    expect(kinds()).toEqual([
      ['rotation.cut_over', 'done'],
      ['sign', 'done'],
    ]);
    expect(usage()).toBe(60n);
  });

  it('signs nothing behind the entry that disabled it', async () => {
    meanwhile('disable');
    await expect(sign(tx)).rejects.toThrow(code('key_state'));
    expect(kinds()).toEqual([
      ['rotation.cut_over', 'done'],
      ['sign', 'refused'],
    ]);
  });
});

describe('the limits', () => {
  it('let one of two pass that are too much together', async () => {
    judge = charging(() => 60n);
    const both = await Promise.allSettled([sign(message('a')), sign(message('b'))]);
    expect(both.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
    expect([usage(), storedUsage()]).toEqual([60n, 60n]);
  });

  it('let exactly as many pass as there is room for', async () => {
    judge = charging(() => 1n);
    const all = await Promise.allSettled(Array.from({ length: 200 }, (_, i) => sign(message(`${i}`))));
    expect(all.filter(({ status }) => status === 'fulfilled')).toHaveLength(100);
    const logged = entries();
    expect(logged.filter(({ outcome }) => outcome === 'done')).toHaveLength(100);
    expect(logged.filter(({ outcome }) => outcome === 'denied')).toHaveLength(100);
    expect([usage(), storedUsage()]).toEqual([100n, 100n]);
  });
});

describe('the limits and a nonce', () => {
  const fee = (intent: PolicyRequest['intent']): bigint =>
    intent.operation === 'transaction' ? maxTotalFee(intent.transaction) : 0n;
  const withFee = (maxFeePerGas: number, over = {}): Intent =>
    transaction({ maxFeePerGas: `${maxFeePerGas}`, ...over });

  beforeEach(() => {
    judge = charging(fee);
  });

  it('charge a replacement for what it has more', async () => {
    await sign(withFee(60));
    await sign(withFee(75));
    expect(last().decision?.limits).toEqual([
      { limit: 'day', scope: 'all', amount: '15', before: '60', after: '75', max: '100' },
    ]);
    expect([usage(), storedUsage()]).toEqual([75n, 75n]);
    await expect(sign(withFee(101))).rejects.toMatchObject({ decision: { limit: 'day' } });
    await expect(sign(withFee(30, { nonce: 8 }))).rejects.toMatchObject({ decision: { limit: 'day' } });
    await sign(withFee(25, { nonce: 8 }));
    expect(usage()).toBe(100n);
  });

  it('charge the same bytes once, and a cheaper cancel nothing', async () => {
    await sign(withFee(60));
    await sign(withFee(60));
    expect(last().decision?.limits).toBeUndefined();
    await sign(withFee(50, { to: addressOfKey('treasury'), value: '0' }));
    expect([usage(), storedUsage()]).toEqual([60n, 60n]);
    // Neither brings anything back.
    await expect(sign(withFee(41, { nonce: 8 }))).rejects.toThrow(code('policy_denied'));
  });

  it('charge a replacement whole when what it replaces has left the window', async () => {
    await sign(withFee(60));
    now += HOUR + WINDOW.bucket;
    await sign(withFee(75));
    expect(usage()).toBe(75n);
    await sign(withFee(80));
    expect(usage()).toBe(80n);
  });

  it('take nothing off for what is only being signed', async () => {
    const both = await Promise.allSettled([sign(withFee(60)), sign(withFee(75))]);
    expect(both.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    expect(usage()).toBe(60n);
  });

  it('take nothing off for a transaction that may not replace another', async () => {
    await sign(withFee(60));
    await expect(sign(withFee(75, { value: '6' }))).rejects.toMatchObject({ decision: { limit: 'day' } });
    await expect(sign(withFee(20, { value: '6' }))).rejects.toThrow(code('nonce_conflict'));
    expect(last()).toMatchObject({ outcome: 'refused', detail: { code: 'nonce_conflict' } });
    expect(usage()).toBe(60n);
    judge = () => ({ decision: ALLOW, charges: [] });
    const second = withFee(20, { value: '6' });
    await expect(sign({ operation: 'digest', digest: digestFor(second), purpose: 'any' })).rejects.toThrow(
      /hashes to a transaction that was not allowed/,
    );
  });

  const plans = fc.array(fc.record({ nonce: fc.nat(2), price: fc.integer({ min: 1, max: 50 }) }), {
    maxLength: 12,
  });
  let chainId = 10;

  /** Signs on a chain of its own; the answer is what was taken, and the sum of the most that was signed for each nonce. */
  async function signAll(
    plan: readonly { readonly nonce: number; readonly price: number }[],
    together: boolean,
  ): Promise<{ taken: bigint; most: bigint }> {
    chainId++;
    const before = usage();
    const most = new Map<number, number>();
    const attempt = async ({ nonce, price }: (typeof plan)[number]): Promise<void> => {
      await sign(withFee(price, { nonce, chainId }));
      most.set(nonce, Math.max(most.get(nonce) ?? 0, price));
    };
    const results = together ? await Promise.allSettled(plan.map(attempt)) : [];
    for (const each of together ? [] : plan) results.push(...(await Promise.allSettled([attempt(each)])));
    const refused = results.flatMap((each) => (each.status === 'rejected' ? [each.reason as unknown] : []));
    expect(refused).toEqual(refused.map(() => code('nonce_conflict')));
    expect(storedUsage()).toBe(usage());
    return {
      taken: usage() - before,
      most: BigInt([...most.values()].reduce((sum, price) => sum + price, 0)),
    };
  }

  it('hold the most expensive of what was signed for each nonce', async () => {
    judge = charging(fee, 1_000_000n);
    await fc.assert(
      fc.asyncProperty(plans, async (plan) => {
        const { taken, most } = await signAll(plan, false);
        expect(taken).toBe(most);
      }),
      { numRuns: 40 },
    );
  });

  it('hold as much or more when all is signed at once', async () => {
    judge = charging(fee, 1_000_000n);
    await fc.assert(
      fc.asyncProperty(plans, async (plan) => {
        const { taken, most } = await signAll(plan, true);
        expect(taken).toBeGreaterThanOrEqual(most);
      }),
      { numRuns: 40 },
    );
  });
});

describe('a place among those that wait for a signature', () => {
  it.each([
    ['denied', DENY],
    ['to be approved', REQUIRE],
  ])('is given back before it is on disk that it is %s', async (_, decision) => {
    judge = () => ({ decision, charges: [] });
    const sizes: number[] = [];
    const turn = { made: () => void sizes.push(log.size) };
    const before = log.size;
    await sign(message('x'), { turn }).catch(() => undefined);
    expect(sizes).toEqual([before]);
    expect(log.size).toBeGreaterThan(before);
  });
});
