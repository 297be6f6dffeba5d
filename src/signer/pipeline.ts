import type { Act, ActDraft } from '../audit/act.ts';
import type { ReleaseGate } from '../audit/gate.ts';
import { decodeEffects } from '../effects/decode.ts';
import { CountersignError } from '../errors.ts';
import type { Operation } from '../intent/intent.ts';
import type { KeyWrites } from '../keystore/keys.ts';
import type { Charge, Decision, PolicyRequest, UsageOf, Verdict } from '../policy/decision.ts';
import type { ChargeReservation, LimitLedger, UsageWrites } from '../policy/ledger.ts';
import { settle } from '../policy/settle.ts';
import { stricter } from '../policy/stricter.ts';
import type { RecoverableSignature } from '../secp256k1.ts';
import type { ApprovalDesk, PendingAnswer } from './approval-desk.ts';
import { readAsked, type Asked } from './asked.ts';
import { alarmOf, denialOfCanary, type CanaryAlarm } from './canary.ts';
import type { CheckedSigner } from './checked-signer.ts';
import type { Custody } from './custody.ts';
import { findDenied, type DeniedReads, type DeniedWrites } from './denied.ts';
import type { KeyService } from './keys.ts';
import type { NonceGuard, NonceWrites, Reservation } from './nonces.ts';
import { markUsed, Overtaken, whileOvertaken } from './overtaken.ts';
import { answerOf, serialize, type SignAnswer } from './sign-answer.ts';
import { decisionForLog, failureOf, type Described } from './sign-entry.ts';
import type { Question, SignRequest } from './sign-request.ts';

/** The policy in force. Both throw `unavailable` where there is none. */
export interface PolicyDecider {
  /** SHA-256 of its canonical JSON, hex. */
  readonly hash: string;
  judge(request: PolicyRequest): Verdict;
}

export type SignTx = KeyWrites & NonceWrites & UsageWrites & DeniedWrites;

/** Denied by policy: carries the decision that the caller is shown. */
export class PolicyDenied extends CountersignError {
  readonly decision: Decision;

  constructor(decision: Decision) {
    super('policy_denied', decision.reason);
    this.decision = decision;
  }
}

export interface SigningParts<Tx extends SignTx> {
  readonly keys: KeyService;
  readonly policy: PolicyDecider;
  readonly ledger: LimitLedger;
  readonly nonces: NonceGuard;
  readonly denied: DeniedReads;
  readonly desk: ApprovalDesk<Tx>;
  readonly canaries: CanaryAlarm;
  readonly custody: Pick<Custody, 'requireUnsealed'>;
  readonly signer: Pick<CheckedSigner, 'sign'>;
  readonly gate: ReleaseGate;
  readonly log: { announce(): () => void };
}

/** From a canonical intent to a signature that may leave: decide, reserve, sign, log durably, answer. */
export class SigningPipeline<Tx extends SignTx = SignTx> {
  readonly #parts: SigningParts<Tx>;
  /** What the limits' windows hold now. */
  readonly usageOf: UsageOf;

  constructor(parts: SigningParts<Tx>) {
    this.#parts = parts;
    this.usageOf = parts.ledger.usageOf;
  }

  /** What the policy is asked. Throws `not_found`. */
  ask({ keyName, version, requester, source, breakGlass, intent }: Question): PolicyRequest {
    const { keys, ledger } = this.#parts;
    const key = keys.get(keyName);
    const { state, address } = keys.version(key, version ?? key.primary);
    return {
      principal: requester,
      key: { name: key.name, tags: key.tags, address, draining: state === 'draining' },
      intent,
      effects: decodeEffects(intent, address),
      source,
      now: ledger.time(),
      breakGlass,
    };
  }

