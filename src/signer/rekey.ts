import { randomUUID } from 'node:crypto';
import type { Act, Answer } from '../audit/act.ts';
import { wipe } from '../bytes.ts';
import { CountersignError, invalidField } from '../errors.ts';
import type { SealConfig } from '../keystore/seal.ts';
import { SHARES_KEPT_MS, type Step } from './gathered.ts';
import {
  newSealOf,
  secretOf,
  type PassphraseChoice,
  type SealReads,
  type SealWrites,
  type SharesChoice,
  type StoredSeal,
} from './seal.ts';
import { changeDetail, statusOf, type Pending, type RekeyStatus } from './rekey-status.ts';
import { gatheredDetail, refusal } from './seal-entries.ts';
import type { SealCustody } from './seal-custody.ts';
import type { SealLock } from './seal-lock.ts';

/** What a seal can be changed to. */
export type RekeyChoice = PassphraseChoice | SharesChoice;

/** What opens the seal in force, of the two that are no shares: the passphrase, or the bytes of the key file. */
export interface CurrentSecret {
  readonly type: 'file' | 'passphrase';
  readonly secret: Buffer;
}

/** With the step that makes the current seal agree: the texts of the new shares, once. The caller wipes them. */
export interface RekeyAnswer {
  readonly status: RekeyStatus;
  readonly shares: readonly Buffer[];
}

export interface RekeyParts {
  readonly reads: SealReads;
  readonly custody: SealCustody;
  readonly lock: SealLock;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

type RekeyAct = Act<SealWrites>;
type Answering = (status: RekeyStatus) => Answer;

/** It is cancelled when nobody goes on with it for so long. */
const EXPIRES_MS = 60 * 60 * 1000;
const noAnswer = (): Answer => ({});

/**
 * Changes the seal: the secret of the one in force agrees, then the new one is shown to open what it sealed, then one
 * commit puts it in the other's place. All before that is in memory only: a sealing, a restart or a lost signer process
 * ends it, and the seal in force stays.
 */
export class RekeyService {
  readonly #parts: RekeyParts;
  #pending: Pending | undefined;

  constructor(parts: RekeyParts) {
    this.#parts = parts;
  }

  /** The one on its way, if there is one. */
  status(): RekeyStatus | undefined {
    const pending = this.#live();
    return pending && statusOf(pending);
  }

  /**
   * Makes the new seal. `current` comes from whoever asks, of a key file, too: the service could read that by itself, and
   * then the role alone would be enough to have the keyring sealed under a secret of one's own. Shares of the seal in force
   * are given one by one to {@link authorize}. Secrets are wiped. Throws `conflict`, `sealed`, `wrong_password`.
   */
  async start(
    act: RekeyAct,
    choice: RekeyChoice,
    current: CurrentSecret | undefined,
    answer: Answering = noAnswer,
  ): Promise<RekeyAnswer> {
    const { custody, lock, now } = this.#parts;
    try {
      return await lock.alone(async () => {
        const seal = this.#stored();
        if (this.#live() !== undefined)
          throw new CountersignError(
            'conflict',
            'the seal is being changed already: go on with that, or cancel it',
          );
        const secret = this.#currentSecret(seal.config, current);
        const { epoch } = custody;
        const to = await custody.startRekey(newSealOf(choice), secretOf(choice));
        try {
          const shares = secret === undefined ? [] : await this.#agree(act, secret);
          const stage = secret === undefined ? 'authorize' : 'verify';
          const times = { startedAt: now(), expiresAt: now() + EXPIRES_MS };
          const pending: Pending = { id: randomUUID(), from: seal.config, to, stage, ...times, epoch };
          await this.#commit(act, 'seal.rekey_started', pending, answer, shares);
          return { status: statusOf(pending), shares };
        } catch (error) {
          await custody.cancelRekey().catch(() => undefined);
          throw error;
        }
      });
    } finally {
      wipe(current?.secret, choice.type === 'passphrase' ? choice.passphrase : undefined);
    }
  }

  /** A share of the seal in force; with the last one of enough, the new shares are given out. The share is wiped. */
  async authorize(act: RekeyAct, share: Buffer, answer: Answering = noAnswer): Promise<RekeyAnswer> {
    return await this.#parts.lock.inTurn(async () => {
      const pending = this.#require('authorize', share);
      const given = this.#parts.custody.authorizeRekey(share);
      const { shares, ...step } = await given.catch(async (error: unknown) => {
        await act.record({
          kind: 'seal.share_refused',
          outcome: 'failed',
          detail: refusal('authorize', error),
        });
        throw error;
      });
      const next = this.#after(pending, step, 'verify');
      const detail = gatheredDetail('authorize', step);
      if (!step.done) {
        await this.#commitShare(act, next, detail, answer);
        return { status: statusOf(next), shares };
      }
      try {
        await act.record({ kind: 'seal.share_given', outcome: 'done', detail });
        await this.#commit(act, 'seal.rekey_authorized', next, answer, shares);
      } catch (error) {
        // Nobody has the new shares, and nobody can be given them again.
        await this.#drop();
        throw error;
      }
      return { status: statusOf(next), shares };
    });
  }

