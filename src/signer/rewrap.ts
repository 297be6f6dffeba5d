import { randomUUID } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Act, Answer } from '../audit/act.ts';
import { CountersignError } from '../errors.ts';
import { termOf } from '../keystore/envelope.ts';
import type { KeyReads, KeyWrites } from '../keystore/keys.ts';
import type { Custody } from './custody.ts';
import { logKeyName, type LogKey } from './log-key.ts';
import type { OldTermReads, RootKey } from './root-key.ts';
import type { Rewrapped, SealCustody, SealedItem } from './seal-custody.ts';

/** Everything that is sealed, moved to the newest term of the root keyring. */
export interface RewrapJob {
  readonly id: string;
  readonly state: 'running' | 'done';
  /** The newest term when it was started. */
  readonly term: number;
  /** Secrets that were under an older term then. */
  readonly total: number;
  /** Of these, those that it has come past. */
  readonly done: number;
  /** Those that do not open, and stay as they are. */
  readonly failed: number;
  /** RFC 3339. */
  readonly startedAt: string;
  readonly finishedAt?: string;
  /** What it has come past last; undefined at the beginning. */
  readonly cursor?: RewrapCursor;
}

/** Keys come first, then second factors, then the log's key. */
export type RewrapCursor =
  | { readonly phase: 'keys'; readonly keyId: string; readonly version: number }
  | { readonly phase: 'totp'; readonly principalId: string }
  | { readonly phase: 'log' };

export interface SealedTotp {
  readonly principalId: string;
  readonly sealed: Uint8Array;
}

export interface RewrapReads extends OldTermReads, Pick<KeyReads, 'sealedBefore'> {
  /** The newest. */
  rewrapJob(): RewrapJob | undefined;
  /** Second factors sealed before a term, in the order of their principals. */
  totpSealedBefore(term: number, after: string, limit: number): SealedTotp[];
  logKey(): LogKey | undefined;
}

export interface RewrapWrites extends Pick<KeyWrites, 'replaceSealed'> {
  saveRewrapJob(job: RewrapJob): void;
  /** Compare and swap. Throws `conflict` unless `before` is what is kept. */
  replaceTotpSealed(principalId: string, before: Uint8Array, after: Uint8Array): void;
  /** The same for the log's key of that version. */
  replaceLogKeySealed(version: number, before: Uint8Array, after: Uint8Array): void;
}

export interface RewrapParts {
  readonly reads: RewrapReads;
  readonly custody: Custody;
  readonly sealCustody: SealCustody;
  readonly rootKey: RootKey;
  /** What the service does of its own accord. */
  readonly act: Act<RewrapWrites>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** A page holds signing up for a few milliseconds. */
const PAGE = 128;

interface Page {
  readonly items: readonly (SealedItem & {
    readonly replace: (tx: RewrapWrites, after: Uint8Array) => void;
  })[];
  readonly cursor: RewrapCursor;
}

/**
 * Moves all that is sealed to the newest term, page by page, each in one commit with how far it is. It goes on where
 * it was after a seal, a lost signer process or a restart, as soon as the service is unsealed.
 */
export class Rewrap {
  readonly #parts: RewrapParts;
  #working = false;
  #stopped = false;

  constructor(parts: RewrapParts) {
    this.#parts = parts;
  }

  /** The newest job; undefined where there never was one. */
  status(): RewrapJob | undefined {
    return this.#parts.reads.rewrapJob();
  }

  /** Throws `conflict` while one runs, `sealed` when nothing can be opened. */
  async start(act: Act<RewrapWrites>, answer: (job: RewrapJob) => Answer): Promise<RewrapJob> {
    const { reads, custody, rootKey, now } = this.#parts;
    custody.requireUnsealed();
    const newest = rootKey.status();
    if (newest === undefined) throw new CountersignError('sealed', 'the service is not initialized');
    this.#refuseRunning();
    const total = reads.countSealedBefore(newest.term);
    const job: RewrapJob = {
      id: randomUUID(),
      state: 'running',
      term: newest.term,
      total,
      done: 0,
      failed: 0,
      startedAt: new Date(now()).toISOString(),
    };
    const detail = { id: job.id, term: job.term, total };
    await act.commit({ kind: 'seal.rewrap_started', outcome: 'done', detail }, (tx) => {
      // Two that started at the same time: the second sees the first here.
      this.#refuseRunning();
      tx.saveRewrapJob(job);
      return answer(job);
    });
    this.resume();
    return job;
  }

  /** Goes on with the job that was running, if there is one. For when the service is unsealed. */
  resume(): void {
    if (this.#working || this.#stopped || this.status()?.state !== 'running') return;
    this.#working = true;
    void this.#run().finally(() => {
      this.#working = false;
    });
  }

  /** Begins no further page. */
  stop(): void {
    this.#stopped = true;
  }

