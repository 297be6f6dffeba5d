import { Forbidden, type Caller } from '../access/credentials.ts';
import type { Act, ActDraft, Answer } from '../audit/act.ts';
import type { ReleaseGate } from '../audit/gate.ts';
import { wipe } from '../bytes.ts';
import type { PolicyIntent } from '../effects/effect.ts';
import { CountersignError } from '../errors.ts';
import type { JsonValue } from '../jcs.ts';
import type { Key, KeyVersion } from '../keystore/keys.ts';
import type { KeyVersionState } from '../keystore/life-cycle.ts';
import type { KeystoreKdfChoice } from '../keystore/web3-keystore.ts';
import type { Decision } from '../policy/decision.ts';
import type { ApprovalDesk, PendingAnswer } from '../signer/approval-desk.ts';
import { denialOfCanary, type CanaryAlarm } from '../signer/canary.ts';
import type { Custody } from '../signer/custody.ts';
import type { KeyService } from '../signer/keys.ts';
import { PolicyDenied, type SigningPipeline } from '../signer/pipeline.ts';
import type { Question } from '../signer/sign-request.ts';
import { decisionForLog, type Approved } from '../signer/sign-entry.ts';
import type { TransferCustody, Wrapped } from '../signer/transfer-custody.ts';
import { Consent, type ConsentParts } from './consent.ts';
import { entryOf, FINAL, OPERATION, refusalOf } from './export-entries.ts';
import { fewestOthers } from './quorum.ts';
import type { RequestWrites, SigningRequest } from './request.ts';

export interface ExportParts extends ConsentParts {
  readonly keys: KeyService;
  /** What asks the policy, with the right time. */
  readonly asking: Pick<SigningPipeline, 'ask' | 'judge'>;
  readonly desk: ApprovalDesk<RequestWrites>;
  readonly custody: Pick<Custody, 'requireUnsealed'>;
  readonly transfer: Pick<TransferCustody, 'exportKeystore'>;
  readonly canaries: CanaryAlarm;
  readonly gate: ReleaseGate;
}

/** What the requester of an approved export sends. */
export interface ExportOrder {
  readonly requestId: string;
  readonly kdf: KeystoreKdfChoice;
  /** In clear, then it is wiped, or encrypted to a wrapping key of the signer process. */
  readonly password: Buffer | Omit<Wrapped, 'keyName'>;
}

const INTENT: PolicyIntent = { operation: OPERATION };
/** One person who is careless or bought must not be enough. */
const FEWEST_APPROVERS = 2;
/** One that waits to be destroyed has to be kept from that first; a compromised one is nobody's to keep. */
const STATES: ReadonlySet<KeyVersionState> = new Set(['enabled', 'draining', 'disabled']);
/** Gives a private key out as a V3 file: asked for by one admin, consented to by two others at least, and once. */
export class KeyExports {
  readonly #parts: ExportParts;
  readonly #consent: Consent;
  readonly #running = new Set<string>();

  constructor(parts: ExportParts) {
    this.#parts = parts;
    this.#consent = new Consent(parts);
  }

  /**
   * Makes the request that others approve. Throws `forbidden` for a key that was not made exportable, `key_state`,
   * `PolicyDenied`, and `unprocessable` where the policy asks for fewer than two others.
   */
  async ask(
    act: Act<RequestWrites>,
    caller: Caller,
    keyName: string,
    wanted?: number,
  ): Promise<PendingAnswer> {
    const { keys, desk } = this.#parts;
    const key = keys.get(keyName);
    const version = keys.version(key, wanted ?? key.primary);
    const source = { address: caller.address, mtls: caller.mtls };
    const question = {
      keyName,
      version: version.version,
      requester: caller.principal,
      source,
      intent: INTENT,
    };
    let decision: Decision | undefined;
    try {
      requireExportable(key, version);
      decision = this.#decide(key, question);
      if (decision.effect === 'deny') throw new PolicyDenied(decision);
      this.#requireTwoOthers(decision);
    } catch (error) {
      await this.#recordRefusal(act, key, version, { error, decision });
      if (key.canary) await this.#parts.canaries.keyUsed(act, caller.principal, entryOf(key, version));
      throw error;
    }
    return await desk.open(act, {
      requester: { id: caller.principal.id, name: caller.principal.name },
      source,
      key: { id: key.id, name: key.name, version: version.version, address: version.address },
      intent: INTENT,
      decision,
    });
  }

