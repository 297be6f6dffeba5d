import type { Principal } from '../access/principals.ts';
import type { Act } from '../audit/act.ts';
import { wipe } from '../bytes.ts';
import { CountersignError } from '../errors.ts';
import type { Custody } from '../signer/custody.ts';
import { Attempts } from './attempts.ts';
import { base32 } from './base32.ts';

/** One principal's second factor. */
export interface Totp {
  readonly principalId: string;
  /** The secret, sealed by the signer process for this principal. */
  readonly sealed: Uint8Array;
  readonly createdAt: string;
  /** Since when it counts: its first code was right. RFC 3339. */
  readonly confirmedAt?: string;
  /** The newest time step (RFC 6238) whose code was used: no code of it or before it counts again. */
  readonly lastStep?: number;
}

export interface TotpReads {
  totp(principalId: string): Totp | undefined;
}

export interface TotpWrites {
  /** Takes the place of one that is not confirmed. Throws `conflict` where there is one that is. */
  insertTotp(totp: Totp): void;
  /** Throws `conflict` unless there is one that is not confirmed, with this secret. */
  confirmTotp(principalId: string, sealed: Uint8Array, time: string): void;
  /** Throws `forbidden` unless the step is later than every step before it, `conflict` for another secret. */
  useTotpStep(principalId: string, sealed: Uint8Array, step: number): void;
  /** Throws `conflict` where there is none. */
  deleteTotp(principalId: string): void;
}

/** How a vote was proven beyond the caller's credential. */
export interface Proof {
  readonly otp: boolean;
  /** Inside the commit of what it proves: the code is used up with it. Throws when another got there first. */
  readonly commit: (tx: TotpWrites) => void;
}

const NO_PROOF: Proof = { otp: false, commit: () => undefined };

const ISSUER = 'Countersign';

/** One-time codes (RFC 6238: SHA-1, 6 digits, 30 seconds) of those who approve. Secrets are opened in the signer process. */
export class SecondFactor {
  readonly #reads: TotpReads;
  readonly #custody: Pick<Custody, 'newTotp' | 'matchTotp'>;
  readonly #now: () => number;
  readonly #attempts: Attempts;

  constructor(
    reads: TotpReads,
    custody: Pick<Custody, 'newTotp' | 'matchTotp'>,
    now: () => number = Date.now,
  ) {
    this.#reads = reads;
    this.#custody = custody;
    this.#now = now;
    this.#attempts = new Attempts(now);
  }

  /** Whether every vote of the principal takes a code. */
  isEnrolled(principalId: string): boolean {
    return this.#reads.totp(principalId)?.confirmedAt !== undefined;
  }

  /** Makes a secret, which is in the answer and nowhere else. Throws `conflict` where one is in use. */
  async enrol(
    act: Act<TotpWrites>,
    { id, name }: Principal,
  ): Promise<{ readonly secret: string; readonly uri: string }> {
    if (this.isEnrolled(id)) throw inUse();
    const { sealed, secret } = await this.#custody.newTotp(id);
    try {
      const totp = { principalId: id, sealed, createdAt: this.#time() };
      const draft = { kind: 'totp.enrolled', outcome: 'pending', detail: { id, name } } as const;
      await act.commit(draft, (tx) => {
        tx.insertTotp(totp);
        return { principal: name, confirmed: false };
      });
      const text = base32(secret);
      return { secret: text, uri: uriOf(name, text) };
    } finally {
      wipe(secret);
    }
  }

  /** Puts the secret to use, by its first code. Throws `forbidden` for a wrong one, `conflict` where there is none to confirm. */
  async confirm(act: Act<TotpWrites>, { id, name }: Principal, otp: string): Promise<TotpState> {
    const totp = this.#reads.totp(id);
    if (totp === undefined) {
      throw new CountersignError('conflict', 'there is no second factor to confirm: ask for one first');
    }
    if (totp.confirmedAt !== undefined) throw inUse();
    const step = await this.#match(act, { id, name }, totp, otp);
    const draft = { kind: 'totp.enrolled', outcome: 'done', detail: { id, name } } as const;
    return await act.commit(draft, (tx) => {
      tx.confirmTotp(id, totp.sealed, this.#time());
      tx.useTotpStep(id, totp.sealed, step);
      return { principal: name, confirmed: true };
    });
  }

  /** Takes it away, used or not. Throws `conflict` where there is none. */
  async reset(act: Act<TotpWrites>, { id, name }: Principal): Promise<TotpState> {
    return await act.commit({ kind: 'totp.reset', outcome: 'done', detail: { id, name } }, (tx) => {
      tx.deleteTotp(id);
      return { principal: name, confirmed: false };
    });
  }

  /**
   * Checks the code that comes with a vote. Whoever has a second factor has to give one, whoever has none can't. Throws
   * `unprocessable` where it is the other way round, `forbidden` for a wrong code, `rate_limited` after too many.
   */
  async prove(
    act: Act<TotpWrites>,
    principal: Pick<Principal, 'id' | 'name'>,
    otp: string | undefined,
  ): Promise<Proof> {
    const totp = this.#reads.totp(principal.id);
    if (totp?.confirmedAt === undefined) {
      if (otp === undefined) return NO_PROOF;
      throw otpProblem('you have no second factor: confirm one first (countersign totp), or leave it out');
    }
    if (otp === undefined) throw otpProblem('is required: you have a second factor');
    const step = await this.#match(act, principal, totp, otp);
    return { otp: true, commit: (tx) => tx.useTotpStep(principal.id, totp.sealed, step) };
  }

  async #match(
    act: Act<TotpWrites>,
    { id, name }: Pick<Principal, 'id' | 'name'>,
    { sealed, lastStep }: Totp,
    otp: string,
  ): Promise<number> {
    // Counted before it is known to be wrong: many at once are no more than one after the other.
    const attempt = this.#attempts.begin(id);
    let step: number | undefined;
    try {
      step = await this.#custody.matchTotp(id, sealed, otp, this.#now());
    } catch (error) {
      attempt.forgive();
      throw error;
    }
    // A code that was right once tells nobody what the next one is.
    if (step !== undefined) attempt.forgive();
    if (step !== undefined && step > (lastStep ?? -1)) return step;
    const reason = step === undefined ? 'the one-time code is wrong' : USED;
    const detail = { id, name, secondFactor: true, reason };
    await act.record({ kind: 'access.forbidden', outcome: 'denied', detail });
    const until = attempt.lockedUntil();
    if (until !== undefined) {
      const lock = { id, name, secondFactor: true, until: new Date(until).toISOString() };
      await act.record({ kind: 'credential.locked', outcome: 'denied', detail: lock });
    }
    throw new CountersignError('forbidden', reason);
  }

  #time(): string {
    return new Date(this.#now()).toISOString();
  }
}

/** What a principal's second factor is after a change. */
export type TotpState = { readonly principal: string; readonly confirmed: boolean };

/** Why a code that is right is refused. */
export const USED = 'this one-time code was used already: wait for the next one';

function inUse(): CountersignError {
  return new CountersignError('conflict', 'you have a second factor already: an admin has to reset it first');
}

function otpProblem(message: string): CountersignError {
  return new CountersignError('unprocessable', `otp: ${message}`, [{ path: 'otp', message }]);
}

/** As authenticator apps read it. */
function uriOf(name: string, secret: string): string {
  const label = `${ISSUER}:${encodeURIComponent(name)}`;
  return `otpauth://totp/${label}?secret=${secret}&issuer=${ISSUER}&algorithm=SHA1&digits=6&period=30`;
}
