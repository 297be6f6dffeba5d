import type { CheckpointProblem } from './checkpoint.ts';
import type { SignedEntryProblem } from './entry.ts';

export type EntryProblem =
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
  /** The run of the service that it says it is of did not begin with this entry, and is not that of the one before. */
  | 'entry_epoch'
  /** What a limit is said to hold after is not what it held before and the amount. */
  | 'limit_sum'
  /** The bytes that it names by their hash are not kept beside the log. */
  | 'data_missing'
  /** They are, and have another hash or length. */
  | 'data_mismatch'
  /** It says that the log's key was rotated, and nothing of the old key that fits says so. */
  | 'key_rotation';

export type LogProblem =
  | EntryProblem
  | CheckpointProblem
  /** A later checkpoint covers fewer entries. */
  | 'checkpoint_order'
  | 'checkpoint_root'
  /** The trusted checkpoint's root is not the log's at that size. */
  | 'trusted_root'
  /** The log ends below a checkpoint. */
  | 'log_cut'
  /** The log has another size or root than its writer noted beside it. */
  | 'head_mismatch'
  /** A hash kept for tiles and proofs is not that of its entries, or is not there. */
  | 'tree_node'
  /** The log has entries and no checkpoint, so that nothing vouches for them. */
  | 'no_checkpoint'
  /** No checkpoint has the cosignatures that were demanded. */
  | 'not_cosigned';

export interface FirstBad {
  /** The bad entry, or the first of an interval. */
  readonly index: number;
  /** Last index of the interval that holds the bad entry, when the tree tells no more than that. */
  readonly through?: number;
  readonly problem: LogProblem;
  /** One sentence. */
  readonly message: string;
}

/** What is wrong with a log. Ends a verification; becomes the report, never leaves `verifyLog`. */
export class LogFault extends Error {
  readonly firstBad: FirstBad;

  constructor(index: number, problem: LogProblem, message: string, through?: number) {
    super(message);
    this.firstBad = { index, problem, message, ...(through !== undefined && { through }) };
  }

  /** @param what goes on after "entry 7". */
  static ofEntry(index: number, problem: EntryProblem, what: string): LogFault {
    return new LogFault(index, problem, `entry ${index} ${what}`);
  }
}
