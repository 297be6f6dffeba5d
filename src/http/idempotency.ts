import { createHash, createHmac } from 'node:crypto';
import type { Act, ActDraft, Answer } from '../audit/act.ts';
import type { EntryActor, Recordable } from '../audit/entry.ts';
import type { Receipt, Recorder } from '../audit/log.ts';
import { CountersignError, invalidField } from '../errors.ts';
import { canonicalize } from '../jcs.ts';

/** What is kept of a request that succeeded, so that its repeat is answered and not done again. */
export interface KeptAnswer {
  /** Of method, path and body: a repeat must be the same request. */
  readonly fingerprint: string;
  /** Index of the audit entry. */
  readonly entry: number;
  /** JSON; null when the answer carried a secret, which is shown once. */
  readonly answer: string | null;
}

export interface IdempotencyReads {
  /** Throws `internal` when the answer is not what was kept: a disk that errs must not make a wrong signature of a right one. */
  keptAnswer(principalId: string, name: string): KeptAnswer | undefined;
}

export interface IdempotencyWrites extends IdempotencyReads {
  keepAnswer(principalId: string, name: string, kept: KeptAnswer, time: string): void;
  forgetAnswersBefore(time: string): void;
}

/** A repeat within this time is recognised. */
export const KEEP_ANSWERS_MS = 24 * 60 * 60 * 1000;

const NAME = /^[\x21-\x7e]{1,255}$/;

/** The `Idempotency-Key` of a request, and what it stands for. */
export interface IdempotencyKey {
  readonly principalId: string;
  readonly name: string;
  readonly fingerprint: string;
}

/**
 * @param secretKey for a body that holds a secret: keys the fingerprint, so that whoever gets the database can't try
 * passwords against it. It lives as long as the process; after a restart a repeat is refused, never done again.
 */
export function readIdempotencyKey(
  header: string | undefined,
  principalId: string,
  request: { readonly method: string; readonly path: string; readonly body: Uint8Array },
  secretKey?: Uint8Array,
): IdempotencyKey | undefined {
  if (header === undefined) return undefined;
  if (!NAME.test(header)) throw invalidField('Idempotency-Key', 'must be 1 to 255 visible ASCII characters');
  const hashing = secretKey === undefined ? createHash('sha256') : createHmac('sha256', secretKey);
  hashing.update(`${request.method} ${request.path}\n`).update(request.body);
  return { principalId, name: header, fingerprint: hashing.digest('hex') };
}

/**
 * The answer kept for a key. Throws `conflict` when it was for another request, or can't be shown again.
 */
export function findKeptAnswer(reads: IdempotencyReads, key: IdempotencyKey): Answer | undefined {
  const kept = reads.keptAnswer(key.principalId, key.name);
  if (kept === undefined) return undefined;
  if (kept.fingerprint !== key.fingerprint) {
    throw new CountersignError(
      'conflict',
      'this Idempotency-Key was used already, and not for a request that is known to be the same',
    );
  }
  if (kept.answer === null) {
    throw new CountersignError(
      'conflict',
      `this was done already (audit entry ${kept.entry}); its answer carried a secret, which is shown once`,
    );
  }
  return JSON.parse(kept.answer) as Answer;
}

/** Who asked, and when. */
export interface Asked {
  readonly actor: EntryActor;
  readonly requestId: string;
  /** By `performance.now()`. */
  readonly arrived: number;
}

interface Keep {
  readonly key: IdempotencyKey;
  readonly secret: boolean;
  /** The key of the request that this is a part of. */
  readonly whole?: IdempotencyKey;
}

/** One HTTP request's act: its entries name the caller, and its answer is kept when it has an idempotency key. */
export class RequestAct<Tx extends IdempotencyWrites> implements Act<Tx> {
  readonly #recorder: Recorder<Tx>;
  readonly #asked: Asked;
  readonly #keep: Keep | undefined;

  constructor(recorder: Recorder<Tx>, asked: Asked, keep?: Keep) {
    this.#recorder = recorder;
    this.#asked = asked;
    this.#keep = keep;
  }

  record(draft: ActDraft, effects?: (tx: Tx, receipt: Receipt) => void): Promise<Receipt> {
    return this.#recorder.record(this.#complete(draft), (tx, receipt) => {
      effects?.(tx, receipt);
      return receipt;
    });
  }

  commit<T extends Answer>(draft: ActDraft, effects: (tx: Tx, receipt: Receipt) => T): Promise<T> {
    return this.#recorder.record(this.#complete(draft), (tx, receipt) => {
      const answer = effects(tx, receipt);
      if (this.#keep !== undefined) this.#keepAnswer(tx, this.#keep, receipt, answer);
      return answer;
    });
  }

  #keepAnswer(tx: Tx, { key, secret, whole }: Keep, { index: entry }: Receipt, answer: Answer): void {
    const time = new Date().toISOString();
    const { principalId, fingerprint } = key;
    const kept = { fingerprint, entry, answer: secret ? null : canonicalize(answer) };
    tx.keepAnswer(principalId, key.name, kept, time);
    // With the first part that is done, the key is taken for this request and no other.
    if (whole !== undefined && tx.keptAnswer(principalId, whole.name) === undefined) {
      tx.keepAnswer(principalId, whole.name, { fingerprint, entry, answer: '{}' }, time);
    }
  }

  /** The act of one item of a batch: decided, logged and kept on its own. */
  item(index: number): { readonly act: RequestAct<Tx>; readonly key: IdempotencyKey | undefined } {
    const whole = this.#keep?.key;
    // A space can't be in a key that came from outside.
    const key = whole === undefined ? undefined : { ...whole, name: `${whole.name} ${index}` };
    const keep = key === undefined || whole === undefined ? undefined : { key, secret: false, whole };
    return { act: new RequestAct(this.#recorder, this.#asked, keep), key };
  }

  #complete(draft: ActDraft): Recordable {
    const { actor, requestId, arrived } = this.#asked;
    return { ...draft, actor, requestId, elapsedUs: Math.round((performance.now() - arrived) * 1_000) };
  }
}
