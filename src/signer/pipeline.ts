import type { Act, ActDraft } from '../audit/act.ts';
import type { Receipt } from '../audit/log.ts';
import { toHex, type Hex } from '../bytes.ts';
import { CountersignError } from '../errors.ts';
import type { Intent, Operation } from '../intent/intent.ts';
import { digestOf, preimageOf, serializeSigned, transactionHash } from '../intent/preimage.ts';
import type { JsonValue } from '../jcs.ts';
import type { Key, KeyVersion, KeyWrites } from '../keystore/keys.ts';
import type { Decision, PolicyRequest } from '../policy/decision.ts';
import type { Custody, DigestSignature } from './custody.ts';
import { intentForLog } from './intent-for-log.ts';
import type { KeyService } from './keys.ts';
import { claimOf, type NonceGuard, type NonceWrites, type Reservation } from './nonces.ts';

/** The policy in force. Throws `unavailable` where there is none. */
export interface PolicyDecider {
  evaluate(request: PolicyRequest): Decision;
}

export interface SignRequest {
  readonly requestId: string;
  readonly requester: PolicyRequest['principal'];
  readonly keyName: string;
  /** The primary, when absent. */
  readonly version?: number | undefined;
  readonly intent: Intent;
}

export type SignTx = KeyWrites & NonceWrites;

/** What the caller gets; the shapes of docs/api and of the HTTP answer. */
export interface SignAnswer {
  readonly [name: string]: JsonValue;
  readonly requestId: string;
  readonly operation: Operation;
  readonly digest: Hex;
  /** r ‖ s ‖ v, 65 bytes, v = 27 + yParity. */
  readonly signature: Hex;
  readonly r: Hex;
  readonly s: Hex;
  readonly yParity: number;
}

/** Denied by policy: carries the decision that the caller is shown. */
export class PolicyDenied extends CountersignError {
  readonly decision: Decision;

  constructor(decision: Decision) {
    super('policy_denied', decision.reason);
    this.decision = decision;
  }
}

/** From a canonical intent to a signature that may leave: decide, reserve, sign, log durably, answer. */
export class SigningPipeline {
  readonly #keys: KeyService;
  readonly #policy: PolicyDecider;
  readonly #nonces: NonceGuard;
  readonly #custody: Custody;

  constructor(keys: KeyService, policy: PolicyDecider, nonces: NonceGuard, custody: Custody) {
    this.#keys = keys;
    this.#policy = policy;
    this.#nonces = nonces;
    this.#custody = custody;
  }

  async sign(act: Act<SignTx>, request: SignRequest): Promise<SignAnswer> {
    this.#custody.requireUnsealed();
    const key = this.#keys.get(request.keyName);
    const about = describe(key, this.#keys.version(key, request.version ?? key.primary), request.intent);

    const decision = this.#policy.evaluate({ principal: request.requester, key, intent: request.intent });
    const decided = { ...about, decision: forLog(decision) };
    if (decision.effect === 'deny') {
      await act.record({ ...decided, outcome: 'denied' });
      throw new PolicyDenied(decision);
    }

    const preimage = preimageOf(request.intent);
    const digest = digestOf(request.intent.operation, preimage);
    let reservation: Reservation | undefined;
    try {
      const version = this.#keys.signingVersion(key, request.version);
      reservation = this.#reserve(key, version, request.intent, digest);
      const signature = await this.#custody.sign(
        this.#keys.material(key, version),
        about.operation,
        preimage,
      );
      // Two hashes of the same bytes, made in two processes.
      if (!signature.digest.equals(digest))
        throw new CountersignError('internal', 'the digests of the two processes differ');
      return await this.#release(act, request, decided, { key, version, decision, signature, reservation });
    } catch (error) {
      await act.record({ ...decided, digest: toHex(digest), ...failure(error) });
      throw error;
    } finally {
      reservation?.release();
    }
  }

