import type { SignedEntryProblem } from './signed-entry.ts';

export type LogProblem =
  | SignedEntryProblem
  /** The stored index is not the next one: an entry is missing, doubled or out of order. */
  | 'index_gap'
  | 'too_large'
  /** The stored leaf hash is not that of the stored bytes. */
  | 'leaf_hash'
  | 'not_utf8'
  | 'not_json'
  /** Not RFC 8785: duplicate or unsorted members, white space, other spellings of numbers or strings. */
  | 'not_canonical'
  | 'entry_shape'
  | 'entry_version'
  | 'entry_index'
  | 'entry_time'
  | 'time_backwards'
  | 'checkpoint_malformed'
  | 'checkpoint_signature'
  | 'checkpoint_origin'
  /** A later checkpoint covers fewer entries. */
  | 'checkpoint_order'
  | 'checkpoint_root'
  /** The trusted checkpoint's root is not the log's at that size. */
  | 'trusted_root'
  /** The log ends below a checkpoint. */
  | 'log_cut'
  /** The log has entries and no checkpoint, so that nothing vouches for them. */
  | 'no_checkpoint';

export interface FirstBad {
  /** The bad entry, or the first of an interval. */
  readonly index: number;
  /** Last index of the interval that holds the bad entry, when the tree tells no more than that. */
  readonly through?: number;
  readonly problem: LogProblem;
  /** One sentence. */
  readonly message: string;
}

/** Roots are hex. */
export type VerifyReport =
  | {
      readonly ok: true;
      readonly size: number;
      readonly root: string;
      /** The largest verified checkpoint; absent only when the log is empty. */
      readonly checkpoint?: { readonly size: number; readonly root: string };
      /** Entries with a signature, each recovered to its key's address. */
      readonly signatures: number;
      /** How many of these have a digest that could not be recomputed, because the entry lacks the whole intent. */
      readonly digestsNotRecomputed: number;
      /** Entries after the last checkpoint: consistent, but not yet vouched for. */
      readonly unsignedTail: number;
    }
  | {
      readonly ok: false;
      /** Entries before the run ended. */
      readonly size: number;
      readonly firstBad: FirstBad;
    };

/** Ends a verification; becomes the report, never leaves `verifyLog`. */
export class LogFault extends Error {
  readonly firstBad: FirstBad;

  constructor(index: number, problem: LogProblem, message: string, through?: number) {
    super(message);
    this.firstBad = { index, problem, message, ...(through !== undefined && { through }) };
  }
}

/** The error of a function in place of its result, for parsers that throw at what we report. */
export function attempt<T>(parse: () => T): T | Error {
  try {
    return parse();
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}
