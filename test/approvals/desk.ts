import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setImmediate as tick } from 'node:timers/promises';
import { expect } from 'vitest';
import { CanaryAlarms } from '../../src/access/canaries.ts';
import { newCertificateCredential, newCredential, type Caller } from '../../src/access/credentials.ts';
import type { Principal } from '../../src/access/principals.ts';
import type { Role } from '../../src/access/roles.ts';
import { ApprovalService } from '../../src/approvals/approvals.ts';
import { RequestBook } from '../../src/approvals/book.ts';
import { ProposalService } from '../../src/approvals/proposals.ts';
import type { SigningRequest } from '../../src/approvals/request.ts';
import { SecondFactor } from '../../src/approvals/second-factor.ts';
import { systemAct, type Act } from '../../src/audit/act.ts';
import type { Entry } from '../../src/audit/entry.ts';
import { AuditLog } from '../../src/audit/log.ts';
import { fromHex, toHex } from '../../src/bytes.ts';
import { CountersignError } from '../../src/errors.ts';
import type { Intent } from '../../src/intent/intent.ts';
import { parseIntent } from '../../src/intent/schema.ts';
import type { Key, KeyVersion } from '../../src/keystore/keys.ts';
import { generateKeyring } from '../../src/keystore/keyring.ts';
import { LimitLedger } from '../../src/policy/ledger.ts';
import { loadPolicy, PolicyInForce } from '../../src/policy/policy.ts';
import { addressOf, publicKeyOf, signDigest, splitSignature } from '../../src/secp256k1.ts';
import type { CheckedSigner } from '../../src/signer/checked-signer.ts';
import type { Custody } from '../../src/signer/custody.ts';
import { KeyService } from '../../src/signer/keys.ts';
import { NonceGuard } from '../../src/signer/nonces.ts';
import { SigningPipeline } from '../../src/signer/pipeline.ts';
import type { SignRequest } from '../../src/signer/sign-request.ts';
import { matchTotp, newTotp } from '../../src/signer/process/totp.ts';
import { Vault } from '../../src/signer/process/vault.ts';
import { openSqliteStorage, type Storage, type StorageTx } from '../../src/storage/sqlite/storage.ts';
import { SERVICE } from '../audit/memory-log.ts';

/** Everything behind the routes of requests and proposals, on a real database; only the signer process is in this one. */
export interface Desk {
  readonly storage: Storage;
  readonly log: AuditLog<StorageTx>;
  readonly act: Act<StorageTx>;
  readonly approvals: ApprovalService;
  readonly proposals: ProposalService;
  readonly secondFactor: SecondFactor;
  readonly policy: PolicyInForce;
  readonly keys: KeyService;
  readonly pipeline: SigningPipeline<StorageTx>;
  /** Milliseconds since 1970: set it to let time pass, or step back. */
  now: number;
  /** Runs while the signer process would be busy. */
  whileSigning: () => unknown;
  sealed: boolean;
  /** A new principal with a token; the caller that it is with it. */
  principal(
    name: string,
    roles: readonly Role[],
    credential?: 'token' | 'certificate' | 'none',
  ): Promise<Caller>;
  change(caller: Caller, change: { roles?: readonly Role[]; state?: Principal['state'] }): Promise<void>;
  setKeyState(to: 'enabled' | 'disabled'): Promise<void>;
  /** Asks for a signature: the id of the request that waits. */
  ask(requester: Caller, intent?: Intent, more?: Partial<SignRequest>): Promise<string>;
  request(id: string): SigningRequest;
  /** Gives a principal a second factor; the secret, for `codeOf`. */
  enrol(caller: Caller): Promise<string>;
  entries(...kinds: string[]): Entry[];
  /** Signatures that were logged, and so may have left. */
  signed(): Entry[];
  /** A new process on the same directory, after a crash. */
  restart(): void;
  end(): void;
}

export const START = Date.UTC(2030, 0, 7, 12);
export const HOUR = 3_600_000;
const PRIVATE_KEY = Buffer.alloc(32, 7);
const PAYEE = `0x${'11'.repeat(20)}`;

