import { contradictionIn } from '../audit/anchors/compare.ts';
import { historyOf } from '../audit/history.ts';
import { parseCheckpoint } from '../audit/tree/checkpoint.ts';
import { parseNote } from '../audit/tree/note.ts';
import type { LogSource } from '../audit/verify/log.ts';
import { CountersignError } from '../errors.ts';
import type { SnapshotFacts } from './header.ts';

/** A checkpoint of the log that is kept outside of the backup. */
export interface HeldOutside {
  /** For messages: the file or the place that it is from. */
  readonly source: string;
  /** A signed note. */
  readonly note: string;
}

/** Entries that a checkpoint outside covers and the backup does not have; both inclusive. */
export interface Lost {
  readonly from: number;
  readonly to: number;
  readonly source: string;
}

export interface Compared {
  /** The largest of them that the backup's log is long enough for; to verify the log with. */
  readonly trusted?: HeldOutside;
  /** By the largest of them, where the log is shorter. */
  readonly lost?: Lost;
}

/**
 * Holds a log from a backup against checkpoints that others keep. Throws `unprocessable` for a checkpoint of another log,
 * or one that has another root than the log: no loss explains that.
 */
export function compareOutside(
  held: readonly HeldOutside[],
  { origin, log }: Pick<SnapshotFacts, 'origin' | 'log'>,
  source: LogSource,
): Compared {
  const nodes = source.tree?.nodes;
  if (nodes === undefined) throw new CountersignError('internal', 'a database has the tree of its log');
  const history = historyOf(log, nodes);
  let trusted: { readonly held: HeldOutside; readonly size: number } | undefined;
  let lost: Lost | undefined;
  for (const each of held) {
    const { size, origin: itsOrigin } = readCheckpoint(each);
    if (itsOrigin === origin && size > log.size) {
      if (size - 1 > (lost?.to ?? -1)) lost = { from: log.size, to: size - 1, source: each.source };
      continue;
    }
    const contradiction = contradictionIn(each.note, each.source, { origin, history });
    if (contradiction !== undefined)
      throw new CountersignError('unprocessable', `the backup is not of that log: ${contradiction.message}`);
    if (size > (trusted?.size ?? -1)) trusted = { held: each, size };
  }
  return { ...(trusted !== undefined && { trusted: trusted.held }), ...(lost !== undefined && { lost }) };
}

function readCheckpoint({ source, note }: HeldOutside): { readonly origin: string; readonly size: number } {
  try {
    return parseCheckpoint(parseNote(note).text);
  } catch (error) {
    const why = error instanceof Error ? error.message : 'unknown';
    throw new CountersignError('invalid_request', `${source} holds no checkpoint: ${why}`, [], error);
  }
}
