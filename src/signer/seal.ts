import type { Act, Answer } from '../audit/act.ts';
import { wipe } from '../bytes.ts';
import { CountersignError } from '../errors.ts';
import { newKdfParams, type KdfChoice } from '../keystore/kdf.ts';
import type { NewSeal, SealConfig, SharedSealConfig } from '../keystore/seal.ts';
import type { Custody } from './custody.ts';
import { SHARES_KEPT_MS } from './gathered.ts';
import { logKeyName, type LogKeyWrites } from './log-key.ts';
import type { SealCustody } from './seal-custody.ts';
import { gatheredDetail, refusal, sealDetail } from './seal-entries.ts';
import type { SealLock } from './seal-lock.ts';
import { FIRST_ENCRYPTIONS, type TermUse, type TermWrites } from './term-use.ts';

export interface StoredSeal {
  readonly config: SealConfig;
  /** The sealed root keyring. */
  readonly keyring: Uint8Array;
}

export interface SealReads {
  seal(): StoredSeal | undefined;
}

export interface SealWrites extends Pick<LogKeyWrites, 'insertLogKey'>, TermWrites {
  insertSeal(seal: StoredSeal): void;
  /** Compare and swap. Throws `conflict` unless `before` is the keyring that is stored. */
  replaceSeal(before: Uint8Array, after: StoredSeal): void;
}

/** The key file of the `file` seal. */
export interface SealKeyFile {
  /** The key; made where there is none. */
  ensure(): Buffer;
  read(): Buffer;
}

/** Where the passphrase of an unattended start is; it is read anew each time. Throws `unavailable`. */
export type PassphraseSource = () => Buffer;

export interface SealStatus {
  readonly initialized: boolean;
  readonly sealed: boolean;
  readonly type: SealConfig['type'] | null;
  /** Of a seal in shares. */
  readonly shares?: {
    readonly set: string;
    readonly shares: number;
    readonly threshold: number;
    readonly have: number;
  };
}

export interface SealParts {
  readonly reads: SealReads;
  readonly custody: Custody;
  readonly sealCustody: SealCustody;
  readonly lock: SealLock;
  readonly use: TermUse;
  readonly keyFile: SealKeyFile;
  readonly passphrase?: PassphraseSource | undefined;
}

/** What the caller of a change is answered, made inside its commit. */
const noAnswer = (): Answer => ({});

/** Opens and closes the root keyring, and opens it again after the signer process was lost. */
export class SealService {
  readonly #parts: SealParts;
  readonly #onOpen = new Set<() => void>();
  /** Somebody asked for it to be sealed: only somebody who asks opens it again. */
  #sealedOnPurpose = false;
  /** Shares that the signer process holds; it forgets them at that time of the monotonic clock. */
  #gathered: { readonly have: number; readonly epoch: number; readonly until: number } | undefined;

  constructor(parts: SealParts) {
    this.#parts = parts;
  }

  /** As in `status`, for those who ask often: it reads nothing. */
  get sealed(): boolean {
    return !this.#parts.custody.unsealed;
  }

