import type { Act } from '../audit/act.ts';
import { Custody, type SignerLink } from './custody.ts';
import { RekeyService } from './rekey.ts';
import { Rewrap, type RewrapReads, type RewrapWrites } from './rewrap.ts';
import { RootKey, type RootKeyLimits } from './root-key.ts';
import {
  SealService,
  type PassphraseSource,
  type SealKeyFile,
  type SealReads,
  type SealWrites,
} from './seal.ts';
import { SealCustody } from './seal-custody.ts';
import { SealLock } from './seal-lock.ts';
import { TermUse, type TermCounts, type TermReads } from './term-use.ts';

export interface SealingParts {
  readonly link: SignerLink;
  readonly reads: SealReads & TermReads & RewrapReads;
  readonly counts: TermCounts;
  /** What the service does of its own accord. */
  readonly act: Act<SealWrites & RewrapWrites>;
  readonly keyFile: SealKeyFile;
  readonly passphrase?: PassphraseSource | undefined;
  readonly limits: RootKeyLimits;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

/** The seal, the root key and what is sealed with it: parts that share one lock and one signer process. */
export interface Sealing {
  readonly custody: Custody;
  readonly seal: SealService;
  readonly rekey: RekeyService;
  readonly rootKey: RootKey;
  readonly rewrap: Rewrap;
  /** What is due: to be called every minute or so, while the log can be written. */
  tick(): Promise<void>;
}

export function createSealing(parts: SealingParts): Sealing {
  const { link, reads, counts, act, keyFile, passphrase, limits, now = () => Date.now() } = parts;
  const use = new TermUse(reads, counts);
  const custody = new Custody(link, (count) => use.take(count));
  const sealCustody = new SealCustody(custody);
  const lock = new SealLock();
  const seal = new SealService({ reads, custody, sealCustody, lock, use, keyFile, passphrase });
  const rekey = new RekeyService({ reads, custody: sealCustody, lock, now });
  const rootKey = new RootKey({ reads, custody: sealCustody, lock, use, limits, now });
  const rewrap = new Rewrap({ reads, custody, sealCustody, rootKey, act, now });
  seal.onOpen(() => rewrap.resume());
  return {
    custody,
    seal,
    rekey,
    rootKey,
    rewrap,
    tick: async () => {
      await rekey.tick(act);
      if (!custody.unsealed) return;
      await rootKey.tick(act);
      rewrap.resume();
    },
  };
}