  /**
   * The new passphrase or a new share. With it, or the last one of enough, the seal is changed. It is wiped.
   * @returns the status, or undefined when it is done.
   */
  async verify(
    act: RekeyAct,
    given: Buffer,
    answer: (status: RekeyStatus | undefined) => Answer = noAnswer,
  ): Promise<RekeyStatus | undefined> {
    const { custody, lock } = this.#parts;
    return await lock.inTurn(async () => {
      const pending = this.#require('verify', given);
      const seal = this.#stored();
      const { keyring, ...step } = await custody.verifyRekey(given).catch(async (error: unknown) => {
        const kind = pending.to.type === 'shamir' ? 'seal.share_refused' : 'seal.rekey_refused';
        await act.record({ kind, outcome: 'failed', detail: refusal('verify', error) });
        throw error;
      });
      const next = this.#after(pending, step, 'verify');
      if (keyring === undefined) {
        await this.#commitShare(act, next, gatheredDetail('verify', step), answer);
        return statusOf(next);
      }
      if (step.gathered !== undefined)
        await act.record({
          kind: 'seal.share_given',
          outcome: 'done',
          detail: gatheredDetail('verify', step),
        });
      const detail = changeDetail(pending);
      await act.commit({ kind: 'seal.rekeyed', outcome: 'done', detail }, (tx) => {
        tx.replaceSeal(seal.keyring, { config: pending.to, keyring });
        return answer(undefined);
      });
      this.#pending = undefined;
      // Sealed or lost meanwhile: then the next unsealing opens what is stored, with the new secret.
      await custody.adoptRekey().catch(() => undefined);
      return undefined;
    });
  }

