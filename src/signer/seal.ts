import type { Act, Answer } from '../audit/act.ts';
import { CountersignError } from '../errors.ts';
import { newKdfParams, type KdfChoice } from '../keystore/kdf.ts';
import type { SealConfig } from '../keystore/seal.ts';
import type { Custody } from './custody.ts';
import { logKeyName, type LogKeyWrites } from './log-key.ts';

export interface StoredSeal {
  readonly config: SealConfig;
  /** The sealed root keyring. */
  readonly keyring: Uint8Array;
}

export interface SealReads {
  seal(): StoredSeal | undefined;
}

export interface SealWrites extends Pick<LogKeyWrites, 'insertLogKey'> {
  insertSeal(seal: StoredSeal): void;
}

/** The key file of the `file` seal. */
export interface SealKeyFile {
  /** The key; made where there is none. */
  ensure(): Buffer;
  read(): Buffer;
}

export interface SealStatus {
  readonly initialized: boolean;
  readonly sealed: boolean;
  readonly type: SealConfig['type'] | null;
}

/** What the caller of a change is answered, made inside its commit. */
const noAnswer = (): Answer => ({});

/** Opens and closes the root keyring, and opens it again after the signer process was lost. */
export class SealService {
  readonly #reads: SealReads;
  readonly #custody: Custody;
  readonly #keyFile: SealKeyFile;
  /** Somebody asked for it to be sealed: only somebody who asks opens it again. */
  #sealedOnPurpose = false;
  #busy = false;

  constructor(reads: SealReads, custody: Custody, keyFile: SealKeyFile) {
    this.#reads = reads;
    this.#custody = custody;
    this.#keyFile = keyFile;
  }

  status(): SealStatus {
    const seal = this.#reads.seal();
    return {
      initialized: seal !== undefined,
      sealed: !this.#custody.unsealed,
      type: seal?.config.type ?? null,
    };
  }

  /** Makes the root keyring and the log's signing key. Throws `conflict` when there is one. */
  async initialize(act: Act<SealWrites>, choice: SealChoice, answer = noAnswer): Promise<void> {
    await this.#alone(async () => {
      if (this.#reads.seal() !== undefined)
        throw new CountersignError('conflict', 'the service is initialized already');
      const config: SealConfig =
        choice.type === 'file' ? { type: 'file' } : { type: 'passphrase', kdf: newKdfParams(choice.kdf) };
      const secret = choice.type === 'file' ? this.#keyFile.ensure() : choice.passphrase;
      try {
        const keyring = await this.#custody.createKeyring(config, secret);
        const logKey = await this.#custody.generate(logKeyName(1));
        const draft = { kind: 'seal.initialized', outcome: 'done', detail: { type: config.type } } as const;
        await act.commit(draft, (tx) => {
          tx.insertSeal({ config, keyring });
          const { publicKey, sealed } = logKey;
          tx.insertLogKey({ version: 1, publicKey, sealed }, new Date().toISOString());
          return answer();
        });
      } catch (error) {
        // A keyring that was not kept must not seal anything.
        await this.#custody.seal().catch(() => undefined);
        throw error;
      }
    });
  }

  /** Opens the keyring; `passphrase` is for a seal of that type. It is wiped. */
  async unseal(act: Act<SealWrites>, passphrase?: Buffer, answer = noAnswer): Promise<void> {
    await this.#alone(async () => {
      const seal = this.#reads.seal();
      if (seal === undefined)
        throw new CountersignError('conflict', 'the service is not initialized: there is nothing to unseal');
      if (this.#custody.unsealed) throw new CountersignError('conflict', 'the service is unsealed already');
      if (seal.config.type === 'passphrase' && passphrase === undefined) {
        throw new CountersignError('invalid_request', 'this seal opens with a passphrase', [
          { path: 'passphrase', message: 'is required' },
        ]);
      }
      const { type } = seal.config;
      try {
        await this.#custody.unseal(seal.config, passphrase ?? this.#keyFile.read(), seal.keyring);
      } catch (error) {
        const reason = error instanceof CountersignError ? error.message : 'unknown';
        await act.record({ kind: 'seal.unseal_failed', outcome: 'failed', detail: { type, reason } });
        throw error;
      }
      this.#sealedOnPurpose = false;
      try {
        await act.commit({ kind: 'seal.unsealed', outcome: 'done', detail: { type } }, answer);
      } catch (error) {
        await this.#custody.seal().catch(() => undefined);
        throw error;
      }
    });
  }

  /** Wipes every key from memory before it returns. The wiping is not held up by a log that can't be written. */
  async seal(act: Act<SealWrites>, answer = noAnswer): Promise<void> {
    this.#sealedOnPurpose = true;
    await this.#custody.seal();
    await act.commit({ kind: 'seal.sealed', outcome: 'done' }, answer);
  }

  /** At start, and after the signer process was lost: opens what opens without a person. */
  async resume(act: Act<SealWrites>): Promise<void> {
    if (this.#sealedOnPurpose || this.#reads.seal()?.config.type !== 'file') return;
    await this.unseal(act);
  }

  async #alone(work: () => Promise<void>): Promise<void> {
    if (this.#busy) throw new CountersignError('conflict', 'the seal is being changed by another request');
    this.#busy = true;
    try {
      await work();
    } finally {
      this.#busy = false;
    }
  }
}

/** How a new keyring is to be sealed. */
export type SealChoice = { readonly type: 'file' } | PassphraseChoice;

export interface PassphraseChoice {
  readonly type: 'passphrase';
  /** UTF-8. It is wiped. */
  readonly passphrase: Buffer;
  readonly kdf?: KdfChoice | undefined;
}
