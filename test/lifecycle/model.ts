import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import { CanaryAlarms } from '../../src/access/canaries.ts';
import { systemAct, type Act } from '../../src/audit/act.ts';
import type { Entry } from '../../src/audit/entry.ts';
import { AuditLog } from '../../src/audit/log.ts';
import { fromHex } from '../../src/bytes.ts';
import { CountersignError } from '../../src/errors.ts';
import { parseIntent } from '../../src/intent/schema.ts';
import type { AskedTransition, KeyVersionState } from '../../src/keystore/life-cycle.ts';
import { LimitLedger } from '../../src/policy/ledger.ts';
import { isSignatureOf } from '../../src/secp256k1.ts';
import { CheckedSigner, type CheckedSignerParts } from '../../src/signer/checked-signer.ts';
import { Custody } from '../../src/signer/custody.ts';
import type { NewKeyring } from '../../src/signer/sealed-key.ts';
import { Destruction } from '../../src/signer/destruction.ts';
import { KeyService } from '../../src/signer/keys.ts';
import { NonceGuard } from '../../src/signer/nonces.ts';
import { SigningPipeline } from '../../src/signer/pipeline.ts';
import type { SignerSupervisor } from '../../src/signer/supervisor.ts';
import { openSqliteStorage, type Storage, type StorageTx } from '../../src/storage/sqlite/storage.ts';
import { makeDirectory } from '../service.ts';

/** A key of one version, as the design has it; it knows nothing of the code's table. */
interface Model {
  state: Exclude<KeyVersionState, 'pending' | 'draining'>;
  compromised: boolean;
  destroyAt: number;
  used: boolean;
  /** What is sealed of it, to be looked for once it is destroyed. */
  readonly sealed: Buffer;
}

export type Operation =
  | { readonly do: 'create' | 'sign'; readonly key: string }
  | { readonly do: 'change'; readonly key: string; readonly to: AskedTransition; readonly days: number }
  | { readonly do: 'advance'; readonly days: number }
  | { readonly do: 'destroy' | 'restart' };

const DAY_MS = 86_400_000;
const START = Date.parse('2030-01-01T00:00:00.000Z');
/** One signer process for all, and the keyring that it has. */
export interface Signer {
  readonly supervisor: SignerSupervisor;
  readonly keyring: NewKeyring;
}

export const SEAL = { type: 'file' } as const;
export const SECRET = randomBytes(32);
const ALLOW = {
  effect: 'allow',
  rule: 'all',
  policyRevision: 1,
  policyHash: 'h',
  reason: 'allowed',
} as const;
const REQUESTER = { id: 'p1', name: 'app', roles: ['signer'] };
const INTENT = parseIntent('message', { message: 'hello' });

/** As the checker does, in this thread. */
const CHECKER: CheckedSignerParts['checker'] = {
  requireReady: () => undefined,
  check: async (digest, signature, publicKey) =>
    isSignatureOf(fromHex(publicKey), fromHex(digest), signature),
};

/** The real parts on a directory. The signer process is one for all: what a start finds in it is sealed anew. */
async function open({ supervisor, keyring }: Signer, directory: string, now: () => Date) {
  const storage: Storage = openSqliteStorage(directory, () => 'example.org/log');
  const log = new AuditLog<StorageTx>(storage, { node: 'n', version: '0' });
  const act: Act<StorageTx> = systemAct(log);
  const custody = new Custody(supervisor);
  await custody.seal();
  await custody.unseal(keyring.config, Buffer.from(SECRET), keyring.sealed);
  const keys = new KeyService(storage.reads, custody, now);
  const destruction = new Destruction({
    reads: storage.reads,
    directory: keys.directory,
    act,
    forget: async (each, version) => await keys.forget(each, version),
    flushErased: () => storage.flushErased(),
  });
  const pipeline = new SigningPipeline<StorageTx>({
    keys,
    policy: { hash: ALLOW.policyHash, judge: () => ({ decision: ALLOW, charges: [] }) },
    ledger: new LimitLedger(storage.reads, storage.head().time),
    nonces: new NonceGuard(storage.reads),
    denied: storage.reads,
    desk: { open: () => Promise.reject(new Error('nothing needs approval')) },
    canaries: new CanaryAlarms(log),
    custody,
    signer: new CheckedSigner({ custody, checker: CHECKER, supervisor }),
    gate: { requireOpen: () => undefined, covered: async () => undefined, isCovered: () => true },
    log,
  });
  return { storage, act, keys, destruction, pipeline };
}

/** Where a change leads, and undefined where it is refused. */
function reference({ state, compromised }: Model, to: AskedTransition): Model['state'] | undefined {
  switch (to) {
    case 'disable':
      return state === 'enabled' ? 'disabled' : undefined;
    case 'enable':
      return state === 'disabled' ? 'enabled' : undefined;
    case 'compromise':
      return state === 'compromised' || state === 'destroyed' ? undefined : 'compromised';
    case 'schedule_destruction':
      return state === 'disabled' || state === 'compromised' ? 'destroy_scheduled' : undefined;
    case 'cancel_destruction':
    default:
      if (state !== 'destroy_scheduled') return undefined;
      return compromised ? 'compromised' : 'disabled';
  }
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'done';
  } catch (error) {
    if (error instanceof CountersignError) return error.code;
    throw error;
  }
}