  status(): SealStatus {
    const config = this.#parts.reads.seal()?.config;
    return {
      initialized: config !== undefined,
      sealed: this.sealed,
      type: config?.type ?? null,
      ...(config?.type === 'shamir' && {
        shares: { set: config.set, shares: config.shares, threshold: config.threshold, have: this.#have() },
      }),
    };
  }

  /** Calls `listener` whenever the keyring has been opened. */
  onOpen(listener: () => void): void {
    this.#onOpen.add(listener);
  }

  /**
   * Makes the root keyring and the log's signing key. Throws `conflict` when there is one.
   * @returns the texts of the shares, of a seal that has some: they exist nowhere else. The caller wipes them.
   */
  async initialize(act: Act<SealWrites>, choice: SealChoice, answer = noAnswer): Promise<readonly Buffer[]> {
    const { reads, custody, lock, use, keyFile } = this.#parts;
    return await lock.alone(async () => {
      if (reads.seal() !== undefined)
        throw new CountersignError('conflict', 'the service is initialized already');
      const secret = choice.type === 'file' ? keyFile.ensure() : secretOf(choice);
      let shares: readonly Buffer[] = [];
      try {
        const made = await custody.createKeyring(newSealOf(choice), secret);
        const { config, sealed: keyring } = made;
        ({ shares } = made);
        const logKey = await custody.generate(logKeyName(1));
        const term = { term: 1, createdAt: new Date().toISOString(), encryptions: FIRST_ENCRYPTIONS };
        const detail = sealDetail(config);
        await act.commit({ kind: 'seal.initialized', outcome: 'done', detail }, (tx) => {
          tx.insertSeal({ config, keyring });
          tx.insertTerm(term);
          const { publicKey, sealed } = logKey;
          tx.insertLogKey({ version: 1, publicKey, sealed }, term.createdAt);
          return answer();
        });
        use.begin(term);
        return shares;
      } catch (error) {
        wipe(...shares);
        // A keyring that was not kept must not seal anything.
        await custody.seal().catch(() => undefined);
        throw error;
      }
    });
  }

  /** Opens the keyring; `passphrase` is for a seal of that type. It is wiped. */
  async unseal(act: Act<SealWrites>, passphrase?: Buffer, answer = noAnswer): Promise<void> {
    await this.#parts.lock.alone(() => this.#unseal(act, passphrase, answer));
  }

  /**
   * Takes one share; with the last one of enough, opens the keyring. The share is wiped. Throws `invalid_request`,
   * `unprocessable` or `conflict` that says what is wrong with it; the shares before it stay.
   */
  async giveShare(act: Act<SealWrites>, share: Buffer, answer = noAnswer): Promise<void> {
    const { custody, sealCustody, lock } = this.#parts;
    await lock.inTurn(async () => {
      const { config, keyring } = this.#sealed();
      if (config.type !== 'shamir') {
        wipe(share);
        throw new CountersignError('unprocessable', `this seal is a ${config.type}: it takes no shares`);
      }
      const { epoch } = sealCustody;
      const step = await sealCustody.giveShare(config, keyring, share).catch(async (error: unknown) => {
        await act.record({ kind: 'seal.share_refused', outcome: 'failed', detail: refusal('unseal', error) });
        throw error;
      });
      const draft = {
        kind: 'seal.share_given',
        outcome: 'done',
        detail: gatheredDetail('unseal', step),
      } as const;
      const have = step.done ? 0 : (step.gathered?.have ?? 0);
      this.#gathered = { have, epoch, until: performance.now() + SHARES_KEPT_MS };
      try {
        if (!step.done) {
          await act.commit(draft, answer);
          return;
        }
        await act.record(draft);
        await act.commit({ kind: 'seal.unsealed', outcome: 'done', detail: sealDetail(config) }, answer);
      } catch (error) {
        // What is not in the log has not happened.
        if (step.done) await custody.seal().catch(() => undefined);
        else await this.#forgetShares();
        throw error;
      }
      this.#opened(epoch);
    });
  }

  /** Forgets the shares that were given so far. */
  async dropShares(act: Act<SealWrites>, answer = noAnswer): Promise<void> {
    const { config } = this.#sealed();
    if (config.type !== 'shamir')
      throw new CountersignError('unprocessable', `this seal is a ${config.type}: it takes no shares`);
    const have = this.#have();
    await this.#forgetShares();
    await act.commit({ kind: 'seal.shares_dropped', outcome: 'done', detail: { have } }, answer);
  }

  /** Wipes every key from memory before it returns. The wiping is not held up by a log that can't be written. */
  async seal(act: Act<SealWrites>, answer = noAnswer): Promise<void> {
    this.#sealedOnPurpose = true;
    await this.#parts.custody.seal();
    await act.commit({ kind: 'seal.sealed', outcome: 'done' }, answer);
  }

  /** At start, and after the signer process was lost: opens what opens without a person. */
  async resume(act: Act<SealWrites>): Promise<void> {
    const { reads, lock, passphrase } = this.#parts;
    const type = reads.seal()?.config.type;
    if (this.#sealedOnPurpose || (type !== 'file' && !(type === 'passphrase' && passphrase !== undefined)))
      return;
    await lock.inTurn(async () => {
      // Somebody may have sealed it while this waited for its turn.
      if (this.#sealedOnPurpose) return;
      await this.#unseal(act, type === 'passphrase' ? passphrase?.() : undefined, noAnswer);
    });
  }

  async #unseal(act: Act<SealWrites>, passphrase: Buffer | undefined, answer: () => Answer): Promise<void> {
    const { custody, sealCustody, keyFile } = this.#parts;
    const { config, keyring } = this.#sealed();
    const { type } = config;
    const { epoch } = sealCustody;
    if (type === 'shamir')
      throw new CountersignError('unprocessable', 'this seal opens with shares, and not with a passphrase');
    if (type === 'passphrase' && passphrase === undefined) {
      throw new CountersignError('invalid_request', 'this seal opens with a passphrase', [
        { path: 'passphrase', message: 'is required' },
      ]);
    }
    try {
      await custody.unseal(config, passphrase ?? keyFile.read(), keyring);
    } catch (error) {
      const reason = error instanceof CountersignError ? error.message : 'unknown';
      await act.record({ kind: 'seal.unseal_failed', outcome: 'failed', detail: { type, reason } });
      throw error;
    }
    try {
      await act.commit({ kind: 'seal.unsealed', outcome: 'done', detail: { type } }, answer);
    } catch (error) {
      await custody.seal().catch(() => undefined);
      throw error;
    }
    this.#opened(epoch);
  }

  /** Throws `sealed` when a sealing has overtaken the opening, while that was being logged: the sealing holds. */
  #opened(epoch: number): void {
    if (this.#parts.sealCustody.epoch !== epoch)
      throw new CountersignError('sealed', 'the service was sealed meanwhile');
    this.#sealedOnPurpose = false;
    this.#gathered = undefined;
    for (const listener of this.#onOpen) listener();
  }

  /** Throws `conflict` where there is nothing to unseal. */
  #sealed(): StoredSeal {
    const seal = this.#parts.reads.seal();
    if (seal === undefined)
      throw new CountersignError('conflict', 'the service is not initialized: there is nothing to unseal');
    if (this.#parts.custody.unsealed)
      throw new CountersignError('conflict', 'the service is unsealed already');
    return seal;
  }

  #have(): number {
    const { have = 0, epoch, until = 0 } = this.#gathered ?? {};
    return epoch === this.#parts.sealCustody.epoch && performance.now() < until ? have : 0;
  }

  async #forgetShares(): Promise<void> {
    this.#gathered = undefined;
    await this.#parts.sealCustody.dropShares();
  }
}

/** How a new keyring is to be sealed. */
export type SealChoice = { readonly type: 'file' } | PassphraseChoice | SharesChoice;

export interface PassphraseChoice {
  readonly type: 'passphrase';
  /** UTF-8. It is wiped. */
  readonly passphrase: Buffer;
  readonly kdf?: KdfChoice | undefined;
}

export type SharesChoice = Pick<SharedSealConfig, 'type' | 'shares' | 'threshold'>;

/** The choice without its secret. Throws `unprocessable`. */
export function newSealOf(choice: SealChoice): NewSeal {
  if (choice.type === 'file') return { type: 'file' };
  if (choice.type === 'passphrase') return { type: 'passphrase', kdf: newKdfParams(choice.kdf) };
  const { type, shares, threshold } = choice;
  if (threshold > shares) {
    const message = `must be at most ${shares}, the number of shares`;
    throw new CountersignError('invalid_request', `seal.threshold: ${message}`, [
      { path: 'seal.threshold', message },
    ]);
  }
  return { type, shares, threshold };
}

/** The secret that a choice brings; of shares, none: their key is made. */
export function secretOf(choice: PassphraseChoice | SharesChoice): Buffer {
  return choice.type === 'passphrase' ? choice.passphrase : Buffer.alloc(0);
}