  /**
   * The file, and the receipt of its entry. Nothing of it is kept: the request is done with the commit that logs it, and
   * whoever loses the file asks anew. Throws `not_found`, `conflict` unless it is approved, and what keeps it from being
   * made.
   */
  async carryOut(
    act: Act<RequestWrites>,
    caller: Caller,
    keyName: string,
    order: ExportOrder,
  ): Promise<Answer> {
    const { requestId, password } = order;
    try {
      this.#requireOwn(caller, keyName, requestId);
      if (this.#running.has(requestId))
        throw new CountersignError('conflict', 'the key is being exported right now');
      this.#running.add(requestId);
      try {
        return await this.#export(act, caller, this.#consent.approved(requestId), order);
      } finally {
        this.#running.delete(requestId);
      }
    } finally {
      if (Buffer.isBuffer(password)) wipe(password);
    }
  }

  async #export(
    act: Act<RequestWrites>,
    caller: Caller,
    request: SigningRequest,
    order: ExportOrder,
  ): Promise<Answer> {
    const { keys, custody, transfer, gate } = this.#parts;
    const { id, key: about } = request;
    const key = keys.get(about.name);
    const version = keys.version(key, about.version);
    let made: { readonly answer: Answer; readonly index: number };
    try {
      custody.requireUnsealed();
      gate.requireOpen();
      const { decision, approved } = this.#requireConsent(request, caller);
      const password = Buffer.isBuffer(order.password)
        ? order.password
        : { ...order.password, keyName: about.name };
      const file = await transfer.exportKeystore(keys.material(key, version), order.kdf, password);
      const detail = { request: id, kdf: order.kdf.kdf, wrapped: !Buffer.isBuffer(order.password) };
      const entry: ActDraft = {
        ...entryOf(key, version),
        kind: 'key.exported',
        outcome: 'done',
        decision: decisionForLog(decision, approved),
        detail,
      };
      made = await act.commit(entry, (tx, { index, leafHash }) => {
        // Others were served while the file was made.
        custody.requireUnsealed();
        const now = this.#requireConsent(this.#consent.approved(id), caller);
        if (now.decision.policyHash !== decision.policyHash)
          throw new CountersignError(
            'unavailable',
            'the policy changed while this was being done: try again',
          );
        tx.setRequestStatus(id, ['approved'], 'exported');
        return { answer: answerOf(request, file, { index, leafHash }), index };
      });
    } catch (error) {
      await this.#note(act, request, { key, version, error });
      throw error;
    }
    await gate.covered(made.index);
    // Others were served while the witnesses were waited for.
    custody.requireUnsealed();
    requireExportable(keys.get(about.name), keys.version(keys.get(about.name), about.version));
    this.#consent.check(request, 'admin');
    return made.answer;
  }