function bytesOf(directory: string): Buffer {
  const files = readdirSync(directory).filter((name) => name.startsWith('countersign.db'));
  return Buffer.concat(files.map((name) => readFileSync(path.join(directory, name))));
}

/** What was reached, so that a search that reaches nothing is seen. */
export const reached = new Map<string, number>();

function note(what: string): void {
  reached.set(what, (reached.get(what) ?? 0) + 1);
}

/** Does all of it, and after each compares everything with the reference. */
export async function tryOut(signer: Signer, operations: readonly Operation[]): Promise<void> {
  const directory = makeDirectory();
  const model = new Map<string, Model>();
  let now = START;
  const clock = (): Date => new Date(now);
  let parts = await open(signer, directory, clock);

  const entries = (from: number): Entry[] =>
    parts.storage.reads
      .entries({ from, limit: 100 })
      .map(({ bytes }) => JSON.parse(Buffer.from(bytes).toString()) as Entry);

  const take = async (op: Operation): Promise<void> => {
    const { keys, act, pipeline } = parts;
    const before = parts.storage.head().frontier.size;
    switch (op.do) {
      case 'create': {
        const known = model.has(op.key);
        const made = await codeOf(keys.create(act, { name: op.key, tags: [] }));
        expect(made).toBe(known ? 'conflict' : 'done');
        if (known) return;
        const sealed = Buffer.from(parts.storage.reads.sealedKey(keys.get(op.key).id, 1));
        model.set(op.key, { state: 'enabled', compromised: false, destroyAt: 0, used: false, sealed });
        return;
      }
      case 'sign': {
        const asked = model.get(op.key);
        const request = {
          requestId: 'r',
          requester: REQUESTER,
          source: { address: '10.0.0.1', mtls: false },
          keyName: op.key,
          intent: INTENT,
        };
        const code = await codeOf(pipeline.sign(act, request));
        if (asked === undefined) {
          expect(code).toBe('not_found');
          return;
        }
        expect(code).toBe(asked.state === 'enabled' ? 'done' : 'key_state');
        if (asked.state === 'enabled') asked.used = true;
        note(`sign ${asked.state}`);
        const added = entries(before);
        expect(added.filter(({ kind }) => kind === 'sign').map(({ outcome }) => outcome)).toEqual([
          asked.state === 'enabled' ? 'done' : 'refused',
        ]);
        const alerts = added.filter(({ kind }) => kind === 'alert.destruction_pending_used');
        expect(alerts.length).toBe(asked.state === 'destroy_scheduled' ? 1 : 0);
        return;
      }
      case 'change': {
        const { to, days } = op;
        const asked = model.get(op.key);
        const change = { transition: to, reason: 'model', ...(to === 'schedule_destruction' && { days }) };
        const code = await codeOf(keys.states.change(act, op.key, 1, change));
        if (asked === undefined) {
          expect(code).toBe('not_found');
          return;
        }
        const target = reference(asked, to);
        expect(code).toBe(target === undefined ? 'key_state' : 'done');
        const [entry, ...more] = entries(before);
        expect(more).toEqual([]);
        expect(entry?.outcome).toBe(target === undefined ? 'refused' : 'done');
        expect(entry?.detail).toMatchObject({ transition: to, from: asked.state, reason: 'model' });
        if (target === undefined) return;
        note(`${to} ${asked.state}`);
        asked.state = target;
        asked.compromised ||= to === 'compromise';
        if (to === 'schedule_destruction') asked.destroyAt = now + days * DAY_MS;
        return;
      }
      case 'advance':
        now += op.days * DAY_MS;
        return;
      case 'destroy': {
        await parts.destruction.tick(clock());
        const due = [...model.values()].filter(
          ({ state, destroyAt }) => state === 'destroy_scheduled' && destroyAt <= now,
        );
        for (const each of due) each.state = 'destroyed';
        expect(entries(before).map(({ kind }) => kind)).toEqual(due.map(() => 'key.destroyed'));
        const bytes = bytesOf(directory);
        for (const { state, sealed } of model.values())
          expect(bytes.includes(sealed)).toBe(state !== 'destroyed');
        if (due.length > 0) note('destroyed');
        return;
      }
      case 'restart':
        parts.storage.close();
        parts = await open(signer, directory, clock);
        note('restart');
    }
  };

  try {
    for (const op of operations) {
      await take(op);
      const { keys, storage } = parts;
      const kept = storage.reads.keys();
      expect(kept).toEqual(kept.map(({ name }) => keys.get(name)));
      expect(kept.map(({ name }) => name)).toEqual([...model.keys()].toSorted());
      for (const { id, name, primary, versions } of kept) {
        const { state, compromised, destroyAt, used } = model.get(name)!;
        const [version] = versions;
        expect({ primary, versions: versions.length, state: version?.state }).toEqual({
          primary: 1,
          versions: 1,
          state,
        });
        expect(version?.lastUsedAt !== undefined).toBe(used);
        expect(version?.compromisedAt !== undefined).toBe(compromised);
        const due = state === 'destroy_scheduled' ? new Date(destroyAt).toISOString() : undefined;
        expect(version?.destroyAt).toBe(due);
        expect(version?.destroyedAt !== undefined).toBe(state === 'destroyed');
        const sealed = await codeOf((async () => storage.reads.sealedKey(id, 1))());
        expect(sealed).toBe(state === 'destroyed' ? 'key_state' : 'done');
      }
    }
  } finally {
    parts.storage.close();
  }
}