  async #run(): Promise<void> {
    const { custody, act } = this.#parts;
    while (!this.#stopped && custody.unsealed) {
      const job = this.status();
      if (job?.state !== 'running') return;
      try {
        const page = this.#next(job);
        if (page === undefined) return await this.#finish(act, job);
        await this.#move(act, job, page);
      } catch (error) {
        // Sealed, or lost, or a log that can't be written: whatever mends that resumes it.
        if (error instanceof CountersignError) return;
        throw error;
      }
      await nextTurn();
    }
  }

  async #move(act: Act<RewrapWrites>, job: RewrapJob, { items, cursor }: Page): Promise<void> {
    const moved = await this.#parts.sealCustody.rewrap(items);
    const failed = moved.filter(isClosed).length;
    const next = { ...job, cursor, done: job.done + items.length, failed: job.failed + failed };
    const { id, total } = job;
    // What was added since the start under the older term is done, too.
    const detail = { id, done: next.done, total: Math.max(total, next.done), failed: next.failed };
    await act.commit({ kind: 'seal.rewrap_progressed', outcome: 'done', detail }, (tx) => {
      for (const [index, item] of items.entries()) {
        const after = moved[index];
        if (after !== undefined && 'sealed' in after) unlessChanged(() => item.replace(tx, after.sealed));
      }
      tx.saveRewrapJob({ ...next, total: Math.max(total, next.done) });
      return {};
    });
    this.#parts.rootKey.recount();
  }

  async #finish(act: Act<RewrapWrites>, job: RewrapJob): Promise<void> {
    const { id, term, done: count, failed, startedAt } = job;
    const finishedAt = new Date(this.#parts.now()).toISOString();
    const detail = { id, term, count, failed, startedAt };
    await act.commit({ kind: 'seal.rewrapped', outcome: 'done', detail }, (tx) => {
      tx.saveRewrapJob({ ...job, state: 'done', finishedAt });
      return {};
    });
  }

  /** The page after the job's cursor; undefined where there is none left. */
  #next({ term, cursor }: RewrapJob): Page | undefined {
    if (cursor === undefined || cursor.phase === 'keys') {
      const page = this.#keyPage(term, cursor);
      if (page !== undefined) return page;
    }
    if (cursor?.phase === 'log') return undefined;
    return this.#totpPage(term, cursor?.phase === 'totp' ? cursor.principalId : '') ?? this.#logPage(term);
  }

  #keyPage(term: number, after: Extract<RewrapCursor, { phase: 'keys' }> | undefined): Page | undefined {
    const keys = this.#parts.reads.sealedBefore(term, after, PAGE);
    const last = keys.at(-1);
    if (last === undefined) return undefined;
    const items = keys.map(({ keyId, version, address, sealed }) => ({
      identity: { keyId, version, curve: 'secp256k1' as const, address },
      sealed,
      replace: (tx: RewrapWrites, blob: Uint8Array) => tx.replaceSealed(keyId, version, sealed, blob),
    }));
    return { items, cursor: { phase: 'keys', keyId: last.keyId, version: last.version } };
  }

  #totpPage(term: number, after: string): Page | undefined {
    const factors = this.#parts.reads.totpSealedBefore(term, after, PAGE);
    const last = factors.at(-1);
    if (last === undefined) return undefined;
    const items = factors.map(({ principalId, sealed }) => ({
      identity: { purpose: 'totp' as const, owner: principalId },
      sealed,
      replace: (tx: RewrapWrites, blob: Uint8Array) => tx.replaceTotpSealed(principalId, sealed, blob),
    }));
    return { items, cursor: { phase: 'totp', principalId: last.principalId } };
  }

  #logPage(term: number): Page | undefined {
    const key = this.#parts.reads.logKey();
    if (key === undefined || key.sealed.length === 0 || termOf(key.sealed) >= term) return undefined;
    const { version, publicKey, sealed } = key;
    const identity = { ...logKeyName(version), address: publicKey };
    const replace = (tx: RewrapWrites, blob: Uint8Array): void =>
      tx.replaceLogKeySealed(version, sealed, blob);
    return { items: [{ identity, sealed, replace }], cursor: { phase: 'log' } };
  }

  #refuseRunning(): void {
    const job = this.status();
    if (job?.state === 'running')
      throw new CountersignError('conflict', `keys are being rewrapped: ${job.done} of ${job.total} so far`);
  }
}

/** One that was destroyed, or sealed anew, since it was read is not ours to change. */
function unlessChanged(replace: () => void): void {
  try {
    replace();
  } catch (error) {
    if (!(error instanceof CountersignError && error.code === 'conflict')) throw error;
  }
}

function isClosed(rewrapped: Rewrapped): boolean {
  return 'not' in rewrapped && rewrapped.not === 'closed';
}