  #reserve(key: Key, version: KeyVersion, intent: Intent, digest: Buffer): Reservation | undefined {
    if (intent.operation !== 'transaction') return undefined;
    const { chainId, nonce } = intent.transaction;
    const slot = { keyId: key.id, version: version.version, chainId: `${chainId}`, nonce: `${nonce}` };
    return this.#nonces.reserve(slot, claimOf(intent.transaction, digest, version.address));
  }

  /** The one place where a signature leaves: after the entry that says so is on disk. */
  async #release(act: Act<SignTx>, request: SignRequest, decided: Decided, made: Made): Promise<SignAnswer> {
    const { key, version, signature, reservation } = made;
    const signed = serialize(request.intent, signature);
    const time = new Date().toISOString();
    const draft: ActDraft = {
      ...decided,
      outcome: 'done',
      digest: toHex(signature.digest),
      signature: signed.signature,
      ...(signed.transactionHash !== undefined && { transactionHash: signed.transactionHash }),
    };
    const answer = await act.commit(draft, (tx, receipt) => {
      // A seal closes before its entry is written, so that no signature comes behind that entry.
      this.#custody.requireUnsealed();
      tx.markUsed(key.id, version.version, time);
      reservation?.commit(tx);
      return answerOf(request, made, signed, receipt);
    });
    this.#keys.noteUse(key.name, version.version, time);
    return answer;
  }
}

type Described = Pick<ActDraft, 'kind' | 'key' | 'intent'> & { readonly operation: Operation };
type Decided = Described & Pick<ActDraft, 'decision'>;

interface Made {
  readonly key: Key;
  readonly version: KeyVersion;
  readonly decision: Decision;
  readonly signature: DigestSignature;
  readonly reservation: Reservation | undefined;
}

interface Serialized {
  readonly signature: Hex;
  readonly rawTransaction?: Hex;
  readonly transactionHash?: Hex;
}

function describe(key: Key, { version, address }: KeyVersion, intent: Intent): Described {
  return {
    kind: 'sign',
    key: { name: key.name, version, address },
    operation: intent.operation,
    intent: intentForLog(intent),
  };
}

function forLog({
  effect,
  rule,
  policyRevision,
  policyHash,
  reason,
}: Decision): NonNullable<ActDraft['decision']> {
  return { effect, ...(rule !== undefined && { rule }), policyRevision, policyHash, reason };
}

function failure(error: unknown): Pick<ActDraft, 'outcome' | 'detail'> {
  const known = error instanceof CountersignError;
  const refused = known && (error.code === 'nonce_conflict' || error.code === 'key_state');
  return {
    outcome: refused ? 'refused' : 'failed',
    detail: { code: known ? error.code : 'internal', reason: known ? error.message : 'an unexpected error' },
  };
}

function serialize(intent: Intent, { r, s, yParity }: DigestSignature): Serialized {
  const signature = toHex(Buffer.concat([r, s, Buffer.from([27 + yParity])]));
  if (intent.operation !== 'transaction') return { signature };
  const raw = serializeSigned(intent.transaction, { r, s, yParity });
  return { signature, rawTransaction: toHex(raw), transactionHash: toHex(transactionHash(raw)) };
}

function answerOf(request: SignRequest, made: Made, signed: Serialized, receipt: Receipt): SignAnswer {
  const { key, version, decision, signature } = made;
  return {
    requestId: request.requestId,
    key: { name: key.name, version: version.version, address: version.address },
    operation: request.intent.operation,
    digest: toHex(signature.digest),
    signature: signed.signature,
    r: toHex(signature.r),
    s: toHex(signature.s),
    yParity: signature.yParity,
    ...(signed.rawTransaction !== undefined && { rawTransaction: signed.rawTransaction }),
    ...(signed.transactionHash !== undefined && { transactionHash: signed.transactionHash }),
    decision: {
      effect: decision.effect,
      ...(decision.rule !== undefined && { rule: decision.rule }),
      policyRevision: decision.policyRevision,
    },
    receipt: { index: receipt.index, leafHash: receipt.leafHash },
  };
}