/** Messages take two approvers; transactions are allowed up to 100 wei an hour, and beyond it with one. */
export const POLICY = `
apiVersion: countersign/policy/v1
revision: 1
approvals:
  two: { all: [{ role: approver, m: 2 }], ttl: 4h, rejects: 1 }
  one: { all: [{ role: approver, m: 1 }], ttl: 1h, rejects: 2 }
limits:
  hour: { meter: value, window: { rolling: 1h, bucket: 1m }, max: "100", onExceed: { approval: one } }
  day: { meter: value, window: { rolling: 24h, bucket: 5m }, max: "1000", onExceed: deny }
rules:
  - id: talk
    effect: allow
    principals: { roles: [signer] }
    keys: { names: [treasury] }
    operations: [message]
  - id: consent
    effect: require
    operations: [message]
    approval: two
  - id: pay
    effect: allow
    principals: { roles: [signer] }
    keys: { names: [treasury] }
    operations: [transaction]
    when:
      all:
        - chainId: { eq: 1 }
        - maxTotalFee: { lte: "1 ether" }
`;

export const message = (text = 'pay bob'): Intent => parseIntent('message', { message: text });

export function transaction(nonce: number, value = '150'): Intent {
  const fees = { gasLimit: 21_000, maxFeePerGas: '60', maxPriorityFeePerGas: '1' };
  return parseIntent('transaction', {
    transaction: { type: 2, chainId: 1, nonce, to: PAYEE, value, ...fees },
  });
}