  /** All that was checked when it was asked for and approved, as things stand now. */
  #requireConsent(
    request: SigningRequest,
    { address, mtls }: Caller,
  ): { readonly decision: Decision; readonly approved: Approved } {
    const { keys } = this.#parts;
    const { requester, approved } = this.#consent.check(request, 'admin');
    const { name: keyName, version } = request.key;
    const key = keys.get(keyName);
    requireExportable(key, keys.version(key, version));
    const ask = { keyName, version, requester, intent: INTENT };
    const decision = this.#decide(key, { ...ask, source: request.source });
    // Whoever fetches the key has to be where the policy lets it go to, too.
    const here = this.#decide(key, { ...ask, source: { address, mtls } });
    for (const each of [decision, here]) {
      if (each.effect === 'deny') throw new PolicyDenied(each);
      this.#requireTwoOthers(each);
    }
    const needed = [...(decision.approvals ?? []), ...(here.approvals ?? [])];
    const missing = needed.filter((name) => !approved.approvals.has(name));
    if (missing.length > 0) {
      throw new CountersignError(
        'approval_required',
        `as things stand now this needs approvals that it does not have (${missing.join(', ')}): ask for it again`,
      );
    }
    return { decision, approved };
  }

  #decide(key: Key, question: Question): Decision {
    const { asking } = this.#parts;
    const asked = asking.ask(question);
    const { decision } = asking.judge(asked);
    return key.canary ? denialOfCanary(decision, asked) : decision;
  }

  #requireTwoOthers({ approvals: names = [] }: Decision): void {
    const { approvals } = this.#parts.policy.current().model;
    const fewest = names.map((name) => {
      const approval = approvals.get(name);
      return approval === undefined ? 0 : fewestOthers(approval);
    });
    if (Math.max(0, ...fewest) >= FEWEST_APPROVERS) return;
    throw new CountersignError(
      'unprocessable',
      `the policy lets fewer than ${FEWEST_APPROVERS} others consent to this export (${names.join(', ')}): name an approval that takes ${FEWEST_APPROVERS} different people beside the requester`,
    );
  }

  #requireOwn({ principal, ...caller }: Caller, keyName: string, id: string): void {
    const request = this.#parts.reads.request(id);
    if (request?.operation !== OPERATION || request.key.name !== keyName) {
      throw new CountersignError('not_found', `there is no request ${id} to export key ${keyName}`);
    }
    if (request.requester.id !== principal.id)
      throw new Forbidden({ principal, ...caller }, 'this is for whoever made the request');
  }

  async #recordRefusal(
    act: Act<RequestWrites>,
    key: Key,
    version: KeyVersion,
    { error, decision }: { readonly error: unknown; readonly decision: Decision | undefined },
  ): Promise<void> {
    await act.record({
      ...entryOf(key, version),
      ...refusalOf(error),
      kind: 'key.export_refused',
      ...(decision !== undefined && { decision: decisionForLog(decision, undefined) }),
    });
  }

  /** Writes down why there is no file. The request may have been rejected or voided meanwhile: then that holds. */
  async #note(
    act: Act<RequestWrites>,
    { id }: SigningRequest,
    { key, version, error }: { readonly key: Key; readonly version: KeyVersion; readonly error: unknown },
  ): Promise<void> {
    const refusal = refusalOf(error);
    const { code, reason: note } = refusal.detail;
    const to = FINAL.has(code) ? 'failed' : 'approved';
    const draft: ActDraft = {
      ...entryOf(key, version),
      ...refusal,
      kind: 'key.export_refused',
      detail: { request: id, ...refusal.detail },
    };
    try {
      await act.record(draft, (tx) => tx.setRequestStatus(id, ['approved'], to, { note }));
    } catch (failure) {
      // What counts is the error that this was about.
      if (!(failure instanceof CountersignError)) throw failure;
    }
  }
}

function requireExportable(key: Key, { version, state }: KeyVersion): void {
  if (!key.exportable) {
    throw new CountersignError(
      'forbidden',
      `key ${key.name} was not made exportable: its private key never leaves`,
    );
  }
  if (STATES.has(state)) return;
  throw new CountersignError(
    'key_state',
    `version ${version} of key ${key.name} is ${state}: it is not exported`,
  );
}

function answerOf(
  { key: { name, version, address } }: SigningRequest,
  file: Buffer,
  receipt: { readonly index: number; readonly leafHash: string },
): Answer {
  return {
    key: { name, version, address },
    keystore: JSON.parse(file.toString('utf8')) as JsonValue,
    receipt: { ...receipt },
  };
}