  /**
   * Throws `PolicyDenied`, `approval_required` for an approved request that needs more approvals than it has, and what
   * keeps a signature from being made. Whoever carries out an approved request gives an act whose commit notes that.
   */
  async sign(act: Act<Tx>, request: SignRequest): Promise<SignAnswer | PendingAnswer> {
    return await whileOvertaken((last) => this.#attempt(act, request, last));
  }

  /** @param last whether it is over when the key changes meanwhile; else it throws `Overtaken`, and nothing was logged. */
  async #attempt(act: Act<Tx>, request: SignRequest, last: boolean): Promise<SignAnswer | PendingAnswer> {
    const { keys, custody, ledger, nonces, gate } = this.#parts;
    custody.requireUnsealed();
    gate.requireOpen();
    const asked = readAsked(keys, request);
    // From here to the reservations nothing may be awaited: that is what makes limits exact.
    const { decision, charges } = this.#decide(asked);
    const draft = {
      ...asked.about,
      decision: decisionForLog(decision, request.approved),
      digest: asked.digest,
    };
    if (decision.effect === 'deny') return await this.#deny(act, asked, draft, decision);

    const { key, operation, preimage, digest, claim } = asked;
    let slot: Reservation | undefined;
    let charge: ChargeReservation | undefined;
    let answer: SignAnswer;
    try {
      const version = keys.signingVersion(key, request.version);
      if (decision.effect === 'require') {
        if (request.approved === undefined) return await this.#open(act, asked, draft, decision);
        requireApprovals(decision, request.approved.approvals);
      }
      slot = claim && nonces.reserve(claim.slot, claim.claim);
      charge = ledger.reserve(charges);
      const signature = await this.#make(request, keys.material(key, version), operation, preimage, digest);
      answer = await this.#release(act, asked, draft, { decision, signature, slot, charge });
    } catch (error) {
      if (error instanceof Overtaken && !last) throw error;
      const failed = { ...draft, ...failureOf(error, draft.detail) };
      // Else the digest would be a way around the nonce guard.
      if (isConflict(error)) await this.#recordRefusal(act, asked, failed);
      else await Promise.all([act.record(failed), this.#raiseAlarm(act, asked)]);
      throw error;
    } finally {
      slot?.release();
      charge?.release();
    }
    const { index } = answer.receipt;
    const waits = !gate.isCovered(index);
    await gate.covered(index);
    // Others were served meanwhile: nothing is released behind the answer that says that the key is disabled.
    if (waits) {
      custody.requireUnsealed();
      keys.signingVersion(keys.get(key.name), asked.version.version);
    }
    return answer;
  }

  async #make(
    { turn }: SignRequest,
    ...asked: Parameters<CheckedSigner['sign']>
  ): Promise<RecoverableSignature> {
    const { log, signer } = this.#parts;
    const arrived = log.announce();
    try {
      return await signer.sign(...asked);
    } finally {
      turn?.made();
      arrived();
    }
  }

  #decide({ request, key, claim }: Asked): {
    readonly decision: Decision;
    readonly charges: readonly Charge[];
  } {
    const { ledger, nonces, denied } = this.#parts;
    const question = this.ask(request);
    const verdict = this.judge(question);
    if (key.canary) return { decision: denialOfCanary(verdict.decision, question), charges: [] };
    const hidden = verdict.decision.effect === 'deny' ? undefined : findDenied(denied, request.intent);
    if (hidden !== undefined) {
      const { policyRevision, policyHash } = verdict.decision;
      const reason = `it hashes to ${NOUNS[hidden.operation]} that was not allowed in entry ${hidden.entry}`;
      return { decision: { effect: 'deny', policyRevision, policyHash, reason }, charges: [] };
    }
    const replaces = claim !== undefined && verdict.charges.length > 0;
    const already = replaces ? nonces.charged(claim.slot, claim.claim) : [];
    const charges = ledger.discount(verdict.charges, already);
    return { decision: settle({ ...verdict, charges }, ledger.usageOf), charges };
  }

  /**
   * After a clock that steps back, limits go by the time that was, and that may be far ahead: what opens by the time of
   * day has to be open by both.
   */
  judge(question: PolicyRequest): Verdict {
    const { policy, ledger } = this.#parts;
    const verdict = policy.judge(question);
    const now = ledger.clock();
    return now < question.now ? stricter(verdict, policy.judge({ ...question, now })) : verdict;
  }

