import type { Act, ActDraft, Answer } from '../audit/act.ts';
import { CountersignError, type ErrorCode } from '../errors.ts';
import { parseIntent } from '../intent/schema.ts';
import type { SignTx } from '../signer/pipeline.ts';
import type { SignRequest } from '../signer/sign-request.ts';
import { Consent, type ConsentParts } from './consent.ts';
import type { RequestStatus, RequestWrites, SigningRequest } from './request.ts';

export type ExecutionTx = SignTx & RequestWrites;

/** What signs, once all is said (signer/pipeline.ts). */
export interface Signing {
  sign(act: Act<ExecutionTx>, request: SignRequest): Promise<Answer>;
}

export interface ExecutionParts extends ConsentParts {
  readonly signing: Signing;
}

/** Errors that another try can't mend: the request has to be made anew. */
const FINAL: ReadonlySet<ErrorCode> = new Set([
  'policy_denied',
  'approval_required',
  'forbidden',
  'not_found',
  'invalid_request',
  'unprocessable',
  'payload_too_large',
]);

/** Carries out what was approved: everything is read and decided again, and the signature is made at most once. */
export class Execution {
  readonly #parts: ExecutionParts;
  readonly #consent: Consent;
  readonly #running = new Set<string>();

  constructor(parts: ExecutionParts) {
    this.#parts = parts;
    this.#consent = new Consent(parts);
  }

  /**
   * Signs an approved request; its result is kept in the commit of the signature. Throws `conflict` when it is not
   * approved, or is being signed already, and whatever keeps it from being signed. What may pass leaves it approved.
   *
   * @param answer what is kept for a repeat of the act, made inside the commit.
   */
  async run(act: Act<ExecutionTx>, id: string, answer: () => Answer): Promise<void> {
    if (this.#running.has(id))
      throw new CountersignError('conflict', 'the request is being signed right now');
    this.#running.add(id);
    try {
      const request = this.#consent.approved(id);
      if (request.operation === 'key.export') throw notSigned();
      await this.#sign(act, request, answer);
    } finally {
      this.#running.delete(id);
    }
  }

  async #sign(act: Act<ExecutionTx>, request: SigningRequest, answer: () => Answer): Promise<void> {
    try {
      // Nothing is awaited between these checks and the pipeline's own.
      const order = this.#order(request);
      await this.#parts.signing.sign(this.#noting(act, request, answer), order);
    } catch (error) {
      await this.#note(act, request, error);
      throw error;
    }
  }

  #order(request: SigningRequest): SignRequest {
    const { id, key, operation, source, breakGlass } = request;
    if (operation === 'key.export') throw notSigned();
    const { requester, approved } = this.#consent.check(request, 'signer');
    return {
      requestId: id,
      requester,
      source,
      keyName: key.name,
      version: key.version,
      intent: parseIntent(operation, request.intent),
      approved,
      ...(breakGlass !== undefined && { breakGlass }),
    };
  }

  /** The same act, whose commit makes the request a signed one: with the signature or not at all. */
  #noting(act: Act<ExecutionTx>, { id }: SigningRequest, answer: () => Answer): Act<ExecutionTx> {
    return {
      record: async (draft, effects) => await act.record(draft, effects),
      commit: async <T extends Answer>(
        draft: ActDraft,
        effects: Parameters<typeof act.commit<T>>[1],
      ): Promise<T> => {
        const made: T[] = [];
        await act.commit(draft, (tx, receipt) => {
          // Others were served while the signature was made.
          this.#order(this.#consent.approved(id));
          const result = effects(tx, receipt);
          tx.setRequestStatus(id, ['approved'], 'signed', { result });
          made.push(result);
          return answer();
        });
        const [result] = made;
        if (result === undefined) throw new CountersignError('internal', 'a commit had no effects');
        return result;
      },
    };
  }

  /** Writes down why there is no signature. The request may have been cancelled or voided meanwhile: then that holds. */
  async #note(act: Act<ExecutionTx>, { id, key, operation }: SigningRequest, error: unknown): Promise<void> {
    const known = error instanceof CountersignError;
    const code = known ? error.code : 'internal';
    const note = known ? error.message : 'an unexpected error';
    const to: RequestStatus = FINAL.has(code) ? 'failed' : 'approved';
    const draft: ActDraft = {
      kind: 'request.executed',
      outcome: code === 'policy_denied' ? 'denied' : to === 'failed' ? 'refused' : 'failed',
      key: { name: key.name, version: key.version, address: key.address },
      operation,
      detail: { request: id, code, reason: note },
    };
    try {
      await act.record(draft, (tx) => tx.setRequestStatus(id, ['approved'], to, { note }));
    } catch (failure) {
      // What counts is the error that this was about.
      if (!(failure instanceof CountersignError)) throw failure;
    }
  }
}

function notSigned(): CountersignError {
  return new CountersignError(
    'conflict',
    'an export is not signed: its requester gets the key by POST /v1/keys/{name}/export',
  );
}