  /** Throws `conflict` where there is none. */
  async cancel(act: RekeyAct, answer = noAnswer): Promise<void> {
    await this.#parts.lock.inTurn(async () => {
      const pending = this.#pending;
      if (pending === undefined)
        throw new CountersignError('conflict', 'no change of the seal is on its way');
      await this.#cancel(act, pending, 'asked', answer);
    });
  }

  /** Cancels one that nobody goes on with. */
  async tick(act: RekeyAct): Promise<void> {
    const seen = this.#pending;
    if (seen === undefined || this.#live() !== undefined) return;
    await this.#parts.lock.inTurn(async () => {
      // Another may have been started, or this one gone on with, while its turn was waited for.
      if (this.#pending?.id !== seen.id || this.#live() !== undefined) return;
      await this.#cancel(
        act,
        seen,
        seen.epoch === this.#parts.custody.epoch ? 'expired' : 'sealed',
        noAnswer,
      );
    });
  }

  async #cancel(act: RekeyAct, { id }: Pending, reason: string, answer: () => Answer): Promise<void> {
    await this.#drop();
    await act.commit({ kind: 'seal.rekey_cancelled', outcome: 'done', detail: { id, reason } }, answer);
  }

  /** Shows the secret in force to the signer process. @returns the texts of the new shares. */
  async #agree(act: RekeyAct, secret: Buffer): Promise<readonly Buffer[]> {
    try {
      return (await this.#parts.custody.authorizeRekey(secret)).shares;
    } catch (error) {
      await act.record({
        kind: 'seal.rekey_refused',
        outcome: 'failed',
        detail: refusal('authorize', error),
      });
      throw error;
    }
  }

  async #commit(
    act: RekeyAct,
    kind: 'seal.rekey_started' | 'seal.rekey_authorized',
    pending: Pending,
    answer: Answering,
    shares: readonly Buffer[],
  ): Promise<void> {
    try {
      const detail = { ...changeDetail(pending), stage: pending.stage };
      await act.commit({ kind, outcome: 'done', detail }, () => answer(statusOf(pending)));
      this.#pending = pending;
    } catch (error) {
      wipe(...shares);
      throw error;
    }
  }

  async #commitShare(
    act: RekeyAct,
    pending: Pending,
    detail: { readonly [name: string]: string | number },
    answer: Answering,
  ): Promise<void> {
    this.#pending = pending;
    try {
      await act.commit({ kind: 'seal.share_given', outcome: 'done', detail }, () =>
        answer(statusOf(pending)),
      );
    } catch (error) {
      // What is not in the log has not happened, and the signer process counts it already.
      await this.#drop();
      throw error;
    }
  }

  async #drop(): Promise<void> {
    this.#pending = undefined;
    await this.#parts.custody.cancelRekey().catch(() => undefined);
  }

  #after(pending: Pending, { done, gathered }: Step, then: Pending['stage']): Pending {
    const now = this.#parts.now();
    const expiresAt = now + EXPIRES_MS;
    if (done) return { ...pending, stage: then, gathered: undefined, expiresAt };
    return { ...pending, gathered: { have: gathered?.have ?? 0, until: now + SHARES_KEPT_MS }, expiresAt };
  }

  #live(): Pending | undefined {
    const { custody, now } = this.#parts;
    const pending = this.#pending;
    const time = now();
    if (pending?.epoch !== custody.epoch || time >= pending.expiresAt) return undefined;
    return time < (pending.gathered?.until ?? 0) ? pending : { ...pending, gathered: undefined };
  }

  #require(stage: Pending['stage'], secret: Buffer): Pending {
    const pending = this.#live();
    if (pending?.stage === stage) return pending;
    wipe(secret);
    if (pending === undefined) throw new CountersignError('conflict', 'no change of the seal is on its way');
    throw new CountersignError(
      'conflict',
      pending.stage === 'authorize'
        ? 'shares of the seal in force come first: authorize the change'
        : 'the change is authorized: what is awaited is the new secret, to verify it',
    );
  }

  #stored(): StoredSeal {
    const seal = this.#parts.reads.seal();
    if (seal === undefined) throw new CountersignError('sealed', 'the service is not initialized');
    return seal;
  }

  /** Undefined where it comes in shares. Throws `invalid_request` when it is missing, or that of another kind of seal. */
  #currentSecret({ type }: SealConfig, current: CurrentSecret | undefined): Buffer | undefined {
    if (type === 'shamir') {
      if (current === undefined) return undefined;
      throw invalidField('current', 'must be absent: shares of the seal in force are given one by one');
    }
    if (current?.type === type) return current.secret;
    const what = type === 'file' ? 'the bytes of the seal key file (sealKey)' : 'the passphrase';
    throw invalidField('current', `must have ${what} of the seal in force`);
  }
}