export function openDesk(policyText = POLICY): Desk {
  const folder = mkdtempSync(path.join(tmpdir(), 'approvals-'));
  const vault = new Vault();
  vault.unseal(generateKeyring(), vault.epoch);
  const publicKey = publicKeyOf(PRIVATE_KEY);
  const policy = new PolicyInForce();
  let storage = openSqliteStorage(folder, () => 'example.org/log');
  const desk = {
    policy,
    now: START,
    whileSigning: () => undefined,
    sealed: false,
  } as Omit<Desk, 'now' | 'sealed'> & { -readonly [name in keyof Desk]: Desk[name] };

  const custody = {
    requireUnsealed: () => {
      if (desk.sealed) throw new CountersignError('sealed', 'the service is sealed');
    },
    newTotp: async (id: string) => {
      await tick();
      const [sealed, secret] = newTotp(vault, id);
      return { sealed, secret };
    },
    matchTotp: async (id: string, sealed: Uint8Array, code: string, time: number) => {
      await tick();
      custody.requireUnsealed();
      return matchTotp(vault, id, sealed, code, time);
    },
  } as unknown as Custody;
  const sign: CheckedSigner['sign'] = async (_key, _operation, _preimage, digest) => {
    await tick();
    await desk.whileSigning();
    return splitSignature(signDigest(fromHex(digest), PRIVATE_KEY));
  };

  const build = (): void => {
    const { reads } = storage;
    const now = (): number => desk.now;
    const log = new AuditLog<StorageTx>(storage, SERVICE, () => new Date(desk.now));
    const act = systemAct<StorageTx>(log);
    const keys = new KeyService(reads, custody);
    const ledger = new LimitLedger(reads, storage.head().time, now);
    const secondFactor = new SecondFactor(reads, custody, now);
    const pipeline = new SigningPipeline<StorageTx>({
      keys,
      policy,
      ledger,
      nonces: new NonceGuard(reads),
      denied: reads,
      desk: new RequestBook(reads, policy, () => ledger.time()),
      canaries: new CanaryAlarms(log),
      custody,
      signer: { sign },
      gate: { requireOpen: () => undefined, covered: () => Promise.resolve(), isCovered: () => true },
      log,
    });
    const approvals = new ApprovalService({
      reads,
      policy,
      keys,
      signing: pipeline,
      secondFactor,
      actOf: () => act,
      now: () => ledger.time(),
    });
    const proposals = new ProposalService({ reads, policy, secondFactor, now: () => ledger.time() });
    Object.assign(desk, { storage, log, act, keys, secondFactor, pipeline, approvals, proposals });
  };

  storage.commit((tx) => {
    const version: KeyVersion = {
      version: 1,
      address: addressOf(publicKey),
      publicKey: toHex(publicKey),
      state: 'enabled',
      origin: 'generated',
      createdAt: new Date(START).toISOString(),
    };
    const key: Key = {
      id: 'id-treasury',
      name: 'treasury',
      tags: [],
      createdAt: version.createdAt,
      primary: 1,
      exportable: false,
      canary: false,
      versions: [version],
    };
    tx.insertKey(key, Buffer.of(1));
    const { revision, json: document, hash } = loadPolicy(policyText, 'policy.yaml');
    tx.insertPolicy({ revision, document, hash, parentHash: null, suites: [] }, version.createdAt);
  });
  policy.use(loadPolicy(policyText, 'policy.yaml'));
  build();

  const write = async (effects: (tx: StorageTx) => void): Promise<void> => {
    await desk.act.commit({ kind: 'principal.updated', outcome: 'done' }, (tx) => {
      effects(tx);
      return {};
    });
  };

  return Object.assign(desk, {
    principal: async (name: string, roles: readonly Role[], kind = 'token'): Promise<Caller> => {
      const createdAt = new Date(desk.now).toISOString();
      const principal: Principal = { id: crypto.randomUUID(), name, roles, state: 'enabled', createdAt };
      const credential =
        kind === 'certificate'
          ? newCertificateCredential(principal.id, `dns:${name}.test`, {})
          : newCredential(principal.id).credential;
      await write((tx) => {
        tx.insertPrincipal(principal);
        if (kind !== 'none') tx.insertCredential(credential);
      });
      return { principal, credentialId: credential.id, address: '10.0.0.1', mtls: kind === 'certificate' };
    },
    change: async ({ principal: { id } }: Caller, change: object) =>
      await write((tx) => tx.updatePrincipal(id, change)),
    setKeyState: async (to: 'enabled' | 'disabled') => {
      const transition = to === 'enabled' ? 'enable' : 'disable';
      await desk.keys.states.change(desk.act, 'treasury', 1, { transition, reason: 'test' });
    },
    ask: async (requester: Caller, intent = message(), more: Partial<SignRequest> = {}): Promise<string> => {
      const answer = await desk.pipeline.sign(desk.act, {
        requestId: 'req',
        requester: requester.principal,
        source: { address: requester.address, mtls: requester.mtls },
        keyName: 'treasury',
        intent,
        ...more,
      });
      if (!('request' in answer)) throw new Error('it was signed at once');
      return (answer['request'] as { readonly id: string }).id;
    },
    request: (id: string) => {
      const found = storage.reads.request(id);
      if (found === undefined) throw new Error(`there is no request ${id}`);
      return found;
    },
    enrol: async (caller: Caller): Promise<string> => {
      const { secret } = await desk.secondFactor.enrol(desk.act, caller.principal);
      await desk.secondFactor.confirm(desk.act, caller.principal, codeOf(secret, desk.now - 30_000));
      return secret;
    },
    entries: (...kinds: string[]): Entry[] =>
      storage.reads
        .entries({ from: 0, limit: 10_000 })
        .map(({ bytes }) => JSON.parse(Buffer.from(bytes).toString()) as Entry)
        .filter(({ kind }) => kinds.length === 0 || kinds.includes(kind)),
    signed: (): Entry[] => desk.entries('sign').filter(({ signature }) => signature !== undefined),
    restart: () => {
      storage.close();
      storage = openSqliteStorage(folder, () => 'example.org/log');
      build();
    },
    end: () => {
      storage.close();
      rmSync(folder, { recursive: true });
    },
  });
}

/** The one-time code (RFC 6238) of a secret at a time, made without the library that checks it. */
export function codeOf(secret: string, time: number): string {
  const bits = secret
    .split('')
    .map((letter) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter).toString(2).padStart(5, '0'))
    .join('');
  const key = Buffer.from(
    Array.from({ length: Math.floor(bits.length / 8) }, (_, i) =>
      Number.parseInt(bits.slice(8 * i, 8 * i + 8), 2),
    ),
  );
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(time / 30_000)));
  const mac = createHmac('sha1', key).update(counter).digest();
  const number = mac.readUInt32BE(mac.readUInt8(19) & 0x0f) & 0x7fff_ffff;
  return `${number % 1_000_000}`.padStart(6, '0');
}

export const code = (expected: string): Error => expect.objectContaining({ code: expected }) as Error;