  async #deny(act: Act<Tx>, asked: Asked, draft: Draft, decision: Decision): Promise<never> {
    asked.request.turn?.made();
    const denied = { ...draft, outcome: 'denied' } as const;
    const detail = { ...draft.detail, canary: true };
    // As of any other key, and in one commit with the alert: the answer comes no later.
    await Promise.all([
      this.#recordRefusal(act, asked, asked.key.canary ? { ...denied, detail } : denied),
      this.#raiseAlarm(act, asked),
    ]);
    throw new PolicyDenied(decision);
  }

  /** Where nobody has a reason to ask the key for a signature. */
  async #raiseAlarm(act: Act<Tx>, { request, key, version, about, digest }: Asked): Promise<void> {
    const alarm = alarmOf(key, version);
    if (alarm === undefined) return;
    const { kind: _, ...what } = about;
    await this.#parts.canaries.keyUsed(act, request.requester, { ...what, digest }, alarm);
  }

  /** Its digest is remembered: the same thing must not come in through another route. */
  async #recordRefusal(act: Act<Tx>, { key, operation, digest }: Asked, draft: ActDraft): Promise<void> {
    await act.record(draft, (tx, { index: entry }) => {
      if (operation !== 'digest') tx.rememberDenied(key.id, digest, { operation, entry });
    });
  }

  async #open(act: Act<Tx>, asked: Asked, draft: Draft, decision: Decision): Promise<PendingAnswer> {
    const { request, key, version, digest } = asked;
    const { requester, source, intent, breakGlass } = request;
    request.turn?.made();
    await this.#recordRefusal(act, asked, { ...draft, outcome: 'pending' });
    return await this.#parts.desk.open(act, {
      requester: { id: requester.id, name: requester.name },
      source: { address: source.address, mtls: source.mtls },
      key: { id: key.id, name: key.name, version: version.version, address: version.address },
      intent,
      digest,
      decision,
      ...(breakGlass !== undefined && { breakGlass }),
    });
  }

  /** The signature's entry and all that it changes, in one commit: nothing of it leaves before that is on disk. */
  async #release(act: Act<Tx>, asked: Asked, draft: Draft, made: Made): Promise<SignAnswer> {
    const { custody, keys, policy } = this.#parts;
    const { request, key, version, operation, preimage, digest } = asked;
    const { decision, signature, slot, charge } = made;
    const signed = serialize(request.intent, preimage, signature);
    const time = new Date().toISOString();
    const { logged } = signed;
    const entry = {
      ...draft,
      outcome: 'done',
      signature: logged.signature,
      transactionHash: logged.transactionHash,
    } as const;
    const answer = await act.commit(entry, (tx, receipt) => {
      // A seal closes before its entry is written, so that no signature comes behind that entry.
      custody.requireUnsealed();
      // Nor is anything signed under a policy behind the entry that replaced it.
      if (policy.hash !== decision.policyHash)
        throw new CountersignError(
          'unavailable',
          'the policy changed while this was being signed: try again',
        );
      markUsed(tx, key, version, time);
      const charged = charge.commit(tx);
      slot?.commit(tx, charged);
      if (operation !== 'digest') tx.forgetDenied(key.id, digest);
      return answerOf(asked, keys.get(key.name), decision, signed, receipt);
    });
    charge.done();
    keys.noteUse(key.name, version.version, time);
    return answer;
  }
}

type Draft = Described & Pick<ActDraft, 'decision' | 'digest'>;

interface Made {
  readonly decision: Decision;
  readonly signature: RecoverableSignature;
  readonly slot: Reservation | undefined;
  readonly charge: ChargeReservation;
}

const NOUNS: { readonly [operation in Operation]: string } = {
  transaction: 'a transaction',
  message: 'a message',
  'typed-data': 'typed data',
  authorization: 'an authorization',
  digest: 'a digest',
};

function isConflict(error: unknown): boolean {
  return error instanceof CountersignError && error.code === 'nonce_conflict';
}

function requireApprovals({ approvals }: Decision, given: ReadonlySet<string>): void {
  const missing = (approvals ?? []).filter((name) => !given.has(name));
  if (missing.length === 0 && approvals !== undefined) return;
  throw new CountersignError(
    'approval_required',
    `as things stand now this needs approvals that it does not have (${missing.join(', ')}): ask for it again`,
  );
}
